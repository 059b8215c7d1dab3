//! The wire: one table of commands and one of streams over the studio. It knows no host, and no host knows a command by
//! name.
//!
//! The README of this crate shows the whole table, `ui/src/backend/types.ts` the types; a test keeps both up to date.

mod batch;
mod commands;
mod schema;
mod table;

use alidade_domain::{Problem, ProblemCode, nearest_name, wording};
use alidade_studio::Studio;
use serde_json::Value;

pub use commands::{COMMANDS, STREAMS};
pub use schema::{readme_tables, typescript};
pub use table::{Command, Sink, Stream};

/// Carries out a command.
///
/// # Errors
/// The problem of the command; an unknown name or a request of the wrong shape.
pub fn call(studio: &Studio, name: &str, request: Value) -> Result<Value, Problem> {
    let found = COMMANDS.iter().find(|command| command.name == name);
    let command = found.ok_or_else(|| unknown(name, COMMANDS.iter().map(|command| command.name)))?;
    (command.run)(studio, request)
}

/// Carries out a stream; returns when it has ended.
///
/// # Errors
/// As [`call`].
pub fn stream(studio: &Studio, name: &str, request: Value, sink: Sink) -> Result<(), Problem> {
    let found = STREAMS.iter().find(|stream| stream.name == name);
    let stream = found.ok_or_else(|| unknown(name, STREAMS.iter().map(|stream| stream.name)))?;
    (stream.run)(studio, request, sink)
}

fn unknown(name: &str, known: impl Iterator<Item = &'static str>) -> Problem {
    let problem =
        Problem::new(ProblemCode::NotFound, wording!("There is no command “{name}”.", "没有名为“{name}”的命令。"));
    match nearest_name(name, known) {
        Some(near) => problem.hint(wording!("Did you mean {near}?", "是否想写 {near}？")),
        None => problem,
    }
}
