//! What must survive: SQLite in WAL mode, a table per file with its migration.
//!
//! Only the app writes here; a worker writes files, and its events are taken in by number, each once. Other processes
//! (the terminal beside an open window) write short transactions and wait for each other.

mod adapters;
mod database;
mod error;
mod events;
mod experiments;
mod runs;
mod shelves;
mod verdicts;

pub use adapters::AdapterRecord;
pub use database::Store;
pub use error::StoreError;
pub use runs::RunRecord;
pub use shelves::Shelf;
pub use verdicts::VerdictRecord;
