//! SmolLM 3: Llama's shape; every fourth layer (or those that the file names) has no rotary embedding.

use super::config::set_windows;
use super::{Architecture, Config};
use crate::DecoderSpec;
use crate::error::Result;
use serde_json::Value;

pub(super) const SMOLLM3: Architecture = Architecture { name: "smollm3", model_type: "smollm3", read };

fn read(config: &Config) -> Result<DecoderSpec> {
    config.require_silu()?;
    let bias = config.flag("attention_bias");
    let common = config.common("smollm3")?;
    let tied = config.flag_or("tie_word_embeddings", true);
    let mut spec = DecoderSpec { qkv_bias: bias, output_bias: bias, mlp_bias: config.flag("mlp_bias"), tied, ..common };
    if config.flag("use_sliding_window") {
        let windows = config.windows(spec.layers, |_| true)?;
        set_windows(&mut spec, windows);
    }
    let rotated = rotated_layers(config, spec.layers)?;
    spec.kinds.iter_mut().zip(rotated).for_each(|(kind, rotated)| kind.rope = rotated.then_some(0));
    Ok(spec)
}

/// Which layers rotate. The key's name notwithstanding, a 1 in `no_rope_layers` means that the layer does.
fn rotated_layers(config: &Config, layers: usize) -> Result<Vec<bool>> {
    let Some(list) = config.get("no_rope_layers") else {
        let interval = config.size_or("no_rope_layer_interval", 4)?;
        return Ok((0..layers).map(|layer| (layer + 1) % interval != 0).collect());
    };
    let list = list.as_array().filter(|list| list.len() == layers);
    let list = list.ok_or_else(|| Config::bad("no_rope_layers", "does not hold one number for each layer"))?;
    Ok(list.iter().map(|value| value.as_u64() != Some(0) && *value != Value::Bool(false)).collect())
}
