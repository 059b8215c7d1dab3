//! Text to tokens and back, with the begin and end tokens of a model. `tokenizer.json` is untrusted: it is checked before it
//! is loaded, and a panic of the library becomes an error.

mod check;
mod special;

use crate::ModelError;
use crate::bounded::{SMALL_TEXT, TOKENIZER, read_bounded};
use crate::caught::caught;
use crate::error::Result;
use alidade_domain::{Wording, said, why, wording};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use tokenizers::{AddedToken, ModelWrapper, Tokenizer};

/// Most tokens that may be added around a text.
const FRAME: usize = 64;

/// A tokenizer with the special tokens that other files of the folder declare.
#[derive(Clone)]
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    named: BTreeMap<String, String>,
    eos: Option<(String, u32)>,
    stops: BTreeSet<u32>,
    specials: BTreeMap<u32, String>,
    frame: [Vec<u32>; 2],
}

impl TextTokenizer {
    /// Reads `tokenizer.json` and, where they exist, `tokenizer_config.json`, `special_tokens_map.json`, `config.json`,
    /// `generation_config.json`.
    ///
    /// # Errors
    /// When `tokenizer.json` is missing, broken, or asks for endless work.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("tokenizer.json");
        let bytes = read_bounded(&path, TOKENIZER).map_err(|error| ModelError::File { path, found: why(&error) })?;
        check::check(&bytes).map_err(|reason| ModelError::Tokenizer { reason })?;
        let named = special::named(folder);
        let tokenizer = guarded(|| load(&bytes, &named))?;
        let mut stops = BTreeSet::new();
        for name in ["generation_config.json", "config.json"] {
            stops.extend(ids_of(read_json(&folder.join(name)).get("eos_token_id")));
        }
        let known = |text: &String| tokenizer.token_to_id(text).map(|id| (text.clone(), id));
        let listed = || stops.first().and_then(|id| tokenizer.id_to_token(*id).map(|text| (text, *id)));
        let eos = named.get("eos_token").and_then(known).or_else(listed);
        stops.extend(eos.iter().map(|(_, id)| *id));
        let frame = guarded(|| frame(&tokenizer))?;
        let added = tokenizer.get_added_tokens_decoder().into_iter().filter(|(_, token)| token.special);
        let specials = added.map(|(id, token)| (id, token.content)).collect();
        Ok(Self { tokenizer, named, eos, stops, specials, frame })
    }

    /// Ids of a text; nothing is added before or after it.
    ///
    /// # Errors
    /// When the tokenizer refuses.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        guarded(|| Ok(self.tokenizer.encode(text, false)?.get_ids().to_vec()))
    }

    /// As [`TextTokenizer::encode`], with the bytes of the text that each token stands for.
    ///
    /// # Errors
    /// When the tokenizer refuses.
    pub fn encode_with_places(&self, text: &str) -> Result<(Vec<u32>, Vec<Range<usize>>)> {
        guarded(|| {
            let encoding = self.tokenizer.encode(text, false)?;
            let places = encoding.get_offsets().iter().map(|(start, end)| *start..*end).collect();
            Ok((encoding.get_ids().to_vec(), places))
        })
    }

    /// Ids of plain text that goes on: what the tokenizer puts before a text (often a begin token) stands before it, once.
    ///
    /// # Errors
    /// When the tokenizer refuses.
    pub fn encode_opening(&self, text: &str) -> Result<Vec<u32>> {
        let ids = self.encode(text)?;
        let [before, _] = &self.frame;
        Ok(if ids.starts_with(before) { ids } else { [before.as_slice(), &ids].concat() })
    }

    /// Ids of plain text that ends: as [`TextTokenizer::encode_opening`], closed by the end token and by what the
    /// tokenizer puts after a text, each once.
    ///
    /// # Errors
    /// When the tokenizer refuses.
    pub fn encode_document(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = match &self.eos {
            Some((eos, _)) if !text.ends_with(eos.as_str()) => self.encode_opening(&format!("{text}{eos}"))?,
            _ => self.encode_opening(text)?,
        };
        if let Some((_, eos)) = &self.eos
            && ids.last() != Some(eos)
        {
            ids.push(*eos);
        }
        let [_, after] = &self.frame;
        if !ids.ends_with(after) {
            ids.extend(after);
        }
        Ok(ids)
    }

    /// Text of ids, without special tokens.
    ///
    /// # Errors
    /// When the tokenizer refuses.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        guarded(|| self.tokenizer.decode(ids, true))
    }

    /// What one token looks like, special tokens included; bytes of a character that is spread over tokens show as �.
    pub fn piece(&self, id: u32) -> String {
        let shown = guarded(|| self.tokenizer.decode(&[id], false)).unwrap_or_default();
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

    /// Spellings of the special tokens by the names that the model's folder gives them (`bos_token` …).
    pub fn named(&self) -> &BTreeMap<String, String> {
        &self.named
    }

    /// The special tokens, ids and spellings: marks that no word of a text is.
    pub fn specials(&self) -> &BTreeMap<u32, String> {
        &self.specials
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

fn load(bytes: &[u8], named: &BTreeMap<String, String>) -> tokenizers::Result<Tokenizer> {
    let mut tokenizer = Tokenizer::from_bytes(bytes)?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None)?;
    // Dropout would make every reading of a row another one.
    if let ModelWrapper::BPE(bpe) = tokenizer.get_model()
        && bpe.dropout.is_some()
    {
        let mut bpe = bpe.clone();
        bpe.dropout = None;
        tokenizer.with_model(bpe);
    }
    // A token that the folder names as special is never split, whether or not `tokenizer.json` lists it.
    let added = tokenizer.get_added_tokens_decoder();
    let listed: BTreeSet<&str> = added.values().map(|token| token.content.as_str()).collect();
    let missing =
        named.values().filter(|text| !listed.contains(text.as_str()) && tokenizer.token_to_id(text).is_some());
    let missing: Vec<AddedToken> = missing.map(|text| AddedToken::from(text.as_str(), true)).collect();
    tokenizer.add_special_tokens(missing)?;
    Ok(tokenizer)
}

/// What the tokenizer's post-processor puts before and after a text.
fn frame(tokenizer: &Tokenizer) -> tokenizers::Result<[Vec<u32>; 2]> {
    let (bare, framed) = (tokenizer.encode("a", false)?, tokenizer.encode("a", true)?);
    let (bare, framed) = (bare.get_ids(), framed.get_ids());
    if framed.len() > bare.len() + FRAME {
        return Err(said(
            std::io::ErrorKind::InvalidData,
            wording!(
                "it puts {count} tokens around a text; the most is {FRAME}",
                "它在文本前后加上 {count} 个词元，上限为 {FRAME}",
                count = framed.len() - bare.len()
            ),
        )
        .into());
    }
    let start = (0..=framed.len().saturating_sub(bare.len())).find(|start| framed[*start..].starts_with(bare));
    Ok(match start.filter(|_| !bare.is_empty()) {
        Some(start) => [framed[..start].to_vec(), framed[start + bare.len()..].to_vec()],
        None => [Vec::new(), Vec::new()],
    })
}

/// Runs the library; what it refuses, and a panic of it, becomes an error.
fn guarded<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T> {
    match caught(work) {
        Ok(result) => result.map_err(|error| ModelError::Tokenizer {
            reason: error.downcast_ref().map_or_else(|| Wording::name(error.to_string()), why),
        }),
        Err(reason) => Err(ModelError::Tokenizer { reason }),
    }
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
