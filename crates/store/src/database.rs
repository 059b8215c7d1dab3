//! Opens the database and applies migrations.

use crate::error::{Result, StoreError};
use crate::migrations::{MIGRATIONS, migrate, version};
use crate::{backups, opening};
use alidade_domain::Words;
use rusqlite::{Connection, Row, Statement, Transaction, TransactionBehavior};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The database.
pub struct Store {
    connection: Mutex<Connection>,
    /// Its path; none in tests.
    pub(crate) path: Option<PathBuf>,
    /// Unreadable rows of the last listing of each kind.
    unreadable: Mutex<BTreeMap<&'static str, usize>>,
}

impl Store {
    /// Opens or creates the file and applies missing migrations, after a backup.
    ///
    /// # Errors
    /// When it cannot be opened, is damaged, belongs to another program, or was written by a later version of this one; such
    /// a file is not changed.
    pub fn open(path: &Path) -> Result<Self> {
        Self::prepare(Connection::open(path)?, Some(path))
    }

    /// An in-memory database, for tests.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn in_memory() -> Result<Self> {
        Self::prepare(Connection::open_in_memory()?, None)
    }

    fn prepare(mut connection: Connection, path: Option<&Path>) -> Result<Self> {
        opening::inspect(&connection)?;
        opening::settle_in(&connection)?;
        let version = version(&connection)?;
        if let Some(path) = path
            && (1..MIGRATIONS.len() as i64).contains(&version)
        {
            backups::before_migration(&connection, path, MIGRATIONS.len())?;
        }
        migrate(&mut connection)?;
        if let Some(folder) = path.and_then(Path::parent)
            && version == 0
        {
            backups::sync(folder).map_err(|found| StoreError::File { path: folder.to_owned(), found })?;
        }
        Ok(Self { connection: Mutex::new(connection), path: path.map(Path::to_owned), unreadable: Mutex::default() })
    }

    /// How many unreadable rows of each kind the last listings skipped; they stay in the database.
    pub fn unreadable(&self) -> Vec<(&'static str, usize)> {
        let counts = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().filter(|(_, count)| **count > 0).map(|(what, count)| (*what, *count)).collect()
    }

    /// The readable rows of a query; the others are skipped, and counted when all of a kind are listed.
    pub(crate) fn readable<T>(
        &self,
        counted: Option<&'static str>,
        query: &mut Statement,
        parameters: impl rusqlite::Params,
        read: impl Fn(&Row) -> Result<T>,
    ) -> Result<Vec<T>> {
        let (mut found, mut unreadable) = (Vec::new(), 0);
        let mut rows = query.query(parameters)?;
        while let Some(row) = rows.next()? {
            match read(row) {
                Ok(thing) => found.push(thing),
                Err(StoreError::Sqlite(error @ rusqlite::Error::SqliteFailure(..))) => return Err(error.into()),
                Err(_) => unreadable += 1,
            }
        }
        if let Some(what) = counted {
            self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).insert(what, unreadable);
        }
        Ok(found)
    }

    /// Deletes by id, here and in the backups, and leaves no trace in SQLite's log.
    pub(crate) fn delete(&self, statement: &str, id: &str) -> Result<()> {
        self.write(|transaction| Ok(transaction.execute(statement, [id]).map(drop)?))?;
        self.delete_in_backups(statement, id);
        // Another reader may hold the log; whoever closes the database last empties it.
        let _ = self.connection().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let Some(path) = &self.path else { return Ok(()) };
        // SQLite empties the log without a sync: a power cut could restore it, and the deleted data with it.
        let log = backups::beside(path, "-wal");
        let sync = || File::options().write(true).open(&log)?.sync_all();
        match sync() {
            Err(found) if found.kind() != std::io::ErrorKind::NotFound => Err(StoreError::File { path: log, found }),
            _ => Ok(()),
        }
    }

    pub(crate) fn connection(&self) -> MutexGuard<'_, Connection> {
        // After a panic elsewhere SQLite is in a defined state: an open transaction is rolled back when it is dropped.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` in one transaction that takes the write lock at once.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Transaction) -> Result<T>) -> Result<T> {
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = work(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }
}

pub(crate) fn to_json<T: Serialize>(what: Words, value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Damaged { what, found: error.to_string() })
}

pub(crate) fn from_json<T: DeserializeOwned>(what: Words, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| StoreError::Damaged { what, found: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(store: &Store) -> usize {
        store.connection().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn every_older_version_is_brought_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        for start in 0..=MIGRATIONS.len() {
            let path = folder.path().join(format!("{start}.db"));
            let connection = Connection::open(&path).unwrap();
            MIGRATIONS[..start].iter().for_each(|migration| connection.execute_batch(migration).unwrap());
            connection.pragma_update(None, "user_version", start).unwrap();
            drop(connection);
            assert_eq!(version(&Store::open(&path).unwrap()), MIGRATIONS.len());
            assert_eq!(version(&Store::open(&path).unwrap()), MIGRATIONS.len());
        }
    }

    #[test]
    fn a_newer_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(Store::open(&path), Err(StoreError::Newer { found: 99, .. })));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn promises_of_durability_are_switched_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("a.db")).unwrap();
        let ask = |name: &str| -> String {
            store
                .connection()
                .query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, rusqlite::types::Value>(0))
                .map(|v| format!("{v:?}"))
                .unwrap()
        };
        assert_eq!(ask("journal_mode"), "Text(\"wal\")");
        assert_eq!(ask("synchronous"), "Integer(2)");
        for (name, value) in
            [("foreign_keys", 1), ("trusted_schema", 0), ("cell_size_check", 1), ("mmap_size", 0), ("secure_delete", 1)]
        {
            assert_eq!(ask(name), format!("Integer({value})"), "{name}");
        }
    }
}
