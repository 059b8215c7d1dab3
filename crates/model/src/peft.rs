//! PEFT's adapter folder: `adapter_config.json` and `adapter_model.safetensors`, validated when read and written so that any
//! version of PEFT loads it. The rules for the configuration are in `peft_config.rs`, those for tensor names in
//! `adapter_names.rs`.

use crate::adapter::{AdapterKind, AdapterWeights, EMBEDDING, NamedTensor};
use crate::adapter_names::{Part, own_name, parse_name};
use crate::bounded::{SMALL_TEXT, read_text};
use crate::error::Result;
use crate::folder_kind::no_adapter;
use crate::peft_config::{configuration, flag, mlx, read_config, refuse};
use crate::tensor_file::{TensorData, read_tensors, write_tensors};
use crate::{DecoderSpec, ModelError};
use alidade_domain::{Wording, Words, why, wording};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Reads an adapter folder and checks it against its base model.
///
/// # Errors
/// When a file is missing or broken, the kind is refused, or a tensor does not fit the model; the reason is named.
pub fn load_adapter(folder: &Path, spec: &DecoderSpec) -> Result<AdapterWeights> {
    let (path, file) = (folder.join("adapter_config.json"), folder.join("adapter_model.safetensors"));
    if !path.exists() {
        return Err(no_adapter(folder));
    }
    let text = read_text(&path, SMALL_TEXT).map_err(|error| ModelError::File { path, found: why(&error) })?;
    let mut raw: Map<String, Value> = serde_json::from_str(&text)
        .map_err(|error| configuration("(file)", wording!("is no JSON object: {error}", "不是 JSON 对象：{error}")))?;
    // PEFT from 0.10 to 0.13 stops at keys that it does not know, and this one came later: it is not written again.
    if raw.get("exclude_modules").is_some_and(|value| value.is_null() || value.as_array().is_some_and(Vec::is_empty)) {
        raw.shift_remove("exclude_modules");
    }
    refuse(&raw)?;
    let config = read_config(raw)?;
    if !file.exists() {
        return Err(no_adapter(folder));
    }
    let tensors = read_parts(&file)?;
    let weights = AdapterWeights { config, tensors };
    check_shapes(&weights, spec)?;
    if weights.config.kind == AdapterKind::Lora {
        check_agreement(&weights)?;
    }
    weights.notes()?;
    Ok(weights)
}

/// The tensors under PEFT's names.
fn read_parts(file: &Path) -> Result<BTreeMap<String, NamedTensor>> {
    let (mut tensors, mut names) = (BTreeMap::new(), BTreeSet::new());
    for (name, (shape, data)) in read_tensors(file)? {
        let TensorData::Floats(values) = data else {
            return adapter(wording!("{name} holds no floats", "{name} 中不是浮点数"));
        };
        if values.iter().any(|value| !value.is_finite()) {
            return Err(ModelError::NotFinite { name });
        }
        names.extend(own_name(&name).map(str::to_owned));
        let own = canonical(&name)?;
        if tensors.insert(own, NamedTensor { shape, values }).is_some() {
            return match names.len() {
                0 | 1 => adapter(wording!("it holds {name} twice, under two names", "{name} 以两个名称出现了两次")),
                _ => {
                    let names = names.into_iter().collect::<Vec<_>>().join(", ");
                    adapter(wording!(
                        "its file holds more than one adapter ({names}); save one of them alone",
                        "其文件含有不止一个适配器（{names}）；请单独保存其中一个"
                    ))
                }
            };
        }
    }
    Ok(tensors)
}

/// Writes an adapter folder; the folder must exist.
///
/// # Errors
/// When a file cannot be written.
pub fn save_adapter(folder: &Path, weights: &AdapterWeights) -> Result<()> {
    let tensors = weights
        .tensors
        .iter()
        .map(|(name, tensor)| (name.clone(), (tensor.shape.clone(), TensorData::Floats(tensor.values.clone()))));
    write_tensors(&folder.join("adapter_model.safetensors"), &tensors.collect())?;
    let path = folder.join("adapter_config.json");
    let sorted: BTreeMap<&String, &Value> = weights.config.raw.iter().collect();
    let text =
        serde_json::to_string_pretty(&sorted).map_err(|error| ModelError::Request(Wording::name(error.to_string())))?;
    std::fs::write(&path, text + "\n").map_err(|error| ModelError::Write { path, error })
}

