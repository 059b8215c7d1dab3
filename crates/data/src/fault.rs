//! What is wrong with a record, as text for the user.

use alidade_domain::shown;
use serde_json::Value;
use std::borrow::Cow;

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Short name of the kind of fault.
    pub reason: &'static str,
    /// What was found.
    pub found: String,
    /// What to do.
    pub fix: Cow<'static, str>,
}

impl Fault {
    pub(crate) fn new(reason: &'static str, found: impl Into<String>, fix: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, found: found.into(), fix: fix.into() }
    }
}

/// Short description of a value: its type and its beginning.
pub(crate) fn described(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => format!("the truth value {flag}"),
        Value::Number(number) => format!("the number {}", shown(&number.to_string(), 40)),
        Value::String(text) if text.trim().is_empty() => "blank".to_owned(),
        Value::String(text) => format!("the text “{}”", shown(text, 60)),
        Value::Array(list) if list.is_empty() => "an empty list".to_owned(),
        Value::Array(list) => format!("a list of {} ({})", list.len(), kind(&list[0])),
        Value::Object(fields) => {
            let names: Vec<String> = fields.keys().take(6).map(|name| shown(name, 30)).collect();
            format!("an object ({})", names.join(", "))
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nulls",
        Value::Bool(_) => "truth values",
        Value::Number(_) => "numbers",
        Value::String(_) => "texts",
        Value::Array(_) => "lists",
        Value::Object(_) => "objects",
    }
}
