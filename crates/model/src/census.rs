//! What the weight files of a folder hold, by their headers alone: names, types and shapes. A configuration is checked
//! against it before any memory is allocated, so that a wrong one is cheap and the error names what is really there.

use crate::adapter_names::plain_tensor_name;
use crate::architectures::{Config, TextConfig, quantised_tensor};
use crate::bounded::open_ordinary;
use crate::error::Result;
use crate::folder::weight_files;
use crate::tensor_file::{FloatFormat, broken};
use crate::{DecoderSpec, ModelError};
use alidade_domain::{Wording, Words, why, wording};
use safetensors::tensor::{Dtype, Metadata};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

/// A longer header is no header.
const LONGEST_HEADER: u64 = 100 << 20;
/// The LM head.
pub(crate) const HEAD: &str = "lm_head.weight";
/// The embedding.
pub(crate) const TABLE: &str = "model.embed_tokens.weight";

/// Location of a tensor.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    pub(crate) start: u64,
    pub(crate) bytes: usize,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
}

/// Every tensor of a folder, by the name that it has in a text model.
#[derive(Debug)]
pub(crate) struct Census {
    pub(crate) entries: BTreeMap<String, Entry>,
}

impl Census {
    /// Reads the headers of all weight files.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let mut entries = BTreeMap::new();
        for path in weight_files(folder)? {
            let (start, length, metadata) = header(&path)?;
            for (name, info) in metadata.tensors() {
                let (first, last) = info.data_offsets;
                let count = info.shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
                let bytes = count.and_then(|count| count.checked_mul(info.dtype.bitsize())).map(|bits| bits / 8);
                if first > last || last as u64 > length || bytes != Some(last - first) {
                    return Err(broken(
                        &path,
                        wording!(
                            "{name} reaches beyond the file or has another size",
                            "{name} 超出文件范围，或大小不符"
                        ),
                    ));
                }
                let (start, bytes, dtype) = (start + first as u64, last - first, info.dtype);
                let entry = Entry { path: path.clone(), start, bytes, dtype, shape: info.shape.clone() };
                let plain = plain_tensor_name(&name).unwrap_or_else(|| name.clone());
                if entries.insert(plain, entry).is_some() {
                    return Err(broken(&path, wording!("{name} is there twice", "{name} 出现了两次")));
                }
            }
        }
        Ok(Self { entries })
    }

    /// Names and types that only quantised weights have.
    pub(crate) fn refuse_quantised(&self) -> Result<()> {
        const ENDINGS: [&str; 10] = [
            ".qweight",
            ".qzeros",
            ".g_idx",
            ".scales",
            ".weight_scale",
            ".weight_scale_inv",
            ".weight_packed",
            ".SCB",
            ".absmax",
            ".quant_map",
        ];
        for (name, entry) in &self.entries {
            if ENDINGS.iter().any(|ending| name.ends_with(ending)) || name.contains(".quant_state.") {
                return Err(quantised_tensor(name, Words::new("is in its files", "在它的文件中")));
            }
            let floats = matches!(entry.dtype, Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16);
            if !floats && name.ends_with(".weight") {
                return Err(quantised_tensor(
                    name,
                    &wording!("is of the type {kind:?}", "的类型是 {kind:?}", kind = entry.dtype),
                ));
            }
        }
        Ok(())
    }

    /// Holds the number of blocks against the names; nothing may be made of a wrong one.
    pub(crate) fn check_layers(&self, config: &TextConfig) -> Result<()> {
        let number = |name: &String| name.strip_prefix("model.layers.")?.split('.').next()?.parse::<usize>().ok();
        let held: BTreeSet<usize> = self.entries.keys().filter_map(number).collect();
        if held.len() as u64 == config.layers() {
            return Ok(());
        }
        let said = config.said("num_hidden_layers");
        Err(Config::bad(
            "num_hidden_layers",
            wording!(
                "is {said}; the weight files hold {count} layers",
                "是 {said}，而权重文件中有 {count} 层";
                said; count = held.len()
            ),
        ))
    }

    /// Decides whether LM head and embedding are tied. A head of its own counts, even where the flag says that there is
    /// none; what should be known of that is returned. Equal matrices are one.
    pub(crate) fn settle_head(&self, spec: &mut DecoderSpec, config: &TextConfig) -> Result<Option<Wording>> {
        match (spec.tied, self.entries.get(HEAD), self.entries.get(TABLE)) {
            (true, Some(head), Some(table)) if !crate::weights::same_bytes(head, table)? => {
                spec.tied = false;
                Ok(Some(
                    wording!("config.json says tie_word_embeddings, but lm_head.weight is another matrix than the embedding: it is \
                     used as the output matrix.", "config.json 写明 tie_word_embeddings，但 lm_head.weight 与嵌入是不同的矩阵：它被用作输出矩阵。")
                        .to_owned(),
                ))
            }
            (false, None, _) => {
                let said = config.said("tie_word_embeddings");
                let found = wording!(
                    "is {said}, and the weight files hold no lm_head.weight: set it to true if the output matrix is the \
                     embedding, else the weights are incomplete",
                    "是 {said}，而权重文件中没有 lm_head.weight：如果输出矩阵就是嵌入，请改为 true，否则权重不完整";
                    said
                );
                Err(Config::bad("tie_word_embeddings", found))
            }
            _ => Ok(None),
        }
    }

    /// Holds every shape against the configuration, and every tensor of the decoder against what its arithmetic has a place
    /// for.
    pub(crate) fn check(&self, spec: &DecoderSpec, config: &TextConfig) -> Result<()> {
        let wanted = spec.tensors();
        for (name, expected) in &wanted {
            let Some(entry) = self.entries.get(name) else {
                return Err(ModelError::MissingTensor { name: name.clone() });
            };
            if entry.shape != *expected {
                return Err(differing(name, &entry.shape, expected, config));
            }
        }
        let known: BTreeSet<&String> = wanted.iter().map(|(name, _)| name).collect();
        let ours = |name: &str| name.starts_with("model.") || name.starts_with("lm_head.");
        let harmless = |name: &str| {
            name == HEAD
                || [".inv_freq", ".masked_bias", "rotary_emb.cos_cached", "rotary_emb.sin_cached"]
                    .iter()
                    .any(|ending| name.ends_with(ending))
                // Towers of multimodal models.
                || ["model.vision", "model.multi_modal", "model.audio", "model.image"].iter().any(|tower| name.starts_with(tower))
        };
        match self.entries.keys().find(|name| ours(name) && !harmless(name) && !known.contains(name)) {
            Some(name) => Err(ModelError::UnexpectedTensor { name: name.clone(), family: spec.family }),
            None => Ok(()),
        }
    }

    /// The float format of a tensor in a model that is made from this one; as those of the embedding where there is none of
    /// this name. What was f16 becomes f32: its range is narrow, and a sum with an update may leave it at either end.
    pub(crate) fn stored(&self, name: &str) -> FloatFormat {
        match self.entries.get(name).or_else(|| self.entries.get(TABLE)).map(|entry| entry.dtype) {
            Some(Dtype::BF16) => FloatFormat::Bf16,
            _ => FloatFormat::F32,
        }
    }
}

