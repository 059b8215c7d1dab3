//! Lists of messages in the common formats: OpenAI's role and content, ShareGPT's from and value, contents in parts; and the
//! rules that a conversation must satisfy to be learned from.

use crate::fault::{Fault, described};
use crate::media;
use alidade_domain::{Message, Role, shown};
use serde_json::{Map, Value};

const ROLES: &str = "Known roles: system, user, assistant, tool (also human, gpt, observation).";

/// True for an object with a speaker and a text.
pub(crate) fn is_message(value: &Value) -> bool {
    let has = |names: [&str; 2]| names.iter().any(|name| value.get(*name).is_some());
    value.is_object() && has(["role", "from"]) && has(["content", "value"])
}

/// Unused parts of messages: a weight of zero on an answer, and thoughts.
pub(crate) fn unused(value: &Value) -> (bool, bool) {
    let nought = |value: &Value| value.as_f64() == Some(0.0) || value.as_bool() == Some(false);
    let any = |message: &Value, names: &[&str], is: &dyn Fn(&Value) -> bool| {
        names.iter().any(|name| message.get(*name).is_some_and(is))
    };
    let mut found = (false, false);
    for message in value.as_array().into_iter().flatten() {
        let role = message.get("role").or_else(|| message.get("from")).and_then(Value::as_str);
        let answer = matches!(role, Some("assistant" | "gpt" | "model"));
        found.0 |= answer && any(message, &["weight", "loss_weight", "train"], &nought);
        let said = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
        found.1 |= any(message, &["reasoning_content", "reasoning", "thinking"], &said);
    }
    found
}

/// A list of messages.
pub(crate) fn conversation(value: Value, column: &str) -> Result<Vec<Message>, Fault> {
    match value {
        Value::Array(list) => list.into_iter().map(message).collect(),
        Value::String(text) => Err(not_a_list(&text, column)),
        other => {
            let found = format!("“{column}” is {}", described(&other));
            Err(Fault::new("broken conversation", found, "It must be a list of messages."))
        }
    }
}

/// The fault of a column that holds text where a list belongs.
fn not_a_list(text: &str, column: &str) -> Fault {
    let begin = shown(text.trim_start(), 40);
    if text.trim().is_empty() {
        return Fault::new(
            "empty conversation",
            format!("“{column}” is blank"),
            "Fill the field in or remove the row.",
        );
    }
    if looks_like_python(text) {
        return python(column, &begin);
    }
    let why = match serde_json::from_str::<Value>(text) {
        Ok(value) => format!("it holds {}", described(&value)),
        Err(error) => format!("read as JSON it gives: {error}"),
    };
    let found = format!("the column “{column}” is text, not a list ({begin}); {why}");
    Fault::new("broken conversation", found, "Write the list of messages as a list, or as valid JSON text.")
}

/// True for a list as Python prints it.
pub(crate) fn looks_like_python(text: &str) -> bool {
    let text: String = text.chars().filter(|character| !character.is_whitespace()).take(3).collect();
    text.starts_with("[{'") || text.starts_with("{'")
}

pub(crate) fn python(column: &str, begin: &str) -> Fault {
    let found = format!("the column “{column}” is text: a list as Python prints it ({begin})");
    Fault::new("list printed by Python", found, "Write the column with json.dumps, or keep it as a list in JSON lines.")
}

/// One message.
pub(crate) fn message(value: Value) -> Result<Message, Fault> {
    let broken = |found: String| Fault::new("broken message", found, "A message needs a role and its text.");
    let Value::Object(mut fields) = value else {
        return Err(broken(format!("instead of a message there is {}", described(&value))));
    };
    let mut take = |names: [&str; 2]| names.iter().find_map(|name| fields.get_mut(*name).map(Value::take));
    let (role, content) = (take(["role", "from"]), take(["content", "value"]));
    let role = match role {
        Some(Value::String(role)) => role_of(&role)?,
        Some(other) => return Err(broken(format!("the role is {}", described(&other)))),
        None => return Err(broken(format!("a message without a role: {}", described(&Value::Object(fields))))),
    };
    match content {
        Some(content) if !content.is_null() => Ok(Message { role, content: text_of(content)? }),
        _ => Err(without_text(&fields)),
    }
}

fn without_text(fields: &Map<String, Value>) -> Fault {
    let called =
        ["tool_calls", "function_call"].iter().any(|name| fields.get(*name).is_some_and(|call| !call.is_null()));
    if called {
        let fix = "Tool calls as fields are not supported; write the call as the text of the message.";
        return Fault::new("call of a tool", "a message with a call instead of a text", fix);
    }
    Fault::new("broken message", "a message without a text", "A message needs a role and its text.")
}

