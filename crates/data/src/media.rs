//! Images, videos and audio. The program trains on text: rows that need other media are reported, never trained on with the
//! placeholder as text.

use crate::fault::{Fault, described};
use alidade_domain::{Example, Wording, Words, shown, wording};
use serde_json::{Map, Value};

const COLUMNS: &[(&str, Words)] =
    &[("images", IMAGE), ("image", IMAGE), ("videos", VIDEO), ("video", VIDEO), ("audios", SOUND), ("audio", SOUND)];
const IMAGE: Words = Words::new("row with an image", "含有图片");
const VIDEO: Words = Words::new("row with a video", "含有视频");
const SOUND: Words = Words::new("row with sound", "含有声音");
/// Placeholders for images in a text. Those that are also HTML count only when there is an image column.
const PLACEHOLDERS: &[&str] = &["<image>", "<|image|>", "<|image_pad|>", "<|vision_start|>", "<image_soft_token>"];
const WITH_COLUMN: &[(&str, Words)] = &[("<image>", IMAGE), ("<video>", VIDEO), ("<audio>", SOUND)];

fn fault(reason: Words, found: Wording) -> Fault {
    let thing = match reason {
        VIDEO => Words::new("video", "视频"),
        SOUND => Words::new("sound", "声音"),
        _ => Words::new("picture (image)", "图片"),
    };
    Fault::new(
        reason,
        found,
        wording!(
            "The program trains on text; take the {thing} out of the row, or remove the row.",
            "本程序用文本训练；请从这一条中去掉{thing}，或删除这一条。";
            thing
        ),
    )
}

/// Removes the media columns of a record and returns whether it had one; a filled one is a fault.
pub(crate) fn take_columns(record: &mut Map<String, Value>) -> Result<bool, Fault> {
    let mut found = false;
    for (column, reason) in COLUMNS {
        if let Some(value) = record.shift_remove(*column) {
            found = true;
            if filled(&value) {
                return Err(fault(*reason, wording!("“{column}” is {it}", "“{column}”是{it}"; it = described(&value))));
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
    Some(fault(reason, wording!("a part of the kind “{kind}”", "有一部分的类型是“{kind}”", kind = shown(kind, 40))))
}

/// Refuses an example whose text has a placeholder for an image.
pub(crate) fn check_texts(example: &Example, column: bool) -> Result<(), Fault> {
    for text in texts(example) {
        let beside = WITH_COLUMN.iter().find(|(mark, _)| column && text.contains(mark));
        // A pair of tags is markup; a single one is a placeholder.
        let alone = |mark: &&&str| text.contains(**mark) && !(**mark == "<image>" && text.contains("</image>"));
        let found = beside.copied().or_else(|| PLACEHOLDERS.iter().find(alone).map(|mark| (*mark, IMAGE)));
        if let Some((mark, reason)) = found {
            return Err(fault(reason, wording!("the placeholder {mark} in the text", "文本中有占位符 {mark}")));
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
