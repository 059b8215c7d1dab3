//! Advice on a record of unknown shape: which published format it is, or which columns it has and how they should be named.

use crate::columns::plain;
use crate::fault::{Fault, described};
use crate::record::Record;
use alidade_domain::{Wording, Words, shown, wording};
use serde_json::Value;

/// Published formats: the fields that identify one, its name, and what to do.
const PUBLISHED: &[(&[&str], Words, Words)] = &[
    (&["message_tree_id", "prompt"], Words::new("an OpenAssistant tree", "OpenAssistant 的对话树"), TREE),
    (&["message_id", "role", "text"], Words::new("a message of OpenAssistant", "OpenAssistant 的单条消息"), TREE),
    (&["thread_id", "thread"], Words::new("an OpenAssistant thread", "OpenAssistant 的对话线程"), TREE),
    (
        &["instruction", "completions"],
        Words::new("a record of UltraFeedback with several rated answers", "UltraFeedback 的记录，含多个带评分的回答"),
        BEST,
    ),
    (
        &["better_response_id", "response_0", "response_1"],
        Words::new("a record of PKU-SafeRLHF", "PKU-SafeRLHF 的记录"),
        BEST,
    ),
    (
        &["blue_conversations"],
        Words::new("a record of HarmfulQA with several conversations", "HarmfulQA 的记录，含多段对话"),
        BEST,
    ),
];
const TREE: Words = Words::new(
    "Trees are not supported yet: write each path from a prompt to an answer as a list of messages.",
    "暂不支持对话树：请把从提问到回答的每条路径写成一个消息列表。",
);
const BEST: Words = Words::new(
    "This format is not supported yet: write the better answer as chosen and the worse one as rejected.",
    "暂不支持这种格式：请把较好的回答写为 chosen，较差的写为 rejected。",
);

/// The fault of a record in a published but unsupported format.
pub(crate) fn published(record: &Record) -> Option<Fault> {
    let all = |fields: &&[&str]| fields.iter().all(|field| record.fields.contains_key(*field));
    let (_, name, fix) = PUBLISHED.iter().find(|(fields, ..)| all(fields))?;
    Some(Fault::new(
        Words::new("published form", "已发布的格式"),
        wording!("this is {name}", "格式：{name}"; name),
        *fix,
    ))
}

/// True for a transcript with “Human:” and “Assistant:” in it.
pub(crate) fn is_transcript(value: Option<&Value>) -> bool {
    let text = value.and_then(Value::as_str).unwrap_or_default().trim_start();
    text.starts_with("Human:") && text.contains("\n\nAssistant:")
}

/// The fault of a pair of transcripts.
pub(crate) fn transcript() -> Fault {
    let fix = Words::new(
        "Transcripts are not split yet: write the turns as a list of messages, or what comes before the last answer as “prompt”.",
        "暂不支持拆分整段对话：请把各轮写成消息列表，或把最后一个回答之前的内容写为“prompt”。",
    );
    Fault::new(
        Words::new("transcript", "整段对话"),
        Words::new(
            "whole transcripts (“Human: … Assistant: …”, as in HH-RLHF) without a prompt",
            "整段对话（“Human: … Assistant: …”，如 HH-RLHF），没有单独的提问",
        ),
        fix,
    )
}

/// The fault of a record of no known shape.
pub(crate) fn unknown(record: &Record) -> Fault {
    if record.fields.is_empty() {
        return Fault::new(
            Words::new("empty record", "记录为空"),
            Words::new("an object without fields", "没有字段的对象"),
            Words::new("Remove the row.", "删除这一条。"),
        );
    }
    let names: Vec<String> = record.fields.keys().take(12).map(|name| shown(name, 40)).collect();
    let more = if record.fields.len() > names.len() { Words::new(", …", "……") } else { Words::name("") };
    let found = wording!("the columns {names}{more}", "列 {names}{more}"; names = Wording::names(&names), more);
    Fault::new(Words::new("unknown shape", "未知格式"), found, advice(record))
}

fn advice(record: &Record) -> Wording {
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
        Some(from) => Some(wording!("rename “{from}” to “{to}”", "把“{from}”改名为“{to}”")),
        None => Some(wording!("add “{to}”", "加上“{to}”")),
    };
    let list = |parts: Vec<Option<Wording>>| Wording::list(parts.into_iter().flatten());
    if let Some((one, two)) = twins(&names) {
        let first =
            rename(&question, "prompt").map(|words| wording!("; {words}", "；{words}"; words)).unwrap_or_default();
        return wording!(
            "“{one}” and “{two}” seem to be two answers: in each row call the better one “chosen” and the other one “rejected”{first}.",
            "“{one}”和“{two}”像是两个回答：请在每一条中把较好的命名为“chosen”，另一个命名为“rejected”{first}。";
            first
        );
    }
    if let Some(better) = &better {
        return wording!(
            "“{better}” seems to improve an answer: call it “chosen”, what it improves “rejected”, and the question “prompt”.",
            "“{better}”像是改进后的回答：请把它命名为“chosen”，被改进的命名为“rejected”，提问命名为“prompt”。"
        );
    }
    if good.is_some() || bad.is_some() {
        let parts = list(vec![rename(&question, "prompt"), rename(&good, "chosen"), rename(&bad, "rejected")]);
        return wording!("To use the columns as preferences: {parts}.", "要把这些列当作偏好对：{parts}。"; parts);
    }
    let answer =
        like(&["answer", "response", "output", "completion", "reply", "target", "solution"], &["_id", "model"]);
    if question.is_some() && answer.is_some() {
        let parts = list(vec![rename(&question, "prompt"), rename(&answer, "completion")]);
        return wording!(
            "To use the columns as questions and answers: {parts}; put what else the question needs into “prompt”.",
            "要把这些列当作提问和回答：{parts}；提问所需的其他内容放进“prompt”。";
            parts
        );
    }
    wording!(
        "Call the columns as one of the known shapes does: messages; prompt and completion; prompt, chosen and rejected; prompt, completion and label; or text.",
        "请按一种已知格式命名各列：messages；prompt 和 completion；prompt、chosen 和 rejected；prompt、completion 和 label；或 text。"
    )
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
        Value::String(text) if text.trim_start().starts_with('{') => Words::new(
            "The record is text that holds JSON: write the object itself, without quotes around it.",
            "这条记录是包含 JSON 的文本：请直接写对象，外面不加引号。",
        ),
        Value::String(_) => Words::new(
            "Write each text as an object: {\"text\": …} to learn it, {\"prompt\": …} to ask it.",
            "把每段文本写成对象：{\"text\": …} 用于学习，{\"prompt\": …} 用于提问。",
        ),
        Value::Array(_) => Words::new(
            "Write each record as an object with named fields, or as a list of messages with role and content.",
            "把每条记录写成带字段名的对象，或带 role 和 content 的消息列表。",
        ),
        _ => Words::new("Each record must be an object with named fields.", "每条记录必须是带字段名的对象。"),
    };
    Fault::new(Words::new("not an object", "不是对象"), described(value), fix)
}
