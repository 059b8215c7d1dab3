//! Records that are read and written as a whole: base models, data sets and chats. Each is one JSON document in the table of its
//! kind (`shelves.rs`); what a screen shows of them is made by the studio.

use crate::error::Result;
use crate::{Shelf, Store};
use alidade_domain::{ChatMessage, DatasetKind, ImportSummary, ModelRef, Precision, Sampling, Stack, Wording};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A kind of document.
pub trait Document: Serialize + DeserializeOwned {
    /// Its table.
    const SHELF: Shelf;
    /// Its identifier.
    fn id(&self) -> &str;
}

/// A base model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// Name and content.
    pub model: ModelRef,
    /// Architecture ("llama").
    pub family: String,
    /// Parameters in all.
    pub parameters: u64,
    /// Size of its vocabulary.
    pub vocabulary: usize,
    /// Longest text in tokens.
    pub context_tokens: usize,
    /// Size on the disk.
    pub bytes: u64,
    /// True for the models that come with the program.
    pub bundled: bool,
    /// Licence, if the card names one.
    pub licence: Option<String>,
    /// True if it brings a chat template.
    pub chat_template: bool,
    /// Its folder.
    pub folder: String,
    /// The model card in Markdown, if there is one.
    pub card: Option<String>,
    /// True once the user removed it; experiments that used it still need its facts.
    #[serde(default)]
    pub removed: bool,
}

/// A data set. Its rows are a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetRecord {
    /// Identifier.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// The name in both languages, of a set that the program named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Wording>,
    /// What its rows can teach.
    pub kind: DatasetKind,
    /// What the import did.
    pub summary: ImportSummary,
    /// Remarks on the whole file.
    pub remarks: Vec<Wording>,
    /// SHA-256 of the normalised rows.
    pub sha256: String,
    /// True for the sets that come with the program.
    pub bundled: bool,
    /// True if rows may hold harmful text.
    pub flagged: bool,
    /// Licence, if known.
    pub licence: Option<String>,
    /// When it was imported, in milliseconds since 1970.
    pub imported_ms: u64,
    /// True once the user removed it; experiments that used it still need its facts.
    #[serde(default)]
    pub removed: bool,
}

/// A conversation with one or more stacks side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatRecord {
    /// Identifier.
    pub id: String,
    /// Name for people.
    pub title: String,
    /// One stack a pane.
    pub stacks: Vec<Stack>,
    /// System line, empty for none.
    pub system_prompt: String,
    /// How tokens are drawn; the same in every pane.
    pub sampling: Sampling,
    /// Number format of the weights; the same in every pane.
    #[serde(default)]
    pub precision: Precision,
    /// Messages in order of turns.
    pub messages: Vec<ChatMessage>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
}

impl Document for ModelRecord {
    const SHELF: Shelf = Shelf::Models;
    fn id(&self) -> &str {
        &self.model.id
    }
}

impl Document for DatasetRecord {
    const SHELF: Shelf = Shelf::Datasets;
    fn id(&self) -> &str {
        &self.id
    }
}

impl Document for ChatRecord {
    const SHELF: Shelf = Shelf::Chats;
    fn id(&self) -> &str {
        &self.id
    }
}

impl Store {
    /// Adds a document, or replaces the one with the same id; `created_ms` counts for a new one only.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn put_document<D: Document>(&self, document: &D, created_ms: u64) -> Result<()> {
        self.put(D::SHELF, document.id(), document, created_ms)
    }

    /// Every document of a kind that can be read, newest first.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn documents<D: Document>(&self) -> Result<Vec<D>> {
        self.all(D::SHELF)
    }

    /// One document.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn document<D: Document>(&self, id: &str) -> Result<D> {
        self.one(D::SHELF, id)
    }

    /// Deletes a document.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn delete_document<D: Document>(&self, id: &str) -> Result<()> {
        self.remove(D::SHELF, id)
    }
}
