//! Message lists as OpenAI writes them.

use super::Importer;
use crate::conversation::{check_ending, conversation};
use crate::fault::Fault;
use crate::record::Record;
use alidade_domain::Example;

/// `{messages, system?}`
pub(super) struct Messages;

impl Importer for Messages {
    fn name(&self) -> &'static str {
        "messages"
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
