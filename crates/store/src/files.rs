//! Table `run_files`: hashes and copies of small files in run folders, so that a missing file is restored and a changed one
//! is detected.

use crate::Store;
use crate::error::Result;
use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

/// `damaged` was dropped in [`crate::migrations::UNREAD`].
pub(crate) const MIGRATION: &str = "
CREATE TABLE run_files (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, name TEXT NOT NULL, sha256 TEXT NOT NULL, body BLOB,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE damaged (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, body BLOB NOT NULL
) STRICT;";

/// A recorded file of a run folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRecord {
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Its content, if it is stored here.
    pub body: Option<Vec<u8>>,
}

impl Store {
    /// Records a file of a run folder, with its content if it cannot be recreated.
    ///
    /// # Errors
    /// When there is no such run.
    pub fn put_file(&self, run: &str, name: &str, bytes: &[u8], keep: bool) -> Result<()> {
        let statement = "INSERT OR REPLACE INTO run_files VALUES (?1, ?2, ?3, ?4)";
        let body = keep.then_some(bytes);
        self.write(|transaction| {
            Ok(transaction.execute(statement, params![run, name, sha256(bytes), body]).map(drop)?)
        })
    }

    /// The record of a file of a run folder.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn file(&self, run: &str, name: &str) -> Result<Option<FileRecord>> {
        let read = |row: &rusqlite::Row| Ok(FileRecord { sha256: row.get(0)?, body: row.get(1)? });
        let statement = "SELECT sha256, body FROM run_files WHERE run = ?1 AND name = ?2";
        Ok(self.connection().query_row(statement, [run, name], read).optional()?)
    }
}

/// SHA-256 of bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::tests::store_with_run;

    #[test]
    fn files_are_kept_with_their_run() {
        let store = store_with_run("r");
        store.put_file("r", "run.json", b"{}", true).unwrap();
        store.put_file("r", "rows.jsonl", b"long", false).unwrap();
        assert_eq!(store.file("r", "run.json").unwrap().unwrap().body.as_deref(), Some(&b"{}"[..]));
        assert_eq!(store.file("r", "rows.jsonl").unwrap().unwrap(), FileRecord { sha256: sha256(b"long"), body: None });
        assert_eq!(store.file("r", "other").unwrap(), None);
        store.delete_experiment("e").unwrap();
        assert_eq!(store.file("r", "run.json").unwrap(), None);
    }
}