fn adapter<T>(reason: impl Into<Wording>) -> Result<T> {
    crate::adapter::refused(reason)
}

fn canonical(name: &str) -> Result<String> {
    match parse_name(name) {
        Some((path, part)) => Ok(part.name(&path)),
        None if name.ends_with(".lora_a") || name.ends_with(".lora_b") => Err(mlx()),
        None => adapter(wording!(
            "it holds the tensor {name}, which plain LoRA does not have",
            "其中有张量 {name}，普通的 LoRA 没有它"
        )),
    }
}

fn check_shapes(weights: &AdapterWeights, spec: &DecoderSpec) -> Result<()> {
    if weights.config.kind == AdapterKind::Prefix {
        return check_prefix(weights, spec);
    }
    let mut pairs = 0;
    for (name, tensor) in &weights.tensors {
        let Some((path, part)) = parse_name(name) else { continue };
        let embedding = (path == EMBEDDING).then_some((spec.vocabulary, spec.hidden));
        // A scalar head on the hidden states: reward models have it, the base model does not.
        let outputs = tensor.shape.first().copied().unwrap_or(0);
        let head = (path == "score" && part == Part::Full).then_some((outputs, spec.hidden));
        let Some((outputs, inputs)) = spec.linear_shape(&path).or(embedding).or(head) else {
            return adapter(wording!(
                "it has weights for {path}, which the model does not have: it was made for another base",
                "其中有 {path} 的权重，而模型没有这一部分：它是为另一个基座做的"
            ));
        };
        if part == Part::Magnitude && path == EMBEDDING {
            return adapter(Words::new(
                "it holds DoRA on the embedding, which is not carried out",
                "其中在嵌入上使用 DoRA，暂不支持",
            ));
        }
        let sizes = tensor.shape.as_slice();
        if !fits(part, sizes, &path, outputs, inputs) {
            return adapter(wording!(
                "{name} has the shape {sizes:?}; the layer is {outputs} × {inputs}: it was made for another base",
                "{name} 的形状是 {sizes:?}，而该层是 {outputs} × {inputs}：它是为另一个基座做的"
            ));
        }
        pairs += check_partner(weights, name, &path, part, sizes)?;
    }
    if pairs == 0 { adapter(Words::new("it holds no LoRA weights", "其中没有 LoRA 权重")) } else { Ok(()) }
}

fn fits(part: Part, sizes: &[usize], path: &str, outputs: usize, inputs: usize) -> bool {
    let matrix = sizes.len() == 2 && sizes[0] >= 1 && sizes[1] >= 1;
    let embedding = path == EMBEDDING;
    match part {
        Part::A => matrix && sizes[1] == inputs && !embedding,
        Part::B => matrix && sizes[0] == outputs && !embedding,
        Part::Magnitude => sizes == [outputs],
        Part::EmbeddingA => matrix && sizes[1] == outputs && embedding,
        Part::EmbeddingB => matrix && sizes[0] == inputs && embedding,
        Part::Full | Part::Base => sizes == [outputs, inputs],
        Part::Prompt => false,
    }
}

