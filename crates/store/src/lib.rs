//! Persistent storage: SQLite in WAL mode, one table per file with its migration.
//!
//! Only the app writes here; a worker writes files, and its events are copied by number, each once. Other processes (the
//! terminal beside an open window) write short transactions and wait for each other.

mod adapters;
mod backups;
mod database;
mod documents;
mod error;
mod events;
mod experiments;
mod files;
mod migrations;
mod opening;
mod plans;
mod runs;
mod shelves;

pub use adapters::AdapterRecord;
pub use backups::BackupRecord;
pub use database::Store;
pub use documents::{ChatRecord, DatasetRecord, Document, ModelRecord};
pub use error::StoreError;
pub use events::EventPage;
pub use files::{FileRecord, sha256};
pub use runs::RunRecord;
pub use shelves::Shelf;
