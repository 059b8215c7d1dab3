//! Prompt and completion, plain text, and bare prompts. Strings stay plain text: no chat template is applied, unless
//! there is a system prompt.

use super::{Importer, alpaca, become_turns};
use crate::columns::{plain, speaks_of_answers};
use crate::conversation::check_prompt;
use crate::fault::{Fault, reason};
use crate::record::Record;
use alidade_domain::{Example, Words};

/// `{prompt, completion, system?}`, both strings or both message lists
pub(super) struct PromptCompletion;

/// `{text}`
pub(super) struct Text;

/// `{prompt, system?}` or `{instruction, input?}` alone
pub(super) struct Prompts;

impl Importer for PromptCompletion {
    fn name(&self) -> Words {
        Words::new("prompt and completion", "提问和回答")
    }

    fn fits(&self, has: &dyn Fn(&str) -> bool) -> bool {
        has("prompt") && has("completion")
    }

    fn map(&self, record: &mut Record) -> Result<Example, Fault> {
        let lists = ["prompt", "completion"].iter().any(|key| record.is_list(key));
        if !lists && !become_turns(record) {
            let (prompt, completion) = (record.prompt_text("prompt")?, record.answer_text("completion")?);
            return Ok(Example::PlainAnswer { prompt, completion });
        }
        let prompt = record.prompt_turns("prompt")?;
        let prompt = record.with_system(prompt)?;
        let completion = record.answer_turns("completion")?;
        check_prompt(&prompt)?;
        if completion.iter().all(|message| message.content.trim().is_empty()) {
            return Err(Fault::new(
                reason::NO_ANSWER,
                Words::new("the completion is blank", "回答是空白"),
                Words::new("Fill the answer in or remove the row.", "填写回答，或删除这一条。"),
            ));
        }
        Ok(Example::Answer { prompt, completion })
    }
}

impl Importer for Text {
    fn name(&self) -> Words {
        Words::new("text", "纯文本")
    }

    fn fits(&self, has: &dyn Fn(&str) -> bool) -> bool {
        has("text")
    }

    fn map(&self, record: &mut Record) -> Result<Example, Fault> {
        Ok(Example::Text {
            text: record.text("text", Words::new("empty text", "文本为空"), Words::new("no text", "没有文本"))?,
        })
    }
}

impl Importer for Prompts {
    fn name(&self) -> Words {
        Words::new("prompts", "提问")
    }

    fn fits(&self, has: &dyn Fn(&str) -> bool) -> bool {
        let asked = has("prompt") || has("instruction");
        asked && !["completion", "output", "chosen", "rejected"].iter().any(|key| has(key))
    }

    fn map(&self, record: &mut Record) -> Result<Example, Fault> {
        // A record whose answers are in columns with unknown names is not a bare prompt.
        if record.fields.keys().any(|name| speaks_of_answers(&plain(name)) && record.has(name)) {
            return Err(crate::guess::unknown(record));
        }
        let prompt = if record.has("instruction") && !record.has("prompt") {
            alpaca::prompt(record)?
        } else {
            let prompt = record.prompt_turns("prompt")?;
            record.with_system(prompt)?
        };
        check_prompt(&prompt)?;
        Ok(Example::Prompt { prompt })
    }
}
