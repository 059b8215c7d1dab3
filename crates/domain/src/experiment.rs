//! An experiment: a question and the ordered list of stages that is to answer it.

use crate::{Choices, Stage};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A question and how it is to be answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Experiment {
    /// Identifier within one installation.
    pub id: String,
    /// Short name.
    pub title: String,
    /// The question in the person's words.
    pub question: String,
    /// The stages in order; each may use what earlier ones make, as in `stage:1`.
    pub stages: Vec<Stage>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// The person's notes on it.
    #[serde(default)]
    pub notes: String,
    /// The person's tags, in lower case, in order.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The choices of the wizard that it came from; absent for one that was opened from a file.
    #[serde(default)]
    pub choices: Option<Choices>,
}

impl Experiment {
    /// An experiment without notes, tags or choices.
    pub fn new(id: String, title: String, question: String, stages: Vec<Stage>, created_ms: u64) -> Self {
        Self { id, title, question, stages, created_ms, notes: String::new(), tags: Vec::new(), choices: None }
    }
}
