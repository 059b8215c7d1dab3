//! OLMo 2: norms after each half of a block instead of before it, and over all query and all key heads together.

use super::{Architecture, Config, defaults};
use crate::error::Result;
use crate::{BlockNorms, DecoderSpec, QueryKeyNorm};

pub(super) const OLMO2: Architecture =
    Architecture { name: "olmo2", model_type: "olmo2", defaults: &defaults::OLMO2, read };

fn read(config: &Config) -> Result<DecoderSpec> {
    config.require_silu()?;
    let bias = config.flag("attention_bias")?;
    let common = config.common_with_rope("olmo2")?;
    config.refuse_windows(&common)?;
    let (norms, query_key_norm) = (BlockNorms::POST, QueryKeyNorm::WholeLayer);
    Ok(DecoderSpec { norms, query_key_norm, qkv_bias: bias, output_bias: bias, ..common })
}
