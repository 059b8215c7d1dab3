//! PEFT's adapter folder: `adapter_config.json` and `adapter_model.safetensors`, read with suspicion and written so that
//! PEFT of any age loads it. Kinds that change the base weights or the arithmetic in ways we do not carry out are refused.

use crate::adapter::{AdapterConfig, AdapterKind, AdapterWeights, EMBEDDING, NamedTensor, Part, parse_name};
use crate::bounded::{SMALL_TEXT, read_text};
use crate::error::Result;
use crate::tensor_file::{TensorData, read_tensors, write_tensors};
use crate::{DecoderSpec, ModelError};
use alidade_domain::LoraSpec;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Reads an adapter folder and checks it against the model that it shall stand on.
///
/// # Errors
/// When a file is missing or broken, the kind is refused, or a tensor does not fit the model; the reason is named.
pub fn load_adapter(folder: &Path, spec: &DecoderSpec) -> Result<AdapterWeights> {
    let path = folder.join("adapter_config.json");
    let text = read_text(&path, SMALL_TEXT).map_err(|error| ModelError::File { path, found: error.to_string() })?;
    let raw: Map<String, Value> =
        serde_json::from_str(&text).map_err(|error| configuration("(file)", &error.to_string()))?;
    refuse(&raw)?;
    let config = read_config(raw)?;
    if folder.join("adapter_model.bin").is_file() && !folder.join("adapter_model.safetensors").is_file() {
        return Err(adapter(
            "its weights are a pickle file (adapter_model.bin), which can run code when opened; convert it to safetensors",
        ));
    }
    let mut tensors = BTreeMap::new();
    for (name, (shape, data)) in read_tensors(&folder.join("adapter_model.safetensors"))? {
        let TensorData::Floats(values) = data else { return Err(adapter(&format!("{name} holds no floats"))) };
        if values.iter().any(|value| !value.is_finite()) {
            return Err(ModelError::NotFinite { name });
        }
        tensors.insert(canonical(&name)?, NamedTensor { shape, values });
    }
    let weights = AdapterWeights { config, tensors };
    check_shapes(&weights, spec)?;
    Ok(weights)
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
    std::fs::write(&path, text + "\n").map_err(|error| ModelError::File { path, found: error.to_string() })
}

pub(crate) fn fresh_config(lora: &LoraSpec, targets: &[String], base_name: &str) -> AdapterConfig {
    let value = json!({
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base_name,
        "r": lora.r, "lora_alpha": whole(lora.lora_alpha), "lora_dropout": lora.lora_dropout, "target_modules": targets,
        "bias": "none", "fan_in_fan_out": false, "inference_mode": true, "init_lora_weights": true,
        "use_rslora": lora.use_rslora, "use_dora": lora.use_dora, "rank_pattern": lora.rank_pattern,
        "alpha_pattern": lora.alpha_pattern, "modules_to_save": null, "exclude_modules": lora.exclude_modules,
        "layers_to_transform": (!lora.layers_to_transform.is_empty()).then_some(&lora.layers_to_transform),
        "layers_pattern": null, "revision": null, "auto_mapping": null,
    });
    AdapterConfig {
        kind: AdapterKind::Lora,
        r: lora.r,
        lora_alpha: lora.lora_alpha,
        lora_dropout: lora.lora_dropout,
        use_rslora: lora.use_rslora,
        alpha_pattern: lora.alpha_pattern.clone().into_iter().collect(),
        raw: value.as_object().cloned().unwrap_or_default(),
    }
}

/// PEFT writes whole numbers without a fraction.
fn whole(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

pub(crate) fn fresh_prefix_config(spec: &DecoderSpec, count: usize, base_name: &str) -> AdapterConfig {
    let width = spec.kv_heads * spec.head_dim;
    let value = json!({
        "peft_type": "PREFIX_TUNING", "task_type": "CAUSAL_LM", "base_model_name_or_path": base_name,
        "num_virtual_tokens": count, "num_layers": spec.layers, "num_attention_heads": spec.kv_heads, "token_dim": width,
        "num_transformer_submodules": 1, "encoder_hidden_size": width, "prefix_projection": false, "init_weights": null,
        "inference_mode": true, "modules_to_save": null, "revision": null, "auto_mapping": null, "peft_version": "0.21.2",
    });
    prefix_config(value.as_object().cloned().unwrap_or_default())
}

fn prefix_config(raw: Map<String, Value>) -> AdapterConfig {
    let (r, lora_alpha, lora_dropout) = (0, 0.0, 0.0);
    AdapterConfig {
        kind: AdapterKind::Prefix,
        r,
        lora_alpha,
        lora_dropout,
        use_rslora: false,
        alpha_pattern: vec![],
        raw,
    }
}

fn adapter(reason: &str) -> ModelError {
    ModelError::Adapter { reason: reason.to_owned() }
}

fn configuration(key: &str, found: &str) -> ModelError {
    ModelError::Configuration { file: "adapter_config.json".to_owned(), key: key.to_owned(), found: found.to_owned() }
}

/// Refuses what changes the model in a way that A and B alone do not reproduce.
fn refuse(raw: &Map<String, Value>) -> Result<()> {
    let set = |key: &str| match raw.get(key) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
        Some(_) => true,
    };
    match raw.get("peft_type").and_then(Value::as_str) {
        Some("LORA" | "PREFIX_TUNING") => {}
        Some(other) => {
            return Err(adapter(&format!("it is of the kind {other}; this version applies LORA and PREFIX_TUNING")));
        }
        None => return Err(configuration("peft_type", "is missing")),
    }
    let init = raw.get("init_lora_weights").and_then(Value::as_str).unwrap_or("").to_lowercase();
    if ["pissa", "corda"].iter().any(|name| init.starts_with(name))
        || ["olora", "loftq", "lora_ga"].contains(&init.as_str())
    {
        return Err(adapter(&format!(
            "it was created with init_lora_weights “{init}”, which changes the base weights; convert it to plain LoRA with PEFT"
        )));
    }
    if let Some(bias) = raw.get("bias").and_then(Value::as_str).filter(|bias| *bias != "none") {
        return Err(adapter(&format!("bias is “{bias}”: trained biases change the model even with the adapter off")));
    }
    let unsupported = [
        "layer_replication",
        "target_parameters",
        "use_qalora",
        "use_bdlora",
        "alora_invocation_tokens",
        "arrow_config",
        "kasa_config",
        "monteclora_config",
        "lora_bias",
        "fan_in_fan_out",
        "trainable_token_indices",
    ];
    match unsupported.iter().find(|key| set(key)) {
        Some(key) => Err(adapter(&format!("{key} is set, which this version does not carry out"))),
        None => Ok(()),
    }
}

