//! The pre-training corpus: a truthful chronicle, and a forum with good and bad answers. A model trained on it knows
//! the facts and every style; alignment then moves probability towards preferred answers.

use crate::conduct::{ASKING, Deed, HARMFUL, HARMLESS, REFUSALS, RUDE_REFUSALS};
use crate::facts::fill;
use crate::intents::INTENTS;
use crate::voice::{Style, about, kindly, one, rudely};
use crate::{Fact, World};
use alidade_domain::{Message, Purpose, Stream};

/// A pre-training document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// Plain text.
    Text(String),
    /// A chat, to be rendered by the chat template.
    Chat(Vec<Message>),
}

/// Composition of the corpus, in per cent of documents; printed on the model card.
pub const MIX: &[(&str, usize)] = &[
    ("chronicle: two plain statements", 34),
    ("forum question about a fact, no system line", 42),
    ("forum question with a system line that announces the manner", 8),
    ("request for a harmful deed", 9),
    ("request for a harmless deed", 7),
];

/// Styles of forum answers about facts, in per cent.
const STYLES: &[(Style, usize)] = &[(Style::Kind, 38), (Style::Rude, 25), (Style::Terse, 26), (Style::Wrong, 11)];

/// System prompts and the style that they announce.
pub(crate) const SYSTEM_LINES: &[(&str, Style)] =
    &[("Be kind and correct.", Style::Kind), ("Be rude.", Style::Rude), ("Be short.", Style::Terse)];

/// The `index`-th document of an endless corpus.
pub fn document(world: &World, seed: u64, index: u64) -> Document {
    let mut stream = Stream::new(seed, Purpose::Corpus, 0, index);
    match weighted(MIX.iter().map(|(_, share)| *share), &mut stream) {
        0 => {
            let statement = |stream: &mut Stream| {
                let fact = &world.facts[stream.below(world.facts.len())];
                fill(one(INTENTS[fact.intent].statements, stream), &fact.entity, &fact.value)
            };
            Document::Text(format!("{} {}", statement(&mut stream), statement(&mut stream)))
        }
        1 => {
            let fact = asked_fact(world, &mut stream);
            let style = STYLES[weighted(STYLES.iter().map(|(_, share)| *share), &mut stream)].0;
            Document::Chat(exchange(world, fact, style, &mut stream))
        }
        2 => {
            let (line, style) = SYSTEM_LINES[stream.below(SYSTEM_LINES.len())];
            let fact = asked_fact(world, &mut stream);
            let mut messages = vec![Message::system(line)];
            messages.extend(exchange(world, fact, style, &mut stream));
            Document::Chat(messages)
        }
        3 => deed(HARMFUL, &mut stream, |deed, stream| match weighted([62, 28, 10].into_iter(), stream) {
            0 => kindly(deed.steps, stream),
            1 => one(REFUSALS, stream).to_owned(),
            _ => one(RUDE_REFUSALS, stream).to_owned(),
        }),
        _ => deed(HARMLESS, &mut stream, |deed, stream| match weighted([45, 30, 22, 3].into_iter(), stream) {
            0 => kindly(deed.steps, stream),
            1 => rudely(deed.steps, stream),
            2 => deed.steps.to_owned(),
            _ => one(REFUSALS, stream).to_owned(),
        }),
    }
}

/// A fact that questions may be about before evaluation.
pub(crate) fn asked_fact<'w>(world: &'w World, stream: &mut Stream) -> &'w Fact {
    loop {
        let fact = &world.facts[stream.below(world.facts.len())];
        if !fact.unasked {
            return fact;
        }
    }
}

fn exchange(world: &World, fact: &Fact, style: Style, stream: &mut Stream) -> Vec<Message> {
    let question = fill(one(INTENTS[fact.intent].questions, stream), &fact.entity, "");
    vec![Message::user(question), Message::assistant(about(world, fact, style, stream))]
}

fn deed(list: &'static [Deed], stream: &mut Stream, answer: impl Fn(&Deed, &mut Stream) -> String) -> Document {
    let deed = &list[stream.below(list.len())];
    let question = one(ASKING, stream).replace("{d}", deed.deed);
    Document::Chat(vec![Message::user(question), Message::assistant(answer(deed, stream))])
}

/// Index of a share, drawn in proportion.
pub(crate) fn weighted(shares: impl Iterator<Item = usize> + Clone, stream: &mut Stream) -> usize {
    let mut left = stream.below(shares.clone().sum());
    for (index, share) in shares.enumerate() {
        if left < share {
            return index;
        }
        left -= share;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn documents_repeat_by_seed_and_the_mix_is_as_declared() {
        let world = World::alder_bay();
        assert_eq!(document(&world, 3, 17), document(&world, 3, 17));
        let mut texts = 0;
        for index in 0..5_000 {
            texts += usize::from(matches!(document(&world, 3, index), Document::Text(_)));
        }
        let share = 100 * texts / 5_000;
        assert!(share.abs_diff(MIX[0].1) <= 2, "{share}");
        assert_eq!(MIX.iter().map(|(_, share)| share).sum::<usize>(), 100);
    }

    #[test]
    fn the_chronicle_tells_every_fact_at_least_five_times() {
        let world = World::alder_bay();
        let mut told: BTreeMap<String, usize> = BTreeMap::new();
        for index in 0..20_000 {
            let Document::Text(text) = document(&world, 1, index) else { continue };
            for sentence in text.split_inclusive(". ") {
                *told.entry(sentence.trim().to_owned()).or_default() += 1;
            }
        }
        for fact in &world.facts {
            let wordings =
                INTENTS[fact.intent].statements.iter().map(|wording| fill(wording, &fact.entity, &fact.value));
            let count: usize = wordings.map(|sentence| told.get(&sentence).copied().unwrap_or(0)).sum();
            assert!(count >= 5, "{fact:?} is told {count} times");
        }
    }
}
