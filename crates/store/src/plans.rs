//! Table `plans`: the plans of runs.

use crate::Store;
use crate::error::Result;
use rusqlite::{OptionalExtension, params};

/// `verdicts` was dropped in [`crate::migrations::UNREAD`].
pub(crate) const MIGRATION: &str = "
CREATE TABLE plans (run TEXT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE, body TEXT NOT NULL) STRICT;
CREATE TABLE verdicts (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, side TEXT NOT NULL CHECK (side IN ('before', 'after')),
    item INTEGER NOT NULL, stack TEXT NOT NULL, answer TEXT NOT NULL, label TEXT,
    PRIMARY KEY (run, side, item)
) STRICT, WITHOUT ROWID;";

impl Store {
    /// Stores the plan of a run as it was given to the worker.
    ///
    /// # Errors
    /// When there is no such run.
    pub fn put_plan(&self, run: &str, plan: &str) -> Result<()> {
        self.write(|transaction| {
            Ok(transaction.execute("INSERT OR REPLACE INTO plans VALUES (?1, ?2)", params![run, plan]).map(drop)?)
        })
    }

    /// The plan of a run as it was given to the worker, if it has one.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn plan(&self, run: &str) -> Result<Option<String>> {
        let statement = "SELECT body FROM plans WHERE run = ?1";
        Ok(self.connection().query_row(statement, [run], |row| row.get(0)).optional()?)
    }
}

#[cfg(test)]
mod tests {
    use crate::StoreError;
    use crate::runs::tests::store_with_run;

    #[test]
    fn a_plan_is_kept_for_its_run() {
        let store = store_with_run("r");
        assert_eq!(store.plan("r").unwrap(), None);
        store.put_plan("r", "{}").unwrap();
        assert_eq!(store.plan("r").unwrap().as_deref(), Some("{}"));
        assert!(matches!(store.put_plan("nobody", "{}"), Err(StoreError::Sqlite(_))));
    }
}
