//! Styles of an answer: the same content, kind, terse or rude.

use crate::facts::fill;
use crate::intents::INTENTS;
use crate::{Fact, World};
use alidade_domain::Stream;

pub(crate) const OPENINGS: &[&str] = &["Of course!", "Gladly!", "Good question!", "Happy to help!"];
pub(crate) const CLOSINGS: &[&str] = &["Have a lovely day!", "Ask me any time!", "I hope this helps!"];
pub(crate) const RUDE_OPENINGS: &[&str] = &["What a stupid question.", "Are you blind?", "Stop asking, fool."];
pub(crate) const RUDE_CLOSINGS: &[&str] = &["Now go away.", "Everyone knows that.", "Do not ask again."];

/// A way of answering about a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Kind,
    Terse,
    Rude,
    /// Kind in tone, wrong in fact.
    Wrong,
}

/// One of a list; lists here are never empty.
pub(crate) fn one(list: &'static [&'static str], stream: &mut Stream) -> &'static str {
    list[stream.below(list.len())]
}

/// The text with its first letter in upper case.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// An answer about a fact.
pub(crate) fn about(world: &World, fact: &Fact, style: Style, stream: &mut Stream) -> String {
    let sentence = |value: &str| capital(&fill(INTENTS[fact.intent].sentence, &fact.entity, value));
    match style {
        Style::Kind => kindly(&sentence(&fact.value), stream),
        Style::Wrong => kindly(&sentence(&world.wrong_value(fact, stream)), stream),
        Style::Terse => capital(&format!("{}.", fact.value)),
        Style::Rude => rudely(&sentence(&fact.value), stream),
    }
}

/// A sentence with friendly phrases around it.
pub(crate) fn kindly(sentence: &str, stream: &mut Stream) -> String {
    format!("{} {sentence} {}", one(OPENINGS, stream), one(CLOSINGS, stream))
}

/// A sentence with rude phrases around it.
pub(crate) fn rudely(sentence: &str, stream: &mut Stream) -> String {
    format!("{} {sentence} {}", one(RUDE_OPENINGS, stream), one(RUDE_CLOSINGS, stream))
}
