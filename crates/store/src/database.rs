//! Opening the database and bringing it up to date.

use crate::error::{Result, StoreError};
use crate::{adapters, events, experiments, runs, shelves, verdicts};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Each entry takes the database one version further; entries are only ever added.
const MIGRATIONS: &[&str] = &[
    experiments::MIGRATION,
    runs::MIGRATION,
    events::MIGRATION,
    adapters::MIGRATION,
    shelves::MIGRATION,
    verdicts::MIGRATION,
    events::SCORES,
];

/// How long a writer waits for another process.
const PATIENCE: Duration = Duration::from_secs(10);

/// The database.
pub struct Store {
    connection: Mutex<Connection>,
}

impl Store {
    /// Opens or creates the file and applies the migrations that it lacks.
    ///
    /// # Errors
    /// When it cannot be opened or was written by a later version of the program; such a file is left untouched.
    pub fn open(path: &Path) -> Result<Self> {
        Self::prepare(Connection::open(path)?)
    }

    /// A database that ends with the process, for tests.
    ///
    /// # Errors
    /// When SQLite refuses.
    pub fn in_memory() -> Result<Self> {
        Self::prepare(Connection::open_in_memory()?)
    }

    fn prepare(mut connection: Connection) -> Result<Self> {
        connection.busy_timeout(PATIENCE)?;
        let version: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version > MIGRATIONS.len() {
            return Err(StoreError::Newer { found: version, known: MIGRATIONS.len() });
        }
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        migrate(&mut connection)?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    pub(crate) fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere leaves SQLite in a defined state: an open transaction is rolled back when it is dropped.
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

fn migrate(connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read again under the lock: another process may have been faster.
    let version: usize = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for migration in MIGRATIONS.iter().skip(version) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len().max(version))?;
    transaction.commit()?;
    Ok(())
}

pub(crate) fn to_json<T: Serialize>(what: &'static str, value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Damaged { what, found: error.to_string() })
}

pub(crate) fn from_json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T> {
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
        assert_eq!(ask("foreign_keys"), "Integer(1)");
    }
}
