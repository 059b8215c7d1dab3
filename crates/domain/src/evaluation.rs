//! What an evaluation found. Every figure carries its number of items and its interval; a verdict that nobody could read
//! is counted as such and never becomes a score.

use crate::Message;
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

/// One measured quantity before and after, on the same prompts and seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Measure {
    /// Stable key ("good", "harm_complied", "over_refusal", "length_tokens", "held_out_loss", "preference_accuracy").
    pub key: String,
    /// "rate" (drawn in per cent), "tokens", "nats" or "reward".
    pub unit: String,
    /// Which direction is an improvement.
    pub better: Better,
    /// The stack that the run started from.
    pub before: Option<Estimate>,
    /// The stack that the run made.
    pub after: Option<Estimate>,
    /// After minus before, paired by item.
    pub change: Option<Estimate>,
}

/// One prompt with both answers, generated with the same seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct SamplePair {
    /// What was asked.
    pub prompt: Vec<Message>,
    /// The answer before.
    pub before: String,
    /// The answer after.
    pub after: String,
    /// What the oracle says of the first ("good", "wrong fact", …), where one exists.
    pub before_label: Option<String>,
    /// What the oracle says of the second.
    pub after_label: Option<String>,
    /// True where prompt or answer may be harmful: drawn blurred until revealed.
    pub flagged: bool,
}

/// A whole evaluation of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Evaluation {
    /// Where the figures come from ("starter world oracle", "held-out rows").
    pub suite: String,
    /// Name of the stack before.
    pub before_stack: String,
    /// Name of the stack after.
    pub after_stack: String,
    /// Sampling temperature of the answers.
    pub temperature: f64,
    /// Seed of the answers.
    pub seed: u64,
    /// The figures, most important first.
    pub measures: Vec<Measure>,
    /// A few prompts side by side.
    pub samples: Vec<SamplePair>,
    /// Held-out rows that the later stack is worst at, worst first.
    #[serde(default)]
    pub worst: Vec<WorstRow>,
    /// What a reward or cost model gives to held-out pairs.
    #[serde(default)]
    pub scores: Option<ScoreHistogram>,
    /// Seconds that it took.
    pub seconds: f64,
}
