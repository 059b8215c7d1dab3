//! Table `adapters`: adapters that runs have made, with their hashes.

use crate::Store;
use crate::error::{Result, StoreError};
use alidade_domain::{AdapterRef, ModelRef, Words};
use rusqlite::{OptionalExtension, params};

pub(crate) const MIGRATION: &str = "CREATE TABLE adapters (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, run TEXT REFERENCES runs (id) ON DELETE CASCADE,
    model_id TEXT NOT NULL, model_name TEXT NOT NULL, model_sha256 TEXT NOT NULL, folder TEXT NOT NULL
) STRICT;";

/// An adapter and its base model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterRecord {
    /// Name and content.
    pub adapter: AdapterRef,
    /// The run that made it.
    pub run: Option<String>,
    /// Its base.
    pub model: ModelRef,
    /// Its PEFT folder.
    pub folder: String,
}

impl Store {
    /// Adds an adapter or replaces it.
    ///
    /// # Errors
    /// When its run does not exist.
    pub fn put_adapter(&self, record: &AdapterRecord) -> Result<()> {
        let AdapterRecord { adapter, run, model, folder } = record;
        self.write(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO adapters VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![adapter.id, adapter.name, adapter.sha256, run, model.id, model.name, model.sha256, folder],
            )?;
            Ok(())
        })
    }

    /// All readable adapters, in the order in which they were made.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn adapters(&self) -> Result<Vec<AdapterRecord>> {
        let connection = self.connection();
        let mut query = connection.prepare("SELECT * FROM adapters ORDER BY rowid")?;
        self.readable(Some("adapters"), &mut query, [], |row| Ok(read(row)?))
    }

    /// One adapter.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn adapter(&self, id: &str) -> Result<AdapterRecord> {
        let connection = self.connection();
        let found = connection.query_row("SELECT * FROM adapters WHERE id = ?1", [id], read).optional()?;
        found.ok_or_else(|| StoreError::Missing { what: Words::new("adapter", "适配器"), id: id.to_owned() })
    }
}

fn read(row: &rusqlite::Row) -> rusqlite::Result<AdapterRecord> {
    Ok(AdapterRecord {
        adapter: AdapterRef { id: row.get(0)?, name: row.get(1)?, sha256: row.get(2)? },
        run: row.get(3)?,
        model: ModelRef { id: row.get(4)?, name: row.get(5)?, sha256: row.get(6)? },
        folder: row.get(7)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_is_found_again() {
        let store = Store::in_memory().unwrap();
        let adapter = AdapterRef { id: "a".into(), name: "dpo".into(), sha256: "41ac".into() };
        let model = ModelRef { id: "m".into(), name: "starter".into(), sha256: "9f31".into() };
        let record = AdapterRecord { adapter, run: None, model, folder: "f".into() };
        store.put_adapter(&record).unwrap();
        assert_eq!(store.adapter("a").unwrap(), record);
        assert_eq!(store.adapters().unwrap(), [record]);
    }
}
