//! All output to the terminal. Control characters in untrusted text (data, configurations, file names) are escaped; a closed
//! pipe ends the program quietly, a full disk with a message, and neither with a panic.

use crate::language::said;
use alidade_domain::{Precision, Problem, ProblemCode, Wording, printable, without_number, wording};
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
            let lost = lost(&error);
            remark(&wording!("{lost} Training continues.", "{lost}训练继续进行。"; lost));
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

/// A sentence on standard output.
pub fn say(text: impl Into<Wording>) {
    line(said(text));
}

/// With `--quiet` notes are not printed.
pub fn be_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// A sentence on standard error, for the person at the terminal.
pub fn note(text: impl Into<Wording>) {
    if !QUIET.load(Ordering::Relaxed) {
        fault(text);
    }
}

/// A sentence on standard error that is printed in any case.
pub fn fault(text: impl Into<Wording>) {
    plain(&said(text));
}

/// A line on standard error; failures cannot be reported anywhere.
pub fn plain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", printable(text));
}

/// A remark on standard error.
pub fn remark(text: &Wording) {
    note(remarked(text));
}

/// A remark as such.
pub fn remarked(text: &Wording) -> Wording {
    wording!("note: {text}", "提示：{text}"; text)
}

/// A prompt on standard error, without a line break.
pub fn ask(text: impl Into<Wording>) {
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "{}", printable(&said(text))).and_then(|()| out.flush());
}

/// Notes when the weights do not have the requested number format.
pub fn held(wanted: Precision, held: Precision) {
    if wanted != held {
        let (wanted, held) = (wanted.name(), held.name());
        remark(&wording!(
            "this model with this adapter cannot run with {wanted} weights here; they are {held}.",
            "这个模型与适配器在这里不能以 {wanted} 权重运行，使用的是 {held}。"
        ));
    }
}

/// Prints remarks on the chosen folders.
pub fn notes(model: &Path, adapter: Option<&Path>) {
    folder_notes(model, adapter).iter().for_each(remark);
}

/// Prints a problem with its hints to standard error and turns it into an exit code.
pub fn report(problem: &Problem) -> ExitCode {
    let Wording { en, zh } = &problem.message;
    let message = Wording { en: without_number(en), zh: without_number(zh) };
    fault(match &problem.field {
        Some(field) => wording!("error ({field}): {message}", "错误（{field}）：{message}"; message = message),
        None => wording!("error: {message}", "错误：{message}"; message = message),
    });
    problem.hints.iter().for_each(|hint| fault(wording!("hint: {hint}", "建议：{hint}"; hint)));
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

fn lost(error: &Error) -> Wording {
    wording!("Writing to standard output failed: {why}.", "写入标准输出失败：{why}。"; why = alidade_domain::why(error))
}

/// Ends the program, because its output is closed.
fn end(error: &Error) -> ! {
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(CLOSED_PIPE);
    }
    fault(wording!("error: {lost}", "错误：{lost}"; lost = lost(error)));
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
