//! The ports: traits through which crates use each other without importing each other.

use crate::{EventKind, Example, Message, Problem};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// How tokens are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
pub struct Sampling {
    /// Sampling temperature; 0 takes the likeliest token.
    pub temperature: f64,
    /// Nucleus sampling: keep the likeliest tokens up to this probability mass; 1 keeps all.
    pub top_p: f64,
    /// Maximum number of new tokens.
    pub max_new_tokens: usize,
    /// Random seed.
    pub seed: u64,
}

/// Receives the progress of long work, as items done and the share of the work in [0, 1]; returning false cancels the work.
pub type Listener<'a> = &'a mut dyn FnMut(usize, f64) -> bool;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The text.
    pub text: String,
    /// Its length in tokens of the generator.
    pub tokens: usize,
}

/// Anything that generates answers: a model with an adapter, a stack with rewriters, a script, a remote model.
pub trait Generator {
    /// Answers a conversation; the sample depends on `seed` and not on other prompts.
    ///
    /// # Errors
    /// When it cannot answer.
    fn generate(&self, messages: &[Message], sampling: &Sampling, seed: u64) -> Result<Response, Problem>;

    /// Answers several conversations in order, each as if alone. By default one after another.
    ///
    /// # Errors
    /// When one cannot be answered, or `watch` cancels it ([`Problem::ended`]).
    fn generate_many(
        &self,
        prompts: &[&[Message]],
        sampling: &Sampling,
        seeds: &[u64],
        watch: Listener,
    ) -> Result<Vec<Response>, Problem> {
        let mut responses = Vec::with_capacity(prompts.len());
        for (messages, seed) in prompts.iter().zip(seeds) {
            responses.push(self.generate(messages, sampling, *seed)?);
            if !watch(responses.len(), responses.len() as f64 / prompts.len() as f64) {
                return Err(Problem::ended());
            }
        }
        Ok(responses)
    }
}

/// A score of one answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredAnswer {
    /// The score; `None` if the answer is unreadable.
    pub score: Option<f64>,
    /// Length of prompt and answer, in tokens of the scorer.
    pub tokens: usize,
    /// Length of the answer alone: the tokens that a log-probability is the mean of.
    pub scored: usize,
}

/// The scores of one row of a data set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredRow {
    /// Index of the row among those that were given.
    pub row: usize,
    /// The wanted answer, or the preferred one of a pair.
    pub wanted: ScoredAnswer,
    /// The other answer of a pair.
    pub other: Option<ScoredAnswer>,
}

impl ScoredRow {
    /// Score of the preferred answer minus that of the other; `None` for a single answer, or if one is unreadable.
    pub fn margin(&self) -> Option<f64> {
        Some(self.wanted.score? - self.other?.score?)
    }
}

/// Anything that scores answers: a reward model, a rule, an oracle, the log-probability under a model.
pub trait Scorer {
    /// The score, higher for better answers, or `None` if the answer is unreadable.
    ///
    /// # Errors
    /// When the scorer itself fails.
    fn score(&self, prompt: &[Message], answer: &str) -> Result<Option<f64>, Problem>;

    /// Scores rows with answers. Rows without anything to score are left out, the same ones for every scorer. A scorer
    /// without a tokenizer counts words.
    ///
    /// # Errors
    /// When the scorer itself fails, or `watch` cancels it ([`Problem::ended`]).
    fn score_rows(&self, rows: &[Example], watch: Listener) -> Result<Vec<ScoredRow>, Problem> {
        let mut scored = Vec::with_capacity(rows.len());
        for (row, example) in rows.iter().enumerate() {
            let prompt = example.prompt().unwrap_or_default();
            let words = |text: &str| text.split_whitespace().count();
            let asked: usize = prompt.iter().map(|message| words(&message.content)).sum();
            let score = |text: &str| {
                let (score, scored) = (self.score(&prompt, text)?, words(text));
                Ok::<_, Problem>(ScoredAnswer { score, tokens: asked + scored, scored })
            };
            let answer = example.answer_text();
            if !answer.is_empty() {
                let other = example.other_text().map(|text| score(&text)).transpose()?;
                scored.push(ScoredRow { row, wanted: score(&answer)?, other });
            }
            if !watch(row + 1, (row + 1) as f64 / rows.len() as f64) {
                return Err(Problem::ended());
            }
        }
        Ok(scored)
    }
}

/// Why a run should end early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// Keep everything, to be resumed later.
    Pause,
    /// End now with a usable adapter.
    StopAndSave,
    /// Discard the run.
    Discard,
}

/// Checked between steps.
pub trait StopSignal {
    /// The request of the person, if there is one.
    fn requested(&self) -> Option<StopReason>;
}

/// Receives events.
pub trait Observer {
    /// Records an event; it must be stored when this returns.
    ///
    /// # Errors
    /// When it cannot be stored (a full disk): the run then stops at its last checkpoint.
    fn observe(&mut self, kind: EventKind) -> Result<(), Problem>;
}
