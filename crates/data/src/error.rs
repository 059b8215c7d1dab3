//! Errors of a whole file.

use crate::encoding::Undecodable;
use alidade_domain::{Problem, ProblemCode, RowIssue, shown};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The file holds nothing.
    #[error("{name} is empty.")]
    Empty {
        /// Name of the file.
        name: String,
    },
    /// The format is not supported.
    #[error("{name} is {found}.")]
    Container {
        /// Name of the file.
        name: String,
        /// Its format, as a noun ("a gzip archive").
        found: String,
        /// What to do about it.
        fix: String,
    },
    /// The file could not be read to its end.
    #[error("Reading {name} failed: {error}.")]
    Reading {
        /// Name of the file.
        name: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// A row could not be stored.
    #[error("Storing the rows failed: {0}.")]
    Keep(std::io::Error),
    /// Not a single row could be used.
    #[error("None of the {read} records in {name} can be used. The first: row {row}, {reason} ({found}).", row = .first.row, reason = .first.reason, found = .first.found)]
    NoRows {
        /// Name of the file.
        name: String,
        /// Records found.
        read: usize,
        /// What was wrong with the first.
        first: Box<RowIssue>,
    },
    /// Rows in the program's own form are damaged.
    #[error("Line {line} of the stored rows is damaged: {found}.")]
    Stored {
        /// Line, from 1.
        line: usize,
        /// What the parser found.
        found: String,
    },
}

impl DataError {
    /// A file in an unsupported format. `found` is a noun.
    pub(crate) fn container(name: &str, found: impl Into<String>, fix: &str) -> Self {
        Self::Container { name: shown(name, 80), found: found.into(), fix: fix.to_owned() }
    }

    /// Converts a read error: bytes that are no text, or a failing disk.
    pub(crate) fn reading(name: &str, error: std::io::Error) -> Self {
        match error.downcast::<Undecodable>() {
            Ok(odd) => {
                let fix = "Save the file as UTF-8 (it may be Latin-1 or Windows-1252) and import it again.";
                Self::container(name, odd.to_string(), fix)
            }
            Err(error) => Self::Reading { name: shown(name, 80), error },
        }
    }
}

impl From<DataError> for Problem {
    fn from(error: DataError) -> Problem {
        let hint = match &error {
            DataError::Empty { .. } => "Choose a file with at least one row.".to_owned(),
            DataError::Container { fix, .. } => fix.clone(),
            DataError::NoRows { first, .. } => first.fix.clone(),
            DataError::Stored { .. } => "Import the file again.".to_owned(),
            DataError::Reading { .. } => "Check that the file is still there and can be read.".to_owned(),
            DataError::Keep(cause) if cause.kind() == std::io::ErrorKind::StorageFull => {
                let message = "There is no room left on the disk for the rows.";
                return Problem::new(ProblemCode::DiskFull, message).hint("Free some room and import the file again.");
            }
            DataError::Keep(_) => return Problem::internal(error.to_string()),
        };
        Problem::input(error.to_string()).hint(hint).at("dataset")
    }
}
