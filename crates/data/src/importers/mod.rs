//! The registry of shapes. A shape recognises a record by its field names and maps it to an example; adding one is one
//! file and one line here. Earlier entries win where two fit.

mod alpaca;
mod messages;
mod plain;
mod preference;
mod rated;
mod sharegpt;

use crate::fault::Fault;
use crate::notes::Note;
use crate::record::Record;
use alidade_domain::{Example, Words};

/// One shape of record.
pub trait Importer: Sync {
    /// Name shown to the user.
    fn name(&self) -> Words;

    /// True when a record with these fields is of this shape; their contents may still be bad.
    fn fits(&self, has: &dyn Fn(&str) -> bool) -> bool;

    /// Converts a record that fits to an example; the fields that it uses are taken out of the record.
    ///
    /// # Errors
    /// What is wrong with it and what to do.
    fn map(&self, record: &mut Record) -> Result<Example, Fault>;
}

/// Every shape.
pub const IMPORTERS: &[&dyn Importer] = &[
    &sharegpt::SharegptPairs,
    &alpaca::AlpacaPairs,
    &preference::PreferencePairs,
    &rated::RatedAnswers,
    &alpaca::Alpaca,
    &sharegpt::Sharegpt,
    &messages::Messages,
    &plain::PromptCompletion,
    &plain::Text,
    &plain::Prompts,
];

/// Name of the shape with labels; a file of it never yields answers without one.
pub(crate) const RATED: Words = Words::new("rated answers", "带标签的回答");

/// Whether plain texts of the record become turns; notes it.
fn become_turns(record: &mut Record) -> bool {
    if record.turns {
        let system = record.fields.contains_key("system");
        record.notes.push(if system { Note::SystemMadeTurns } else { Note::SpellingMadeTurns });
    }
    record.turns
}
