//! The files beside a model's weights that are copied with them: tokenizer files of every format, chat templates, generation
//! settings, and the licence. The model card is not copied, because it describes another model.

use crate::ModelError;
use crate::bounded::open_ordinary;
use crate::error::Result;
use alidade_domain::why;
use std::path::Path;

/// Files by their whole name; everything that begins with `tokenizer` goes along as well.
const FILES: [&str; 14] = [
    "generation_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "vocab.bpe",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
    "chat_template.jinja",
    "chat_template.json",
    "chat_templates.json",
    "preprocessor_config.json",
];
/// Beginnings of the names of licences, in capital letters.
const LICENCES: [&str; 6] = ["LICENSE", "LICENCE", "NOTICE", "USE_POLICY", "COPYING", "COPYRIGHT"];
/// Folder of further chat templates.
const TEMPLATES: &str = "additional_chat_templates";

fn goes_along(name: &str) -> bool {
    let capital = name.to_uppercase();
    FILES.contains(&name) || name.starts_with("tokenizer") || LICENCES.iter().any(|word| capital.starts_with(word))
}

/// Copies them from one model folder into another.
///
/// # Errors
/// When one cannot be read or written.
pub(crate) fn copy_companions(from: &Path, to: &Path) -> Result<()> {
    copy_chosen(from, to, goes_along)?;
    if from.join(TEMPLATES).is_dir() {
        let path = to.join(TEMPLATES);
        std::fs::create_dir_all(&path).map_err(|error| ModelError::Write { path, error })?;
        copy_chosen(&from.join(TEMPLATES), &to.join(TEMPLATES), |name| name.ends_with(".jinja"))?;
    }
    Ok(())
}

fn copy_chosen(from: &Path, to: &Path, chosen: impl Fn(&str) -> bool) -> Result<()> {
    let failed = |error: std::io::Error| ModelError::File { path: from.to_owned(), found: why(&error) };
    for entry in std::fs::read_dir(from).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let (source, path) = (from.join(&name), to.join(&name));
        if !name.to_str().is_some_and(&chosen) || !source.is_file() {
            continue;
        }
        let mut file = open_ordinary(&source).map_err(|error| ModelError::File { path: source, found: why(&error) })?;
        let written = std::fs::File::create(&path).and_then(|mut copy| std::io::copy(&mut file, &mut copy));
        written.map_err(|error| ModelError::Write { path, error })?;
    }
    Ok(())
}
