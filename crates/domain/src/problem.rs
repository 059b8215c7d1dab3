//! The one shape in which anything that went wrong reaches a person: what was attempted and found, and what to do.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A code exists only where a screen or an exit code acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The person's input must change; the terminal exits with 2.
    Input,
    /// Something with this name does not exist (any more).
    NotFound,
    /// The state does not allow it now (already running, already finished).
    Conflict,
    /// No room on the disk.
    DiskFull,
    /// The worker process ended without saying why.
    WorkerLost,
    /// Loss or gradient became infinite or undefined.
    NotFinite,
    /// A fault on our side or of the machine; the terminal exits with 1.
    Internal,
}

/// What was attempted, what was found, what to do, and at which field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// What kind of trouble.
    pub code: ProblemCode,
    /// What was attempted and what was found, in one or two sentences.
    pub message: String,
    /// What to do, one step each.
    pub hints: Vec<String>,
    /// The input field that it belongs to ("stage.0.settings.learning_rate"), when there is one.
    pub field: Option<String>,
}

impl Problem {
    /// A problem with the person's input.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ProblemCode::Input, message)
    }

    /// A fault on our side.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ProblemCode::Internal, message)
    }

    /// What an evaluation comes to that somebody ended.
    pub fn ended() -> Self {
        Self::new(ProblemCode::Conflict, "Comparing the stacks was ended.")
    }

    /// A problem of any kind.
    pub fn new(code: ProblemCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hints: Vec::new(), field: None }
    }

    /// Adds a step that helps.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Puts the stage of an experiment, from 0, before its field.
    #[must_use]
    pub fn at_stage(mut self, index: usize) -> Self {
        self.field = Some(match self.field {
            Some(field) => format!("stage.{index}.{field}"),
            None => format!("stage.{index}"),
        });
        self
    }

    /// Names the field that it belongs to.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }
}
