//! What the crates ask of each other without knowing each other.

use crate::{EventKind, Example, Message, Problem};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// How tokens are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
pub struct Sampling {
    /// Sampling temperature; 0 takes the likeliest token.
    pub temperature: f64,
    /// Sample from the likeliest tokens up to this probability mass; 1 keeps all.
    pub top_p: f64,
    /// Maximum number of new tokens.
    pub max_new_tokens: usize,
    /// Seed of the draw.
    pub seed: u64,
}

/// Hears how far something long has come, as items done and the share of the work in [0, 1]; false ends it.
pub type Listener<'a> = &'a mut dyn FnMut(usize, f64) -> bool;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// What was written.
    pub text: String,
    /// Its length in tokens of whoever wrote it.
    pub tokens: usize,
}

/// Anything that answers: a model with an adapter, a stack with rewriters, a script, a model elsewhere.
pub trait Generator {
    /// Answers a conversation; the draw depends on `seed` and on nothing that is asked beside it.
    ///
    /// # Errors
    /// When it cannot answer.
    fn generate(&self, messages: &[Message], sampling: &Sampling, seed: u64) -> Result<Response, Problem>;

    /// Answers many conversations, in their order, each as if alone. One after another where nobody can do better.
    ///
    /// # Errors
    /// When one cannot be answered, or the watch ends it ([`Problem::ended`]).
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
pub struct RatedAnswer {
    /// The score; `None` where the answer cannot be read.
    pub score: Option<f64>,
    /// Length of prompt and answer, in tokens of whoever scores.
    pub tokens: usize,
}

/// The scores of one row of a data set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RatedRow {
    /// Place of the row among those that were given, from 0.
    pub row: usize,
    /// The wanted answer, or the preferred one of a pair.
    pub wanted: RatedAnswer,
    /// The other answer of a pair.
    pub other: Option<RatedAnswer>,
}

impl RatedRow {
    /// By how much the preferred answer scores higher; `None` for a single answer, or where one of two cannot be read.
    pub fn margin(&self) -> Option<f64> {
        Some(self.wanted.score? - self.other?.score?)
    }
}

/// Anything that rates an answer: a reward model, a rule, an oracle, a model by the likelihood that it gives to it.
pub trait Scorer {
    /// The score, higher for the better answer, or `None` where the answer cannot be read.
    ///
    /// # Errors
    /// When the scorer itself fails.
    fn score(&self, prompt: &[Message], answer: &str) -> Result<Option<f64>, Problem>;

    /// Scores rows that hold answers. Rows that leave nothing to score are left out, the same ones whoever scores. A scorer that
    /// knows no tokens counts words.
    ///
    /// # Errors
    /// When the scorer itself fails, or the watch ends it ([`Problem::ended`]).
    fn score_rows(&self, rows: &[Example], watch: Listener) -> Result<Vec<RatedRow>, Problem> {
        let mut rated = Vec::with_capacity(rows.len());
        for (row, example) in rows.iter().enumerate() {
            let prompt = example.prompt().unwrap_or_default();
            let words = |text: &str| text.split_whitespace().count();
            let asked: usize = prompt.iter().map(|message| words(&message.content)).sum();
            let rate = |text: &str| {
                Ok::<_, Problem>(RatedAnswer { score: self.score(&prompt, text)?, tokens: asked + words(text) })
            };
            let answer = example.answer_text();
            if !answer.is_empty() {
                let other = example.other_text().map(|text| rate(&text)).transpose()?;
                rated.push(RatedRow { row, wanted: rate(&answer)?, other });
            }
            if !watch(row + 1, (row + 1) as f64 / rows.len() as f64) {
                return Err(Problem::ended());
            }
        }
        Ok(rated)
    }
}

/// Why a run should end early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// Keep everything and go on later.
    Pause,
    /// End now with a usable adapter.
    StopAndSave,
    /// Throw it away.
    Discard,
}

/// Asked between steps.
pub trait StopSignal {
    /// The person's wish, if there is one.
    fn requested(&self) -> Option<StopReason>;
}

/// Told what happens.
pub trait Observer {
    /// Takes note; must have written it down when it returns.
    ///
    /// # Errors
    /// When it cannot be written down (a full disk): the run then stops at its last checkpoint.
    fn observe(&mut self, kind: EventKind) -> Result<(), Problem>;
}
