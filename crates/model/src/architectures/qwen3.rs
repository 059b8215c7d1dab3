//! Qwen 3: a norm on each query and key head instead of Qwen 2's biases.

use super::defaults::Defaults;
use super::{Architecture, Config, qwen2};
use crate::error::Result;
use crate::{DecoderSpec, QueryKeyNorm};

pub(super) const QWEN3: Architecture = Architecture {
    name: "qwen3",
    model_type: "qwen3",
    defaults: &DEFAULTS,
    carries: &["attention_bias", "use_qk_norm", "qk_norm"],
    multimodal: None,
    read,
};

/// Defaults of absent keys.
const DEFAULTS: Defaults = Defaults { head_dim: Some(128), ..qwen2::DEFAULTS };

fn read(config: &Config) -> Result<DecoderSpec> {
    config.require_silu()?;
    let bias = config.flag("attention_bias")?;
    let common = config.common_with_rope("qwen3")?;
    let mut spec = DecoderSpec { query_key_norm: QueryKeyNorm::PerHead, qkv_bias: bias, output_bias: bias, ..common };
    qwen2::windows(config, &mut spec)?;
    Ok(spec)
}
