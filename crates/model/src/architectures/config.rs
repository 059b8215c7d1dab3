//! Reading config.json: keys with errors that name them, and the parts that families share. An absent key has its
//! family's default; an invalid one is an error, never a default.

use super::defaults::Defaults;
use crate::error::Result;
use crate::{Activation, BlockNorms, DecoderSpec, LayerKind, ModelError, QueryKeyNorm};
use alidade_domain::{Wording, Words, wording};
use serde_json::Value;

/// Largest size of anything.
const LARGEST: u64 = 1 << 24;
/// Most blocks: several times what the deepest published decoder has. Each is memory before a weight is read.
pub(crate) const MOST_LAYERS: usize = 4_096;

/// config.json with errors that name the key.
pub(crate) struct Config<'a> {
    pub(super) value: &'a Value,
    pub(super) defaults: &'a Defaults,
}

impl Config<'_> {
    pub(crate) fn bad(key: &str, found: impl Into<Wording>) -> ModelError {
        ModelError::Configuration { file: "config.json".to_owned(), key: key.to_owned(), found: found.into() }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.value.get(key).filter(|value| !value.is_null())
    }

    /// A size; where the key is absent, `fallback`.
    pub(super) fn size_or(&self, key: &str, fallback: usize) -> Result<usize> {
        let Some(value) = self.get(key) else { return Ok(fallback) };
        match value.as_u64() {
            Some(size) if (1..=LARGEST).contains(&size) => Ok(size as usize),
            _ => Err(Self::bad(
                key,
                wording!(
                    "is {value}; it must be a whole number from 1 to {LARGEST}",
                    "是 {value}，必须是 1 到 {LARGEST} 之间的整数"
                ),
            )),
        }
    }

    /// A number; where the key is absent, `fallback`.
    pub(super) fn number_or(&self, key: &str, fallback: f64) -> Result<f64> {
        Ok(self.optional(key)?.unwrap_or(fallback))
    }

    /// A number that may be absent.
    pub(super) fn optional(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_f64().filter(|number| number.is_finite()) {
            Some(number) => Ok(Some(number)),
            None => Err(Self::bad(key, wording!("is {value}; it must be a number", "是 {value}，必须是数"))),
        }
    }

    /// A number whose key may be absent, which means `fallback`, or null, which means none.
    pub(super) fn optional_or(&self, key: &str, fallback: f64) -> Result<Option<f64>> {
        if self.value.get(key).is_some() { self.optional(key) } else { Ok(Some(fallback)) }
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool> {
        self.flag_or(key, false)
    }

    pub(super) fn flag_or(&self, key: &str, fallback: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(fallback),
            Some(Value::Bool(on)) => Ok(*on),
            Some(other) => Err(Self::bad(
                key,
                wording!("is {other}; it must be true or false", "是 {other}，必须是 true 或 false"),
            )),
        }
    }

    pub(super) fn require_silu(&self) -> Result<()> {
        match self.get("hidden_act") {
            None => Ok(()),
            Some(Value::String(name)) if name == "silu" || name == "swish" => Ok(()),
            Some(other) => Err(Self::bad(
                "hidden_act",
                wording!("is {other}; this family is known with “silu” only", "是 {other}；这个系列只支持“silu”"),
            )),
        }
    }

    /// Width of the window: `fallback` where nothing is said, none where it is said to be null.
    pub(super) fn window_or(&self, fallback: Option<usize>) -> Result<Option<usize>> {
        match self.value.get("sliding_window") {
            None => Ok(fallback),
            Some(Value::Null) => Ok(None),
            Some(_) => self.size_or("sliding_window", 1).map(Some),
        }
    }

    /// Which layers have a window by `layer_types`; none where the file does not say.
    pub(super) fn windowed_layers(&self, layers: usize) -> Result<Option<Vec<bool>>> {
        let Some(types) = self.get("layer_types") else { return Ok(None) };
        let types = types.as_array().filter(|types| types.len() == layers);
        let types = types.ok_or_else(|| {
            Self::bad("layer_types", Words::new("does not name one type for each layer", "没有为每一层写明类型"))
        })?;
        let kind = |value: &Value| match value.as_str() {
            Some("sliding_attention") => Ok(true),
            Some("full_attention") => Ok(false),
            _ => Err(Self::bad(
                "layer_types",
                wording!(
                    "holds {value}; known: “full_attention”, “sliding_attention”",
                    "中有 {value}；可用：“full_attention”“sliding_attention”"
                ),
            )),
        };
        types.iter().map(kind).collect::<Result<_>>().map(Some)
    }

    /// The window of each layer: from `layer_types`, else from `otherwise` by layer index. A windowed layer without a width
    /// is an error.
    pub(super) fn windows(
        &self,
        layers: usize,
        window: Option<usize>,
        otherwise: impl Fn(usize) -> bool,
    ) -> Result<Vec<Option<usize>>> {
        let named = self.windowed_layers(layers)?;
        let windowed = match (named, window) {
            (Some(named), None) if named.contains(&true) => {
                let found = Words::new(
                    "names layers with “sliding_attention”, but no sliding_window is set or switched on",
                    "把一些层写为“sliding_attention”，但没有设置或启用 sliding_window",
                );
                return Err(Self::bad("layer_types", found));
            }
            (Some(named), _) => named,
            (None, None) => vec![false; layers],
            (None, Some(_)) => (0..layers).map(otherwise).collect(),
        };
        Ok(windowed.into_iter().map(|windowed| window.filter(|_| windowed)).collect())
    }

    /// For families whose layers all have the same attention: all have the window, or none. Other layer types are refused.
    pub(super) fn uniform_windows(&self, layers: usize, window: Option<usize>) -> Result<Vec<Option<usize>>> {
        if let Some(named) = self.windowed_layers(layers)?
            && named.iter().any(|windowed| *windowed != window.is_some())
        {
            let found = Words::new(
                "gives layers of this family other windows than sliding_window says, which is not carried out",
                "为这个系列的层给出了与 sliding_window 不同的窗口，不支持这种情况",
            );
            return Err(Self::bad("layer_types", found));
        }
        Ok(vec![window; layers])
    }

    /// For families without windows: one that is shorter than the context is refused.
    pub(super) fn refuse_windows(&self, spec: &DecoderSpec) -> Result<()> {
        let window = self.window_or(None)?.filter(|window| *window < spec.context);
        if let Some(window) = window {
            let found = wording!(
                "is {window}; layers of the family “{family}” have no windows here",
                "是 {window}；“{family}”系列的层在这里没有窗口",
                family = spec.family
            );
            return Err(Self::bad("sliding_window", found));
        }
        self.uniform_windows(spec.layers, None).map(|_| ())
    }

    /// What every family shares with Llama; families adjust what differs.
    pub(super) fn common(&self, family: &'static str) -> Result<DecoderSpec> {
        let own = self.defaults;
        let hidden = self.size_or("hidden_size", own.hidden)?;
        let heads = self.size_or("num_attention_heads", own.heads)?;
        let layers = self.size_or("num_hidden_layers", own.layers)?;
        if layers > MOST_LAYERS {
            return Err(Self::bad(
                "num_hidden_layers",
                wording!("is {layers}; at most {MOST_LAYERS} are read", "是 {layers}，最多读取 {MOST_LAYERS} 层"),
            ));
        }
        let head_dim = match self.get("head_dim") {
            Some(_) => self.size_or("head_dim", 1)?,
            None => own.head_dim.unwrap_or((hidden / heads).max(1)),
        };
        // Null means as many as query heads, and so does an absent key in families that say no number.
        let kv_heads = match self.value.get("num_key_value_heads") {
            None => own.kv_heads.unwrap_or(heads),
            Some(_) => self.size_or("num_key_value_heads", heads)?,
        };
        Ok(DecoderSpec {
            family,
            vocabulary: self.size_or("vocab_size", own.vocabulary)?,
            hidden,
            intermediate: self.size_or("intermediate_size", own.intermediate)?,
            layers,
            kinds: vec![LayerKind { window: None, rope: Some(0) }; layers],
            heads,
            kv_heads,
            head_dim,
            norm_epsilon: self.number_or("rms_norm_eps", own.epsilon)?,
            norm_offset: 0.0,
            norms: BlockNorms::PRE,
            query_key_norm: QueryKeyNorm::None,
            activation: Activation::Silu,
            fused: false,
            qkv_bias: false,
            output_bias: false,
            mlp_bias: false,
            ropes: vec![],
            embedding_scale: 1.0,
            attention_scale: 1.0 / (head_dim as f64).sqrt(),
            residual_scale: 1.0,
            logit_divisor: 1.0,
            attention_cap: None,
            logit_cap: None,
            tied: self.flag_or("tie_word_embeddings", own.tied)?,
            context: self.size_or("max_position_embeddings", own.context)?,
        })
    }

    /// As [`Config::common`], with the one rotary embedding that all layers share.
    pub(super) fn common_with_rope(&self, family: &'static str) -> Result<DecoderSpec> {
        let common = self.common(family)?;
        Ok(DecoderSpec { ropes: vec![self.rope(common.head_dim)?], ..common })
    }
}

/// Gives each layer its window.
pub(super) fn set_windows(spec: &mut DecoderSpec, windows: Vec<Option<usize>>) {
    spec.kinds.iter_mut().zip(windows).for_each(|(kind, window)| kind.window = window);
}
