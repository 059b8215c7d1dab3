//! Answers with a binary label, in every shape that an answer can have. A label that cannot be read makes a bad row,
//! never an answer without a label: a rejected answer must not be learned as a good one. Strings stay plain text.

use super::{Importer, RATED, alpaca, become_turns};
use crate::conversation::{check_prompt, conversation, prompt_and_answer};
use crate::fault::{Fault, reason};
use crate::record::Record;
use alidade_domain::{Example, Words};

/// `{prompt, completion, label}`, `{messages, label}`, `{conversations, label}` or `{instruction, input?, output, label}`
pub(super) struct RatedAnswers;

impl Importer for RatedAnswers {
    fn name(&self) -> Words {
        RATED
    }

    fn fits(&self, has: &dyn Fn(&str) -> bool) -> bool {
        let answer = has("prompt") && has("completion") || has("instruction") && has("output");
        has("label") && (answer || has("messages") || has("conversations"))
    }

    fn map(&self, record: &mut Record) -> Result<Example, Fault> {
        let label = record.label()?;
        let list = ["messages", "conversations"].into_iter().find(|key| record.has(key));
        let (prompt, completion) = match list {
            Some(key) => {
                let messages = conversation(record.take(key), key)?;
                prompt_and_answer(record.with_system(messages)?)?
            }
            None if record.has("instruction") && record.has("output") => {
                (alpaca::prompt(record)?, record.answer_turns("output")?)
            }
            None => {
                let lists = ["prompt", "completion"].iter().any(|key| record.is_list(key));
                if !lists && !become_turns(record) {
                    let (prompt, completion) = (record.prompt_text("prompt")?, record.answer_text("completion")?);
                    return Ok(Example::PlainRated { prompt, completion, label });
                }
                let prompt = record.prompt_turns("prompt")?;
                (record.with_system(prompt)?, record.answer_turns("completion")?)
            }
        };
        check_prompt(&prompt)?;
        if completion.iter().all(|message| message.content.trim().is_empty()) {
            return Err(Fault::new(
                reason::NO_ANSWER,
                Words::new("the completion is blank", "回答是空白"),
                Words::new("Fill the answer in or remove the row.", "填写回答，或删除这一条。"),
            ));
        }
        Ok(Example::Rated { prompt, completion, label })
    }
}
