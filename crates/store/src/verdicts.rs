//! Tables `plans` and `verdicts`: what a run was told, and what was said of every single answer of its evaluation.

use crate::Store;
use crate::error::Result;
use rusqlite::{OptionalExtension, params};

pub(crate) const MIGRATION: &str = "
CREATE TABLE plans (run TEXT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE, body TEXT NOT NULL) STRICT;
CREATE TABLE verdicts (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, side TEXT NOT NULL CHECK (side IN ('before', 'after')),
    item INTEGER NOT NULL, stack TEXT NOT NULL, answer TEXT NOT NULL, label TEXT,
    PRIMARY KEY (run, side, item)
) STRICT, WITHOUT ROWID;";

/// What was said of one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictRecord {
    /// "before" or "after".
    pub side: &'static str,
    /// Place of the prompt in the evaluation, from 0.
    pub item: usize,
    /// Exact name of the stack that answered.
    pub stack: String,
    /// The answer.
    pub answer: String,
    /// The judge's word; absent where nobody judged.
    pub label: Option<String>,
}

impl Store {
    /// Keeps the plan of a run as it was given to the worker.
    ///
    /// # Errors
    /// When there is no such run.
    pub fn put_plan(&self, run: &str, plan: &str) -> Result<()> {
        self.write(|transaction| {
            Ok(transaction.execute("INSERT OR REPLACE INTO plans VALUES (?1, ?2)", params![run, plan]).map(drop)?)
        })
    }

    /// The plan of a run as it was given to the worker, where it has one.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn plan(&self, run: &str) -> Result<Option<String>> {
        let statement = "SELECT body FROM plans WHERE run = ?1";
        Ok(self.connection().query_row(statement, [run], |row| row.get(0)).optional()?)
    }

    /// Keeps the verdicts of a run in place of earlier ones.
    ///
    /// # Errors
    /// When there is no such run.
    pub fn put_verdicts(&self, run: &str, verdicts: &[VerdictRecord]) -> Result<()> {
        self.write(|transaction| {
            transaction.execute("DELETE FROM verdicts WHERE run = ?1", [run])?;
            let mut insert = transaction.prepare_cached("INSERT INTO verdicts VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
            for verdict in verdicts {
                insert.execute(params![
                    run,
                    verdict.side,
                    verdict.item,
                    verdict.stack,
                    verdict.answer,
                    verdict.label
                ])?;
            }
            Ok(())
        })
    }

    /// How many verdicts of a run bear each label, by side; answers that nobody judged are not counted.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn verdict_counts(&self, run: &str) -> Result<Vec<(String, String, usize)>> {
        let connection = self.connection();
        let mut query = connection.prepare(
            "SELECT side, label, COUNT(*) FROM verdicts WHERE run = ?1 AND label IS NOT NULL GROUP BY side, label ORDER BY side, label",
        )?;
        let rows = query.query_map([run], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RunRecord, StoreError};
    use alidade_domain::{Experiment, Recipe, Stage};

    #[test]
    fn verdicts_replace_earlier_ones_and_need_their_run() {
        let store = Store::in_memory().unwrap();
        let experiment =
            Experiment { id: "e".into(), title: "t".into(), question: "q".into(), stages: vec![], created_ms: 1 };
        store.put_experiment(&experiment).unwrap();
        let recipe = Recipe::from_toml("method = \"sft\"\nmodel = \"m\"\ndataset = \"d\"").unwrap();
        store.put_run(&RunRecord::new("r".into(), "e".into(), 0, Stage::Train(recipe), 1)).unwrap();
        let verdict = |item, label: &str| VerdictRecord {
            side: "after",
            item,
            stack: "s".into(),
            answer: "a".into(),
            label: Some(label.into()),
        };
        store.put_verdicts("r", &[verdict(0, "good"), verdict(1, "rude")]).unwrap();
        store.put_verdicts("r", &[verdict(0, "good"), verdict(1, "good")]).unwrap();
        assert_eq!(store.verdict_counts("r").unwrap(), [("after".to_owned(), "good".to_owned(), 2)]);
        assert_eq!(store.plan("r").unwrap(), None);
        store.put_plan("r", "{}").unwrap();
        assert_eq!(store.plan("r").unwrap().as_deref(), Some("{}"));
        assert!(matches!(store.put_plan("nobody", "{}"), Err(StoreError::Sqlite(_))));
    }
}
