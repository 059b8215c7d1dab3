//! Migrations of the database. Each is applied once, all missing ones in one transaction.

use crate::error::Result;
use crate::{adapters, events, experiments, files, plans, runs, shelves};
use rusqlite::{Connection, TransactionBehavior};

/// Each entry upgrades the database by one version; entries are only ever added.
pub(crate) const MIGRATIONS: &[&str] = &[
    experiments::MIGRATION,
    runs::MIGRATION,
    events::MIGRATION,
    adapters::MIGRATION,
    shelves::MIGRATION,
    plans::MIGRATION,
    events::SCORES,
    files::MIGRATION,
    experiments::STAGES,
    runs::UNSETTLED,
    UNREAD,
    experiments::EXTRAS,
];

/// Drops tables that were written but never read. Samples are events; labels of answers are in `before.json` and
/// `after.json`, which `run_files` keeps; and damaged rows are derived again from the experiment and its events.
pub(crate) const UNREAD: &str =
    "DROP TABLE IF EXISTS samples; DROP TABLE IF EXISTS verdicts; DROP TABLE IF EXISTS damaged;";

/// Application id in the header of the file ("Alid").
pub(crate) const APPLICATION_ID: i64 = 0x416c_6964;

/// Version of a database, from its header.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Applies missing migrations.
pub(crate) fn migrate(connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read again under the lock, because another process may have been faster.
    let version = usize::try_from(version(&transaction)?).unwrap_or_default();
    let owner: i64 = transaction.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if version >= MIGRATIONS.len() && owner == APPLICATION_ID {
        return Ok(());
    }
    for migration in MIGRATIONS.iter().skip(version) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", MIGRATIONS.len().max(version))?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;
    use alidade_domain::RunState;

    fn tables(path: &std::path::Path) -> Vec<String> {
        let connection = Connection::open(path).unwrap();
        let mut query =
            connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(|name| name.unwrap()).collect()
    }

    #[test]
    fn an_older_database_loses_what_nobody_read_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alidade.db");
        Connection::open(&path).unwrap().execute_batch(include_str!("../tests/fixtures/version-8.sql")).unwrap();
        let before = tables(&path);
        let store = Store::open(&path).unwrap();
        let runs = store.runs().unwrap();
        assert_eq!((store.experiments().unwrap().len(), runs.len()), (2, 2));
        for run in &runs {
            assert_eq!(run.state, RunState::Finished);
            assert_eq!(store.events_after(&run.id, 0).unwrap().events.len() as u64, run.last_sequence);
            assert!(!store.metric(&run.id, "loss").unwrap().is_empty() && store.plan(&run.id).unwrap().is_some());
            assert!(store.file(&run.id, "run.json").unwrap().is_some());
        }
        drop(store);
        let after = tables(&path);
        let gone: Vec<&String> = before.iter().filter(|table| !after.contains(table)).collect();
        assert_eq!(gone, ["damaged", "samples", "verdicts"]);
        assert_eq!(after.len(), before.len() - gone.len());
    }
}
