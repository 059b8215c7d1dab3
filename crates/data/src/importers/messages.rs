//! Message lists as OpenAI writes them.

use super::Importer;
use crate::conversation::{check_ending, conversation};
use crate::fault::Fault;
use crate::record::Record;
use alidade_domain::{Example, Words};

/// `{messages, system?}`
pub(super) struct Messages;

impl Importer for Messages {
    fn name(&self) -> Words {
        Words::new("messages", "消息列表")
    }

    fn fits(&self, has: &dyn Fn(&str) -> bool) -> bool {
        has("messages")
    }

    fn map(&self, record: &mut Record) -> Result<Example, Fault> {
        let messages = conversation(record.take("messages"), "messages")?;
        let messages = record.with_system(messages)?;
        check_ending(&messages)?;
        Ok(Example::Conversation { messages })
    }
}
