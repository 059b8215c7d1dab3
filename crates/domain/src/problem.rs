//! The one type in which every error reaches a person: what was attempted, what was found, and what to do.

use crate::{Wording, wording};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// The kind of a problem; each exists because a screen or an exit code depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The person's input must change; the terminal exits with 2.
    Input,
    /// Something with this name does not exist (any more).
    NotFound,
    /// The current state does not allow it (already running, already finished).
    Conflict,
    /// No room on the disk.
    DiskFull,
    /// The worker process ended without saying why.
    WorkerLost,
    /// Loss or gradient became infinite or NaN.
    NotFinite,
    /// A fault of the program or of the machine; the terminal exits with 1.
    Internal,
}

/// What was attempted, what was found, what to do, and at which field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS, thiserror::Error)]
#[error("{}", message.en)]
pub struct Problem {
    /// Its kind.
    pub code: ProblemCode,
    /// What was attempted and what was found, in one or two sentences.
    pub message: Wording,
    /// What to do, one step each.
    pub hints: Vec<Wording>,
    /// The input field that it belongs to ("stage.0.settings.learning_rate"), when there is one.
    pub field: Option<String>,
}

impl Problem {
    /// A problem with the person's input.
    pub fn input(message: impl Into<Wording>) -> Self {
        Self::new(ProblemCode::Input, message)
    }

    /// A fault of the program.
    pub fn internal(message: impl Into<Wording>) -> Self {
        Self::new(ProblemCode::Internal, message)
    }

    /// The problem of an evaluation that was cancelled.
    pub fn ended() -> Self {
        Self::new(ProblemCode::Conflict, wording!("The comparison of the stacks was cancelled.", "对比已取消。"))
    }

    /// A problem of any kind.
    pub fn new(code: ProblemCode, message: impl Into<Wording>) -> Self {
        Self { code, message: message.into(), hints: Vec::new(), field: None }
    }

    /// Adds a hint: one step that helps.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Wording>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Prefixes its field with the stage of an experiment, from 0.
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
