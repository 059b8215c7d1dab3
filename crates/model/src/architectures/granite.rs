//! Granite: Llama's shape with four multipliers, on embeddings, attention scores, residual additions and logits.

use super::{Architecture, Config, defaults};
use crate::DecoderSpec;
use crate::error::Result;

pub(super) const GRANITE: Architecture = Architecture {
    name: "granite",
    model_type: "granite",
    defaults: &defaults::LLAMA,
    carries: &[
        "embedding_multiplier",
        "residual_multiplier",
        "attention_multiplier",
        "logits_scaling",
        "attention_bias",
        "mlp_bias",
    ],
    multimodal: None,
    read,
};

fn read(config: &Config) -> Result<DecoderSpec> {
    config.require_silu()?;
    let bias = config.flag("attention_bias")?;
    let common = config.common_with_rope("granite")?;
    config.refuse_windows(&common)?;
    Ok(DecoderSpec {
        qkv_bias: bias,
        output_bias: bias,
        mlp_bias: config.flag("mlp_bias")?,
        embedding_scale: config.number_or("embedding_multiplier", 1.0)?,
        attention_scale: config.number_or("attention_multiplier", 1.0)?,
        residual_scale: config.number_or("residual_multiplier", 1.0)?,
        logit_divisor: config.number_or("logits_scaling", 1.0)?,
        ..common
    })
}