/// Both halves of a pair must be there, and agree in their rank. Counts pairs by their A.
fn check_partner(weights: &AdapterWeights, name: &str, path: &str, part: Part, sizes: &[usize]) -> Result<usize> {
    let (partner, ours, theirs, count) = match part {
        Part::A => (Part::B, 0, 1, 1),
        Part::B => (Part::A, 1, 0, 0),
        Part::EmbeddingA => (Part::EmbeddingB, 0, 1, 1),
        Part::EmbeddingB => (Part::EmbeddingA, 1, 0, 0),
        Part::Base if !weights.tensors.contains_key(&Part::EmbeddingA.name(path)) => {
            return if weights.tensors.contains_key(&Part::A.name(path)) {
                Ok(0)
            } else {
                adapter(wording!("{name} lies below pairs that are not there", "{name} 之下的矩阵对并不存在"))
            };
        }
        _ => return Ok(0),
    };
    let other = partner.name(path);
    match weights.tensors.get(&other) {
        None => adapter(wording!(
            "{name} has no partner {other}: half of the pair is missing",
            "{name} 缺少与它配对的 {other}：矩阵对只有一半"
        )),
        Some(found) if found.shape.get(theirs) != sizes.get(ours) => adapter(wording!(
            "{name} and {other} differ in their rank ({ranks:?} and {shape:?})",
            "{name} 与 {other} 的秩不同（{ranks:?} 与 {shape:?}）",
            ranks = sizes,
            shape = found.shape
        )),
        Some(_) => Ok(count),
    }
}

/// The configuration and the tensors must tell the same ranks and agree about DoRA; else one of them would be ignored.
fn check_agreement(weights: &AdapterWeights) -> Result<()> {
    let dora = flag(&weights.config.raw, "use_dora")?;
    for (name, tensor) in &weights.tensors {
        let Some((path, part)) = parse_name(name) else { continue };
        if !matches!(part, Part::A | Part::EmbeddingA) {
            continue;
        }
        let (rank, promised) = (tensor.shape.first().copied().unwrap_or(0), weights.config.rank(&path)?);
        if rank != promised {
            let key = if promised == weights.config.r { "r" } else { "rank_pattern" };
            let found = wording!(
                "promises {path} the rank {promised}; its matrices in adapter_model.safetensors have {rank}",
                "为 {path} 声明的秩是 {promised}，而 adapter_model.safetensors 中其矩阵的秩是 {rank}"
            );
            return Err(configuration(key, found));
        }
        let magnitude = weights.tensors.contains_key(&Part::Magnitude.name(&path));
        if dora && !magnitude {
            return Err(configuration(
                "use_dora",
                wording!(
                    "is true, but {path} has no lora_magnitude_vector",
                    "是 true，但 {path} 没有 lora_magnitude_vector"
                ),
            ));
        }
        if magnitude && !dora {
            let found = wording!(
                "is not true, but {path} has a lora_magnitude_vector, which only DoRA reads",
                "不是 true，但 {path} 有只供 DoRA 读取的 lora_magnitude_vector"
            );
            return Err(configuration("use_dora", found));
        }
    }
    Ok(())
}

/// A prefix names the shape of its base; the error gives the size that differs.
fn check_prefix(weights: &AdapterWeights, spec: &DecoderSpec) -> Result<()> {
    let width = spec.kv_heads * spec.head_dim;
    let expected = [("num_layers", spec.layers), ("token_dim", width), ("num_attention_heads", spec.kv_heads)];
    for (key, ours) in expected {
        let theirs = weights.config.raw.get(key).and_then(Value::as_u64);
        if theirs.is_some_and(|theirs| theirs != ours as u64) {
            let found = theirs.unwrap_or_default();
            return adapter(wording!(
                "{key} is {found}, the model has {ours}: it was made for another base",
                "{key} 是 {found}，而模型是 {ours}：它是为另一个基座做的"
            ));
        }
    }
    let [(name, prompt)] = weights.tensors.iter().collect::<Vec<_>>()[..] else {
        return adapter(Words::new(
            "a prefix holds exactly one tensor, prompt_embeddings",
            "前缀应恰好有一个张量 prompt_embeddings",
        ));
    };
    let shape = prompt.shape.as_slice();
    if name != "prompt_embeddings" || shape.len() != 2 || shape[0] == 0 || shape[1] != 2 * spec.layers * width {
        let wanted = 2 * spec.layers * width;
        return adapter(wording!(
            "{name} has the shape {shape:?}; the model needs [n, {wanted}]",
            "{name} 的形状是 {shape:?}，而模型需要 [n, {wanted}]"
        ));
    }
    Ok(())
}
