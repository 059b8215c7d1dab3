//! ShareGPT: conversations of {from, value}; and its pairs, which share a conversation and continue it
//! with chosen and rejected.

use super::{Importer, preference};
use crate::conversation::{check_ending, conversation};
use crate::fault::Fault;
use crate::record::Record;
use alidade_domain::{Example, Role, Words};

/// `{conversations, system?}`
pub(super) struct Sharegpt;

/// `{conversations, chosen, rejected, system?}`, also with the shared turns under `messages`
pub(super) struct SharegptPairs;

impl Importer for Sharegpt {
    fn name(&self) -> Words {
        Words::name("ShareGPT")
    }

    fn fits(&self, has: &dyn Fn(&str) -> bool) -> bool {
        has("conversations")
    }

    fn map(&self, record: &mut Record) -> Result<Example, Fault> {
        let messages = conversation(record.take("conversations"), "conversations")?;
        let messages = record.with_system(messages)?;
        check_ending(&messages)?;
        Ok(Example::Conversation { messages })
    }
}

impl Importer for SharegptPairs {
    fn name(&self) -> Words {
        Words::new("ShareGPT pairs", "ShareGPT 偏好对")
    }

    fn fits(&self, has: &dyn Fn(&str) -> bool) -> bool {
        let shared = has("conversations") || (has("messages") && !has("prompt"));
        shared && has("chosen") && has("rejected")
    }

    fn map(&self, record: &mut Record) -> Result<Example, Fault> {
        let key = if record.has("conversations") { "conversations" } else { "messages" };
        let shared = conversation(record.take(key), key)?;
        let (chosen, rejected) = (record.answer_turns("chosen")?, record.answer_turns("rejected")?);
        // Answers that are whole conversations contain their own prompt.
        let whole = chosen.iter().any(|message| message.role == Role::User) && !chosen.starts_with(&shared);
        preference::pair(record, (!whole).then_some(shared), chosen, rejected)
    }
}
