//! The registry of families. A family reads config.json into a [`DecoderSpec`]; adding one is one file and one line here.

mod llama;
mod qwen2;

use crate::error::Result;
use crate::{DecoderSpec, Llama3Scaling, ModelError, Rope};
use serde_json::Value;

/// A family of models that share one way of reading config.json.
#[derive(Debug, Clone, Copy)]
pub struct Architecture {
    /// `model_type` in config.json.
    pub name: &'static str,
    pub(crate) read: fn(&Config) -> Result<DecoderSpec>,
}

/// Every family that can be run.
pub const ARCHITECTURES: &[Architecture] = &[llama::LLAMA, qwen2::QWEN2];

/// Reads a parsed config.json.
///
/// # Errors
/// When the family is unknown, or a key is missing or makes no sense; the key is named.
pub fn read_spec(config: &Value) -> std::result::Result<DecoderSpec, ModelError> {
    let config = Config(config);
    let name = config.text("model_type")?;
    let Some(architecture) = ARCHITECTURES.iter().find(|architecture| architecture.name == name) else {
        let known = ARCHITECTURES.iter().map(|architecture| architecture.name).collect::<Vec<_>>().join(", ");
        return Err(ModelError::UnknownArchitecture { found: name.to_owned(), known });
    };
    let spec = (architecture.read)(&config)?;
    check(&spec)?;
    Ok(spec)
}

/// config.json with errors that name the key.
pub(crate) struct Config<'a>(&'a Value);

impl Config<'_> {
    fn bad(key: &str, found: impl Into<String>) -> ModelError {
        ModelError::Configuration { file: "config.json".to_owned(), key: key.to_owned(), found: found.into() }
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, key: &str) -> Result<&str> {
        self.get(key).and_then(Value::as_str).ok_or_else(|| Self::bad(key, "is missing or is no text"))
    }

    pub(crate) fn size(&self, key: &str) -> Result<usize> {
        let value = self.get(key).ok_or_else(|| Self::bad(key, "is missing"))?;
        let limit = 1 << 24;
        match value.as_u64() {
            Some(size) if (1..=limit).contains(&size) => Ok(size as usize),
            _ => Err(Self::bad(key, format!("is {value}; it must be a whole number from 1 to {limit}"))),
        }
    }

    pub(crate) fn size_or(&self, key: &str, fallback: usize) -> Result<usize> {
        if self.get(key).is_none() { Ok(fallback) } else { self.size(key) }
    }

    pub(crate) fn number_or(&self, key: &str, fallback: f64) -> f64 {
        self.get(key).and_then(Value::as_f64).unwrap_or(fallback)
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        self.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    pub(crate) fn require_silu(&self) -> Result<()> {
        match self.get("hidden_act").and_then(Value::as_str) {
            None | Some("silu" | "swish") => Ok(()),
            Some(other) => Err(Self::bad("hidden_act", format!("is “{other}”; this family is known with “silu” only"))),
        }
    }

    /// RoPE from `rope_parameters` (newer files) or `rope_theta` and `rope_scaling` (older ones).
    pub(crate) fn rope(&self) -> Result<Rope> {
        let group = self.get("rope_parameters").or_else(|| self.get("rope_scaling"));
        let inner = group.and_then(|group| group.get("rope_theta")).and_then(Value::as_f64);
        let theta = inner.unwrap_or_else(|| self.number_or("rope_theta", 10_000.0));
        let Some(group) = group else { return Ok(Rope { theta, scaling: None }) };
        let kind = group.get("rope_type").or_else(|| group.get("type")).and_then(Value::as_str).unwrap_or("default");
        let number = |key: &str| {
            let value = group.get(key).and_then(Value::as_f64).filter(|value| *value > 0.0);
            value.ok_or_else(|| Self::bad(key, "is missing or not positive; llama3 rope scaling needs it"))
        };
        match kind {
            "default" => Ok(Rope { theta, scaling: None }),
            "llama3" => Ok(Rope {
                theta,
                scaling: Some(Llama3Scaling {
                    factor: number("factor")?,
                    low_frequency_factor: number("low_freq_factor")?,
                    high_frequency_factor: number("high_freq_factor")?,
                    original_context: number("original_max_position_embeddings")?,
                }),
            }),
            other => Err(Self::bad("rope_type", format!("is “{other}”; known: default, llama3"))),
        }
    }

    /// The part that every pre-norm family shares; families adjust what differs.
    pub(crate) fn common(&self, family: &'static str) -> Result<DecoderSpec> {
        self.require_silu()?;
        let (hidden, heads) = (self.size("hidden_size")?, self.size("num_attention_heads")?);
        Ok(DecoderSpec {
            family,
            vocabulary: self.size("vocab_size")?,
            hidden,
            intermediate: self.size("intermediate_size")?,
            layers: self.size("num_hidden_layers")?,
            heads,
            kv_heads: self.size_or("num_key_value_heads", heads)?,
            head_dim: self.size_or("head_dim", (hidden / heads).max(1))?,
            norm_epsilon: self.number_or("rms_norm_eps", 1e-6),
            qkv_bias: false,
            output_bias: false,
            mlp_bias: false,
            rope: self.rope()?,
            tied: self.flag("tie_word_embeddings"),
            context: self.size_or("max_position_embeddings", 2048)?,
        })
    }
}

fn check(spec: &DecoderSpec) -> Result<()> {
    if !spec.heads.is_multiple_of(spec.kv_heads) {
        let found = format!("is {}; it must divide num_attention_heads, which is {}", spec.kv_heads, spec.heads);
        return Err(Config::bad("num_key_value_heads", found));
    }
    if !spec.head_dim.is_multiple_of(2) {
        return Err(Config::bad("head_dim", format!("is {}; rotary embeddings need an even number", spec.head_dim)));
    }
    if !(spec.norm_epsilon > 0.0 && spec.norm_epsilon < 1.0) {
        return Err(Config::bad("rms_norm_eps", format!("is {}; it must lie between 0 and 1", spec.norm_epsilon)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(change: impl FnOnce(&mut Value)) -> Value {
        let mut value = json!({"model_type": "llama", "vocab_size": 10, "hidden_size": 8, "intermediate_size": 16,
            "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1});
        change(&mut value);
        value
    }

    #[test]
    fn families_differ_in_their_biases() {
        let llama = read_spec(&config(|_| ())).unwrap();
        let qwen2 = read_spec(&config(|value| value["model_type"] = json!("qwen2"))).unwrap();
        assert!(!llama.qkv_bias && qwen2.qkv_bias && !qwen2.output_bias);
    }

    #[test]
    fn an_unknown_family_is_refused_by_name() {
        let error = read_spec(&config(|value| value["model_type"] = json!("mamba"))).unwrap_err().to_string();
        assert!(error.contains("mamba") && error.contains("llama, qwen2"), "{error}");
    }

    #[test]
    fn senseless_numbers_name_their_key() {
        for (key, value) in [("num_key_value_heads", json!(3)), ("vocab_size", json!(0)), ("hidden_size", json!("x"))] {
            let error = read_spec(&config(|config| config[key] = value)).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
        let sliding = config(|value| {
            value["model_type"] = json!("qwen2");
            value["use_sliding_window"] = json!(true);
        });
        assert!(read_spec(&sliding).is_err());
    }
}
