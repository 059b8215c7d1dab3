//! The steps that bring a database up to date. Each is carried out once, all of them in one transaction.

use crate::error::Result;
use crate::{adapters, events, experiments, files, runs, shelves, verdicts};
use rusqlite::{Connection, TransactionBehavior};

/// Each entry takes the database one version further; entries are only ever added.
pub(crate) const MIGRATIONS: &[&str] = &[
    experiments::MIGRATION,
    runs::MIGRATION,
    events::MIGRATION,
    adapters::MIGRATION,
    shelves::MIGRATION,
    verdicts::MIGRATION,
    events::SCORES,
    files::MIGRATION,
    experiments::STAGES,
    runs::UNSETTLED,
];

/// Says in the file's own header whose it is ("Alid").
pub(crate) const APPLICATION_ID: i64 = 0x416c_6964;

/// Version of a database, as its header has it.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Applies what is lacking.
pub(crate) fn migrate(connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read again under the lock: another process may have been faster.
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
