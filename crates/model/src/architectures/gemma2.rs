//! Gemma 2: norms on both sides of each half with weights stored as w − 1, scaled embeddings, capped scores and logits,
//! and a window on every other layer.

use super::config::set_windows;
use super::defaults::{Defaults, LLAMA};
use super::{Architecture, Config};
use crate::error::Result;
use crate::{Activation, BlockNorms, DecoderSpec};
use alidade_domain::{Words, wording};
use serde_json::Value;

pub(super) const GEMMA2: Architecture = Architecture {
    name: "gemma2",
    model_type: "gemma2",
    defaults: &DEFAULTS,
    carries: &["attn_logit_softcapping", "final_logit_softcapping", "query_pre_attn_scalar", "attention_bias"],
    multimodal: None,
    read,
};

/// Defaults of absent keys.
pub(super) const DEFAULTS: Defaults = Defaults {
    vocabulary: 256_000,
    hidden: 2_304,
    intermediate: 9_216,
    layers: 26,
    heads: 8,
    kv_heads: Some(4),
    head_dim: Some(256),
    context: 8_192,
    tied: true,
    ..LLAMA
};

/// Width of windows where the file names none.
const WINDOW: usize = 4_096;
/// What a head's width is taken for in the scale of scores where the file does not say.
const SCALAR: f64 = 256.0;

fn read(config: &Config) -> Result<DecoderSpec> {
    let mut spec = gemma("gemma2", config)?;
    spec.ropes = vec![config.rope(spec.head_dim)?];
    spec.attention_cap = config.optional_or("attn_logit_softcapping", 50.0)?;
    spec.logit_cap = config.optional_or("final_logit_softcapping", 30.0)?;
    let windows = config.windows(spec.layers, window(config)?, |layer| layer % 2 == 0)?;
    set_windows(&mut spec, windows);
    Ok(spec)
}

/// Width of the windows, which Gemma 2 and 3 require unless every layer is declared to have full attention.
pub(super) fn window(config: &Config) -> Result<Option<usize>> {
    let window = config.window_or(Some(WINDOW))?;
    if window.is_none() && config.get("layer_types").is_none() {
        return Err(Config::bad(
            "sliding_window",
            Words::new("is null, and some layers of this family have windows", "是 null，而这个系列有些层带有窗口"),
        ));
    }
    Ok(window)
}

/// What Gemma 2 and 3 share.
pub(super) fn gemma(family: &'static str, config: &Config) -> Result<DecoderSpec> {
    let common = config.common(family)?;
    for (key, known) in
        [("hidden_activation", &["gelu_pytorch_tanh"][..]), ("hidden_act", &["gelu_pytorch_tanh", "gelu"])]
    {
        match config.get(key) {
            None => {}
            Some(Value::String(name)) if known.contains(&name.as_str()) => {}
            Some(other) => {
                let found = wording!(
                    "is {other}; this family is known with “gelu_pytorch_tanh” only",
                    "是 {other}；这个系列只支持“gelu_pytorch_tanh”"
                );
                return Err(Config::bad(key, found));
            }
        }
    }
    let bias = config.flag("attention_bias")?;
    Ok(DecoderSpec {
        norm_offset: 1.0,
        norms: BlockNorms::SANDWICH,
        activation: Activation::GeluTanh,
        qkv_bias: bias,
        output_bias: bias,
        embedding_scale: (common.hidden as f64).sqrt(),
        attention_scale: 1.0 / config.number_or("query_pre_attn_scalar", SCALAR)?.sqrt(),
        ..common
    })
}
