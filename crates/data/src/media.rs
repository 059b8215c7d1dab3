//! Images, videos and audio. The program trains on text: rows that need other media are reported, never trained on with the
//! placeholder as text.

use crate::fault::{Fault, described};
use alidade_domain::{Example, shown};
use serde_json::{Map, Value};

const COLUMNS: &[(&str, &str)] =
    &[("images", IMAGE), ("image", IMAGE), ("videos", VIDEO), ("video", VIDEO), ("audios", SOUND), ("audio", SOUND)];
const IMAGE: &str = "row with an image";
const VIDEO: &str = "row with a video";
const SOUND: &str = "row with sound";
/// Placeholders for images in a text. Those that are also HTML count only when there is an image column.
const PLACEHOLDERS: &[&str] = &["<image>", "<|image|>", "<|image_pad|>", "<|vision_start|>", "<image_soft_token>"];
const WITH_COLUMN: &[(&str, &str)] = &[("<image>", IMAGE), ("<video>", VIDEO), ("<audio>", SOUND)];

fn fault(reason: &'static str, found: String) -> Fault {
    let thing = match reason {
        VIDEO => "video",
        SOUND => "sound",
        _ => "picture (image)",
    };
    Fault::new(
        reason,
        found,
        format!("The program trains on text; take the {thing} out of the row, or remove the row."),
    )
}

/// Removes the media columns of a record and returns whether it had one; a filled one is a fault.
pub(crate) fn take_columns(record: &mut Map<String, Value>) -> Result<bool, Fault> {
    let mut found = false;
    for (column, reason) in COLUMNS {
        if let Some(value) = record.shift_remove(*column) {
            found = true;
            if filled(&value) {
                return Err(fault(reason, format!("“{column}” is {}", described(&value))));
            }
        }
    }
    Ok(found)
}

fn filled(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !matches!(text.trim(), "" | "[]" | "{}" | "null" | "None"),
        Value::Array(list) => list.iter().any(filled),
        Value::Object(fields) => fields.values().any(filled),
        _ => true,
    }
}

/// The fault of a message with a part of this kind.
pub(crate) fn of_part(kind: &str) -> Option<Fault> {
    let small = kind.to_lowercase();
    let has = |word: &str| small.contains(word);
    let reason = match () {
        () if has("image") || has("picture") => IMAGE,
        () if has("video") => VIDEO,
        () if has("audio") => SOUND,
        () => return None,
    };
    Some(fault(reason, format!("a part of the kind “{}”", shown(kind, 40))))
}

/// Refuses an example whose text has a placeholder for an image.
pub(crate) fn check_texts(example: &Example, column: bool) -> Result<(), Fault> {
    for text in texts(example) {
        let beside = WITH_COLUMN.iter().find(|(mark, _)| column && text.contains(mark));
        // A pair of tags is markup; a single one is a placeholder.
        let alone = |mark: &&&str| text.contains(**mark) && !(**mark == "<image>" && text.contains("</image>"));
        let found = beside.copied().or_else(|| PLACEHOLDERS.iter().find(alone).map(|mark| (*mark, IMAGE)));
        if let Some((mark, reason)) = found {
            return Err(fault(reason, format!("the placeholder {mark} in the text")));
        }
    }
    Ok(())
}

/// Every text of an example.
pub(crate) fn texts(example: &Example) -> Vec<&str> {
    match example {
        Example::Text { text } => vec![text],
        Example::PlainAnswer { prompt, completion } | Example::PlainRated { prompt, completion, .. } => {
            vec![prompt, completion]
        }
        Example::PlainPair { prompt, chosen, rejected } => vec![prompt, chosen, rejected],
        other => turns(other).into_iter().flatten().map(|message| message.content.as_str()).collect(),
    }
}

/// Every list of messages of an example.
pub(crate) fn turns(example: &Example) -> Vec<&[alidade_domain::Message]> {
    match example {
        Example::Answer { prompt, completion } | Example::Rated { prompt, completion, .. } => vec![prompt, completion],
        Example::Conversation { messages } => vec![messages],
        Example::Pair(pair) => vec![&pair.prompt, &pair.chosen, &pair.rejected],
        Example::Prompt { prompt } => vec![prompt],
        Example::Text { .. } | Example::PlainAnswer { .. } | Example::PlainPair { .. } | Example::PlainRated { .. } => {
            Vec::new()
        }
    }
}
