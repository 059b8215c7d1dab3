//! Errors of the database.

use alidade_domain::{Problem, ProblemCode, Wording, Words, why, wording};

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("The database refused: {0}.")]
    Sqlite(#[from] rusqlite::Error),
    /// A stored value is damaged.
    #[error("A stored {} cannot be read: {found}.", what.en)]
    Damaged {
        /// Kind of value.
        what: Words,
        /// The message of the parser.
        found: String,
    },
    /// There is nothing with this id.
    #[error("There is no {} “{id}” (any more).", what.en)]
    Missing {
        /// Kind of thing.
        what: Words,
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
    #[error("The data folder's alidade.db is not this program's database: {}. It was left as it is.", found.en)]
    Foreign {
        /// What it is instead.
        found: Wording,
    },
    /// The file is ours and damaged.
    #[error("The database is damaged: {}. It was left as it is.", found.en)]
    Corrupt {
        /// The first defect.
        found: Wording,
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
const RESTORE: Words = Words::new(
    "Close every window of Alidade and run `alidade restore`: it replaces the database with the newest intact \
                       backup and keeps the damaged file beside it.",
    "请关闭 Alidade 的所有窗口并运行“alidade restore”：它会用最新的完好备份替换数据库，并把损坏的文件保留在旁边。",
);
const ROOM: Words = Words::new(
    "Free some disk space and try again; nothing that was saved is lost.",
    "请腾出一些磁盘空间再试；已保存的内容不会丢失。",
);
const WRITABLE: Words = Words::new(
    "Make the data folder writable for you, or set ALIDADE_HOME to a folder that is.",
    "请让数据目录对您可写，或把 ALIDADE_HOME 设为可写的文件夹。",
);

impl StoreError {
    /// The message in both languages.
    pub fn wording(&self) -> Wording {
        match self {
            Self::Sqlite(error) => wording!("The database refused: {error}.", "数据库拒绝了操作：{error}。"),
            Self::Damaged { what, found } => {
                wording!("A stored {what} cannot be read: {found}.", "无法读取已存的{what}：{found}。"; what)
            }
            Self::Missing { what, id } => {
                wording!("There is no {what} “{id}” (any more).", "没有{what}“{id}”，或它已被删除。"; what)
            }
            Self::Gap { run, last, found } => wording!(
                "Run {run}: event {found} arrived after event {last}.",
                "运行 {run}：事件 {last} 之后到来的是事件 {found}。"
            ),
            Self::Foreign { found } => wording!(
                "The data folder's alidade.db is not this program's database: {found}. It was left as it is.",
                "数据目录中的 alidade.db 不是本程序的数据库：{found}。它保持原样。";
                found
            ),
            Self::Corrupt { found } => wording!(
                "The database is damaged: {found}. It was left as it is.",
                "数据库已损坏：{found}。它保持原样。";
                found
            ),
            Self::File { path, found } => wording!(
                "Writing in {path} failed: {why}.",
                "写入 {path} 失败：{why}。";
                why = why(found); path = path.display()
            ),
            Self::Newer { found, known } => wording!(
                "The database has version {found}; this program knows versions up to {known}.",
                "数据库的版本是 {found}，本程序只支持到版本 {known}。"
            ),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let message = error.wording();
        match error {
            StoreError::Missing { .. } => Problem::new(ProblemCode::NotFound, message),
            StoreError::Sqlite(rusqlite::Error::SqliteFailure(inner, _)) => of_sqlite(inner.code, message),
            StoreError::Newer { .. } => Problem::internal(message).hint(Words::new(
                "Use the newer program, or another data folder.",
                "请使用较新的程序，或另一个数据目录。",
            )),
            StoreError::Foreign { .. } => Problem::input(message)
                .hint(Words::new(
                    "Move that file away, or set ALIDADE_HOME to another folder.",
                    "请移走该文件，或把 ALIDADE_HOME 设为另一个文件夹。",
                ))
                .hint(
                    wording!("If it was your database: {restore}", "如果它是您的数据库：{restore}"; restore = RESTORE),
                ),
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

fn of_sqlite(code: rusqlite::ErrorCode, message: Wording) -> Problem {
    match code {
        rusqlite::ErrorCode::DiskFull => Problem::new(
            ProblemCode::DiskFull,
            Words::new("There is no room left on the disk for the database.", "磁盘空间不足，无法写入数据库。"),
        )
        .hint(ROOM),
        rusqlite::ErrorCode::ReadOnly | rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::PermissionDenied => {
            Problem::input(wording!(
                "The data folder cannot be written. {message}",
                "无法写入数据目录。{message}";
                message
            ))
            .hint(WRITABLE)
        }
        rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase => {
            Problem::internal(message).hint(RESTORE)
        }
        rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked => Problem::new(
            ProblemCode::Conflict,
            Words::new("Another program is writing to the database.", "另一个程序正在写入数据库。"),
        )
        .hint(Words::new("Try again.", "请再试一次。")),
        _ => Problem::internal(message),
    }
}
