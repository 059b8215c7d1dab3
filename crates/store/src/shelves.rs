//! Tables `models`, `datasets` and `chats`: documents that are read and written as a whole, one table (shelf) per kind.

use crate::Store;
use crate::database::{from_json, to_json};
use crate::error::{Result, StoreError};
use alidade_domain::Words;
use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) const MIGRATION: &str = "
CREATE TABLE models (id TEXT PRIMARY KEY, body TEXT NOT NULL, created_ms INTEGER NOT NULL) STRICT;
CREATE TABLE datasets (id TEXT PRIMARY KEY, body TEXT NOT NULL, created_ms INTEGER NOT NULL) STRICT;
CREATE TABLE chats (id TEXT PRIMARY KEY, body TEXT NOT NULL, created_ms INTEGER NOT NULL) STRICT;";

/// The kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// Base models.
    Models,
    /// Data sets.
    Datasets,
    /// Conversations.
    Chats,
}

impl Shelf {
    fn table(self) -> &'static str {
        match self {
            Shelf::Models => "models",
            Shelf::Datasets => "datasets",
            Shelf::Chats => "chats",
        }
    }

    fn noun(self) -> Words {
        match self {
            Shelf::Models => Words::new("model", "模型"),
            Shelf::Datasets => Words::new("data set", "数据集"),
            Shelf::Chats => Words::new("chat", "对话"),
        }
    }
}

impl Store {
    /// Stores a document, replacing the one with the same id.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn put<T: Serialize>(&self, shelf: Shelf, id: &str, thing: &T, created_ms: u64) -> Result<()> {
        let statement =
            format!("INSERT INTO {} VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET body = ?2", shelf.table());
        let body = to_json(shelf.noun(), thing)?;
        self.write(|transaction| Ok(transaction.execute(&statement, params![id, body, created_ms]).map(drop)?))
    }

    /// All readable documents of a shelf, newest first.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn all<T: DeserializeOwned>(&self, shelf: Shelf) -> Result<Vec<T>> {
        let connection = self.connection();
        let mut query =
            connection.prepare(&format!("SELECT body FROM {} ORDER BY created_ms DESC, id", shelf.table()))?;
        self.readable(Some(shelf.table()), &mut query, [], |row| from_json(shelf.noun(), &row.get::<_, String>(0)?))
    }

    /// One document.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn one<T: DeserializeOwned>(&self, shelf: Shelf, id: &str) -> Result<T> {
        let connection = self.connection();
        let statement = format!("SELECT body FROM {} WHERE id = ?1", shelf.table());
        let body: Option<String> = connection.query_row(&statement, [id], |row| row.get(0)).optional()?;
        from_json(shelf.noun(), &body.ok_or_else(|| StoreError::Missing { what: shelf.noun(), id: id.to_owned() })?)
    }

    /// Removes a document.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn remove(&self, shelf: Shelf, id: &str) -> Result<()> {
        self.delete(&format!("DELETE FROM {} WHERE id = ?1", shelf.table()), id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_damaged_row_costs_that_row() {
        let store = Store::in_memory().unwrap();
        for id in ["a", "b", "c", "d"] {
            store.put(Shelf::Chats, id, &id, 1).unwrap();
        }
        let damage = "UPDATE chats SET body = 'nonsense' WHERE id = 'b';
                      UPDATE chats SET body = CAST(x'ff22' AS TEXT) WHERE id = 'd';";
        store.connection().execute_batch(damage).unwrap();
        assert_eq!(store.all::<String>(Shelf::Chats).unwrap(), ["a", "c"]);
        assert_eq!(store.unreadable(), [("chats", 2)]);
        store.remove(Shelf::Chats, "b").unwrap();
        store.remove(Shelf::Chats, "d").unwrap();
        store.all::<String>(Shelf::Chats).unwrap();
        assert!(store.unreadable().is_empty());
    }

    #[test]
    fn things_stay_on_their_shelf() {
        let store = Store::in_memory().unwrap();
        store.put(Shelf::Chats, "a", &vec![1, 2], 1).unwrap();
        store.put(Shelf::Chats, "b", &vec![3], 2).unwrap();
        store.put(Shelf::Chats, "a", &vec![9], 1).unwrap();
        assert_eq!(store.all::<Vec<i32>>(Shelf::Chats).unwrap(), [vec![3], vec![9]]);
        assert!(store.all::<Vec<i32>>(Shelf::Models).unwrap().is_empty());
        store.remove(Shelf::Chats, "a").unwrap();
        assert!(
            matches!(store.one::<Vec<i32>>(Shelf::Chats, "a"), Err(StoreError::Missing { what, .. }) if what.en == "chat")
        );
    }
}
