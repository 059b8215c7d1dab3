//! What an evaluation found, for any number of stacks side by side. Every figure carries its number of items and its
//! interval; a verdict that nobody could read is counted as such and never becomes a score. A measure brings its own words,
//! so whoever draws it knows no keys. How evaluations of earlier versions are read stands in `earlier_evaluation`.

use crate::earlier_evaluation::{EvaluationOnDisk, MeasureOnDisk, SampleOnDisk};
use crate::{Message, Wording};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// One of two answers shown together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The first answer.
    First,
    /// The second answer.
    Second,
}

/// What a judge said about one item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// One answer is better.
    Prefers(Side),
    /// Neither is better.
    Tie,
    /// A number on the judge's own scale.
    Score(f64),
    /// Names of what applies.
    Labels(Vec<String>),
    /// Nothing that could be read; counted, never zero, never a tie.
    Unreadable,
}

/// A figure with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
pub struct Estimate {
    /// The figure; a rate lies in [0, 1].
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
    /// Items that the figure rests on.
    pub n: usize,
    /// Items that could not be read and are not in `n`.
    pub unreadable: usize,
}

/// A held-out row that the model is worst at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct WorstRow {
    /// What is asked.
    pub prompt: String,
    /// The answer that should have been likely.
    pub answer: String,
    /// Mean surprise per token of that answer, in nats.
    pub loss: f64,
    /// By how much the preferred answer is likelier per token than the other, in nats; negative means it is not.
    pub margin: Option<f64>,
}

/// Scores of held-out pairs, counted in steps of equal width.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ScoreHistogram {
    /// Lower end of the first step.
    pub low: f64,
    /// Width of a step.
    pub width: f64,
    /// Preferred answers in each step.
    pub chosen: Vec<usize>,
    /// Other answers in each step.
    pub rejected: Vec<usize>,
}

/// Which direction is an improvement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
    /// Neither: shown to be watched.
    Neither,
}

/// What a measure is called and what it means.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
pub struct MeasureWords {
    /// Its name.
    pub title: Wording,
    /// What is counted, in one or two sentences; empty where nobody explains it.
    pub explanation: Wording,
    /// Its unit beside a number; empty for a rate, which is drawn in per cent.
    pub unit: Wording,
}

/// One measured quantity of every stack of an evaluation, on the same items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(from = "MeasureOnDisk")]
pub struct Measure {
    /// Stable key, as its suite or judge declares it ("good", "held_out_loss").
    pub key: String,
    /// "rate" (drawn in per cent) or the name of a unit ("tokens", "nats", "reward").
    pub unit: String,
    /// Which direction is an improvement.
    pub better: Better,
    /// Its words; the key stands in for the title where nobody has any.
    pub words: MeasureWords,
    /// What was measured of each stack, in the order of the evaluation's stacks.
    pub values: Vec<Option<Estimate>>,
    /// Each stack minus the baseline, paired by item; nothing for the baseline itself.
    pub changes: Vec<Option<Estimate>>,
}

impl Measure {
    /// What was measured of one stack.
    pub fn value(&self, stack: usize) -> Option<&Estimate> {
        self.values.get(stack)?.as_ref()
    }

    /// What changed from the baseline to one stack.
    pub fn change(&self, stack: usize) -> Option<&Estimate> {
        self.changes.get(stack)?.as_ref()
    }
}

/// What one stack answered to a sampled prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct SampleAnswer {
    /// The answer.
    pub text: String,
    /// What the judge says of it ("good", "wrong fact", …), where there is one.
    pub label: Option<String>,
}

/// One prompt with the answers of all stacks, generated with the same seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(from = "SampleOnDisk")]
pub struct Sample {
    /// What was asked.
    pub prompt: Vec<Message>,
    /// The answers, in the order of the evaluation's stacks.
    pub answers: Vec<SampleAnswer>,
    /// True where prompt or answer may be harmful: drawn blurred until revealed.
    pub flagged: bool,
}

/// A stack that was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct EvaluatedStack {
    /// Its exact name.
    pub label: String,
    /// The stack by content, as [`crate::Stack::key`] gives it; empty where an earlier version did not keep it.
    #[serde(default)]
    pub key: String,
}

/// What one suite found of some stacks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(from = "EvaluationOnDisk")]
pub struct Evaluation {
    /// Name of the suite in the registry ("starter_world", "held_out_rows"), or what an earlier version called it.
    pub suite: String,
    /// The suite's name for people.
    pub title: Wording,
    /// What was measured; at least one.
    pub stacks: Vec<EvaluatedStack>,
    /// Place of the stack that changes are counted from.
    pub baseline: usize,
    /// Sampling temperature of the answers.
    pub temperature: f64,
    /// Seed of the answers.
    pub seed: u64,
    /// The figures, most important first.
    pub measures: Vec<Measure>,
    /// A few prompts side by side.
    pub samples: Vec<Sample>,
    /// Held-out rows that the last stack is worst at, worst first.
    pub worst: Vec<WorstRow>,
    /// What a reward or cost model gives to held-out pairs.
    pub scores: Option<ScoreHistogram>,
    /// Seconds that it took.
    pub seconds: f64,
}

impl Evaluation {
    /// Place of the stack that the evaluation is about: what a run or an experiment has made.
    pub fn last(&self) -> usize {
        self.stacks.len().saturating_sub(1)
    }

    /// Places of the stacks that are held against the baseline.
    pub fn others(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.stacks.len()).filter(|place| *place != self.baseline)
    }

    /// A measure by its key.
    pub fn measure(&self, key: &str) -> Option<&Measure> {
        self.measures.iter().find(|measure| measure.key == key)
    }
}
