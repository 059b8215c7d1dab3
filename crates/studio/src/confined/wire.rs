//! The protocol between parent and child: one JSON document per line, with a maximum line length.

use super::Limits;
use alidade_domain::{Problem, Wording, wording};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::{BufRead, Read};

/// Maximum bytes of a line in either direction.
const LONGEST_LINE: u64 = 64 << 20;

/// The first line to a child.
#[derive(Serialize, Deserialize)]
pub(super) struct Order {
    /// Its limits.
    pub(super) limits: Limits,
    /// The request.
    pub(super) request: Value,
}

/// A line from a child.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Frame {
    /// What it is doing now, so that its death can be explained.
    At(Attempt),
    /// An intermediate message.
    Told(Value),
    /// The result of the task.
    Done(Value),
    /// A problem that the task itself found.
    Problem(Problem),
    /// The end of an idle session.
    Idle,
    /// A panic, with its message.
    Panicked(String),
}

/// What was being attempted when something happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempt {
    /// The beginning of a sentence: "Reading tokenizer.json of “m”".
    pub(super) what: Wording,
    /// Field of the problem.
    pub(super) field: String,
}

/// Reads a request or an answer into its type.
///
/// # Errors
/// When it has another shape, because parent and child are of different versions.
pub(crate) fn request_of<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_json::from_value(value).map_err(|error| {
        Problem::internal(wording!(
            "A message of a worker could not be read: {error}.",
            "无法读取工作进程的消息：{error}。"
        ))
        .hint(wording!(
            "Restart the program; it may have been updated while it was running.",
            "请重新启动程序；它可能在运行期间被更新。"
        ))
    })
}

/// The next message; `None` at the end, and if a line is too long or invalid.
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
    let mut line = serde_json::to_vec(value).map_err(|error| {
        Problem::internal(wording!(
            "A message between processes cannot be written: {error}.",
            "无法写出进程之间的消息：{error}。"
        ))
    })?;
    line.push(b'\n');
    if line.len() as u64 > LONGEST_LINE {
        return Err(Problem::internal(wording!(
            "A message between processes is longer than {LONGEST_LINE} bytes.",
            "进程之间的消息超过 {LONGEST_LINE} 字节。"
        )));
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
