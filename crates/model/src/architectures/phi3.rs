//! Phi 3: Llama's arithmetic with query, key and value in one matrix and gate and up in another. The long-context variants
//! (“longrope”) are refused by the name of their rope type.

use super::config::set_windows;
use super::defaults::{Defaults, LLAMA};
use super::{Architecture, Config};
use crate::error::Result;
use crate::{DecoderSpec, RopeScaling};
use alidade_domain::Words;

pub(super) const PHI3: Architecture = Architecture {
    name: "phi3",
    model_type: "phi3",
    defaults: &DEFAULTS,
    carries: &["partial_rotary_factor"],
    multimodal: None,
    read,
};

/// Defaults of absent keys.
const DEFAULTS: Defaults =
    Defaults { vocabulary: 32_064, hidden: 3_072, intermediate: 8_192, context: 4_096, epsilon: 1e-5, ..LLAMA };

fn read(config: &Config) -> Result<DecoderSpec> {
    config.require_silu()?;
    let mut spec = DecoderSpec { fused: true, ..config.common_with_rope("phi3")? };
    if spec.ropes.iter().any(|rope| rope.scaling != RopeScaling::None) {
        return Err(Config::bad(
            "rope_type",
            Words::new(
                "is of a kind that this family does not have; known for it: default",
                "的类型是这个系列没有的；可用：default",
            ),
        ));
    }
    let windows = config.uniform_windows(spec.layers, config.window_or(None)?)?;
    set_windows(&mut spec, windows);
    Ok(spec)
}
