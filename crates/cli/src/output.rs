//! All output to the terminal. Control characters in untrusted text (data, configurations, file names) are escaped; a closed
//! pipe ends the program quietly, a full disk with a message, and neither with a panic.

use alidade_domain::{Precision, Problem, ProblemCode, printable, without_number};
use alidade_studio::folder_notes;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{Error, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit code of a program whose output pipe was closed.
const CLOSED_PIPE: i32 = 141;
/// Set when an event could not be printed for another reason than a closed pipe.
static EVENTS_LOST: AtomicBool = AtomicBool::new(false);
/// Set by `--quiet`.
static QUIET: AtomicBool = AtomicBool::new(false);
static LISTENED_TO: AtomicBool = AtomicBool::new(true);

/// A line on standard output.
pub fn line(text: impl AsRef<str>) {
    write(&format!("{}\n", printable(text.as_ref()))).unwrap_or_else(|error| end(&error));
}

/// A piece of a line on standard output, flushed.
pub fn piece(text: &str) {
    write(&printable(text)).unwrap_or_else(|error| end(&error));
}

/// One JSON document on standard output.
pub fn json(value: &Value) {
    write(&document(value)).unwrap_or_else(|error| end(&error));
}

/// One JSON document per line; the work continues even if printing fails, see [`events_lost`].
pub fn event(value: &Value) {
    if !LISTENED_TO.load(Ordering::Relaxed) {
        return;
    }
    if let Err(error) = write(&document(value)) {
        LISTENED_TO.store(false, Ordering::Relaxed);
        if error.kind() != ErrorKind::BrokenPipe {
            EVENTS_LOST.store(true, Ordering::Relaxed);
            note(&format!("note: {} Training continues.", lost(&error)));
        }
    }
}

/// True if events could not be printed although the reader did not close the pipe.
pub fn events_lost() -> bool {
    EVENTS_LOST.load(Ordering::Relaxed)
}

/// A line on standard output; failures are ignored.
pub fn announce(text: &str) {
    // A closed standard output is acceptable here.
    let _ = write(&format!("{}\n", printable(text)));
}

/// A text on standard output as it is; for what another program reads.
pub fn text(text: &str) {
    write(text).unwrap_or_else(|error| end(&error));
}

/// With `--quiet` notes are not printed.
pub fn be_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// A note on standard error, for the person at the terminal; failures cannot be reported anywhere.
pub fn note(text: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        fault(text);
    }
}

/// A line on standard error that is printed in any case.
pub fn fault(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", printable(text));
}

/// A prompt on standard error, without a line break.
pub fn ask(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "{}", printable(text)).and_then(|()| out.flush());
}

/// Notes when the weights do not have the requested number format.
pub fn held(wanted: Precision, held: Precision) {
    if wanted != held {
        let (wanted, held) = (wanted.name(), held.name());
        note(&format!("note: this model with this adapter cannot run with {wanted} weights here; they are {held}."));
    }
}

/// Prints remarks on the chosen folders.
pub fn notes(model: &Path, adapter: Option<&Path>) {
    folder_notes(model, adapter).iter().for_each(|text| note(&format!("note: {text}")));
}

/// Prints a problem with its hints to standard error and turns it into an exit code.
pub fn report(problem: &Problem) -> ExitCode {
    let message = without_number(&problem.message);
    match &problem.field {
        Some(field) => fault(&format!("error ({field}): {message}")),
        None => fault(&format!("error: {message}")),
    }
    problem.hints.iter().for_each(|hint| fault(&format!("hint: {hint}")));
    match problem.code {
        ProblemCode::Input | ProblemCode::NotFound | ProblemCode::Conflict => ExitCode::from(2),
        _ => ExitCode::from(1),
    }
}

fn write(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// JSON only requires some control characters to be escaped; the others are escaped too, which does not change the parsed
/// value.
fn document(value: &Value) -> String {
    let mut text = String::new();
    for character in value.to_string().chars() {
        if printable(character.encode_utf8(&mut [0; 4])).chars().eq([character]) {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text + "\n"
}

fn lost(error: &Error) -> String {
    format!("Writing to standard output failed: {}.", alidade_domain::why(error))
}

/// Ends the program, because its output is closed.
fn end(error: &Error) -> ! {
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(CLOSED_PIPE);
    }
    fault(&format!("error: {}", lost(error)));
    std::process::exit(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_say_the_same_and_steer_nothing() {
        let value = serde_json::json!({"text": "a\u{1b}[31m\u{9b}2J\u{202e}\u{7f}\n\u{e0041}é"});
        let text = document(&value);
        assert!(text.trim_end().chars().all(|c| !c.is_control() && c != '\u{202e}' && c != '\u{e0041}'), "{text}");
        assert!(text.contains('é'));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
