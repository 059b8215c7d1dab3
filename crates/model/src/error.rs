//! What can go wrong with a model, an adapter or a text, told with the facts that were found.

use alidade_domain::{Problem, ProblemCode};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

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
    /// A file cannot be written.
    #[error("Writing {path} failed: {error}.")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A folder is something else than what was expected.
    #[error("{path} {found}.")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What it is, as a phrase that follows its path.
        found: String,
        /// What to do.
        hint: String,
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
    /// The files hold a tensor that the family's arithmetic has no place for.
    #[error(
        "The weights hold {name}, which a {family} model has no place for: without it the answers would be others."
    )]
    UnexpectedTensor {
        /// Its name.
        name: String,
        /// The family.
        family: &'static str,
    },
    /// The model is of a kind that cannot be run: quantised, multimodal, a mixture of experts.
    #[error("The model cannot be run: {found}.")]
    Unsupported {
        /// What it is, as a clause.
        found: String,
        /// What to do.
        hint: &'static str,
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
    /// A tensor holds infinite or NaN values.
    #[error("The tensor {name} holds numbers that are not finite.")]
    NotFinite {
        /// Its name.
        name: String,
    },
    /// The logits of the next token are NaN or infinite, so that none can be chosen.
    #[error("The model's scores for token {token} of answer {row} are not finite, so no token can be chosen.")]
    NotFiniteScores {
        /// The answer, from 1.
        row: usize,
        /// The token that was to be generated, from 1.
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
    /// A chat template does not take one conversation; it may take others.
    #[error("The model's chat template does not take this conversation: {reason}.")]
    Refused {
        /// The template's words.
        reason: String,
    },
    /// A tokenizer file is broken, or a text cannot be encoded.
    #[error("The tokenizer failed: {reason}.")]
    Tokenizer {
        /// What happened.
        reason: String,
    },
    /// A request that the model cannot fulfil (too long, token out of range).
    #[error("{0}")]
    Request(String),
    /// Trainable tensors that the first backward pass did not reach.
    #[error("The first backward pass gave no gradient to: {}.", .names.join(", "))]
    NoGradient {
        /// Names of the tensors.
        names: Vec<String>,
    },
    /// A device that does not exist, or that this build does not support.
    #[error("The device {device} cannot be used: {found}.")]
    Device {
        /// Its name.
        device: String,
        /// What the tensor library said.
        found: String,
    },
    /// The tensor library refused.
    #[error("The tensor library failed: {0}")]
    Compute(#[from] candle_core::Error),
}

/// What to do when a file cannot be read, by the file.
fn reading_hint(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?;
    if name.starts_with("adapter") {
        return Some("Choose the folder that holds adapter_config.json and adapter_model.safetensors.");
    }
    let model = name == "config.json" || name.starts_with("tokenizer") || name.starts_with("model");
    model.then_some("Choose the folder that holds config.json, tokenizer.json and the .safetensors files.")
}

/// What to do when a file cannot be written.
fn writing_hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "The disk is full: free some space, and try again.",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "Choose a folder that may be written to.",
        _ => "Look after the disk, or choose another folder, and try again.",
    }
}

impl ModelError {
    fn hint(&self) -> Option<&str> {
        match self {
            ModelError::File { path, .. } => reading_hint(path),
            ModelError::Write { error, .. } => Some(writing_hint(error)),
            ModelError::Folder { hint, .. } => Some(hint),
            ModelError::Unsupported { hint, .. } => Some(hint),
            ModelError::BrokenWeights { .. } => Some("The download is probably incomplete: fetch the file again."),
            ModelError::MissingTensor { .. } | ModelError::WrongShape { .. } | ModelError::UnexpectedTensor { .. } => {
                Some("config.json and the weight files must come from the same model.")
            }
            ModelError::UnknownArchitecture { .. } => Some("Choose a model of one of the known families."),
            ModelError::Template { .. } | ModelError::Refused { .. } => {
                Some("Use a model with another chat template, or data in plain prompt/completion form.")
            }
            ModelError::NoGradient { .. } => {
                Some("Please report this: it is a fault of the program, and training would have been incomplete.")
            }
            ModelError::Device { .. } => Some("Choose cpu, or a build of the program that knows the device."),
            ModelError::NotFiniteScores { .. } => Some(
                "Its weights or its adapter have overflowed: use an earlier checkpoint, or train again with a lower rate.",
            ),
            _ => None,
        }
    }

    fn code(&self) -> ProblemCode {
        match self {
            ModelError::Write { error, .. } => match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ProblemCode::DiskFull,
                _ => ProblemCode::Internal,
            },
            ModelError::NotFiniteScores { .. } => ProblemCode::NotFinite,
            ModelError::Compute(_) | ModelError::NoGradient { .. } => ProblemCode::Internal,
            _ => ProblemCode::Input,
        }
    }
}

impl From<ModelError> for Problem {
    fn from(error: ModelError) -> Problem {
        let problem = Problem::new(error.code(), error.to_string());
        match error.hint() {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

/// Shorthand of this crate.
pub(crate) type Result<T> = std::result::Result<T, ModelError>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_as_one() {
        let path = PathBuf::from("run/adapter/adapter_model.safetensors");
        let problem = Problem::from(ModelError::Write { path, error: ErrorKind::StorageFull.into() });
        assert_eq!(problem.code, ProblemCode::DiskFull);
        assert!(problem.message.contains("Writing") && problem.hints[0].contains("disk is full"), "{problem:?}");
    }

    #[test]
    fn a_hint_fits_the_file_that_failed() {
        let hints = |name: &str| {
            let (path, found) = (PathBuf::from("folder").join(name), "no such file".to_owned());
            Problem::from(ModelError::File { path, found }).hints
        };
        assert!(!hints("adapter_config.json")[0].contains("tokenizer.json"));
        assert!(hints("config.json")[0].contains("tokenizer.json"));
        assert!(hints("ids.safetensors").is_empty());
    }
}
