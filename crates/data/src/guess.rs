//! Advice on a record of unknown shape: which published format it is, or which columns it has and how they should be named.

use crate::columns::plain;
use crate::fault::{Fault, described};
use crate::record::Record;
use alidade_domain::shown;
use serde_json::Value;

/// Published formats: the fields that identify one, its name, and what to do.
const PUBLISHED: &[(&[&str], &str, &str)] = &[
    (&["message_tree_id", "prompt"], "an OpenAssistant tree", TREE),
    (&["message_id", "role", "text"], "a message of OpenAssistant", TREE),
    (&["thread_id", "thread"], "an OpenAssistant thread", TREE),
    (&["instruction", "completions"], "a record of UltraFeedback with several rated answers", BEST),
    (&["better_response_id", "response_0", "response_1"], "a record of PKU-SafeRLHF", BEST),
    (&["blue_conversations"], "a record of HarmfulQA with several conversations", BEST),
];
const TREE: &str = "Trees are not supported yet: write each path from a prompt to an answer as a list of messages.";
const BEST: &str = "This format is not supported yet: write the better answer as chosen and the worse one as rejected.";

/// The fault of a record in a published but unsupported format.
pub(crate) fn published(record: &Record) -> Option<Fault> {
    let all = |fields: &&[&str]| fields.iter().all(|field| record.fields.contains_key(*field));
    let (_, name, fix) = PUBLISHED.iter().find(|(fields, ..)| all(fields))?;
    Some(Fault::new("published form", format!("this is {name}"), *fix))
}

/// True for a transcript with “Human:” and “Assistant:” in it.
pub(crate) fn is_transcript(value: Option<&Value>) -> bool {
    let text = value.and_then(Value::as_str).unwrap_or_default().trim_start();
    text.starts_with("Human:") && text.contains("\n\nAssistant:")
}

/// The fault of a pair of transcripts.
pub(crate) fn transcript() -> Fault {
    let fix = "Transcripts are not split yet: write the turns as a list of messages, or what comes before the last answer as “prompt”.";
    Fault::new("transcript", "whole transcripts (“Human: … Assistant: …”, as in HH-RLHF) without a prompt", fix)
}

/// The fault of a record of no known shape.
pub(crate) fn unknown(record: &Record) -> Fault {
    if record.fields.is_empty() {
        return Fault::new("empty record", "an object without fields", "Remove the row.");
    }
    let names: Vec<String> = record.fields.keys().take(12).map(|name| shown(name, 40)).collect();
    let more = if record.fields.len() > names.len() { ", …" } else { "" };
    let found = format!("the columns {}{more}", names.join(", "));
    Fault::new("unknown shape", found, advice(record))
}

fn advice(record: &Record) -> String {
    let names: Vec<String> = record.fields.keys().map(|name| shown(name, 40)).collect();
    let like = |words: &[&str], not: &[&str]| {
        let fits = |name: &&String| {
            let name = plain(name);
            words.iter().any(|word| name.contains(word)) && !not.iter().any(|word| name.contains(word))
        };
        names.iter().find(fits).cloned()
    };
    let question =
        like(&["prompt", "question", "instruction", "query", "input", "request", "problem"], &["_id", "source"]);
    let good = like(
        &["chosen", "good", "best", "better", "prefer", "win", "positive", "accept"],
        &["_id", "dispref", "unpref"],
    );
    let bad = like(&["reject", "bad", "worse", "lose", "negative", "dispref", "unpref"], &["_id"]);
    let better = like(&["correction", "corrected", "revision", "revised"], &["_id", "source"]);
    let rename = |from: &Option<String>, to: &str| match from {
        Some(from) if plain(from) == to => None,
        Some(from) => Some(format!("rename “{from}” to “{to}”")),
        None => Some(format!("add “{to}”")),
    };
    let list = |parts: Vec<Option<String>>| parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    if let Some((one, two)) = twins(&names) {
        let first = rename(&question, "prompt").map(|words| format!("; {words}")).unwrap_or_default();
        return format!(
            "“{one}” and “{two}” seem to be two answers: in each row call the better one “chosen” and the other one “rejected”{first}."
        );
    }
    if let Some(better) = &better {
        return format!(
            "“{better}” seems to improve an answer: call it “chosen”, what it improves “rejected”, and the question “prompt”."
        );
    }
    if good.is_some() || bad.is_some() {
        let parts = list(vec![rename(&question, "prompt"), rename(&good, "chosen"), rename(&bad, "rejected")]);
        return format!("To use the columns as preferences: {parts}.");
    }
    let answer =
        like(&["answer", "response", "output", "completion", "reply", "target", "solution"], &["_id", "model"]);
    if question.is_some() && answer.is_some() {
        let parts = list(vec![rename(&question, "prompt"), rename(&answer, "completion")]);
        return format!(
            "To use the columns as questions and answers: {parts}; put what else the question needs into “prompt”."
        );
    }
    "Call the columns as one of the known shapes does: messages; prompt and completion; prompt, chosen and rejected; prompt, completion and label; or text.".to_owned()
}

/// Two names that differ only in their last character, a and b or two digits.
fn twins(names: &[String]) -> Option<(String, String)> {
    const ENDS: [(&str, &str); 3] = [("a", "b"), ("0", "1"), ("1", "2")];
    let small: Vec<String> = names.iter().map(|name| plain(name)).collect();
    for (index, name) in small.iter().enumerate() {
        let end = ENDS.iter().find_map(|(one, two)| Some((name.strip_suffix(one)?, *two)));
        let stem = end.filter(|(stem, _)| {
            let words = ["response", "answer", "output", "completion", "reply", "model", "sentence", "text"];
            words.iter().any(|word| stem.contains(word))
        });
        let other = stem.and_then(|(stem, two)| small.iter().position(|other| *other == format!("{stem}{two}")));
        if let Some(other) = other {
            return Some((names[index].clone(), names[other].clone()));
        }
    }
    None
}

/// The fault of a record that is no object.
pub(crate) fn no_object(value: &Value) -> Fault {
    let fix = match value {
        Value::String(text) if text.trim_start().starts_with('{') => {
            "The record is text that holds JSON: write the object itself, without quotes around it."
        }
        Value::String(_) => "Write each text as an object: {\"text\": …} to learn it, {\"prompt\": …} to ask it.",
        Value::Array(_) => {
            "Write each record as an object with named fields, or as a list of messages with role and content."
        }
        _ => "Each record must be an object with named fields.",
    };
    Fault::new("not an object", described(value), fix)
}
