//! The `Suite` trait: its prompts, how answers are sampled, and what is observed of answers and scores.

use crate::card::MeasureCard;
use crate::item::{Item, Material, Prompt};
use crate::observations::Observations;
use alidade_domain::{Outcome, Response, Sampling, ScoredRow, Words};

/// Description of a suite for users and programs.
#[derive(Debug, Clone, PartialEq)]
pub struct SuiteCard {
    /// Stable name.
    pub name: &'static str,
    /// Its name for people.
    pub title: Words,
    /// What it asks and measures, in one or two sentences.
    pub explanation: Words,
    /// Name of the judge that it requires.
    pub judge: Option<&'static str>,
    /// What it measures, most important first.
    pub measures: &'static [MeasureCard],
    /// The texts of the labels that its own judge gives, by their keys.
    pub labels: &'static [(&'static str, Words)],
}

/// Results of a judge and a scorer for one answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Outcome of the judge.
    pub outcome: Outcome,
    /// Score of the scorer; absent where the answer could not be read or there is no scorer.
    pub score: Option<f64>,
}

impl Verdict {
    /// Whether a label was given; `None` where the answer could not be read.
    pub fn says(&self, label: &str) -> Option<bool> {
        match &self.outcome {
            Outcome::Labels(labels) => Some(labels.iter().any(|given| given == label)),
            _ => None,
        }
    }
}

/// The result for one item.
#[derive(Debug, Clone, Copy)]
pub enum Reply<'a> {
    /// An answer, and the verdict of the suite's judge on it.
    Answer(&'a Response, Option<&'a Verdict>),
    /// The scores of a row.
    Row(&'a ScoredRow),
}

/// A set of prompts and rows with the measures that are taken on them.
pub trait Suite: Sync {
    /// Its description, including its measures.
    fn card(&self) -> &'static SuiteCard;

    /// The prompts that it asks out of the material; all of them by default.
    fn prompts(&self, material: &Material) -> Vec<Prompt> {
        material.prompts.clone()
    }

    /// True if it asks its own questions or reads its own texts, and takes no data.
    fn brings_its_own(&self) -> bool {
        false
    }

    /// How answers are sampled. Each prompt has its own seed, derived from this one and the same for every stack.
    fn sampling(&self) -> Sampling {
        Sampling { temperature: TEMPERATURE, top_p: 1.0, max_new_tokens: 96, seed: SEED }
    }

    /// Records the observations on a reply. Whether a measure applies to an item depends on the prompt, never on the answer,
    /// so that every stack is measured on the same items.
    fn observe(&self, item: &Item, reply: Reply, into: &mut Observations);

    /// True when the rows with the least likely answers are worth showing.
    fn shows_worst(&self) -> bool {
        false
    }
}

/// Temperature of evaluated answers.
pub(crate) const TEMPERATURE: f64 = 0.7;
/// Seed of evaluated answers.
pub(crate) const SEED: u64 = 20_241;
