//! What is wrong with a record, as text for the user.

use alidade_domain::{Wording, Words, shown, wording};
use serde_json::Value;

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Short name of the kind of fault.
    pub reason: Words,
    /// What was found.
    pub found: Wording,
    /// What to do.
    pub fix: Box<Wording>,
}

impl Fault {
    pub(crate) fn new(reason: Words, found: impl Into<Wording>, fix: impl Into<Wording>) -> Self {
        Self { reason, found: found.into(), fix: Box::new(fix.into()) }
    }
}

/// Reasons that several places give.
pub(crate) mod reason {
    use alidade_domain::Words;

    pub(crate) const NO_ANSWER: Words = Words::new("no answer", "没有回答");
    pub(crate) const BROKEN_CONVERSATION: Words = Words::new("broken conversation", "对话损坏");
    pub(crate) const BROKEN_MESSAGE: Words = Words::new("broken message", "消息损坏");
    pub(crate) const EMPTY_CONVERSATION: Words = Words::new("empty conversation", "对话为空");
    pub(crate) const NOT_TEXT: Words = Words::new("not text", "不是文本");
    pub(crate) const BROKEN_RECORD: Words = Words::new("broken record", "记录损坏");
    pub(crate) const CUT_OFF: Words = Words::new("cut off", "被截断");
    pub(crate) const ODD_CELLS: Words = Words::new("odd number of cells", "单元格数不符");
    pub(crate) const NO_LABEL: Words = Words::new("no label", "没有标签");
    pub(crate) const TOO_LONG: Words = Words::new("too long", "过长");
}

/// Short description of a value: its type and its beginning.
pub(crate) fn described(value: &Value) -> Wording {
    match value {
        Value::Null => Wording::name("null"),
        Value::Bool(flag) => wording!("the truth value {flag}", "布尔值 {flag}"),
        Value::Number(number) => {
            wording!("the number {number}", "数字 {number}", number = shown(&number.to_string(), 40))
        }
        Value::String(text) if text.trim().is_empty() => wording!("blank", "空白"),
        Value::String(text) => wording!("the text “{text}”", "文本“{text}”", text = shown(text, 60)),
        Value::Array(list) if list.is_empty() => wording!("an empty list", "空列表"),
        Value::Array(list) => {
            wording!(
                "a list of {count} ({kind})",
                "{count} 个元素的列表（{kind}）";
                kind = kind(&list[0]); count = list.len()
            )
        }
        Value::Object(fields) => {
            let names: Vec<String> = fields.keys().take(6).map(|name| shown(name, 30)).collect();
            wording!("an object ({names})", "对象（{names}）"; names = Wording::names(names))
        }
    }
}

fn kind(value: &Value) -> Words {
    match value {
        Value::Null => Words::new("nulls", "空值"),
        Value::Bool(_) => Words::new("truth values", "布尔值"),
        Value::Number(_) => Words::new("numbers", "数字"),
        Value::String(_) => Words::new("texts", "文本"),
        Value::Array(_) => Words::new("lists", "列表"),
        Value::Object(_) => Words::new("objects", "对象"),
    }
}
