//! Prompt, chosen and rejected, as strings or as message lists; also two whole conversations whose common prefix is
//! the prompt.

use super::{Importer, become_turns};
use crate::conversation::{check_pair, check_prompt, equal};
use crate::fault::Fault;
use crate::guess;
use crate::record::Record;
use alidade_domain::{Example, Message, PreferencePair, Role, Words};
use serde_json::Value;

/// `{prompt?, chosen, rejected, system?, margin?, is_chosen_safe?, is_rejected_safe?}`
pub(super) struct PreferencePairs;

impl Importer for PreferencePairs {
    fn name(&self) -> Words {
        Words::new("preference pairs", "偏好对")
    }

    fn fits(&self, has: &dyn Fn(&str) -> bool) -> bool {
        has("chosen") && has("rejected")
    }

    fn map(&self, record: &mut Record) -> Result<Example, Fault> {
        let texts = ["chosen", "rejected"].iter().all(|key| record.fields.get(*key).is_some_and(Value::is_string));
        if texts && !record.is_list("prompt") {
            if !record.has("prompt") && guess::is_transcript(record.fields.get("chosen")) {
                return Err(guess::transcript());
            }
            if !become_turns(record) {
                return plain(record);
            }
        }
        let (chosen, rejected) = (record.answer_turns("chosen")?, record.answer_turns("rejected")?);
        let prompt = match record.fields.get("prompt") {
            Some(Value::Array(_)) => Some(record.prompt_turns("prompt")?),
            Some(Value::String(_)) if !chosen.iter().any(|message| message.role == Role::User) => {
                Some(record.prompt_turns("prompt")?)
            }
            _ => None,
        };
        record.take("prompt");
        pair(record, prompt, chosen, rejected)
    }
}

/// A pair of conversations; without a prompt field the prompt is their common prefix.
pub(super) fn pair(
    record: &mut Record,
    prompt: Option<Vec<Message>>,
    mut chosen: Vec<Message>,
    mut rejected: Vec<Message>,
) -> Result<Example, Fault> {
    if let (true, Some(last)) = (chosen == rejected, chosen.last()) {
        return Err(equal(&last.content));
    }
    let prompt = prompt.unwrap_or_else(|| common_beginning(&mut chosen, &mut rejected));
    // Some files repeat the prompt inside both answers.
    for answer in [&mut chosen, &mut rejected] {
        if answer.len() > prompt.len() && answer.starts_with(&prompt) {
            answer.drain(..prompt.len());
        }
    }
    let prompt = record.with_system(prompt)?;
    check_prompt(&prompt)?;
    check_pair(&chosen, &rejected)?;
    let (margin, harmful) = (record.number("margin"), harmful(record));
    Ok(Example::Pair(PreferencePair { prompt, chosen, rejected, margin, harmful }))
}

/// Which of the answers are harmful, where the file says of both whether they are safe.
fn harmful(record: &mut Record) -> Option<[bool; 2]> {
    let (chosen, rejected) = (record.flag("is_chosen_safe"), record.flag("is_rejected_safe"));
    Some([!chosen?, !rejected?])
}

fn plain(record: &mut Record) -> Result<Example, Fault> {
    let prompt = record.prompt_text("prompt")?;
    let (chosen, rejected) = (record.answer_text("chosen")?, record.answer_text("rejected")?);
    if chosen == rejected { Err(equal(&chosen)) } else { Ok(Example::PlainPair { prompt, chosen, rejected }) }
}

fn common_beginning(chosen: &mut Vec<Message>, rejected: &mut Vec<Message>) -> Vec<Message> {
    let shared = chosen.iter().zip(rejected.iter()).take_while(|(a, b)| a == b).count();
    rejected.drain(..shared);
    chosen.drain(..shared).collect()
}
