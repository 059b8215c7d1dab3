//! Errors of the database.

use alidade_domain::{Problem, ProblemCode};

/// An error of the store.
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
        /// The message of the parser.
        found: String,
    },
    /// There is nothing with this id.
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
    /// The file belongs to another program, or is not a database.
    #[error("The data folder's alidade.db is not this program's database: {found}. It was left as it is.")]
    Foreign {
        /// What it is instead.
        found: String,
    },
    /// The file is ours and damaged.
    #[error("The database is damaged: {found}. It was left as it is.")]
    Corrupt {
        /// The first defect.
        found: String,
    },
    /// A file beside the database could not be written.
    #[error("Writing in {} failed: {found}.", path.display())]
    File {
        /// Where.
        path: std::path::PathBuf,
        /// The message of the system.
        found: std::io::Error,
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

/// A result of the store.
pub(crate) type Result<T> = std::result::Result<T, StoreError>;

/// The hint for a damaged database.
const RESTORE: &str = "Close every window of Alidade and run `alidade restore`: it replaces the database with the newest intact \
                       backup and keeps the damaged file beside it.";
const ROOM: &str = "Free some disk space and try again; nothing that was saved is lost.";
const WRITABLE: &str = "Make the data folder writable for you, or set ALIDADE_HOME to a folder that is.";

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Missing { .. } => Problem::new(ProblemCode::NotFound, message),
            StoreError::Sqlite(rusqlite::Error::SqliteFailure(inner, _)) => of_sqlite(inner.code, message),
            StoreError::Newer { .. } => {
                Problem::internal(message).hint("Use the newer program, or another data folder.")
            }
            StoreError::Foreign { .. } => Problem::input(message)
                .hint("Move that file away, or set ALIDADE_HOME to another folder.")
                .hint(format!("If it was your database: {RESTORE}")),
            StoreError::Corrupt { .. } => Problem::internal(message).hint(RESTORE),
            StoreError::File { found, .. } => match found.kind() {
                std::io::ErrorKind::StorageFull => Problem::new(ProblemCode::DiskFull, message).hint(ROOM),
                std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => {
                    Problem::input(message).hint(WRITABLE)
                }
                _ => Problem::internal(message),
            },
            StoreError::Damaged { .. } | StoreError::Gap { .. } | StoreError::Sqlite(_) => Problem::internal(message),
        }
    }
}

fn of_sqlite(code: rusqlite::ErrorCode, message: String) -> Problem {
    match code {
        rusqlite::ErrorCode::DiskFull => {
            Problem::new(ProblemCode::DiskFull, "There is no room left on the disk for the database.").hint(ROOM)
        }
        rusqlite::ErrorCode::ReadOnly | rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::PermissionDenied => {
            Problem::input(format!("The data folder cannot be written. {message}")).hint(WRITABLE)
        }
        rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase => {
            Problem::internal(message).hint(RESTORE)
        }
        rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked => {
            Problem::new(ProblemCode::Conflict, "Another program is writing to the database.").hint("Try again.")
        }
        _ => Problem::internal(message),
    }
}
