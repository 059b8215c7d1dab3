//! Message lists as OpenAI writes them, and answers with a thumb up or down.

use super::{Fault, Importer, check_prompt, conversation, prompt_and_answer, required};
use alidade_domain::{Example, Message};
use serde_json::{Map, Value};

/// `{messages}`
pub(super) struct Messages;

/// `{prompt, completion, label}` or `{messages, label}`
pub(super) struct RatedAnswers;

impl Importer for Messages {
    fn name(&self) -> &'static str {
        "messages"
    }

    fn fits(&self, record: &Map<String, Value>) -> bool {
        record.get("messages").is_some_and(Value::is_array)
    }

    fn map(&self, record: &Map<String, Value>) -> Result<Example, Fault> {
        let messages = conversation(&record["messages"])?;
        prompt_and_answer(messages.clone())?;
        Ok(Example::Conversation { messages })
    }
}

impl Importer for RatedAnswers {
    fn name(&self) -> &'static str {
        "rated answers"
    }

    fn fits(&self, record: &Map<String, Value>) -> bool {
        let answer =
            record.contains_key("messages") || (record.contains_key("prompt") && record.contains_key("completion"));
        answer && record.get("label").is_some_and(Value::is_boolean)
    }

    fn map(&self, record: &Map<String, Value>) -> Result<Example, Fault> {
        let label = record["label"].as_bool().unwrap_or(false);
        let (prompt, completion) = match record.get("messages") {
            Some(messages) => prompt_and_answer(conversation(messages)?)?,
            None => {
                let side = |key: &str, reason| match &record[key] {
                    Value::Array(_) => conversation(&record[key]),
                    _ => required(record, key, reason)
                        .map(|text| vec![if key == "prompt" { Message::user(text) } else { Message::assistant(text) }]),
                };
                (side("prompt", "empty prompt")?, side("completion", "no answer")?)
            }
        };
        check_prompt(&prompt)?;
        Ok(Example::Rated { prompt, completion, label })
    }
}
