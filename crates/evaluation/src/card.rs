//! Declaration of a measure by its suite or judge: key, unit, direction, and texts in both languages.

use crate::observations::Series;
use crate::statistics::{mean, rate};
use alidade_domain::{Better, Estimate, MeasureWords, Words};

/// The unit of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A share of items, shown in per cent.
    Rate,
    /// Tokens of an answer.
    Tokens,
    /// Nats per token.
    Nats,
    /// The scale of the scorer.
    Reward,
    /// Points of a grade.
    Points,
}

impl Unit {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Unit::Rate => "rate",
            Unit::Tokens => "tokens",
            Unit::Nats => "nats",
            Unit::Reward => "reward",
            Unit::Points => "points",
        }
    }

    /// The unit shown after a value; empty for a rate.
    pub const fn words(self) -> Words {
        match self {
            Unit::Rate => Words::name(""),
            Unit::Tokens => Words::new("tokens", "词元"),
            Unit::Nats => Words::new("nats", "nat"),
            Unit::Reward => Words::new("reward", "奖励"),
            Unit::Points => Words::new("points", "分"),
        }
    }
}

/// A measure as its suite or judge declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasureCard {
    /// Stable key.
    pub key: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// Which direction is an improvement.
    pub better: Better,
    /// Its name for people.
    pub title: Words,
    /// What is counted, in one or two sentences.
    pub explanation: Words,
}

impl MeasureCard {
    /// Its texts, as stored with every measure.
    pub fn words(&self) -> MeasureWords {
        MeasureWords { title: self.title.into(), explanation: self.explanation.into(), unit: self.unit.words().into() }
    }

    /// The estimate of one stack: Wilson's interval for a share of yes and no, a bootstrap interval for everything else
    /// (a share with ties that count half is not binary).
    pub(crate) fn estimate(&self, series: &Series) -> Option<Estimate> {
        let values = series.values();
        let flag = |value: f64| value == 0.0 || value == 1.0;
        if self.unit == Unit::Rate && values.iter().flatten().all(|value| flag(*value)) {
            return rate(&values.iter().map(|value| value.map(|value| value > 0.5)).collect::<Vec<_>>());
        }
        mean(values)
    }
}
