//! Errors of a whole file.

use crate::encoding::Undecodable;
use alidade_domain::{Problem, ProblemCode, RowIssue, Wording, Words, shown, why, wording};

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
    #[error("{name} is {}.", found.en)]
    Container {
        /// Name of the file.
        name: String,
        /// Its format, as a noun ("a gzip archive").
        found: Wording,
        /// What to do about it.
        fix: Wording,
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
    #[error("None of the {read} records in {name} can be used. The first: row {row}, {reason} ({found}).", row = .first.row, reason = .first.reason.en, found = .first.found.en)]
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
    pub(crate) fn container(name: &str, found: impl Into<Wording>, fix: Words) -> Self {
        Self::Container { name: shown(name, 80), found: found.into(), fix: fix.into() }
    }

    /// Converts a read error: bytes that are no text, or a failing disk.
    pub(crate) fn reading(name: &str, error: std::io::Error) -> Self {
        match error.downcast::<Undecodable>() {
            Ok(odd) => {
                let fix = Words::new(
                    "Save the file as UTF-8 (it may be Latin-1 or Windows-1252) and import it again.",
                    "把文件另存为 UTF-8（它可能是 Latin-1 或 Windows-1252）后再导入。",
                );
                Self::container(name, odd.wording(), fix)
            }
            Err(error) => Self::Reading { name: shown(name, 80), error },
        }
    }

    /// The message in both languages.
    pub fn wording(&self) -> Wording {
        match self {
            Self::Empty { name } => wording!("{name} is empty.", "{name} 是空的。"),
            Self::Container { name, found, .. } => {
                wording!("{name} is {found}.", "无法导入 {name}：{found}。"; found)
            }
            Self::Reading { name, error } => {
                wording!("Reading {name} failed: {why}.", "读取 {name} 失败：{why}。"; why = why(error))
            }
            Self::Keep(error) => wording!("Storing the rows failed: {why}.", "保存数据失败：{why}。"; why = why(error)),
            Self::NoRows { name, read, first } => wording!(
                "None of the {read} records in {name} can be used. The first: row {row}, {reason} ({found}).",
                "{name} 的 {read} 条记录都不能使用。最先的问题：第 {row} 条，{reason}（{found}）。";
                reason = first.reason, found = first.found; row = first.row
            ),
            Self::Stored { line, found } => {
                wording!("Line {line} of the stored rows is damaged: {found}.", "已存数据的第 {line} 行损坏：{found}。")
            }
        }
    }
}

impl From<DataError> for Problem {
    fn from(error: DataError) -> Problem {
        let hint: Wording = match &error {
            DataError::Empty { .. } => {
                Words::new("Choose a file with at least one row.", "请选择至少含有一条数据的文件。").into()
            }
            DataError::Container { fix, .. } => fix.clone(),
            DataError::NoRows { first, .. } => first.fix.clone(),
            DataError::Stored { .. } => Words::new("Import the file again.", "重新导入该文件。").into(),
            DataError::Reading { .. } => {
                Words::new("Check that the file is still there and can be read.", "检查该文件是否还在、能否读取。")
                    .into()
            }
            DataError::Keep(cause) if cause.kind() == std::io::ErrorKind::StorageFull => {
                let message =
                    Words::new("There is no room left on the disk for the rows.", "磁盘空间不足，无法保存数据。");
                return Problem::new(ProblemCode::DiskFull, message)
                    .hint(Words::new("Free some room and import the file again.", "腾出一些空间，然后重新导入。"));
            }
            DataError::Keep(_) => return Problem::internal(error.wording()),
        };
        Problem::input(error.wording()).hint(hint).at("dataset")
    }
}
