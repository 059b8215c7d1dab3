//! Prompt, chosen and rejected, as strings or as message lists; also two whole conversations whose common beginning is
//! the prompt.

use super::{Fault, Importer, check_pair, check_prompt, conversation, required};
use alidade_domain::{Example, Message, PreferencePair};
use serde_json::{Map, Value};

/// `{prompt?, chosen, rejected, margin?, is_chosen_safe?, is_rejected_safe?}`
pub(super) struct PreferencePairs;

impl Importer for PreferencePairs {
    fn name(&self) -> &'static str {
        "preference pairs"
    }

    fn fits(&self, record: &Map<String, Value>) -> bool {
        record.contains_key("chosen") && record.contains_key("rejected")
    }

    fn map(&self, record: &Map<String, Value>) -> Result<Example, Fault> {
        if record["chosen"].is_string() && record.get("prompt").is_none_or(|prompt| !prompt.is_array()) {
            return plain(record);
        }
        let side = |key: &str| match &record[key] {
            Value::String(text) => Ok(vec![Message::assistant(text.clone())]),
            other => conversation(other),
        };
        let (mut chosen, mut rejected) = (side("chosen")?, side("rejected")?);
        let prompt = match record.get("prompt") {
            Some(Value::Array(_)) => conversation(&record["prompt"])?,
            _ => common_beginning(&mut chosen, &mut rejected),
        };
        // Some files repeat the prompt inside both answers.
        for answer in [&mut chosen, &mut rejected] {
            if answer.len() > prompt.len() && answer.starts_with(&prompt) {
                answer.drain(..prompt.len());
            }
        }
        check_prompt(&prompt)?;
        check_pair(&chosen, &rejected)?;
        Ok(Example::Pair(PreferencePair {
            prompt,
            chosen,
            rejected,
            margin: record.get("margin").and_then(Value::as_f64),
            harmful: harmful(record),
        }))
    }
}

/// Which of the answers do harm, where the file says of both whether they are safe.
fn harmful(record: &Map<String, Value>) -> Option<[bool; 2]> {
    let safe = |key: &str| record.get(key).and_then(Value::as_bool);
    Some([!safe("is_chosen_safe")?, !safe("is_rejected_safe")?])
}

fn plain(record: &Map<String, Value>) -> Result<Example, Fault> {
    let prompt = required(record, "prompt", "empty prompt")?;
    let (chosen, rejected) = (required(record, "chosen", "no answer")?, required(record, "rejected", "no answer")?);
    check_pair(&[Message::assistant(chosen.clone())], &[Message::assistant(rejected.clone())])?;
    Ok(Example::PlainPair { prompt, chosen, rejected })
}

fn common_beginning(chosen: &mut Vec<Message>, rejected: &mut Vec<Message>) -> Vec<Message> {
    let shared = chosen.iter().zip(rejected.iter()).take_while(|(a, b)| a == b).count();
    rejected.drain(..shared);
    chosen.drain(..shared).collect()
}
