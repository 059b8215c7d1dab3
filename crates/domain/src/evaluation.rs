//! Results of an evaluation, for any number of stacks side by side. Every figure has its number of items and its confidence
//! interval; an unreadable verdict is counted as such and never becomes a score. A measure carries its own texts, so whoever
//! shows it needs no table of keys. `earlier_evaluation` reads the formats of earlier versions.

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

/// The verdict of a judge on one item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// One answer is better.
    Prefers(Side),
    /// Neither is better.
    Tie,
    /// A number on the judge's own scale.
    Score(f64),
    /// Names of the labels that apply.
    Labels(Vec<String>),
    /// Unreadable; counted, never zero, never a tie.
    Unreadable,
}

/// A figure with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
pub struct Estimate {
    /// The figure; a rate lies in [0, 1].
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
    /// Number of items behind the figure.
    pub n: usize,
    /// Unreadable items, which are not in `n`.
    pub unreadable: usize,
}

/// A held-out row that the model is worst at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct WorstRow {
    /// The prompt.
    pub prompt: String,
    /// The answer that should have been likely.
    pub answer: String,
    /// Mean negative log-likelihood per token of that answer, in nats.
    pub loss: f64,
    /// Mean log-probability per token of the preferred answer minus that of the other, in nats.
    pub margin: Option<f64>,
}

/// Histogram of the scores of held-out pairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ScoreHistogram {
    /// Lower end of the first bin.
    pub low: f64,
    /// Width of a bin.
    pub width: f64,
    /// Preferred answers in each bin.
    pub chosen: Vec<usize>,
    /// Other answers in each bin.
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
    /// Neither: shown for information.
    Neither,
}

/// Title and explanation of a measure.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
pub struct MeasureWords {
    /// Its name.
    pub title: Wording,
    /// What is counted, in one or two sentences; may be empty.
    pub explanation: Wording,
    /// Its unit beside a value; empty for a rate, which is shown in per cent.
    pub unit: Wording,
}

/// One measured quantity of every stack of an evaluation, on the same items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(from = "MeasureOnDisk")]
pub struct Measure {
    /// Stable key, as its suite or judge declares it ("good", "held_out_loss").
    pub key: String,
    /// "rate" (shown in per cent) or the name of a unit ("tokens", "nats", "reward").
    pub unit: String,
    /// Which direction is an improvement.
    pub better: Better,
    /// Its texts; without any, the key serves as the title.
    pub words: MeasureWords,
    /// Figures of each stack, in the order of the evaluation's stacks.
    pub values: Vec<Option<Estimate>>,
    /// Each stack minus the baseline, paired by item; none for the baseline itself.
    pub changes: Vec<Option<Estimate>>,
}

impl Measure {
    /// The figure of one stack.
    pub fn value(&self, stack: usize) -> Option<&Estimate> {
        self.values.get(stack)?.as_ref()
    }

    /// The change from the baseline to one stack.
    pub fn change(&self, stack: usize) -> Option<&Estimate> {
        self.changes.get(stack)?.as_ref()
    }
}

/// The answer of one stack to a sampled prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct SampleAnswer {
    /// The answer.
    pub text: String,
    /// The label of the judge ("good", "wrong fact", …), if there is a judge.
    pub label: Option<Wording>,
}

/// One prompt with the answers of all stacks, generated with the same seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(from = "SampleOnDisk")]
pub struct Sample {
    /// The prompt.
    pub prompt: Vec<Message>,
    /// The answers, in the order of the evaluation's stacks.
    pub answers: Vec<SampleAnswer>,
    /// True if prompt or answer may be harmful: blurred until revealed.
    pub flagged: bool,
}

/// A held-out pair and how likely each stack finds its answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct PairShift {
    /// The prompt.
    pub prompt: String,
    /// The preferred answer.
    pub chosen: String,
    /// The other answer.
    pub rejected: String,
    /// True if the texts may be harmful: blurred until revealed.
    pub flagged: bool,
    /// Log-probability of the chosen and of the rejected answer, in nats, summed over their tokens; in the order of the
    /// evaluation's stacks.
    pub logps: Vec<[f64; 2]>,
}

/// A stack that was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct EvaluatedStack {
    /// Its exact name.
    pub label: String,
    /// [`crate::Stack::key`]; empty if an earlier version did not keep it.
    #[serde(default)]
    pub key: String,
}

/// The figures of one suite for some stacks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(from = "EvaluationOnDisk")]
pub struct Evaluation {
    /// Name of the suite in the registry ("starter_world", "held_out_rows"), or what an earlier version called it.
    pub suite: String,
    /// The suite's name for people.
    pub title: Wording,
    /// The stacks; at least one.
    pub stacks: Vec<EvaluatedStack>,
    /// Index of the baseline, which changes are computed against.
    pub baseline: usize,
    /// Sampling temperature of the answers.
    pub temperature: f64,
    /// Seed of the answers.
    pub seed: u64,
    /// The figures, most important first.
    pub measures: Vec<Measure>,
    /// The prompts with all answers side by side, changed answers first.
    pub samples: Vec<Sample>,
    /// Held-out rows that the last stack is worst at, worst first.
    pub worst: Vec<WorstRow>,
    /// Scores of a reward or cost model on held-out pairs.
    pub scores: Option<ScoreHistogram>,
    /// Held-out pairs with the log-probabilities of both answers under each stack, harmless ones first, and of each kind those that changed most.
    pub pairs: Vec<PairShift>,
    /// Duration in seconds.
    pub seconds: f64,
}

impl Evaluation {
    /// Index of the stack that the evaluation is about: the result of a run or an experiment.
    pub fn last(&self) -> usize {
        self.stacks.len().saturating_sub(1)
    }

    /// Indices of the stacks that are compared with the baseline.
    pub fn others(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.stacks.len()).filter(|place| *place != self.baseline)
    }

    /// A measure by its key.
    pub fn measure(&self, key: &str) -> Option<&Measure> {
        self.measures.iter().find(|measure| measure.key == key)
    }
}
