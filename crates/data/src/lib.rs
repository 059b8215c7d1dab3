//! Imports files into rows that a method can learn from: containers, record shapes, and a list of bad rows.
//!
//! Formats are detected from content, not from file extensions, and files are streamed: memory is bounded by one
//! record. A bad row is not an error: it is listed with its number and its remedy. Not here: paths, chat templates,
//! tokens.

mod builders;
mod columns;
mod conversation;
mod doctor;
mod encoding;
mod error;
mod fault;
mod guess;
mod importers;
mod json_text;
mod layout;
mod media;
mod notes;
mod record;
mod records;
mod rows;
mod scan;
mod table;
mod unsupported;

pub use builders::{BUILDERS, Builder, BuilderCard, Made, Workshop, builder};
pub use doctor::{ISSUES, Sink, import, import_from};
pub use error::DataError;
pub use fault::Fault;
pub use importers::{IMPORTERS, Importer};
pub use record::Record;
pub use rows::{rows_from_jsonl, rows_to_jsonl, split, write_row};
