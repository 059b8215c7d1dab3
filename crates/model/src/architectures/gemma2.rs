//! Gemma 2: norms on both sides of each half with weights stored as w − 1, scaled embeddings, capped scores and logits,
//! and a window on every other layer.

use super::config::set_windows;
use super::{Architecture, Config};
use crate::error::Result;
use crate::{Activation, BlockNorms, DecoderSpec};

pub(super) const GEMMA2: Architecture = Architecture { name: "gemma2", model_type: "gemma2", read };

fn read(config: &Config) -> Result<DecoderSpec> {
    let mut spec = gemma("gemma2", config)?;
    spec.attention_cap = config.optional("attn_logit_softcapping");
    spec.logit_cap = config.optional("final_logit_softcapping");
    let windows = config.windows(spec.layers, |layer| layer % 2 == 0)?;
    set_windows(&mut spec, windows);
    Ok(spec)
}

/// What Gemma 2 and 3 share.
pub(super) fn gemma(family: &'static str, config: &Config) -> Result<DecoderSpec> {
    let common = config.common(family)?;
    let activation = config.get("hidden_activation").or_else(|| config.get("hidden_act"));
    if let Some(other) = activation.and_then(serde_json::Value::as_str).filter(|name| *name != "gelu_pytorch_tanh") {
        let found = format!("is “{other}”; this family is known with “gelu_pytorch_tanh” only");
        return Err(Config::bad("hidden_activation", found));
    }
    let bias = config.flag("attention_bias");
    Ok(DecoderSpec {
        norm_offset: 1.0,
        norms: BlockNorms::SANDWICH,
        activation: Activation::GeluTanh,
        qkv_bias: bias,
        output_bias: bias,
        embedding_scale: (common.hidden as f64).sqrt(),
        attention_scale: 1.0 / config.number_or("query_pre_attn_scalar", common.head_dim as f64).sqrt(),
        tied: config.flag_or("tie_word_embeddings", true),
        ..common
    })
}