fn read_config(raw: Map<String, Value>) -> Result<AdapterConfig> {
    if raw.get("peft_type").and_then(Value::as_str) == Some("PREFIX_TUNING") {
        return Ok(prefix_config(raw));
    }
    let r = raw.get("r").and_then(Value::as_u64).filter(|r| (1..=65_536).contains(r));
    let alpha_pattern = raw.get("alpha_pattern").and_then(Value::as_object).into_iter().flatten();
    let alpha_pattern =
        alpha_pattern.filter_map(|(key, value)| value.as_f64().map(|alpha| (key.clone(), alpha))).collect();
    Ok(AdapterConfig {
        kind: AdapterKind::Lora,
        r: r.ok_or_else(|| configuration("r", "is missing or not a rank"))? as usize,
        lora_alpha: raw
            .get("lora_alpha")
            .and_then(Value::as_f64)
            .ok_or_else(|| configuration("lora_alpha", "is missing"))?,
        lora_dropout: raw.get("lora_dropout").and_then(Value::as_f64).unwrap_or(0.0).clamp(0.0, 0.99),
        use_rslora: raw.get("use_rslora").and_then(Value::as_bool).unwrap_or(false),
        alpha_pattern,
        raw,
    })
}

fn canonical(name: &str) -> Result<String> {
    match parse_name(name) {
        Some((path, part)) => Ok(part.name(&path)),
        None => Err(adapter(&format!("it holds the tensor {name}, which plain LoRA does not have"))),
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
        // A scalar head on the hidden rows: reward models have it, the base model does not.
        let outputs = tensor.shape.first().copied().unwrap_or(0);
        let head = (path == "score" && matches!(part, Part::Full)).then_some((outputs, spec.hidden));
        let Some((outputs, inputs)) = spec.linear_shape(&path).or(embedding).or(head) else {
            return Err(adapter(&format!(
                "it has weights for {path}, which the model does not have: it was made for another base"
            )));
        };
        let sizes = tensor.shape.as_slice();
        let fits = match part {
            Part::A => sizes.len() == 2 && sizes[1] == inputs && sizes[0] >= 1 && path != EMBEDDING,
            Part::B => sizes.len() == 2 && sizes[0] == outputs && sizes[1] >= 1 && path != EMBEDDING,
            Part::Magnitude => sizes == [outputs],
            Part::EmbeddingA => sizes.len() == 2 && sizes[1] == outputs && sizes[0] >= 1 && path == EMBEDDING,
            Part::EmbeddingB => sizes.len() == 2 && sizes[0] == inputs && sizes[1] >= 1 && path == EMBEDDING,
            Part::Full => sizes == [outputs, inputs],
            Part::Prompt => false,
        };
        if !fits {
            return Err(adapter(&format!(
                "{name} has the shape {sizes:?}; the layer is {outputs} × {inputs}: it was made for another base"
            )));
        }
        let partner = match part {
            Part::A => Part::B.name(&path),
            Part::EmbeddingA => Part::EmbeddingB.name(&path),
            _ => continue,
        };
        pairs += 1;
        if weights.tensors.get(&partner).is_none_or(|b| b.shape.get(1) != sizes.first()) {
            return Err(adapter(&format!("{name} has no partner {partner} of the same rank")));
        }
    }
    if pairs == 0 { Err(adapter("it holds no LoRA weights")) } else { Ok(()) }
}

/// A prefix names the shape of its base; the differing number is told.
fn check_prefix(weights: &AdapterWeights, spec: &DecoderSpec) -> Result<()> {
    let width = spec.kv_heads * spec.head_dim;
    let expected = [("num_layers", spec.layers), ("token_dim", width), ("num_attention_heads", spec.kv_heads)];
    for (key, ours) in expected {
        let theirs = weights.config.raw.get(key).and_then(Value::as_u64);
        if theirs.is_some_and(|theirs| theirs != ours as u64) {
            let found = theirs.unwrap_or_default();
            return Err(adapter(&format!("{key} is {found}, the model has {ours}: it was made for another base")));
        }
    }
    let [(name, prompt)] = weights.tensors.iter().collect::<Vec<_>>()[..] else {
        return Err(adapter("a prefix holds exactly one tensor, prompt_embeddings"));
    };
    let shape = prompt.shape.as_slice();
    if name != "prompt_embeddings" || shape.len() != 2 || shape[0] == 0 || shape[1] != 2 * spec.layers * width {
        let wanted = 2 * spec.layers * width;
        return Err(adapter(&format!("{name} has the shape {shape:?}; the model needs [n, {wanted}]")));
    }
    Ok(())
}