fn role_of(name: &str) -> Result<Role, Fault> {
    Ok(match name.trim().to_lowercase().as_str() {
        "system" | "developer" => Role::System,
        "user" | "human" | "prompter" => Role::User,
        "assistant" | "gpt" | "model" | "chatgpt" | "bot" | "ai" | "function_call" => Role::Assistant,
        "tool" | "observation" | "function" | "ipython" => Role::Tool,
        _ => return Err(Fault::new("unknown role", format!("the role “{}”", shown(name, 40)), ROLES)),
    })
}

/// Text, or parts that are all text.
fn text_of(content: Value) -> Result<String, Fault> {
    match content {
        Value::String(text) => Ok(text),
        Value::Array(parts) => parts.into_iter().map(part).collect(),
        other => {
            Err(Fault::new("not text", format!("the text of a message is {}", described(&other)), "Write it as text."))
        }
    }
}

fn part(part: Value) -> Result<String, Fault> {
    let mut fields = match part {
        Value::String(text) => return Ok(text),
        Value::Object(fields) => fields,
        other => {
            return Err(Fault::new(
                "broken message",
                format!("a part that is {}", described(&other)),
                "Each part must be text.",
            ));
        }
    };
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or("text").to_owned();
    if let Some(fault) = media::of_part(&kind) {
        return Err(fault);
    }
    let text = ["text", "value"].iter().find_map(|name| fields.get_mut(*name).map(Value::take));
    match text {
        Some(Value::String(text)) if matches!(kind.as_str(), "text" | "input_text" | "output_text") => Ok(text),
        _ => {
            let found = format!("a part of the kind “{}”", shown(&kind, 40));
            Err(Fault::new("broken message", found, "Only parts of the kind “text” are supported."))
        }
    }
}

/// Splits a conversation into what comes before its last turn and that turn, which must be the model's.
pub(crate) fn prompt_and_answer(mut messages: Vec<Message>) -> Result<(Vec<Message>, Vec<Message>), Fault> {
    check_ending(&messages)?;
    let last = messages.pop().into_iter().collect();
    Ok((messages, last))
}

/// Checks that a conversation ends with an answer to something.
pub(crate) fn check_ending(messages: &[Message]) -> Result<(), Fault> {
    let Some((last, before)) = messages.split_last() else {
        return Err(Fault::new("empty conversation", "a conversation without messages", "Remove the row."));
    };
    if last.role != Role::Assistant {
        let found = format!("the last turn (“{}”) is of the {}", shown(&last.content, 40), who(last.role));
        let fix = "End the conversation with the model's answer; perhaps the role is mislabelled.";
        return Err(Fault::new("no answer", found, fix));
    }
    if last.content.trim().is_empty() {
        return Err(Fault::new("no answer", "the last turn is blank", "Fill the answer in or remove the row."));
    }
    check_prompt(before)
}

fn who(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

/// Checks that the prompt has a turn of the user that is not blank.
pub(crate) fn check_prompt(messages: &[Message]) -> Result<(), Fault> {
    let mut asked = messages.iter().filter(|message| message.role == Role::User).peekable();
    if asked.peek().is_none() {
        let found = "no turn of the user before the answer";
        return Err(Fault::new(
            "no prompt",
            found,
            "Add the question or remove the row; perhaps a role is mislabelled.",
        ));
    }
    if asked.all(|message| message.content.trim().is_empty()) {
        return Err(Fault::new("empty prompt", "the user's turn is blank", "Add the question or remove the row."));
    }
    Ok(())
}

/// Checks that both answers are non-empty and different.
pub(crate) fn check_pair(chosen: &[Message], rejected: &[Message]) -> Result<(), Fault> {
    let blank = |side: &[Message]| side.iter().all(|message| message.content.trim().is_empty());
    for (side, name) in [(chosen, "chosen"), (rejected, "rejected")] {
        if blank(side) {
            return Err(Fault::new("no answer", format!("“{name}” is blank"), "A pair needs two answers."));
        }
        if side.iter().all(|message| message.role != Role::Assistant) {
            let found = format!("“{name}” holds no turn of the assistant");
            return Err(Fault::new("no answer", found, "Both answers must be the assistant's."));
        }
    }
    if chosen == rejected { Err(equal(&chosen[0].content)) } else { Ok(()) }
}

/// The fault of a pair that teaches nothing.
pub(crate) fn equal(answer: &str) -> Fault {
    Fault::new("both answers equal", format!("“{}”", shown(answer, 60)), "The two answers of a pair must differ.")
}
