//! The turns of a chat.

use crate::Message;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum AnswerEnd {
    /// The model closed its turn.
    Complete,
    /// `max_new_tokens` was reached.
    Length,
    /// The person stopped it.
    Stopped,
    /// Interrupted: the program or the process that answered has ended.
    Interrupted,
}

/// A turn of a chat in one pane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ChatMessage {
    /// Number of the turn, from 0; a person's message and its answers share it.
    pub turn: usize,
    /// Pane of an answer; absent for the person's message.
    pub pane: Option<usize>,
    /// What was said.
    pub message: Message,
    /// The exact stack that answered.
    pub badge: Option<String>,
    /// How the answer ended.
    pub end: Option<AnswerEnd>,
    /// Its random seed.
    pub seed: Option<u64>,
    /// Tokens of the answer.
    #[serde(default)]
    pub tokens: Option<usize>,
    /// Seconds that generating it took, without loading the model.
    #[serde(default)]
    pub seconds: Option<f64>,
}
