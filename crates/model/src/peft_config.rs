//! PEFT's `adapter_config.json`: what is refused, what is read, what is written. Variants that change the base weights or
//! the forward pass in unsupported ways are refused; invalid values are never replaced by defaults.

use crate::adapter::{AdapterConfig, AdapterKind, refused};
use crate::error::Result;
use crate::python_pattern::Pattern;
use crate::{DecoderSpec, ModelError};
use alidade_domain::{LoraSpec, Wording, Words, wording};
use serde_json::{Map, Value, json};

/// Largest accepted rank.
const LARGEST_RANK: u64 = 65_536;

pub(crate) fn fresh_config(lora: &LoraSpec, targets: &[String], layers: &[usize], base_name: &str) -> AdapterConfig {
    let value = json!({
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base_name,
        "r": lora.r, "lora_alpha": whole(lora.lora_alpha), "lora_dropout": lora.lora_dropout, "target_modules": targets,
        "bias": "none", "fan_in_fan_out": false, "inference_mode": true, "init_lora_weights": true,
        "use_rslora": lora.use_rslora, "use_dora": lora.use_dora, "rank_pattern": lora.rank_pattern,
        "alpha_pattern": lora.alpha_pattern, "modules_to_save": null,
        "layers_to_transform": (!layers.is_empty()).then_some(layers),
        "layers_pattern": null, "revision": null, "auto_mapping": null,
    });
    AdapterConfig {
        kind: AdapterKind::Lora,
        r: lora.r,
        lora_alpha: lora.lora_alpha,
        lora_dropout: lora.lora_dropout,
        use_rslora: lora.use_rslora,
        alpha_pattern: lora.alpha_pattern.0.clone(),
        rank_pattern: lora.rank_pattern.0.clone(),
        raw: value.as_object().cloned().unwrap_or_default(),
    }
}

/// PEFT writes integers without a fraction.
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
    AdapterConfig {
        kind: AdapterKind::Prefix,
        r: 0,
        lora_alpha: 0.0,
        lora_dropout: 0.0,
        use_rslora: false,
        alpha_pattern: vec![],
        rank_pattern: vec![],
        raw,
    }
}

pub(crate) fn configuration(key: &str, found: impl Into<Wording>) -> ModelError {
    ModelError::Configuration { file: "adapter_config.json".to_owned(), key: key.to_owned(), found: found.into() }
}

/// Kinds of initialisation that change the base weights.
const CHANGED_BASES: [&str; 5] = ["pissa", "corda", "olora", "loftq", "lora_ga"];

/// Keys of unsupported variants.
const UNSUPPORTED: [&str; 11] = [
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

/// Refuses what changes the model in a way that A and B alone do not reproduce.
pub(crate) fn refuse(raw: &Map<String, Value>) -> Result<()> {
    let set = |key: &str| match raw.get(key) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
        Some(_) => true,
    };
    match raw.get("peft_type") {
        Some(Value::String(kind)) if kind == "LORA" || kind == "PREFIX_TUNING" => {}
        Some(Value::String(other)) => {
            return refused(wording!(
                "it is of the kind {other}; this version applies LORA and PREFIX_TUNING",
                "它的类型是 {other}；本版本支持 LORA 和 PREFIX_TUNING"
            ));
        }
        None if raw.contains_key("fine_tune_type") || raw.contains_key("lora_parameters") => return Err(mlx()),
        None => {
            return Err(configuration(
                "peft_type",
                Words::new("is missing, so this is no adapter of PEFT", "缺失，因此不是 PEFT 的适配器"),
            ));
        }
        Some(other) => {
            return Err(configuration(
                "peft_type",
                wording!("is {other}; it must be a text", "是 {other}，必须是文本"),
            ));
        }
    }
    let init = raw.get("init_lora_weights").and_then(Value::as_str).unwrap_or("").to_lowercase();
    if CHANGED_BASES.iter().any(|name| init.starts_with(name)) {
        return refused(wording!(
            "it was created with init_lora_weights “{init}”, which changes the base weights; convert it to plain LoRA with PEFT",
            "它是以 init_lora_weights “{init}”创建的，这会改变基座权重；请用 PEFT 转换成普通的 LoRA"
        ));
    }
    match raw.get("bias") {
        None | Some(Value::Null) => {}
        Some(Value::String(bias)) if bias == "none" => {}
        Some(bias) => {
            return refused(wording!(
                "bias is {bias}: trained biases change the model even with the adapter off",
                "bias 是 {bias}：训练过的偏置即使在适配器关闭时也会改变模型"
            ));
        }
    }
    match UNSUPPORTED.iter().find(|key| set(key)) {
        Some(key) => {
            refused(wording!("{key} is set, which this version does not carry out", "设置了 {key}，本版本不支持"))
        }
        None => Ok(()),
    }
}

