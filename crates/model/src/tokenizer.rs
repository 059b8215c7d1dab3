//! Text to tokens and back, with the end tokens that a model stops at.

use crate::ModelError;
use crate::bounded::{SMALL_TEXT, TOKENIZER, read_bounded};
use crate::error::Result;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use tokenizers::Tokenizer;

/// A tokenizer with what its neighbours in the folder say about special tokens.
#[derive(Clone)]
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    eos: Option<(String, u32)>,
    bos: Option<String>,
    stops: BTreeSet<u32>,
}

impl TextTokenizer {
    /// Reads `tokenizer.json` and, where they exist, `tokenizer_config.json`, `config.json`, `generation_config.json`.
    ///
    /// # Errors
    /// When `tokenizer.json` is missing or broken.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("tokenizer.json");
        let bytes =
            read_bounded(&path, TOKENIZER).map_err(|error| ModelError::File { path, found: error.to_string() })?;
        let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(failed)?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(failed)?;
        let config = read_json(&folder.join("tokenizer_config.json"));
        let token = |key: &str| {
            let value = config.get(key)?;
            value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned)
        };
        let mut stops = BTreeSet::new();
        for name in ["generation_config.json", "config.json"] {
            stops.extend(ids_of(read_json(&folder.join(name)).get("eos_token_id")));
        }
        let named = token("eos_token").and_then(|text| tokenizer.token_to_id(&text).map(|id| (text, id)));
        let listed = || stops.first().and_then(|id| tokenizer.id_to_token(*id).map(|text| (text, *id)));
        let eos = named.or_else(listed);
        stops.extend(eos.iter().map(|(_, id)| *id));
        Ok(Self { bos: token("bos_token"), tokenizer, eos, stops })
    }

    /// Ids of a text; nothing is added before or after it.
    ///
    /// # Errors
    /// When the tokenizer refuses.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.tokenizer.encode(text, false).map_err(failed)?.get_ids().to_vec())
    }

    /// Text of ids, without special tokens.
    ///
    /// # Errors
    /// When the tokenizer refuses.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.tokenizer.decode(ids, true).map_err(failed)
    }

    /// What one token looks like, special tokens included; bytes of a character that is spread over tokens show as �.
    pub fn piece(&self, id: u32) -> String {
        let shown = self.tokenizer.decode(&[id], false).unwrap_or_default();
        if shown.is_empty() { self.tokenizer.id_to_token(id).unwrap_or_default() } else { shown }
    }

    /// Token ids that end an answer.
    pub fn stops(&self) -> &BTreeSet<u32> {
        &self.stops
    }

    /// The token that ends a text: its spelling and its id.
    pub fn eos(&self) -> Option<(&str, u32)> {
        self.eos.as_ref().map(|(text, id)| (text.as_str(), *id))
    }

    /// Spelling of the token that begins a text.
    pub fn bos(&self) -> Option<&str> {
        self.bos.as_deref()
    }

    /// Id of a token by its spelling.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// Number of tokens, added ones included.
    pub fn size(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> ModelError {
    ModelError::Tokenizer { reason: error.to_string() }
}

/// A JSON file, or `null` where it is missing or broken: these files only add to what `tokenizer.json` says.
pub(crate) fn read_json(path: &Path) -> Value {
    read_bounded(path, SMALL_TEXT).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or(Value::Null)
}

fn ids_of(value: Option<&Value>) -> Vec<u32> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(id).collect(),
        Some(single) => id(single).into_iter().collect(),
        None => Vec::new(),
    }
}
