//! Why a whole file could not be taken.

use alidade_domain::{Problem, RowIssue};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The file holds nothing.
    #[error("{name} is empty.")]
    Empty {
        /// Name of the file.
        name: String,
    },
    /// The bytes are of a kind that is not read here.
    #[error("{name} is {found}.")]
    Container {
        /// Name of the file.
        name: String,
        /// What it is, as a noun ("a gzip archive").
        found: String,
        /// What to do about it.
        fix: &'static str,
    },
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
        /// What the parser met.
        found: String,
    },
}

impl From<DataError> for Problem {
    fn from(error: DataError) -> Problem {
        let hint = match &error {
            DataError::Empty { .. } => "Choose a file with at least one row.".to_owned(),
            DataError::Container { fix, .. } => (*fix).to_owned(),
            DataError::NoRows { first, .. } => first.fix.clone(),
            DataError::Stored { .. } => "Import the file again.".to_owned(),
        };
        Problem::input(error.to_string()).hint(hint).at("dataset")
    }
}
