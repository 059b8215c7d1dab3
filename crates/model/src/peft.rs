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
    let text = read_text(&path, SMALL_TEXT).map_err(|error| ModelError::File { path, found: error.to_string() })?;
    let mut raw: Map<String, Value> =
        serde_json::from_str(&text).map_err(|error| configuration("(file)", format!("is no JSON object: {error}")))?;
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
        let TensorData::Floats(values) = data else { return adapter(&format!("{name} holds no floats")) };
        if values.iter().any(|value| !value.is_finite()) {
            return Err(ModelError::NotFinite { name });
        }
        names.extend(own_name(&name).map(str::to_owned));
        let own = canonical(&name)?;
        if tensors.insert(own, NamedTensor { shape, values }).is_some() {
            return match names.len() {
                0 | 1 => adapter(&format!("it holds {name} twice, under two names")),
                _ => {
                    let names = names.into_iter().collect::<Vec<_>>().join(", ");
                    adapter(&format!("its file holds more than one adapter ({names}); save one of them alone"))
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
    let text = serde_json::to_string_pretty(&sorted).map_err(|error| ModelError::Request(error.to_string()))?;
    std::fs::write(&path, text + "\n").map_err(|error| ModelError::Write { path, error })
}

fn adapter<T>(reason: &str) -> Result<T> {
    crate::adapter::refused(reason)
}

fn canonical(name: &str) -> Result<String> {
    match parse_name(name) {
        Some((path, part)) => Ok(part.name(&path)),
        None if name.ends_with(".lora_a") || name.ends_with(".lora_b") => Err(mlx()),
        None => adapter(&format!("it holds the tensor {name}, which plain LoRA does not have")),
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
            return adapter(&format!(
                "it has weights for {path}, which the model does not have: it was made for another base"
            ));
        };
        if part == Part::Magnitude && path == EMBEDDING {
            return adapter("it holds DoRA on the embedding, which is not carried out");
        }
        let sizes = tensor.shape.as_slice();
        if !fits(part, sizes, &path, outputs, inputs) {
            return adapter(&format!(
                "{name} has the shape {sizes:?}; the layer is {outputs} × {inputs}: it was made for another base"
            ));
        }
        pairs += check_partner(weights, name, &path, part, sizes)?;
    }
    if pairs == 0 { adapter("it holds no LoRA weights") } else { Ok(()) }
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
                adapter(&format!("{name} lies below pairs that are not there"))
            };
        }
        _ => return Ok(0),
    };
    let other = partner.name(path);
    match weights.tensors.get(&other) {
        None => adapter(&format!("{name} has no partner {other}: half of the pair is missing")),
        Some(found) if found.shape.get(theirs) != sizes.get(ours) => {
            adapter(&format!("{name} and {other} differ in their rank ({:?} and {:?})", sizes, found.shape))
        }
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
            let found =
                format!("promises {path} the rank {promised}; its matrices in adapter_model.safetensors have {rank}");
            return Err(configuration(key, found));
        }
        let magnitude = weights.tensors.contains_key(&Part::Magnitude.name(&path));
        if dora && !magnitude {
            return Err(configuration("use_dora", format!("is true, but {path} has no lora_magnitude_vector")));
        }
        if magnitude && !dora {
            let found = format!("is not true, but {path} has a lora_magnitude_vector, which only DoRA reads");
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
            return adapter(&format!("{key} is {found}, the model has {ours}: it was made for another base"));
        }
    }
    let [(name, prompt)] = weights.tensors.iter().collect::<Vec<_>>()[..] else {
        return adapter("a prefix holds exactly one tensor, prompt_embeddings");
    };
    let shape = prompt.shape.as_slice();
    if name != "prompt_embeddings" || shape.len() != 2 || shape[0] == 0 || shape[1] != 2 * spec.layers * width {
        let wanted = 2 * spec.layers * width;
        return adapter(&format!("{name} has the shape {shape:?}; the model needs [n, {wanted}]"));
    }
    Ok(())
}
