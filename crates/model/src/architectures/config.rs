//! Reading config.json: keys with errors that name them, and the parts that families share.

use crate::error::Result;
use crate::{
    Activation, BlockNorms, DecoderSpec, LayerKind, Llama3Scaling, ModelError, QueryKeyNorm, Rope, RopeScaling,
};
use serde_json::Value;

/// config.json with errors that name the key.
pub(crate) struct Config<'a>(pub(super) &'a Value);

impl Config<'_> {
    pub(super) fn bad(key: &str, found: impl Into<String>) -> ModelError {
        ModelError::Configuration { file: "config.json".to_owned(), key: key.to_owned(), found: found.into() }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, key: &str) -> Result<&str> {
        self.get(key).and_then(Value::as_str).ok_or_else(|| Self::bad(key, "is missing or is no text"))
    }

    pub(super) fn size(&self, key: &str) -> Result<usize> {
        let value = self.get(key).ok_or_else(|| Self::bad(key, "is missing"))?;
        let limit = 1 << 24;
        match value.as_u64() {
            Some(size) if (1..=limit).contains(&size) => Ok(size as usize),
            _ => Err(Self::bad(key, format!("is {value}; it must be a whole number from 1 to {limit}"))),
        }
    }

    pub(super) fn size_or(&self, key: &str, fallback: usize) -> Result<usize> {
        if self.get(key).is_none() { Ok(fallback) } else { self.size(key) }
    }

    pub(super) fn number_or(&self, key: &str, fallback: f64) -> f64 {
        self.get(key).and_then(Value::as_f64).unwrap_or(fallback)
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        self.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    pub(super) fn flag_or(&self, key: &str, fallback: bool) -> bool {
        self.get(key).and_then(Value::as_bool).unwrap_or(fallback)
    }

    /// A number that may be absent.
    pub(super) fn optional(&self, key: &str) -> Option<f64> {
        self.get(key).and_then(Value::as_f64)
    }

    pub(super) fn require_silu(&self) -> Result<()> {
        match self.get("hidden_act").and_then(Value::as_str) {
            None | Some("silu" | "swish") => Ok(()),
            Some(other) => Err(Self::bad("hidden_act", format!("is “{other}”; this family is known with “silu” only"))),
        }
    }

    /// RoPE from `rope_parameters` (newer files) or `rope_theta` and `rope_scaling` (older ones).
    pub(super) fn rope(&self, head_dim: usize) -> Result<Rope> {
        let group = self.get("rope_parameters").or_else(|| self.get("rope_scaling"));
        self.rope_of(group, self.number_or("rope_theta", 10_000.0), head_dim)
    }

    /// One group of rope keys; `theta` where the group names none.
    pub(super) fn rope_of(&self, group: Option<&Value>, theta: f64, head_dim: usize) -> Result<Rope> {
        let inner = |key: &str| group.and_then(|group| group.get(key)).and_then(Value::as_f64);
        let theta = inner("rope_theta").unwrap_or(theta);
        let share = inner("partial_rotary_factor").unwrap_or_else(|| self.number_or("partial_rotary_factor", 1.0));
        let rotated = (head_dim as f64 * share) as usize;
        let number = |key: &str| {
            let value = inner(key).filter(|value| *value > 0.0);
            value.ok_or_else(|| Self::bad(key, "is missing or not positive; this kind of rope scaling needs it"))
        };
        let kind = group.and_then(|group| group.get("rope_type").or_else(|| group.get("type")));
        let scaling = match kind.and_then(Value::as_str).unwrap_or("default") {
            "default" => RopeScaling::None,
            "linear" => RopeScaling::Linear(number("factor")?),
            "llama3" => RopeScaling::Llama3(Llama3Scaling {
                factor: number("factor")?,
                low_frequency_factor: number("low_freq_factor")?,
                high_frequency_factor: number("high_freq_factor")?,
                original_context: number("original_max_position_embeddings")?,
            }),
            other => return Err(Self::bad("rope_type", format!("is “{other}”; known: default, linear, llama3"))),
        };
        Ok(Rope { theta, scaling, rotated })
    }

    /// The window of each layer: what `layer_types` says, else what `otherwise` says of a layer's number. Without a
    /// `sliding_window` no layer has one.
    pub(super) fn windows(&self, layers: usize, otherwise: impl Fn(usize) -> bool) -> Result<Vec<Option<usize>>> {
        if self.get("sliding_window").is_none() {
            return Ok(vec![None; layers]);
        }
        let window = self.size("sliding_window")?;
        let Some(types) = self.get("layer_types") else {
            return Ok((0..layers).map(|layer| otherwise(layer).then_some(window)).collect());
        };
        let types = types.as_array().filter(|types| types.len() == layers);
        let types = types.ok_or_else(|| Self::bad("layer_types", "does not name one type for each layer"))?;
        let kind = |value: &Value| match value.as_str() {
            Some("sliding_attention") => Ok(Some(window)),
            Some("full_attention") => Ok(None),
            _ => Err(Self::bad("layer_types", format!("holds {value}; known: “full_attention”, “sliding_attention”"))),
        };
        types.iter().map(kind).collect()
    }

    /// What every family shares with Llama; families adjust what differs.
    pub(super) fn common(&self, family: &'static str) -> Result<DecoderSpec> {
        let (hidden, heads) = (self.size("hidden_size")?, self.size("num_attention_heads")?);
        let (layers, head_dim) = (self.size("num_hidden_layers")?, self.size_or("head_dim", (hidden / heads).max(1))?);
        Ok(DecoderSpec {
            family,
            vocabulary: self.size("vocab_size")?,
            hidden,
            intermediate: self.size("intermediate_size")?,
            layers,
            kinds: vec![LayerKind { window: None, rope: Some(0) }; layers],
            heads,
            kv_heads: self.size_or("num_key_value_heads", heads)?,
            head_dim,
            norm_epsilon: self.number_or("rms_norm_eps", 1e-6),
            norm_offset: 0.0,
            norms: BlockNorms::PRE,
            query_key_norm: QueryKeyNorm::None,
            activation: Activation::Silu,
            fused: false,
            qkv_bias: false,
            output_bias: false,
            mlp_bias: false,
            ropes: vec![self.rope(head_dim)?],
            embedding_scale: 1.0,
            attention_scale: 1.0 / (head_dim as f64).sqrt(),
            residual_scale: 1.0,
            logit_divisor: 1.0,
            attention_cap: None,
            logit_cap: None,
            tied: self.flag("tie_word_embeddings"),
            context: self.size_or("max_position_embeddings", 2048)?,
        })
    }
}

/// Gives each layer its window.
pub(super) fn set_windows(spec: &mut DecoderSpec, windows: Vec<Option<usize>>) {
    spec.kinds.iter_mut().zip(windows).for_each(|(kind, window)| kind.window = window);
}
