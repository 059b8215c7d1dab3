//! OLMo 2: norms after each half of a block instead of before it, and over all query and all key heads together.

use super::defaults::{Defaults, LLAMA};
use super::{Architecture, Config};
use crate::error::Result;
use crate::{BlockNorms, DecoderSpec, QueryKeyNorm};

pub(super) const OLMO2: Architecture = Architecture {
    name: "olmo2",
    model_type: "olmo2",
    defaults: &DEFAULTS,
    carries: &["attention_bias", "use_qk_norm", "qk_norm"],
    multimodal: None,
    read,
};

/// Defaults of absent keys.
const DEFAULTS: Defaults = Defaults { vocabulary: 50_304, epsilon: 1e-5, ..LLAMA };

fn read(config: &Config) -> Result<DecoderSpec> {
    config.require_silu()?;
    let bias = config.flag("attention_bias")?;
    let common = config.common_with_rope("olmo2")?;
    config.refuse_windows(&common)?;
    let (norms, query_key_norm) = (BlockNorms::POST, QueryKeyNorm::WholeLayer);
    Ok(DecoderSpec { norms, query_key_norm, qkv_bias: bias, output_bias: bias, ..common })
}
