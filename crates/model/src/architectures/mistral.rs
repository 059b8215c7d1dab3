//! Mistral: Llama's shape; every layer has sliding-window attention, which the file switches off by a null.

use super::config::set_windows;
use super::defaults::{Defaults, LLAMA};
use super::{Architecture, Config};
use crate::DecoderSpec;
use crate::error::Result;

pub(super) const MISTRAL: Architecture =
    Architecture { name: "mistral", model_type: "mistral", defaults: &DEFAULTS, carries: &[], multimodal: None, read };

/// Defaults of absent keys.
const DEFAULTS: Defaults = Defaults { intermediate: 14_336, kv_heads: Some(8), context: 131_072, ..LLAMA };

/// Width of the window where the file does not speak of one.
const WINDOW: usize = 4_096;

fn read(config: &Config) -> Result<DecoderSpec> {
    config.require_silu()?;
    let mut spec = config.common_with_rope("mistral")?;
    let windows = config.uniform_windows(spec.layers, config.window_or(Some(WINDOW))?)?;
    set_windows(&mut spec, windows);
    Ok(spec)
}
