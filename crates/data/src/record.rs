//! A record during its conversion to an example: fields are taken out of it, so that no text is copied and the fields
//! that remain are known to be unused.

use crate::conversation::{conversation, message};
use crate::fault::{Fault, described, reason};
use crate::notes::Note;
use alidade_domain::{Message, Role, Words, wording};
use serde_json::{Map, Value};

/// Fields of a record, and remarks on it.
#[derive(Debug, Default)]
pub struct Record {
    pub(crate) fields: Map<String, Value>,
    /// True when plain texts become turns, because of a system prompt or a renamed column.
    pub(crate) turns: bool,
    /// Remarks for the user.
    pub(crate) notes: Vec<Note>,
}

impl Record {
    /// True when a field is there and not null.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.fields.get(key).is_some_and(|value| !value.is_null())
    }

    /// True when a field holds a list.
    pub(crate) fn is_list(&self, key: &str) -> bool {
        self.fields.get(key).is_some_and(Value::is_array)
    }

    /// True when a field holds a boolean, in any common spelling.
    pub(crate) fn is_flag(&self, key: &str) -> bool {
        self.fields.get(key).is_some_and(|value| truth(value).is_some())
    }

    /// Takes a field out.
    pub(crate) fn take(&mut self, key: &str) -> Value {
        self.fields.shift_remove(key).unwrap_or_default()
    }

    /// A text that must not be blank. `empty` and `missing` name the faults.
    pub(crate) fn text(&mut self, key: &str, empty: Words, missing: Words) -> Result<String, Fault> {
        match self.fields.shift_remove(key) {
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(text),
            Some(Value::String(_)) => Err(Fault::new(
                empty,
                wording!("“{key}” is blank", "“{key}”是空白"),
                Words::new("Fill the field in or remove the row.", "填写该字段，或删除这一条。"),
            )),
            Some(Value::Null) => Err(Fault::new(
                missing,
                wording!("“{key}” is null", "“{key}”是 null"),
                Words::new("Fill the field in or remove the row.", "填写该字段，或删除这一条。"),
            )),
            Some(other) => Err(Fault::new(
                reason::NOT_TEXT,
                wording!("“{key}” is {it}", "“{key}”是{it}"; it = described(&other)),
                Words::new("The field must be text.", "该字段必须是文本。"),
            )),
            None => Err(Fault::new(
                missing,
                wording!("there is no “{key}”", "没有“{key}”"),
                Words::new("Add the field or remove the row.", "加上该字段，或删除这一条。"),
            )),
        }
    }

    /// The prompt as text.
    pub(crate) fn prompt_text(&mut self, key: &str) -> Result<String, Fault> {
        self.text(key, Words::new("empty prompt", "提问为空"), Words::new("no prompt", "没有提问"))
    }

    /// An answer as text.
    pub(crate) fn answer_text(&mut self, key: &str) -> Result<String, Fault> {
        self.text(key, reason::NO_ANSWER, reason::NO_ANSWER)
    }

    /// A text that may be absent, null or blank.
    pub(crate) fn optional(&mut self, key: &str) -> Result<Option<String>, Fault> {
        match self.fields.shift_remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok((!text.trim().is_empty()).then_some(text)),
            Some(other) => Err(Fault::new(
                reason::NOT_TEXT,
                wording!("“{key}” is {it}", "“{key}”是{it}"; it = described(&other)),
                Words::new("The field must be text.", "该字段必须是文本。"),
            )),
        }
    }

    /// The prompt: a list of messages, or a text of the user.
    pub(crate) fn prompt_turns(&mut self, key: &str) -> Result<Vec<Message>, Fault> {
        match self.fields.get(key) {
            Some(Value::Array(_)) => conversation(self.take(key), key),
            Some(Value::Object(_)) => Ok(vec![message(self.take(key))?]),
            _ => Ok(vec![Message::user(self.prompt_text(key)?)]),
        }
    }

    /// An answer: a list of messages, one message, or a text of the assistant.
    pub(crate) fn answer_turns(&mut self, key: &str) -> Result<Vec<Message>, Fault> {
        match self.fields.get(key) {
            Some(Value::Array(_)) => conversation(self.take(key), key),
            Some(Value::Object(_)) => Ok(vec![message(self.take(key))?]),
            _ => Ok(vec![Message::assistant(self.answer_text(key)?)]),
        }
    }

    /// Puts the record's system prompt in front of a conversation, unless it has its own.
    pub(crate) fn with_system(&mut self, mut messages: Vec<Message>) -> Result<Vec<Message>, Fault> {
        let Some(system) = self.optional("system")? else { return Ok(messages) };
        match messages.first() {
            Some(first) if first.role == Role::System => {
                if first.content != system {
                    self.notes.push(Note::OwnSystem);
                }
            }
            _ => messages.insert(0, Message::system(system)),
        }
        Ok(messages)
    }

    /// The binary label.
    pub(crate) fn label(&mut self) -> Result<bool, Fault> {
        let value = self.take("label");
        let fix = Words::new(
            "Write true or false (also 1 or 0, yes or no); rename the column if it is not a label.",
            "写 true 或 false（也可写 1 或 0、yes 或 no）；如果它不是标签，请给这一列改名。",
        );
        let blank = value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty());
        truth(&value).ok_or_else(|| match blank {
            true => {
                Fault::new(reason::NO_LABEL, wording!("“label” is {it}", "“label”是{it}"; it = described(&value)), fix)
            }
            false => Fault::new(
                Words::new("unknown label", "未知标签"),
                wording!("“label” is {it}", "“label”是{it}"; it = described(&value)),
                fix,
            ),
        })
    }

    /// A boolean of a column that may be absent.
    pub(crate) fn flag(&mut self, key: &str) -> Option<bool> {
        truth(&self.take(key))
    }

    /// A number of a column that may be absent.
    pub(crate) fn number(&mut self, key: &str) -> Option<f64> {
        let value = self.take(key);
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        number.filter(|number: &f64| number.is_finite())
    }
}

/// Common spellings of true and false.
fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => match number.as_f64()? {
            1.0 => Some(true),
            0.0 => Some(false),
            _ => None,
        },
        Value::String(text) => match text.trim().to_lowercase().as_str() {
            "true" | "1" | "1.0" | "yes" => Some(true),
            "false" | "0" | "0.0" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    }
}
