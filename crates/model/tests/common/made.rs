//! Model and adapter folders that the tests make themselves: small, of random numbers, in any type.
#![allow(dead_code, reason = "each test uses its part")]

use alidade_domain::{Purpose, Stream};
use alidade_model::{NamedTensor, read_spec};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

pub type Weights = BTreeMap<String, NamedTensor>;

/// A small configuration of a family.
pub fn config(family: &str) -> Value {
    json!({"model_type": family, "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5, "tie_word_embeddings": false})
}

/// The same with some keys changed; a null takes a key away.
pub fn with(mut config: Value, changes: Value) -> Value {
    for (key, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(config.as_object_mut().unwrap().remove(key)),
            value => config[key] = value.clone(),
        }
    }
    config
}

pub fn tensor(shape: &[usize], seed: u64, scale: f64) -> NamedTensor {
    let mut stream = Stream::new(seed, Purpose::Initialise, 9, 9);
    let values = (0..shape.iter().product()).map(|_| (stream.normal() * scale) as f32).collect();
    NamedTensor { shape: shape.to_vec(), values }
}

/// Random weights of the shapes that a configuration asks for.
pub fn weights(config: &Value) -> Weights {
    let shapes = read_spec(config).unwrap().tensors();
    shapes.into_iter().enumerate().map(|(at, (name, shape))| (name, tensor(&shape, at as u64, 0.3))).collect()
}

fn bytes(dtype: Dtype, values: &[f32]) -> Vec<u8> {
    match dtype {
        Dtype::BF16 => values.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect(),
        Dtype::F16 => values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect(),
        Dtype::U8 => values.iter().map(|_| 7).collect(),
        _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    }
}

pub fn write_weights(path: &Path, weights: &Weights, dtype: impl Fn(&str) -> Dtype) {
    let held: Vec<_> =
        weights.iter().map(|(name, t)| (name, dtype(name), bytes(dtype(name), &t.values), &t.shape)).collect();
    let views = held
        .iter()
        .map(|(name, dtype, bytes, shape)| (name.as_str(), TensorView::new(*dtype, shape.to_vec(), bytes).unwrap()));
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// A folder with this configuration and these weights, in f32.
pub fn write(config: &Value, weights: &Weights) -> tempfile::TempDir {
    write_as(config, weights, Dtype::F32)
}

pub fn write_as(config: &Value, weights: &Weights, dtype: Dtype) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    write_weights(&folder.path().join("model.safetensors"), weights, |_| dtype);
    folder
}

/// A model of a configuration.
pub fn model(config: &Value) -> tempfile::TempDir {
    write(config, &weights(config))
}

/// An adapter folder with this configuration over PEFT's smallest one.
pub fn adapter(changes: Value, tensors: &Weights) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let base = json!({"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 2, "lora_alpha": 4});
    std::fs::write(folder.path().join("adapter_config.json"), with(base, changes).to_string()).unwrap();
    write_weights(&folder.path().join("adapter_model.safetensors"), tensors, |_| Dtype::F32);
    folder
}

/// Pairs of a rank on layers of the small configuration, under names made by `name` of a path and "lora_A" or "lora_B".
pub fn pairs(paths: &[&str], rank: usize, name: impl Fn(&str, &str) -> String) -> Weights {
    let spec = read_spec(&config("llama")).unwrap();
    let mut tensors = Weights::new();
    for (at, path) in paths.iter().enumerate() {
        let (outputs, inputs) = spec.linear_shape(path).unwrap();
        tensors.insert(name(path, "lora_A"), tensor(&[rank, inputs], 100 + at as u64, 0.3));
        tensors.insert(name(path, "lora_B"), tensor(&[outputs, rank], 200 + at as u64, 0.3));
    }
    tensors
}

/// PEFT's own name.
pub fn peft_name(path: &str, part: &str) -> String {
    format!("base_model.model.{path}.{part}.weight")
}

pub const QUERY: &str = "model.layers.0.self_attn.q_proj";
pub const LATER: &str = "model.layers.1.self_attn.q_proj";
