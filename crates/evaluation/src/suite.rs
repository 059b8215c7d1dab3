//! What a suite is: what it asks, how, and what it observes of what comes back.

use crate::card::MeasureCard;
use crate::item::{Item, Material, Prompt};
use crate::observations::Observations;
use alidade_domain::{Outcome, RatedRow, Response, Sampling, Words};

/// What a person and a program should know of a suite.
#[derive(Debug, Clone, PartialEq)]
pub struct SuiteCard {
    /// Stable name.
    pub name: &'static str,
    /// Its name for people.
    pub title: Words,
    /// What it asks and finds out, in one or two sentences.
    pub explanation: Words,
    /// Name of the judge that it cannot do without.
    pub judge: Option<&'static str>,
    /// What it measures, most important first.
    pub measures: &'static [MeasureCard],
}

/// What a judge and a scorer said of one answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The judge's word.
    pub outcome: Outcome,
    /// The scorer's number; absent where the answer could not be read or nobody scores.
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

/// What came back for one item.
#[derive(Debug, Clone, Copy)]
pub enum Reply<'a> {
    /// An answer, and what the suite's judge says of it.
    Answer(&'a Response, Option<&'a Verdict>),
    /// The scores of a row.
    Row(&'a RatedRow),
}

/// A set of questions with its way of looking at answers.
pub trait Suite: Sync {
    /// What should be known of it, its measures among it.
    fn card(&self) -> &'static SuiteCard;

    /// The prompts that it asks of what it is given; all of them when nothing else is said.
    fn prompts(&self, material: &Material) -> Vec<Prompt> {
        material.prompts.clone()
    }

    /// How answers are drawn. The seed is the first of many: each prompt has its own, the same for every stack.
    fn sampling(&self) -> Sampling {
        Sampling { temperature: TEMPERATURE, top_p: 1.0, max_new_tokens: 96, seed: SEED }
    }

    /// Takes down what is to be seen in a reply. A measure that does not apply to an item is left out by what is asked, never
    /// by what is answered, so that every stack is measured on the same items.
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
