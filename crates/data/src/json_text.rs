//! Columns that hold a list of messages as JSON text, as in tables: the text is parsed into the list. Other text that
//! looks like JSON stays text; only lists of messages (and histories) are parsed.

use crate::conversation::{is_message, looks_like_python, python};
use crate::fault::Fault;
use crate::notes::Note;
use crate::record::Record;
use crate::scan::{DEEPEST, FULLEST, weigh};
use alidade_domain::shown;
use serde_json::Value;

/// Columns that hold lists.
const COLUMNS: &[&str] =
    &["messages", "conversations", "prompt", "completion", "chosen", "rejected", "history", "text"];

/// Parses texts that hold lists into these lists.
pub(crate) fn parse_lists(record: &mut Record) -> Result<(), Fault> {
    for column in COLUMNS {
        let Some(Value::String(text)) = record.fields.get(*column) else { continue };
        let Some(first) = text.trim_start().chars().next().filter(|first| matches!(first, '[' | '{')) else { continue };
        if looks_like_python(text) && ["'role'", "'from'"].iter().any(|word| text.contains(word)) {
            return Err(python(column, &shown(text.trim_start(), 40)));
        }
        let (deepest, count) = weigh(text.as_bytes());
        if deepest > DEEPEST || count > FULLEST {
            continue;
        }
        let Ok(value) = serde_json::from_str::<Value>(text) else { continue };
        let lists = match &value {
            Value::Array(list) if *column == "history" => list.iter().all(Value::is_array),
            Value::Array(list) => list.first().is_some_and(is_message),
            value => first == '{' && matches!(*column, "chosen" | "rejected" | "completion") && is_message(value),
        };
        if lists {
            record.notes.push(Note::TextWasList(column));
            let own = if *column == "text" { "messages" } else { column };
            record.fields.shift_remove(*column);
            record.fields.insert(own.to_owned(), value);
        }
    }
    Ok(())
}
