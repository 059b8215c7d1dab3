//! The registry of shapes. A shape says whether a record is of its kind and maps it to an example; adding one is one file
//! and one line here. Earlier entries win where two fit equally often.

mod alpaca;
mod messages;
mod plain;
mod preference;
mod sharegpt;

use crate::doctor::short;
use alidade_domain::{Example, Message, Role};
use serde_json::{Map, Value};

/// One shape of record.
pub trait Importer: Sync {
    /// Name for people.
    fn name(&self) -> &'static str;

    /// True when the record has the fields of this shape; their contents may still be bad.
    fn fits(&self, record: &Map<String, Value>) -> bool;

    /// The example in a record that fits.
    ///
    /// # Errors
    /// What is wrong with it and what to do.
    fn map(&self, record: &Map<String, Value>) -> Result<Example, Fault>;
}

/// Every shape.
pub const IMPORTERS: &[&dyn Importer] = &[
    &sharegpt::SharegptPairs,
    &alpaca::AlpacaPairs,
    &preference::PreferencePairs,
    &messages::RatedAnswers,
    &alpaca::Alpaca,
    &sharegpt::Sharegpt,
    &messages::Messages,
    &plain::PromptCompletion,
    &plain::Text,
    &plain::Prompts,
];

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Short name, equal for equal faults.
    pub reason: &'static str,
    /// What was found.
    pub found: String,
    /// What to do.
    pub fix: &'static str,
}

impl Fault {
    pub(crate) fn new(reason: &'static str, found: impl Into<String>, fix: &'static str) -> Self {
        Self { reason, found: found.into(), fix }
    }
}

/// A text field that must not be blank.
fn required(record: &Map<String, Value>, key: &str, reason: &'static str) -> Result<String, Fault> {
    match record.get(key) {
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(text.clone()),
        Some(Value::String(_)) => {
            Err(Fault::new(reason, format!("“{key}” is blank"), "Fill the field in or remove the row."))
        }
        Some(other) => Err(Fault::new(reason, format!("“{key}” is {}", short(other)), "The field must be text.")),
        None => Err(Fault::new(reason, format!("there is no “{key}”"), "Add the field or remove the row.")),
    }
}

/// A text field that may be absent, null or empty.
fn optional(record: &Map<String, Value>, key: &str) -> Option<String> {
    record.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A list of messages, in OpenAI's or ShareGPT's spelling.
fn conversation(value: &Value) -> Result<Vec<Message>, Fault> {
    let list = value
        .as_array()
        .ok_or_else(|| Fault::new("broken conversation", short(value), "It must be a list of messages."))?;
    list.iter().map(message).collect()
}

fn message(value: &Value) -> Result<Message, Fault> {
    let field = |names: [&str; 2]| names.iter().find_map(|name| value.get(*name));
    let role = field(["role", "from"]).and_then(Value::as_str);
    let content = field(["content", "value"]).and_then(text_of);
    let (Some(role), Some(content)) = (role, content) else {
        return Err(Fault::new("broken message", short(value), "A message needs a role and its text."));
    };
    let role = match role.to_lowercase().as_str() {
        "system" => Role::System,
        "user" | "human" => Role::User,
        "assistant" | "gpt" | "model" | "function_call" => Role::Assistant,
        "tool" | "observation" => Role::Tool,
        other => {
            let fix = "Known roles: system, user, assistant, tool (also human, gpt, observation).";
            return Err(Fault::new("unknown role", format!("the role “{other}”"), fix));
        }
    };
    Ok(Message { role, content })
}

/// Text, or a list of parts that are all text.
fn text_of(value: &Value) -> Option<String> {
    if let Some(text) = value.as_str() {
        return Some(text.to_owned());
    }
    let part = |part: &Value| part.get("text").or_else(|| part.get("value")).and_then(Value::as_str).map(str::to_owned);
    value.as_array()?.iter().map(part).collect()
}

/// Splits a conversation into what comes before its last turn and that turn, which must be the model's.
fn prompt_and_answer(mut messages: Vec<Message>) -> Result<(Vec<Message>, Vec<Message>), Fault> {
    let Some(last) = messages.pop() else {
        return Err(Fault::new("empty prompt", "a conversation without messages", "Remove the row."));
    };
    if last.role != Role::Assistant || last.content.trim().is_empty() {
        return Err(Fault::new(
            "no answer",
            format!("the last turn is {:?}", last.role),
            "End the conversation with the model's answer.",
        ));
    }
    check_prompt(&messages)?;
    Ok((messages, vec![last]))
}

fn check_prompt(messages: &[Message]) -> Result<(), Fault> {
    if messages.iter().any(|message| message.role == Role::User && !message.content.trim().is_empty()) {
        return Ok(());
    }
    Err(Fault::new("empty prompt", "no turn of the user before the answer", "Add the question or remove the row."))
}

fn check_pair(chosen: &[Message], rejected: &[Message]) -> Result<(), Fault> {
    let blank = |side: &[Message]| side.is_empty() || side.iter().all(|message| message.content.trim().is_empty());
    if blank(chosen) || blank(rejected) {
        return Err(Fault::new("no answer", "an empty chosen or rejected answer", "A pair needs two answers."));
    }
    if chosen == rejected {
        return Err(Fault::new(
            "both answers equal",
            short(&Value::String(chosen[0].content.clone())),
            "A pair must differ to teach anything.",
        ));
    }
    Ok(())
}
