//! Mistral: Llama's shape; every layer has sliding-window attention, which the file switches off by a null.

use super::config::set_windows;
use super::{Architecture, Config, defaults};
use crate::DecoderSpec;
use crate::error::Result;

pub(super) const MISTRAL: Architecture =
    Architecture { name: "mistral", model_type: "mistral", defaults: &defaults::MISTRAL, read };

/// Width of the window where the file does not speak of one.
const WINDOW: usize = 4_096;

fn read(config: &Config) -> Result<DecoderSpec> {
    config.require_silu()?;
    let mut spec = config.common_with_rope("mistral")?;
    let windows = config.uniform_windows(spec.layers, config.window_or(Some(WINDOW))?)?;
    set_windows(&mut spec, windows);
    Ok(spec)
}
