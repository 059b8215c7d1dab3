//! What every command prints alike.

use alidade_domain::{Precision, Problem, ProblemCode};
use alidade_studio::folder_notes;
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Prints one JSON document. A closed pipe ends the program's interest, not the program.
pub fn json(value: &Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{value}").and_then(|()| out.flush());
}

/// Says so when weights are not held as they were asked for.
pub fn held(wanted: Precision, held: Precision) {
    if wanted != held {
        let (wanted, held) = (wanted.name(), held.name());
        eprintln!("note: this model with this adapter cannot run with {wanted} weights here; they are {held}.");
    }
}

/// Says what a person should know of the folders that they chose.
pub fn notes(model: &Path, adapter: Option<&Path>) {
    folder_notes(model, adapter).iter().for_each(|note| eprintln!("note: {note}"));
}

/// Prints a problem with its hints to standard error and turns it into an exit code.
pub fn report(problem: &Problem) -> ExitCode {
    match &problem.field {
        Some(field) => eprintln!("error ({field}): {}", problem.message),
        None => eprintln!("error: {}", problem.message),
    }
    problem.hints.iter().for_each(|hint| eprintln!("hint: {hint}"));
    match problem.code {
        ProblemCode::Input | ProblemCode::NotFound | ProblemCode::Conflict => ExitCode::from(2),
        _ => ExitCode::from(1),
    }
}