/// mlx-lm writes other names, and transposed matrices.
pub(crate) fn mlx() -> ModelError {
    ModelError::Adapter {
        reason: Words::new(
            "it is an adapter of mlx-lm, not of PEFT: its matrices lie the other way round and its scale is a plain \
                 factor; convert it to PEFT's form",
            "它是 mlx-lm 而不是 PEFT 的适配器：其矩阵是转置的，缩放只是一个系数；请转换成 PEFT 格式",
        )
        .into(),
    }
}

pub(crate) fn read_config(raw: Map<String, Value>) -> Result<AdapterConfig> {
    if raw.get("peft_type").and_then(Value::as_str) == Some("PREFIX_TUNING") {
        return Ok(prefix_config(raw));
    }
    let shown = |key: &str| match raw.get(key) {
        None => wording!("missing", "空缺"),
        Some(value) => Wording::name(value.to_string()),
    };
    let r = raw.get("r").and_then(rank);
    let r = r.ok_or_else(|| {
        configuration(
            "r",
            wording!(
                "is {said}; it must be a rank from 1 to {LARGEST_RANK}",
                "是 {said}，必须是 1 到 {LARGEST_RANK} 的秩";
                said = shown("r")
            ),
        )
    })?;
    let alpha = raw.get("lora_alpha").and_then(number);
    let alpha = alpha.ok_or_else(|| {
        configuration(
            "lora_alpha",
            wording!("is {said}; it must be a number", "是 {said}，必须是数"; said = shown("lora_alpha")),
        )
    })?;
    let dropout = match raw.get("lora_dropout") {
        None | Some(Value::Null) => 0.0,
        Some(value) => number(value).filter(|share| (0.0..1.0).contains(share)).ok_or_else(|| {
            configuration(
                "lora_dropout",
                wording!("is {value}; it must lie from 0 to below 1", "是 {value}，必须不小于 0 且小于 1"),
            )
        })?,
    };
    let config = AdapterConfig {
        kind: AdapterKind::Lora,
        r,
        lora_alpha: alpha,
        lora_dropout: dropout,
        use_rslora: flag(&raw, "use_rslora")?,
        alpha_pattern: patterns(&raw, "alpha_pattern", number)?,
        rank_pattern: patterns(&raw, "rank_pattern", rank)?,
        raw,
    };
    Ok(config)
}

fn rank(value: &Value) -> Option<usize> {
    value.as_u64().filter(|r| (1..=LARGEST_RANK).contains(r)).map(|r| r as usize)
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().filter(|value| value.is_finite() && value.abs() < 1e9)
}

/// A switch that is off by default.
pub(crate) fn flag(raw: &Map<String, Value>, key: &str) -> Result<bool> {
    match raw.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(on)) => Ok(*on),
        Some(other) => Err(configuration(
            key,
            wording!("is {other}; it must be true or false", "是 {other}，必须是 true 或 false"),
        )),
    }
}

/// Patterns in the order of the file, each of them validated.
fn patterns<T>(raw: &Map<String, Value>, key: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Vec<(String, T)>> {
    let map = match raw.get(key) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(map)) => map,
        Some(other) => {
            return Err(configuration(
                key,
                wording!(
                    "is {other}; it must hold patterns with a number each",
                    "是 {other}，其中每个模式必须对应一个数"
                ),
            ));
        }
    };
    let pair = |(pattern, value): (&String, &Value)| {
        Pattern::ending(pattern)?;
        let number = read(value);
        let number = number.ok_or_else(|| {
            configuration(key, wording!("gives “{pattern}” the value {value}", "为“{pattern}”给出的值是 {value}"))
        })?;
        Ok((pattern.clone(), number))
    };
    map.iter().map(pair).collect()
}
