//! SmolLM 3: Llama's shape; every fourth layer (or those that the file names) has no rotary embedding, and windows, where
//! they are switched on, are on these.

use super::config::set_windows;
use super::defaults::{Defaults, LLAMA};
use super::{Architecture, Config};
use crate::DecoderSpec;
use crate::error::Result;
use alidade_domain::{Words, wording};
use serde_json::Value;

pub(super) const SMOLLM3: Architecture = Architecture {
    name: "smollm3",
    model_type: "smollm3",
    defaults: &DEFAULTS,
    carries: &["attention_bias", "mlp_bias", "no_rope_layers"],
    multimodal: None,
    read,
};

/// Defaults of absent keys.
const DEFAULTS: Defaults = Defaults {
    vocabulary: 128_256,
    hidden: 2_048,
    layers: 36,
    heads: 16,
    kv_heads: Some(4),
    context: 32_768,
    theta: 2_000_000.0,
    tied: true,
    ..LLAMA
};

fn read(config: &Config) -> Result<DecoderSpec> {
    config.require_silu()?;
    let bias = config.flag("attention_bias")?;
    let common = config.common_with_rope("smollm3")?;
    let mut spec = DecoderSpec { qkv_bias: bias, output_bias: bias, mlp_bias: config.flag("mlp_bias")?, ..common };
    let rotated = rotated_layers(config, spec.layers)?;
    let window = if config.flag("use_sliding_window")? { config.window_or(None)? } else { None };
    let windows = config.windows(spec.layers, window, |layer| !rotated[layer])?;
    set_windows(&mut spec, windows);
    spec.kinds.iter_mut().zip(rotated).for_each(|(kind, rotated)| kind.rope = rotated.then_some(0));
    Ok(spec)
}

/// Which layers rotate. The key's name notwithstanding, a 1 in `no_rope_layers` means that the layer does.
fn rotated_layers(config: &Config, layers: usize) -> Result<Vec<bool>> {
    let Some(list) = config.get("no_rope_layers") else {
        let interval = config.size_or("no_rope_layer_interval", 4)?;
        return Ok((0..layers).map(|layer| (layer + 1) % interval != 0).collect());
    };
    let list = list.as_array().filter(|list| list.len() >= layers);
    let list = list.ok_or_else(|| {
        Config::bad("no_rope_layers", Words::new("does not hold one number for each layer", "没有为每一层给出一个数"))
    })?;
    let rotates = |value: &Value| match (value.as_u64(), value.as_bool()) {
        (Some(0), _) | (_, Some(false)) => Ok(false),
        (Some(1), _) | (_, Some(true)) => Ok(true),
        _ => {
            Err(Config::bad("no_rope_layers", wording!("holds {value}; known: 0 and 1", "中有 {value}；可用：0 和 1")))
        }
    };
    list.iter().take(layers).map(rotates).collect()
}
