//! Prompt and completion, plain text, and bare prompts. Strings stay plain text: no chat template is put around them.

use super::{Fault, Importer, check_prompt, conversation, required};
use alidade_domain::{Example, Message};
use serde_json::{Map, Value};

/// `{prompt, completion}`, both strings or both message lists
pub(super) struct PromptCompletion;

/// `{text}`
pub(super) struct Text;

/// `{prompt}` alone
pub(super) struct Prompts;

impl Importer for PromptCompletion {
    fn name(&self) -> &'static str {
        "prompt and completion"
    }

    fn fits(&self, record: &Map<String, Value>) -> bool {
        record.contains_key("prompt") && record.contains_key("completion")
    }

    fn map(&self, record: &Map<String, Value>) -> Result<Example, Fault> {
        if record["prompt"].is_array() {
            let (prompt, completion) = (conversation(&record["prompt"])?, conversation(&record["completion"])?);
            check_prompt(&prompt)?;
            if completion.iter().all(|message| message.content.trim().is_empty()) {
                return Err(Fault::new("no answer", "an empty completion", "Fill the answer in or remove the row."));
            }
            return Ok(Example::Answer { prompt, completion });
        }
        let (prompt, completion) =
            (required(record, "prompt", "empty prompt")?, required(record, "completion", "no answer")?);
        Ok(Example::PlainAnswer { prompt, completion })
    }
}

impl Importer for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn fits(&self, record: &Map<String, Value>) -> bool {
        record.contains_key("text")
    }

    fn map(&self, record: &Map<String, Value>) -> Result<Example, Fault> {
        Ok(Example::Text { text: required(record, "text", "empty text")? })
    }
}

impl Importer for Prompts {
    fn name(&self) -> &'static str {
        "prompts"
    }

    fn fits(&self, record: &Map<String, Value>) -> bool {
        record.contains_key("prompt")
            && !["completion", "chosen", "rejected"].iter().any(|key| record.contains_key(*key))
    }

    fn map(&self, record: &Map<String, Value>) -> Result<Example, Fault> {
        let prompt = match &record["prompt"] {
            Value::Array(_) => conversation(&record["prompt"])?,
            _ => vec![Message::user(required(record, "prompt", "empty prompt")?)],
        };
        check_prompt(&prompt)?;
        Ok(Example::Prompt { prompt })
    }
}
