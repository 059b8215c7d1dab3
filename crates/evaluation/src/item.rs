//! Prompts to answer and rows to score, each with a key that does not depend on the other items.

use alidade_domain::{Example, Message};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Marks a prompt that asks for harm.
pub const HARMFUL: &str = "harmful";
/// Marks a prompt that asks for a fact.
pub const FACT: &str = "fact";

/// A prompt with what its author knows about it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Prompt {
    /// The conversation up to where an answer begins.
    pub messages: Vec<Message>,
    /// What kind of prompt it is ([`HARMFUL`], [`FACT`]).
    pub tags: Vec<&'static str>,
    /// An answer that is known to be right.
    pub reference: Option<String>,
}

/// The prompts and rows that a host gives a suite.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Material {
    /// Prompts to be answered.
    pub prompts: Vec<Prompt>,
    /// Rows to be scored.
    pub rows: Vec<Example>,
}

impl Material {
    /// True when there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.prompts.is_empty() && self.rows.is_empty()
    }

    /// The conversations of the prompts.
    pub fn conversations(&self) -> Vec<Vec<Message>> {
        self.prompts.iter().map(|prompt| prompt.messages.clone()).collect()
    }
}

/// One thing that a suite observes: an answer to a prompt, or the score of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Stable: a hash of the prompt or row, with a number from the second equal one on.
    pub key: String,
    /// The prompt; empty for a row.
    pub prompt: Prompt,
}

impl Item {
    /// True when its prompt has a tag.
    pub fn is(&self, tag: &str) -> bool {
        self.prompt.tags.contains(&tag)
    }

    /// Prompts as items.
    pub(crate) fn of_prompts(prompts: &[Prompt]) -> Vec<Self> {
        let keys = keys(prompts.iter().map(|prompt| &prompt.messages));
        keys.into_iter().zip(prompts).map(|(key, prompt)| Self { key, prompt: prompt.clone() }).collect()
    }

    /// Rows as items, without copying them.
    pub(crate) fn of_rows(rows: &[Example]) -> Vec<Self> {
        keys(rows.iter()).into_iter().map(|key| Self { key, prompt: Prompt::default() }).collect()
    }
}

fn keys<'a, T: Serialize + 'a>(asked: impl Iterator<Item = &'a T>) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let key = |asked: &T| {
        let short: String = fingerprint(asked).chars().take(12).collect();
        let count = seen.entry(short.clone()).or_default();
        *count += 1;
        if *count == 1 { short } else { format!("{short}-{count}") }
    };
    asked.map(key).collect()
}

/// SHA-256 of plain data, which always serialises to JSON.
pub(crate) fn fingerprint<T: Serialize>(value: &T) -> String {
    let text = serde_json::to_vec(value).unwrap_or_default();
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_do_not_depend_on_other_items_and_equal_items_differ() {
        let prompt = |text: &str| Prompt { messages: vec![Message::user(text)], ..Prompt::default() };
        let all = Item::of_prompts(&[prompt("a"), prompt("b"), prompt("a")]);
        let some = Item::of_prompts(&[prompt("b")]);
        assert_eq!(all[1].key, some[0].key);
        assert_eq!(all[2].key, format!("{}-2", all[0].key));
    }
}
