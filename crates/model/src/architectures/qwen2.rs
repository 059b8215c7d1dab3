//! Qwen 2 and 2.5: biases on query, key and value only. Windows, where switched on, begin at `max_window_layers`.

use super::config::set_windows;
use super::defaults::{Defaults, LLAMA};
use super::{Architecture, Config};
use crate::DecoderSpec;
use crate::error::Result;

pub(super) const QWEN2: Architecture = Architecture {
    name: "qwen2",
    model_type: "qwen2",
    defaults: &DEFAULTS,
    carries: &["attention_bias", "qkv_bias"],
    multimodal: None,
    read,
};

/// Defaults of absent keys.
pub(super) const DEFAULTS: Defaults =
    Defaults { vocabulary: 151_936, intermediate: 22_016, kv_heads: Some(32), context: 32_768, ..LLAMA };

/// Width of windows where they are switched on and the file names none.
const WINDOW: usize = 4_096;

fn read(config: &Config) -> Result<DecoderSpec> {
    config.require_silu()?;
    let mut spec = DecoderSpec { qkv_bias: true, ..config.common_with_rope("qwen2")? };
    windows(config, &mut spec)?;
    Ok(spec)
}

/// The rule that Qwen 3 shares: without `use_sliding_window` there is no window, whatever else is said of one.
pub(super) fn windows(config: &Config, spec: &mut DecoderSpec) -> Result<()> {
    let window = config.window_or(Some(WINDOW))?;
    let window = if config.flag("use_sliding_window")? { window } else { None };
    let first = match config.value.get("max_window_layers").and_then(serde_json::Value::as_u64) {
        Some(0) => 0,
        _ => config.size_or("max_window_layers", 28)?,
    };
    let windows = config.windows(spec.layers, window, |layer| layer >= first)?;
    set_windows(spec, windows);
    Ok(())
}
