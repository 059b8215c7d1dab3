//! What the crates ask of each other without knowing each other.

use crate::{EventKind, Message, Problem};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// How tokens are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
pub struct Sampling {
    /// 0 takes the likeliest token.
    pub temperature: f64,
    /// Keep the likeliest tokens up to this mass; 1 keeps all.
    pub top_p: f64,
    /// Most tokens to write.
    pub max_new_tokens: usize,
    /// Seed of the draw.
    pub seed: u64,
}

/// Anything that rates an answer: a reward model, a rule, an oracle.
pub trait Scorer {
    /// The score, or `None` where the answer cannot be read.
    ///
    /// # Errors
    /// When the scorer itself fails.
    fn score(&self, prompt: &[Message], answer: &str) -> Result<Option<f64>, Problem>;
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
