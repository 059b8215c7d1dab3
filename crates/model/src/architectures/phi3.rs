//! Phi 3: Llama's arithmetic with query, key and value in one matrix and gate and up in another. The long-context variants
//! (“longrope”) are refused by the name of their rope type.

use super::config::set_windows;
use super::{Architecture, Config};
use crate::DecoderSpec;
use crate::error::Result;

pub(super) const PHI3: Architecture = Architecture { name: "phi3", model_type: "phi3", read };

fn read(config: &Config) -> Result<DecoderSpec> {
    config.require_silu()?;
    let mut spec = DecoderSpec { fused: true, ..config.common("phi3")? };
    let windows = config.windows(spec.layers, |_| true)?;
    set_windows(&mut spec, windows);
    Ok(spec)
}
