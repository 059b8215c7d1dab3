//! Between parent and child: one JSON document a line, no line longer than a bound.

use super::Limits;
use alidade_domain::Problem;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::{BufRead, Read};

/// Most bytes of a line in either direction.
const LONGEST_LINE: u64 = 64 << 20;

/// The first line to a child.
#[derive(Serialize, Deserialize)]
pub(super) struct Order {
    /// What it may take.
    pub(super) limits: Limits,
    /// What it shall do.
    pub(super) request: Value,
}

/// A line from a child.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Frame {
    /// What it is at now, so that its death can be explained.
    At(Attempt),
    /// Something on the way.
    Told(Value),
    /// The end, in success.
    Done(Value),
    /// The end, with a problem that the task found itself.
    Problem(Problem),
    /// The end of a session that nobody used for long.
    Idle,
    /// The end in a panic, with its message.
    Panicked(String),
}

/// What was tried when something happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempt {
    /// In words that begin a sentence: "Reading tokenizer.json of “m”".
    pub(super) what: String,
    /// Field of the problem.
    pub(super) field: String,
}

/// Reads a request or an answer into its type.
///
/// # Errors
/// When it has another shape: parent and child are of different versions.
pub(crate) fn request_of<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_json::from_value(value).map_err(|error| {
        Problem::internal(format!("A message of a worker could not be read: {error}."))
            .hint("Restart the program; it may have been updated while it was running.")
    })
}

/// The next line; `None` at the end, and where a line is too long or is not what it must be.
pub(super) fn next<T: DeserializeOwned>(from: &mut impl BufRead) -> Option<T> {
    let mut line = Vec::new();
    let read = Read::take(&mut *from, LONGEST_LINE).read_until(b'\n', &mut line).ok()?;
    if read == 0 || line.last() != Some(&b'\n') {
        return None;
    }
    serde_json::from_slice(&line).ok()
}

/// One document as a line.
pub(super) fn line<T: Serialize>(value: &T) -> Result<Vec<u8>, Problem> {
    let mut line = serde_json::to_vec(value)
        .map_err(|error| Problem::internal(format!("A message between processes cannot be written: {error}.")))?;
    line.push(b'\n');
    if line.len() as u64 > LONGEST_LINE {
        return Err(Problem::internal(format!("A message between processes is longer than {LONGEST_LINE} bytes.")));
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_and_halves_do_not() {
        let text = line(&serde_json::json!({"a": "b\nc"})).unwrap();
        assert_eq!(next::<Value>(&mut &text[..]).unwrap()["a"], "b\nc");
        assert!(next::<Value>(&mut &text[..text.len() - 1]).is_none());
        assert!(next::<Value>(&mut &b"nonsense\n"[..]).is_none());
        assert!(next::<Value>(&mut &b""[..]).is_none());
    }
}
