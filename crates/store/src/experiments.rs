//! Table `experiments`.

use crate::Store;
use crate::database::{from_json, to_json};
use crate::error::{Result, StoreError};
use alidade_domain::{Experiment, Words};
use rusqlite::{OptionalExtension, params};

pub(crate) const MIGRATION: &str = "CREATE TABLE experiments (
    id TEXT PRIMARY KEY, title TEXT NOT NULL, question TEXT NOT NULL, pipeline TEXT NOT NULL, created_ms INTEGER NOT NULL
) STRICT;";

/// Stages have kinds; before that, each was a recipe for training.
pub(crate) const STAGES: &str = "ALTER TABLE experiments RENAME COLUMN pipeline TO stages;";

type Row = (String, String, String, String, u64);

impl Store {
    /// Adds an experiment, or replaces title, question and stages of one.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn put_experiment(&self, experiment: &Experiment) -> Result<()> {
        let stages = to_json(Words::new("stages", "阶段"), &experiment.stages)?;
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO experiments VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (id) DO UPDATE SET title = ?2, question = ?3, stages = ?4",
                params![experiment.id, experiment.title, experiment.question, stages, experiment.created_ms],
            )?;
            Ok(())
        })
    }

    /// All readable experiments, newest first.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn experiments(&self) -> Result<Vec<Experiment>> {
        let connection = self.connection();
        let mut query = connection.prepare("SELECT * FROM experiments ORDER BY created_ms DESC, id")?;
        self.readable(Some("experiments"), &mut query, [], |row| experiment(read(row)?))
    }

    /// One experiment.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn experiment(&self, id: &str) -> Result<Experiment> {
        let connection = self.connection();
        let row = connection.query_row("SELECT * FROM experiments WHERE id = ?1", [id], read).optional()?;
        experiment(
            row.ok_or_else(|| StoreError::Missing { what: Words::new("experiment", "实验"), id: id.to_owned() })?,
        )
    }

    /// Removes an experiment with its runs and their events.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn delete_experiment(&self, id: &str) -> Result<()> {
        self.delete("DELETE FROM experiments WHERE id = ?1", id)
    }
}

fn read(row: &rusqlite::Row) -> rusqlite::Result<Row> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

fn experiment((id, title, question, stages, created_ms): Row) -> Result<Experiment> {
    Ok(Experiment { id, title, question, stages: from_json(Words::new("stages", "阶段"), &stages)?, created_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn experiments_are_kept_changed_and_removed() {
        let store = Store::in_memory().unwrap();
        let mut first =
            Experiment { id: "a".into(), title: "t".into(), question: "q".into(), stages: vec![], created_ms: 1 };
        store.put_experiment(&first).unwrap();
        store.put_experiment(&Experiment { id: "b".into(), created_ms: 2, ..first.clone() }).unwrap();
        first.title = "new".into();
        store.put_experiment(&first).unwrap();
        assert_eq!(store.experiments().unwrap().iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(store.experiment("a").unwrap(), first);
        store.delete_experiment("a").unwrap();
        assert!(matches!(store.experiment("a"), Err(StoreError::Missing { .. })));
    }
}
