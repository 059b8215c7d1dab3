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

/// What the person adds to an experiment, and the choices that it came from, as JSON.
pub(crate) const EXTRAS: &str = "ALTER TABLE experiments ADD COLUMN notes TEXT NOT NULL DEFAULT '';
ALTER TABLE experiments ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE experiments ADD COLUMN choices TEXT NOT NULL DEFAULT 'null';";

/// The columns in the order of a [`Row`].
const COLUMNS: &str = "id, title, question, stages, created_ms, notes, tags, choices";

struct Row {
    id: String,
    title: String,
    question: String,
    stages: String,
    created_ms: u64,
    notes: String,
    tags: String,
    choices: String,
}

impl Store {
    /// Adds an experiment, or replaces everything but the time of an existing one.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn put_experiment(&self, experiment: &Experiment) -> Result<()> {
        let stages = to_json(Words::new("stages", "阶段"), &experiment.stages)?;
        let tags = to_json(Words::new("tags", "标签"), &experiment.tags)?;
        let choices = to_json(Words::new("choices", "选项"), &experiment.choices)?;
        self.write(|transaction| {
            transaction.execute(
                &format!(
                    "INSERT INTO experiments ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                     ON CONFLICT (id) DO UPDATE SET title = ?2, question = ?3, stages = ?4, notes = ?6, tags = ?7,
                     choices = ?8"
                ),
                params![
                    experiment.id,
                    experiment.title,
                    experiment.question,
                    stages,
                    experiment.created_ms,
                    experiment.notes,
                    tags,
                    choices
                ],
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
        let mut query =
            connection.prepare(&format!("SELECT {COLUMNS} FROM experiments ORDER BY created_ms DESC, id"))?;
        self.readable(Some("experiments"), &mut query, [], |row| experiment(read(row)?))
    }

    /// One experiment.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn experiment(&self, id: &str) -> Result<Experiment> {
        let connection = self.connection();
        let row =
            connection.query_row(&format!("SELECT {COLUMNS} FROM experiments WHERE id = ?1"), [id], read).optional()?;
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
    Ok(Row {
        id: row.get(0)?,
        title: row.get(1)?,
        question: row.get(2)?,
        stages: row.get(3)?,
        created_ms: row.get(4)?,
        notes: row.get(5)?,
        tags: row.get(6)?,
        choices: row.get(7)?,
    })
}

fn experiment(row: Row) -> Result<Experiment> {
    Ok(Experiment {
        id: row.id,
        title: row.title,
        question: row.question,
        stages: from_json(Words::new("stages", "阶段"), &row.stages)?,
        created_ms: row.created_ms,
        notes: row.notes,
        tags: from_json(Words::new("tags", "标签"), &row.tags)?,
        choices: from_json(Words::new("choices", "选项"), &row.choices)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn experiments_are_kept_changed_and_removed() {
        let store = Store::in_memory().unwrap();
        let mut first = Experiment::new("a".into(), "t".into(), "q".into(), vec![], 1);
        store.put_experiment(&first).unwrap();
        store.put_experiment(&Experiment { id: "b".into(), created_ms: 2, ..first.clone() }).unwrap();
        first.title = "new".into();
        (first.notes, first.tags) = ("a note".into(), vec!["beta".into()]);
        first.choices = Some(alidade_domain::Choices { model: "starter".into(), ..Default::default() });
        store.put_experiment(&first).unwrap();
        assert_eq!(store.experiments().unwrap().iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(store.experiment("a").unwrap(), first);
        store.delete_experiment("a").unwrap();
        assert!(matches!(store.experiment("a"), Err(StoreError::Missing { .. })));
    }
}
