//! Alpaca: instruction, input, output, with an optional system line and history; and its pairs.

use super::Importer;
use crate::conversation::check_pair;
use crate::fault::{Fault, described};
use crate::record::Record;
use alidade_domain::{Example, Message, PreferencePair, Words, wording};
use serde_json::Value;

/// `{instruction, input?, output, system?, history?}`
pub(super) struct Alpaca;

/// `{instruction, input?, chosen, rejected, system?, history?}`
pub(super) struct AlpacaPairs;

impl Importer for Alpaca {
    fn name(&self) -> Words {
        Words::name("Alpaca")
    }

    fn fits(&self, has: &dyn Fn(&str) -> bool) -> bool {
        has("instruction") && has("output")
    }

    fn map(&self, record: &mut Record) -> Result<Example, Fault> {
        Ok(Example::Answer { prompt: prompt(record)?, completion: record.answer_turns("output")? })
    }
}

impl Importer for AlpacaPairs {
    fn name(&self) -> Words {
        Words::new("Alpaca pairs", "Alpaca 偏好对")
    }

    fn fits(&self, has: &dyn Fn(&str) -> bool) -> bool {
        has("instruction") && has("chosen") && has("rejected")
    }

    fn map(&self, record: &mut Record) -> Result<Example, Fault> {
        let prompt = prompt(record)?;
        let (chosen, rejected) = (record.answer_turns("chosen")?, record.answer_turns("rejected")?);
        check_pair(&chosen, &rejected)?;
        let margin = record.number("margin");
        Ok(Example::Pair(PreferencePair { prompt, chosen, rejected, margin, harmful: None }))
    }
}

/// System prompt, earlier questions and answers, instruction followed by its input.
pub(super) fn prompt(record: &mut Record) -> Result<Vec<Message>, Fault> {
    let mut messages: Vec<Message> = record.optional("system")?.map(Message::system).into_iter().collect();
    match record.take("history") {
        Value::Null => {}
        Value::String(text) if text.trim().is_empty() => {}
        Value::Array(turns) => turns.into_iter().try_for_each(|turn| earlier(turn, &mut messages))?,
        other => return Err(broken(&other)),
    }
    let instruction = record.prompt_text("instruction")?;
    messages.push(Message::user(match record.optional("input")? {
        Some(input) => format!("{instruction}\n{input}"),
        None => instruction,
    }));
    Ok(messages)
}

fn earlier(turn: Value, messages: &mut Vec<Message>) -> Result<(), Fault> {
    let pair = match turn {
        Value::Array(pair) => <[Value; 2]>::try_from(pair).map_err(Value::Array),
        other => Err(other),
    };
    match pair {
        Ok([Value::String(question), Value::String(answer)]) => {
            messages.extend([Message::user(question), Message::assistant(answer)]);
            Ok(())
        }
        Ok([question, answer]) => Err(broken(&Value::Array(vec![question, answer]))),
        Err(other) => Err(broken(&other)),
    }
}

fn broken(value: &Value) -> Fault {
    let found = wording!("in “history” there is {it}", "“history”中有{it}"; it = described(value));
    Fault::new(
        Words::new("broken history", "历史损坏"),
        found,
        Words::new(
            "It must be a list of pairs of texts: a question and its answer.",
            "它必须是成对文本的列表：提问和它的回答。",
        ),
    )
}
