//! The facts of the town, drawn once from a fixed seed.

use crate::intents::{ANIMALS, DAYS, FOODS, INTENTS, Intent, Kind, MONTHS, NUMBERS, RESIDENTS, SHOPS};
use crate::voice::capital;
use alidade_domain::{Purpose, Stream};

/// Seed of the town itself; everything else has seeds of its own.
const SEED: u64 = 1887;
/// One fact in so many is never asked about in any corpus or training set.
const UNASKED: usize = 12;

/// A true statement about the town.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    pub(crate) intent: usize,
    /// The entity that it is about.
    pub entity: String,
    /// Its value.
    pub value: String,
    /// True where the chronicle states it but no question about it occurs before evaluation.
    pub unasked: bool,
}

/// The town.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct World {
    /// Every fact, in a fixed order.
    pub facts: Vec<Fact>,
}

impl World {
    /// Alder Bay.
    pub fn alder_bay() -> Self {
        let mut facts = Vec::new();
        for (index, intent) in INTENTS.iter().enumerate() {
            for (entity, value) in pairs(index, intent) {
                let unasked = facts.len() % UNASKED == UNASKED - 1;
                facts.push(Fact { intent: index, entity, value, unasked });
            }
        }
        Self { facts }
    }

    /// Another value of the same kind.
    pub(crate) fn wrong_value(&self, fact: &Fact, stream: &mut Stream) -> String {
        let others: Vec<String> =
            values(&INTENTS[fact.intent]).into_iter().filter(|value| *value != fact.value).collect();
        others[stream.below(others.len())].clone()
    }
}

/// Every value that an intent knows.
pub(crate) fn values(intent: &Intent) -> Vec<String> {
    let list = match intent.kind {
        Kind::Sum => NUMBERS,
        Kind::Day => DAYS,
        Kind::Month => MONTHS,
        _ => intent.values,
    };
    list.iter().map(|value| (*value).to_owned()).collect()
}

fn pairs(index: usize, intent: &Intent) -> Vec<(String, String)> {
    let named = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let following = |list: &[&str]| {
        let next = |place: usize| list[(place + 1) % list.len()].to_owned();
        (0..list.len()).map(|place| (list[place].to_owned(), next(place))).collect()
    };
    let entities = match intent.kind {
        Kind::Resident => named(RESIDENTS),
        Kind::Shop => named(SHOPS),
        Kind::Animal => named(ANIMALS),
        Kind::Food => named(FOODS),
        Kind::Sum => return sums(),
        Kind::Day => return following(DAYS),
        Kind::Month => return following(MONTHS),
    };
    let mut stream = Stream::new(SEED, Purpose::World, index as u64, 0);
    // Sounds belong to their animals; everything else is drawn at random.
    let fixed = intent.key == "sound";
    let value = |place: usize, stream: &mut Stream| {
        intent.values[if fixed { place } else { stream.below(intent.values.len()) }].to_owned()
    };
    entities.into_iter().enumerate().map(|(place, entity)| (entity, value(place, &mut stream))).collect()
}

/// Sums of two numbers up to ten.
fn sums() -> Vec<(String, String)> {
    let sum = |left: usize, right: usize| {
        (format!("{} plus {}", NUMBERS[left], NUMBERS[right]), NUMBERS[left + right].to_owned())
    };
    (1..=10).flat_map(|left| (1..=10).map(move |right| sum(left, right))).collect()
}

/// Puts entity and value into a wording and starts it with a capital.
pub(crate) fn fill(wording: &str, entity: &str, value: &str) -> String {
    capital(&wording.replace("{e}", entity).replace("{v}", value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_town_is_always_the_same_and_large_enough() {
        let world = World::alder_bay();
        assert_eq!(world, World::alder_bay());
        assert!((300..400).contains(&world.facts.len()), "{}", world.facts.len());
        let unasked = world.facts.iter().filter(|fact| fact.unasked).count();
        assert!(unasked * 20 > world.facts.len(), "{unasked}");
    }

    #[test]
    fn every_intent_has_its_wordings() {
        for intent in INTENTS {
            assert!(
                intent.statements.len() >= 5 && intent.questions.len() >= 3 && intent.held_out.len() >= 2,
                "{}",
                intent.key
            );
            assert!(intent.held_out.iter().all(|wording| !intent.questions.contains(wording)), "{}", intent.key);
        }
    }
}
