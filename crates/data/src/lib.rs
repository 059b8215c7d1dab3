//! From strangers' files to rows that a method can learn from: containers, shapes, and a list of what was wrong.
//!
//! Files are sniffed, never trusted by their ending. A bad row is data, not an error: it is listed with its number and
//! its remedy. Not here: reading from the disk, chat templates, tokens.

mod container;
mod doctor;
mod error;
mod importers;
mod rows;

pub use doctor::import;
pub use error::DataError;
pub use importers::{Fault, IMPORTERS, Importer};
pub use rows::{rows_from_jsonl, rows_to_jsonl, split};