/// A shape that differs, told by the key that asks for it where one key alone can be to blame.
fn differing(name: &str, found: &[usize], expected: &[usize], config: &TextConfig) -> ModelError {
    let keys: &[(&str, usize, &str)] = &[
        ("embed_tokens.weight", 0, "vocab_size"),
        ("embed_tokens.weight", 1, "hidden_size"),
        ("lm_head.weight", 0, "vocab_size"),
        ("lm_head.weight", 1, "hidden_size"),
        ("q_proj.weight", 0, "num_attention_heads"),
        ("k_proj.weight", 0, "num_key_value_heads"),
        ("v_proj.weight", 0, "num_key_value_heads"),
        ("qkv_proj.weight", 0, "num_attention_heads"),
        ("o_proj.weight", 1, "num_attention_heads"),
        ("gate_proj.weight", 0, "intermediate_size"),
        ("up_proj.weight", 0, "intermediate_size"),
        ("gate_up_proj.weight", 0, "intermediate_size"),
        ("down_proj.weight", 1, "intermediate_size"),
        ("q_norm.weight", 0, "head_dim"),
        ("k_norm.weight", 0, "head_dim"),
        ("norm.weight", 0, "hidden_size"),
    ];
    let differs = |at: usize| found.len() == expected.len() && found.get(at) != expected.get(at);
    let key = keys.iter().find(|(ending, at, _)| {
        name.strip_suffix(ending).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')) && differs(*at)
    });
    match key {
        Some((_, _, key)) => {
            let said = config.said(key);
            let heads = key.contains("head").then(|| {
                let dim = config.said("head_dim");
                wording!(" (head_dim is {dim})", "（head_dim 是 {dim}）"; dim)
            });
            let found = wording!(
                "is {said}{heads}, which asks for {expected:?}; in the weight files {name} is {found:?}",
                "是 {said}{heads}，对应 {expected:?}，而权重文件中 {name} 是 {found:?}";
                said, heads = heads.unwrap_or_default()
            );
            Config::bad(key, found)
        }
        None => ModelError::WrongShape { name: name.to_owned(), found: found.to_vec(), expected: expected.to_vec() },
    }
}

/// Where the data of a file begins, how long it is, and what it says of itself.
fn header(path: &Path) -> Result<(u64, u64, Metadata)> {
    let failed = |error: std::io::Error| ModelError::File { path: path.to_owned(), found: why(&error) };
    let mut file = open_ordinary(path).map_err(failed)?;
    let whole = file.metadata().map_err(failed)?.len();
    let mut size = [0; 8];
    file.read_exact(&mut size).map_err(|error| broken(path, why(&error)))?;
    let size = u64::from_le_bytes(size);
    let Some(length) = whole.checked_sub(8).and_then(|rest| rest.checked_sub(size)) else {
        return Err(broken(path, Words::new("the file ends within its header", "文件在文件头中间结束")));
    };
    if size > LONGEST_HEADER {
        return Err(broken(path, Words::new("its header is too long", "文件头过长")));
    }
    let mut text = vec![0; size as usize];
    file.read_exact(&mut text).map_err(|error| broken(path, why(&error)))?;
    let metadata: Metadata =
        serde_json::from_slice(&text).map_err(|error| broken(path, Wording::name(error.to_string())))?;
    if (metadata.data_len() as u64) > length {
        return Err(broken(path, Words::new("the file is cut off", "文件被截断")));
    }
    Ok((8 + size, length, metadata))
}
