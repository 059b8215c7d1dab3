//! Errors that stop a training run, with the facts that the user needs to continue.

use crate::plan_facts::Difference;
use alidade_domain::{Problem, ProblemCode};
use alidade_model::ModelError;
use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// An error of the model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Loss or gradient is infinite or undefined.
    #[error(
        "At step {step} the {what} became {value} (learning rate {learning_rate:e}, data rows {rows:?}). Training stopped; earlier checkpoints are intact."
    )]
    NotFinite {
        /// Step, from 1.
        step: u64,
        /// Name of the metric as in the log, or "gradient norm".
        what: String,
        /// The value.
        value: f64,
        /// Learning rate of the step.
        learning_rate: f64,
        /// Rows of the batch, numbered from 1 as in the data set.
        rows: Vec<usize>,
    },
    /// Nothing is left to learn from.
    #[error("None of the {given} rows can be learned from: {reason}.")]
    NoRows {
        /// Rows in the data set.
        given: usize,
        /// The commonest reason.
        reason: String,
    },
    /// A file of the run folder cannot be written or read.
    #[error("Reading or writing {path} failed: {found}.")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        found: std::io::Error,
    },
    /// A checkpoint does not belong to this plan.
    #[error("The checkpoint in {path} cannot be used: {reason}.")]
    Checkpoint {
        /// Its folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The folder holds work of another plan only.
    #[error("{} holds the {} of another run: {}.", path.display(), stage(*step), describe(differences))]
    OtherRun {
        /// The run folder.
        path: PathBuf,
        /// Its newest step; 0 when it ended before its first checkpoint.
        step: u64,
        /// In which points the plans differ; empty for a version whose checkpoints cannot be verified.
        differences: Vec<Difference>,
    },
    /// The settings and the rows do not make a valid run.
    #[error("{0}")]
    Refused(Problem),
    /// The observer could not record an event.
    #[error("{0}")]
    Observer(Problem),
}

impl TrainError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |found| TrainError::File { path, found }
    }
}

impl From<TrainError> for Problem {
    fn from(error: TrainError) -> Problem {
        let message = error.to_string();
        match error {
            TrainError::Model(error) => error.into(),
            TrainError::Observer(problem) | TrainError::Refused(problem) => problem,
            TrainError::NotFinite { .. } => Problem::new(ProblemCode::NotFinite, message)
                .hint("Resume with a lower learning rate, or look at the named rows."),
            TrainError::NoRows { reason, .. } => {
                let hint = match reason.contains("max_length") {
                    true => "Raise max_length, or shorten the prompts.",
                    false => "Use data of the kind that this method learns from, or the method that fits these data.",
                };
                Problem::input(message).hint(hint).at("dataset")
            }
            TrainError::File { found, .. } if found.kind() == std::io::ErrorKind::StorageFull => {
                Problem::new(ProblemCode::DiskFull, message)
                    .hint("Free some room and press Resume: no saved checkpoint is lost.")
            }
            TrainError::File { .. } => Problem::internal(message),
            TrainError::OtherRun { .. } => Problem::new(ProblemCode::Conflict, message)
                .hint("Use the recipe as it was, or choose another output_dir.")
                .hint("Add --overwrite to remove that run and start over.")
                .at("output_dir"),
            TrainError::Checkpoint { .. } => Problem::internal(message).hint("Start the run again from its beginning."),
        }
    }
}

fn stage(step: u64) -> String {
    match step {
        // It ended before its first checkpoint, or its checkpoints were moved away.
        0 => "log".to_owned(),
        step => format!("checkpoint at step {step}"),
    }
}

fn describe(differences: &[Difference]) -> String {
    if differences.is_empty() {
        return "it was written by an earlier version of the program, whose checkpoints cannot be checked".to_owned();
    }
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Shorthand of this crate.
pub(crate) type Result<T> = std::result::Result<T, TrainError>;
