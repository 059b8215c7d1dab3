//! Mistral: Llama's shape; where the file names a window, every layer looks back no further.

use super::config::set_windows;
use super::{Architecture, Config};
use crate::DecoderSpec;
use crate::error::Result;

pub(super) const MISTRAL: Architecture = Architecture { name: "mistral", model_type: "mistral", read };

fn read(config: &Config) -> Result<DecoderSpec> {
    config.require_silu()?;
    let mut spec = config.common("mistral")?;
    let windows = config.windows(spec.layers, |_| true)?;
    set_windows(&mut spec, windows);
    Ok(spec)
}
