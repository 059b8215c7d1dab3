//! The Hugging Face layout: a folder with config.json, safetensors files, tokenizer.json and their companions.

use crate::architectures::TextConfig;
use crate::bounded::{SMALL_TEXT, read_text};
use crate::census::Census;
use crate::chunk::Chunk;
use crate::companions::copy_companions;
use crate::error::Result;
use crate::folder::model_sha256;
use crate::folder_kind::no_model;
use crate::source::ModelSource;
use crate::weights::read_entry;
use crate::{ChatTemplate, DecoderSpec, FloatFormat, ModelError, TextTokenizer};
use alidade_domain::{LocalTime, Wording, why, wording};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// An inspected model folder.
#[derive(Debug)]
pub(crate) struct SafetensorsFolder {
    path: PathBuf,
    spec: DecoderSpec,
    notes: Vec<Wording>,
    census: Census,
}

impl SafetensorsFolder {
    /// Reads the configuration and checks it against the headers of the weight files.
    ///
    /// # Errors
    /// When config.json or the weights are missing, broken or of an unknown kind, or do not belong together.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let value = read_configuration(path)?;
        let config = TextConfig::find(&value)?;
        let census = Census::open(path)?;
        census.refuse_quantised()?;
        census.check_layers(&config)?;
        let mut spec = config.read()?;
        let head = census.settle_head(&mut spec, &config)?;
        census.check(&spec, &config)?;
        let notes = config.note.iter().cloned().chain(head).collect();
        Ok(Self { path: path.to_owned(), spec, notes, census })
    }
}

impl ModelSource for SafetensorsFolder {
    fn spec(&self) -> &DecoderSpec {
        &self.spec
    }

    fn notes(&self) -> &[Wording] {
        &self.notes
    }

    fn read(&self, name: &str, sink: &mut dyn FnMut(Chunk)) -> Result<()> {
        let missing = || ModelError::MissingTensor { name: name.to_owned() };
        read_entry(name, self.census.entries.get(name).ok_or_else(missing)?, sink)
    }

    fn stored(&self, name: &str) -> FloatFormat {
        self.census.stored(name)
    }

    fn tokenizer(&self) -> Result<TextTokenizer> {
        TextTokenizer::open(&self.path)
    }

    fn chat_template(&self, tokenizer: &TextTokenizer, now: LocalTime) -> Result<Option<ChatTemplate>> {
        ChatTemplate::open(&self.path, tokenizer, now)
    }

    fn sha256(&self) -> Result<String> {
        model_sha256(&self.path)
    }

    fn write_companions(&self, spec: &DecoderSpec, stored: FloatFormat, folder: &Path) -> Result<()> {
        write_configuration(&self.path, spec.tied, stored, &folder.join("config.json"))?;
        copy_companions(&self.path, folder)
    }
}

/// A model folder's config.json.
///
/// # Errors
/// When it is missing (the folder is told for what it is), cannot be read, or is no JSON.
fn read_configuration(folder: &Path) -> Result<Value> {
    let file = folder.join("config.json");
    if !file.exists() {
        return Err(no_model(folder));
    }
    let text = read_text(&file, SMALL_TEXT).map_err(|error| ModelError::File { path: file, found: why(&error) })?;
    serde_json::from_str(&text).map_err(|error| ModelError::Configuration {
        file: "config.json".to_owned(),
        key: "(file)".to_owned(),
        found: wording!("is no valid JSON: {error}", "不是有效的 JSON：{error}"),
    })
}

/// Writes the configuration of a model like the one in `from`, with what its weights are now: their dtype, and whether the
/// LM head is tied to the embedding. Of a multimodal model it is the text model's.
///
/// # Errors
/// When it cannot be read or written.
fn write_configuration(from: &Path, tied: bool, stored: FloatFormat, to: &Path) -> Result<()> {
    let whole = read_configuration(from)?;
    let config = TextConfig::find(&whole)?;
    let mut value = config.value.clone();
    if config.note.is_some() {
        value["architectures"] = json!(["Gemma3ForCausalLM"]);
        value["model_type"] = json!("gemma3_text");
        for key in ["bos_token_id", "eos_token_id", "pad_token_id"] {
            if let Some(outer) = whole.get(key).filter(|outer| !outer.is_null()) {
                value[key] = outer.clone();
            }
        }
    }
    if config.read()?.tied != tied {
        value["tie_word_embeddings"] = json!(tied);
    }
    let keys: Vec<&str> = ["dtype", "torch_dtype"].into_iter().filter(|key| value.get(*key).is_some()).collect();
    for key in if keys.is_empty() { vec!["torch_dtype"] } else { keys } {
        value[key] = json!(stored.name());
    }
    let text =
        serde_json::to_string_pretty(&value).map_err(|error| ModelError::Request(Wording::name(error.to_string())))?;
    std::fs::write(to, text + "\n").map_err(|error| ModelError::Write { path: to.to_owned(), error })
}
