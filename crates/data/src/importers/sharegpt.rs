//! ShareGPT: conversations of {from, value}; and its pairs, where chosen and rejected are single messages.

use super::{Fault, Importer, check_pair, check_prompt, conversation, message, optional, prompt_and_answer};
use alidade_domain::{Example, Message, PreferencePair, Role};
use serde_json::{Map, Value};

/// `{conversations, system?}`
pub(super) struct Sharegpt;

/// `{conversations, chosen, rejected, system?}`
pub(super) struct SharegptPairs;

impl Importer for Sharegpt {
    fn name(&self) -> &'static str {
        "sharegpt"
    }

    fn fits(&self, record: &Map<String, Value>) -> bool {
        record.get("conversations").is_some_and(Value::is_array)
    }

    fn map(&self, record: &Map<String, Value>) -> Result<Example, Fault> {
        let messages = with_system(record)?;
        prompt_and_answer(messages.clone())?;
        Ok(Example::Conversation { messages })
    }
}

impl Importer for SharegptPairs {
    fn name(&self) -> &'static str {
        "sharegpt pairs"
    }

    fn fits(&self, record: &Map<String, Value>) -> bool {
        ["conversations", "chosen", "rejected"].iter().all(|key| record.contains_key(*key))
    }

    fn map(&self, record: &Map<String, Value>) -> Result<Example, Fault> {
        let side = |key: &str| match &record[key] {
            Value::String(text) => Ok(vec![Message::assistant(text.clone())]),
            Value::Array(_) => conversation(&record[key]),
            other => message(other).map(|message| vec![message]),
        };
        let (prompt, chosen, rejected) = (with_system(record)?, side("chosen")?, side("rejected")?);
        check_prompt(&prompt)?;
        check_pair(&chosen, &rejected)?;
        Ok(Example::Pair(PreferencePair { prompt, chosen, rejected, margin: None, harmful: None }))
    }
}

/// The conversation, with a system line that stands beside it put in front.
fn with_system(record: &Map<String, Value>) -> Result<Vec<Message>, Fault> {
    let mut messages = conversation(&record["conversations"])?;
    if let Some(system) = optional(record, "system")
        && messages.first().is_none_or(|first| first.role != Role::System)
    {
        messages.insert(0, Message::system(system));
    }
    Ok(messages)
}
