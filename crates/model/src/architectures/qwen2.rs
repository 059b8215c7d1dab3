//! Qwen 2 and 2.5: biases on query, key and value only. Windows, where switched on, begin at `max_window_layers`.

use super::config::set_windows;
use super::{Architecture, Config};
use crate::DecoderSpec;
use crate::error::Result;

pub(super) const QWEN2: Architecture = Architecture { name: "qwen2", model_type: "qwen2", read };

fn read(config: &Config) -> Result<DecoderSpec> {
    config.require_silu()?;
    let mut spec = DecoderSpec { qkv_bias: true, ..config.common("qwen2")? };
    windows(config, &mut spec)?;
    Ok(spec)
}

/// The rule that Qwen 3 shares.
pub(super) fn windows(config: &Config, spec: &mut DecoderSpec) -> Result<()> {
    let named = config.get("layer_types").is_some();
    let first = if config.flag("use_sliding_window") { config.size_or("max_window_layers", 28)? } else { usize::MAX };
    if named || first < spec.layers {
        let windows = config.windows(spec.layers, |layer| layer >= first)?;
        set_windows(spec, windows);
    }
    Ok(())
}
