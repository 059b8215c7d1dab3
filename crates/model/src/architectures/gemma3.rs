//! Gemma 3's text model: Gemma 2 without caps on scores, with norms on queries and keys; five windowed layers to one full
//! one, each kind with its own rotary embedding.

use super::config::set_windows;
use super::defaults::Defaults;
use super::gemma2::{self, gemma, window};
use super::rope::said;
use super::{Architecture, Config};
use crate::error::Result;
use crate::{DecoderSpec, QueryKeyNorm};
use alidade_domain::wording;
use serde_json::Value;

pub(super) const GEMMA3: Architecture = Architecture {
    name: "gemma3",
    model_type: "gemma3_text",
    defaults: &DEFAULTS,
    carries: &["final_logit_softcapping", "query_pre_attn_scalar", "attention_bias", "use_qk_norm", "qk_norm"],
    multimodal: Some(("gemma3", "Gemma 3")),
    read,
};

/// Defaults of absent keys.
const DEFAULTS: Defaults = Defaults { vocabulary: 262_208, context: 131_072, theta: 1_000_000.0, ..gemma2::DEFAULTS };

/// One in this many layers has full attention, where the file gives no number.
const PATTERN: usize = 6;
/// Base of the windowed layers' rotary embedding where the file names none.
const LOCAL_THETA: f64 = 10_000.0;

fn read(config: &Config) -> Result<DecoderSpec> {
    let mut spec = DecoderSpec { query_key_norm: QueryKeyNorm::PerHead, ..gemma("gemma3", config)? };
    spec.logit_cap = config.optional("final_logit_softcapping")?;
    let pattern = config.size_or("sliding_window_pattern", PATTERN)?;
    let own = config.size_or("_sliding_window_pattern", pattern)?;
    if own != pattern && config.get("layer_types").is_none() {
        let found = wording!(
            "is {own}, which other programs do not read: name the layers in layer_types",
            "是 {own}，其他程序不读取它：请在 layer_types 中写明各层"
        );
        return Err(Config::bad("_sliding_window_pattern", found));
    }
    let windows = config.windows(spec.layers, window(config)?, |layer| (layer + 1) % pattern != 0)?;
    set_windows(&mut spec, windows);
    let [full, local] = groups(config)?;
    let theta = config.number_or("rope_theta", config.defaults.theta)?;
    let local_theta = config.number_or("rope_local_base_freq", LOCAL_THETA)?;
    spec.ropes = vec![
        config.rope_of(full.as_ref(), theta, spec.head_dim)?,
        config.rope_of(local.as_ref(), local_theta, spec.head_dim)?,
    ];
    spec.kinds.iter_mut().for_each(|kind| kind.rope = Some(usize::from(kind.window.is_some())));
    Ok(spec)
}

/// The groups of full and of windowed layers. `rope_scaling` is about full layers, and its keys win over those of their
/// group; a group that is not nested says nothing that is known to mean anything.
fn groups(config: &Config) -> Result<[Option<Value>; 2]> {
    let nested = said(config, "rope_parameters")?;
    if let Some(flat) = nested.and_then(Value::as_object).filter(|map| !map.values().any(Value::is_object)) {
        let keys = flat.keys().cloned().collect::<Vec<_>>().join(", ");
        let found = wording!(
            "holds {keys}; in this family it holds the groups full_attention and sliding_attention",
            "中有 {keys}；这个系列中只应有 full_attention 和 sliding_attention 两组"
        );
        return Err(Config::bad("rope_parameters", found));
    }
    let group = |name: &str| nested.and_then(|groups| groups.get(name)).filter(|group| group.is_object()).cloned();
    let mut full = group("full_attention");
    if let Some(Value::Object(scaling)) = said(config, "rope_scaling")? {
        let mut merged = full.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
        if !scaling.contains_key("rope_type") && scaling.contains_key("type") {
            merged.remove("rope_type");
        }
        merged.extend(scaling.clone());
        full = Some(Value::Object(merged));
    }
    Ok([full, group("sliding_attention")])
}
