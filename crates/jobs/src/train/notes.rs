//! Remarks on the chosen folders before a command uses them: a text model out of a multimodal one, an LM head that the
//! configuration denies, patterns of an adapter that match nothing.

use alidade_domain::Wording;
use alidade_model::{ModelFolder, load_adapter};
use std::path::Path;

/// Remarks on a model and an adapter, in full sentences. Folders that cannot be opened are reported by whoever uses them.
pub fn folder_notes(model: &Path, adapter: Option<&Path>) -> Vec<Wording> {
    let Ok(folder) = ModelFolder::open(model) else { return Vec::new() };
    let mut notes = folder.notes.clone();
    let adapter = adapter.and_then(|path| load_adapter(path, &folder.spec).ok());
    notes.extend(adapter.and_then(|weights| weights.notes().ok()).unwrap_or_default());
    notes
}
