//! What can go wrong with the database.

use alidade_domain::{Problem, ProblemCode};

/// A fault of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("The database refused: {0}.")]
    Sqlite(#[from] rusqlite::Error),
    /// A stored value is damaged.
    #[error("A stored {what} cannot be read: {found}.")]
    Damaged {
        /// Kind of value.
        what: &'static str,
        /// What the parser said.
        found: String,
    },
    /// Nothing has this id.
    #[error("There is no {what} “{id}” (any more).")]
    Missing {
        /// Kind of thing.
        what: &'static str,
        /// The id.
        id: String,
    },
    /// An event was skipped.
    #[error("Run {run}: event {found} arrived after event {last}.")]
    Gap {
        /// The run.
        run: String,
        /// Last stored number.
        last: u64,
        /// Number that arrived.
        found: u64,
    },
    /// The file was written by a later version.
    #[error("The database has version {found}; this program knows versions up to {known}.")]
    Newer {
        /// Version of the file.
        found: usize,
        /// Newest version that is known here.
        known: usize,
    },
}

/// The store's result.
pub(crate) type Result<T> = std::result::Result<T, StoreError>;

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Missing { .. } => Problem::new(ProblemCode::NotFound, message),
            StoreError::Sqlite(rusqlite::Error::SqliteFailure(inner, _))
                if inner.code == rusqlite::ErrorCode::DiskFull =>
            {
                Problem::new(ProblemCode::DiskFull, "There is no room left on the disk for the database.")
                    .hint("Free some room and try again: nothing that was kept is lost.")
            }
            StoreError::Newer { .. } => {
                Problem::internal(message).hint("Use the newer program, or another data folder.")
            }
            _ => Problem::internal(message),
        }
    }
}
