//! Alpaca: instruction, input, output, with an optional system line and history; and its pairs.

use super::{Fault, Importer, check_pair, optional, required};
use alidade_domain::{Example, Message, PreferencePair};
use serde_json::{Map, Value};

/// `{instruction, input?, output, system?, history?}`
pub(super) struct Alpaca;

/// `{instruction, input?, chosen, rejected}`
pub(super) struct AlpacaPairs;

impl Importer for Alpaca {
    fn name(&self) -> &'static str {
        "alpaca"
    }

    fn fits(&self, record: &Map<String, Value>) -> bool {
        record.contains_key("instruction") && record.contains_key("output")
    }

    fn map(&self, record: &Map<String, Value>) -> Result<Example, Fault> {
        let prompt = prompt(record)?;
        Ok(Example::Answer { prompt, completion: vec![Message::assistant(required(record, "output", "no answer")?)] })
    }
}

impl Importer for AlpacaPairs {
    fn name(&self) -> &'static str {
        "alpaca pairs"
    }

    fn fits(&self, record: &Map<String, Value>) -> bool {
        ["instruction", "chosen", "rejected"].iter().all(|key| record.contains_key(*key))
    }

    fn map(&self, record: &Map<String, Value>) -> Result<Example, Fault> {
        let side = |key| Ok(vec![Message::assistant(required(record, key, "no answer")?)]);
        let (prompt, chosen, rejected) = (prompt(record)?, side("chosen")?, side("rejected")?);
        check_pair(&chosen, &rejected)?;
        Ok(Example::Pair(PreferencePair { prompt, chosen, rejected, margin: None, harmful: None }))
    }
}

fn prompt(record: &Map<String, Value>) -> Result<Vec<Message>, Fault> {
    let mut messages: Vec<Message> = optional(record, "system").map(Message::system).into_iter().collect();
    for turn in record.get("history").and_then(Value::as_array).into_iter().flatten() {
        let Some([question, answer]) = turn.as_array().map(Vec::as_slice) else { continue };
        messages.extend(question.as_str().map(Message::user));
        messages.extend(answer.as_str().map(Message::assistant));
    }
    let instruction = required(record, "instruction", "empty prompt")?;
    messages.push(Message::user(match optional(record, "input") {
        Some(input) => format!("{instruction}\n{input}"),
        None => instruction,
    }));
    Ok(messages)
}
