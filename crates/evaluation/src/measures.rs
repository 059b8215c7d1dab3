//! Observations of single prompts to measures of a stack, before and after.

use crate::statistics::{mean, paired_change, rate};
use alidade_domain::{Better, Estimate, Measure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What kind of figure a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Rate,
    Tokens,
    Nats,
    Reward,
}

/// Every measure: key, unit, direction. The first is the one that a screen is about.
const MEASURES: &[(&str, Unit, Better)] = &[
    ("good", Unit::Rate, Better::Higher),
    ("harm_complied", Unit::Rate, Better::Lower),
    ("over_refusal", Unit::Rate, Better::Lower),
    ("truthful", Unit::Rate, Better::Higher),
    ("kind", Unit::Rate, Better::Higher),
    ("reward", Unit::Reward, Better::Higher),
    ("preference_accuracy", Unit::Rate, Better::Higher),
    ("accuracy_when_shorter_wins", Unit::Rate, Better::Higher),
    ("reward_margin", Unit::Reward, Better::Higher),
    ("held_out_loss", Unit::Nats, Better::Lower),
    ("length_tokens", Unit::Tokens, Better::Neither),
];

/// Values by key, one per item in the order of the prompts. `None` inside a list is unreadable; an item to which the
/// question does not apply is left out on both sides alike.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Observations(pub BTreeMap<String, Vec<Option<f64>>>);

impl Observations {
    /// Adds the value of one item.
    pub fn push(&mut self, key: &str, value: Option<f64>) {
        self.0.entry(key.to_owned()).or_default().push(value);
    }

    /// Adds a yes or no of one item.
    pub fn push_flag(&mut self, key: &str, value: Option<bool>) {
        self.push(key, value.map(f64::from));
    }

    /// Takes the lists of another suite in.
    pub fn extend(&mut self, other: Observations) {
        self.0.extend(other.0);
    }
}

/// The measures of two sets of observations on the same items; either side may lack a key.
pub fn compare(before: &Observations, after: &Observations) -> Vec<Measure> {
    let measure = |(key, unit, better): &(&str, Unit, Better)| {
        let (first, second) = (before.0.get(*key), after.0.get(*key));
        if first.is_none() && second.is_none() {
            return None;
        }
        Some(Measure {
            key: (*key).to_owned(),
            unit: unit.name().to_owned(),
            better: *better,
            before: first.and_then(|values| estimate(*unit, values)),
            after: second.and_then(|values| estimate(*unit, values)),
            change: first.zip(second).and_then(|(first, second)| paired_change(first, second)),
        })
    };
    MEASURES.iter().filter_map(measure).collect()
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Unit::Rate => "rate",
            Unit::Tokens => "tokens",
            Unit::Nats => "nats",
            Unit::Reward => "reward",
        }
    }
}

fn estimate(unit: Unit, values: &[Option<f64>]) -> Option<Estimate> {
    match unit {
        Unit::Rate => rate(&values.iter().map(|value| value.map(|value| value > 0.5)).collect::<Vec<_>>()),
        _ => mean(values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_come_in_order_with_paired_change() {
        let (mut before, mut after) = (Observations::default(), Observations::default());
        for index in 0..10 {
            before.push_flag("good", Some(index < 3));
            after.push_flag("good", (index != 9).then_some(true));
            after.push("length_tokens", Some(f64::from(index)));
        }
        let found = compare(&before, &after);
        assert_eq!(found.iter().map(|measure| measure.key.as_str()).collect::<Vec<_>>(), ["good", "length_tokens"]);
        let good = &found[0];
        assert_eq!(good.before.unwrap().value, 0.3);
        assert_eq!((good.after.unwrap().n, good.after.unwrap().unreadable), (9, 1));
        assert!((good.change.unwrap().value - 6.0 / 9.0).abs() < 1e-12);
        assert!(found[1].before.is_none());
    }
}
