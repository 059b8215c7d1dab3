//! From strangers' files to rows that a method can learn from: containers, shapes, and a list of what was wrong.
//!
//! Files are sniffed, never trusted by their ending, and read as a stream: memory is bounded by one record. A bad row is
//! data, not an error: it is listed with its number and its remedy. Not here: paths, chat templates, tokens.

mod builders;
mod columns;
mod conversation;
mod doctor;
mod encoding;
mod error;
mod fault;
mod foreign;
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

pub use builders::{BUILDERS, Builder, BuilderCard, Made, Workshop, builder};
pub use doctor::{ISSUES, Sink, import, import_from};
pub use error::DataError;
pub use fault::Fault;
pub use importers::{IMPORTERS, Importer};
pub use record::Record;
pub use rows::{rows_from_jsonl, rows_to_jsonl, split, write_row};
