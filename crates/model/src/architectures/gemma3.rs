//! Gemma 3, text only: Gemma 2 without caps, with norms on queries and keys; five windowed layers to one full one, each
//! kind with its own rotary embedding.

use super::config::set_windows;
use super::gemma2::gemma;
use super::{Architecture, Config};
use crate::error::Result;
use crate::{DecoderSpec, QueryKeyNorm};

pub(super) const GEMMA3: Architecture = Architecture { name: "gemma3", model_type: "gemma3_text", read };

fn read(config: &Config) -> Result<DecoderSpec> {
    let mut spec = DecoderSpec { query_key_norm: QueryKeyNorm::PerHead, ..gemma("gemma3", config)? };
    let pattern = config.size_or("sliding_window_pattern", config.size_or("_sliding_window_pattern", 6)?)?;
    let windows = config.windows(spec.layers, |layer| (layer + 1) % pattern != 0)?;
    set_windows(&mut spec, windows);
    let groups = config.get("rope_parameters");
    let group = |name: &str| groups.and_then(|groups| groups.get(name));
    let full = group("full_attention").or_else(|| config.get("rope_scaling"));
    let full = config.rope_of(full, config.number_or("rope_theta", 1_000_000.0), spec.head_dim)?;
    let local_theta = config.number_or("rope_local_base_freq", 10_000.0);
    let local = config.rope_of(group("sliding_attention"), local_theta, spec.head_dim)?;
    spec.ropes = vec![full, local];
    spec.kinds.iter_mut().for_each(|kind| kind.rope = Some(usize::from(kind.window.is_some())));
    Ok(spec)
}
