//! Llama and what follows its shape (SmolLM2, TinyLlama, the starter models): optional biases on all layers.

use super::{Architecture, Config, defaults};
use crate::DecoderSpec;
use crate::error::Result;

pub(super) const LLAMA: Architecture = Architecture {
    name: "llama",
    model_type: "llama",
    defaults: &defaults::LLAMA,
    carries: &["attention_bias", "mlp_bias"],
    multimodal: None,
    read,
};

fn read(config: &Config) -> Result<DecoderSpec> {
    config.require_silu()?;
    let bias = config.flag("attention_bias")?;
    let common = config.common_with_rope("llama")?;
    config.refuse_windows(&common)?;
    Ok(DecoderSpec { qkv_bias: bias, output_bias: bias, mlp_bias: config.flag("mlp_bias")?, ..common })
}
