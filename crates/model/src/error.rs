//! What can go wrong with a model, an adapter or a text, told with the facts that were found.

use alidade_domain::{Problem, ProblemCode};
use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file is missing or cannot be read.
    #[error("Reading {path}: {found}.")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        found: String,
    },
    /// A configuration file lacks a key or holds a value that makes no sense.
    #[error("{file}: “{key}” {found}.")]
    Configuration {
        /// Name of the file.
        file: String,
        /// The key.
        key: String,
        /// What was found, as a phrase that follows the key ("is missing", "is 0; it must be positive").
        found: String,
    },
    /// The architecture has no entry in the registry.
    #[error(
        "The model says that it is of the family “{found}”, which this version cannot run. Known families: {known}."
    )]
    UnknownArchitecture {
        /// The name in config.json.
        found: String,
        /// The registered names.
        known: String,
    },
    /// A weight file is cut off, has overlapping tensors, or is no safetensors file at all.
    #[error("The weights in {path} cannot be read: {found}.")]
    BrokenWeights {
        /// The file.
        path: PathBuf,
        /// What the parser met.
        found: String,
    },
    /// A tensor that the architecture needs is not in the files.
    #[error("The weights lack the tensor {name}.")]
    MissingTensor {
        /// Its name.
        name: String,
    },
    /// A tensor has another shape than the configuration says.
    #[error("The tensor {name} has the shape {found:?}; config.json asks for {expected:?}.")]
    WrongShape {
        /// Its name.
        name: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape that follows from the configuration.
        expected: Vec<usize>,
    },
    /// A tensor holds infinite or undefined numbers.
    #[error("The tensor {name} holds numbers that are not finite.")]
    NotFinite {
        /// Its name.
        name: String,
    },
    /// What the model says of the next token is undefined or infinite, so that none can be chosen.
    #[error("The model's scores for token {token} of answer {row} are not finite, so no token can be chosen.")]
    NotFiniteScores {
        /// The answer, from 1.
        row: usize,
        /// The token that was to be written, from 1.
        token: usize,
    },
    /// An adapter of a kind that cannot be applied faithfully.
    #[error("The adapter cannot be used: {reason}.")]
    Adapter {
        /// Why, as a clause.
        reason: String,
    },
    /// A chat template failed, looped or wrote too much.
    #[error("The model's chat template failed: {reason}.")]
    Template {
        /// What happened.
        reason: String,
    },
    /// A tokenizer file is broken, or a text cannot be encoded.
    #[error("The tokenizer failed: {reason}.")]
    Tokenizer {
        /// What happened.
        reason: String,
    },
    /// A request that the model cannot carry out (too long, token out of range).
    #[error("{0}")]
    Request(String),
    /// Trainable tensors that the first backward pass did not reach.
    #[error("The first backward pass gave no gradient to: {}.", .names.join(", "))]
    NoGradient {
        /// Names of the tensors.
        names: Vec<String>,
    },
    /// The tensor library refused.
    #[error("The tensor library failed: {0}")]
    Compute(#[from] candle_core::Error),
}

impl ModelError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            ModelError::File { .. } => {
                Some("Choose the folder that holds config.json, tokenizer.json and the .safetensors files.")
            }
            ModelError::BrokenWeights { .. } => Some("The download is probably incomplete: fetch the file again."),
            ModelError::MissingTensor { .. } | ModelError::WrongShape { .. } => {
                Some("config.json and the weight files must come from the same model.")
            }
            ModelError::UnknownArchitecture { .. } => Some("Choose a model of one of the known families."),
            ModelError::Template { .. } => {
                Some("Use a model with another chat template, or data in plain prompt/completion form.")
            }
            ModelError::NoGradient { .. } => {
                Some("Please report this: it is a fault of the program, and training would have been incomplete.")
            }
            ModelError::NotFiniteScores { .. } => Some(
                "Its weights or its adapter have overflowed: use an earlier checkpoint, or train again with a lower rate.",
            ),
            _ => None,
        }
    }
}

impl From<ModelError> for Problem {
    fn from(error: ModelError) -> Problem {
        let code = match &error {
            ModelError::NotFiniteScores { .. } => ProblemCode::NotFinite,
            ModelError::Compute(_) | ModelError::NoGradient { .. } => ProblemCode::Internal,
            _ => ProblemCode::Input,
        };
        let problem = Problem::new(code, error.to_string());
        match error.hint() {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

/// Shorthand of this crate.
pub(crate) type Result<T> = std::result::Result<T, ModelError>;
