//! Rotary embeddings (RoPE) in config.json. Since version 5 of transformers they are in `rope_parameters`, before that in
//! `rope_theta` and `rope_scaling`; files saved by both have both. A non-empty `rope_scaling` takes precedence over
//! `rope_parameters`, and a base inside the chosen group over the one outside. An empty group is ignored.

use super::Config;
use crate::error::{ModelError, Result};
use crate::{Llama3Scaling, Rope, RopeScaling};
use alidade_domain::{Words, wording};
use serde_json::Value;

/// Unsupported kinds of frequency scaling. Phi 3 calls its own by older names.
const REFUSED: [&str; 6] = ["yarn", "longrope", "su", "proportional", "axial", "mrope"];

/// A non-empty group.
pub(super) fn said<'a>(config: &'a Config, key: &str) -> Result<Option<&'a Value>> {
    match config.get(key) {
        None => Ok(None),
        Some(Value::Object(map)) if map.is_empty() => Ok(None),
        Some(group @ Value::Object(_)) => Ok(Some(group)),
        Some(other) => {
            Err(Config::bad(key, wording!("is {other}; it must be a group of keys", "是 {other}，必须是一组键")))
        }
    }
}

impl Config<'_> {
    /// The rotary embedding that all layers share.
    pub(super) fn rope(&self, head_dim: usize) -> Result<Rope> {
        let group = said(self, "rope_scaling")?.or(said(self, "rope_parameters")?);
        if let Some(nested) = group.and_then(|group| group.as_object()).filter(|map| map.values().any(Value::is_object))
        {
            let names = nested.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(Config::bad(
                "rope_parameters",
                wording!(
                    "holds groups ({names}), which this family does not have",
                    "中有若干组（{names}），这个系列没有这种情况"
                ),
            ));
        }
        self.rope_of(group, self.number_or("rope_theta", self.defaults.theta)?, head_dim)
    }

    /// One group of rope keys; `theta` where the group names none.
    pub(super) fn rope_of(&self, group: Option<&Value>, theta: f64, head_dim: usize) -> Result<Rope> {
        let inner = |key: &str| group.and_then(|group| group.get(key)).filter(|value| !value.is_null());
        let number = |key: &str| match inner(key) {
            None => Ok(None),
            Some(value) => match value.as_f64().filter(|value| *value > 0.0 && value.is_finite()) {
                Some(number) => Ok(Some(number)),
                None => Err(Config::bad(
                    key,
                    wording!("is {value}; it must be a positive number", "是 {value}，必须是正数"),
                )),
            },
        };
        let needed = |key: &str, fallback: Option<f64>| {
            let value = number(key)?.or(fallback);
            let found = Words::new("is missing; this kind of rope scaling needs it", "缺失；这种 rope 缩放需要它");
            value.ok_or_else(|| Config::bad(key, found))
        };
        let theta = number("rope_theta")?.unwrap_or(theta);
        let share = match number("partial_rotary_factor")? {
            Some(share) => share,
            None => self.number_or("partial_rotary_factor", 1.0)?,
        };
        if inner("mrope_section").is_some() {
            let found = Words::new(
                "is set: positions in pictures, which text alone does not have",
                "已设置：这是图片中的位置，纯文本没有",
            );
            return Err(Config::bad("mrope_section", found));
        }
        let kind = inner("rope_type").or(inner("type"));
        let kind = match kind {
            None => "default",
            Some(Value::String(kind)) => kind,
            Some(other) => {
                let found = wording!("is {other}; it must be a text", "是 {other}，必须是文本");
                return Err(Config::bad("rope_type", found));
            }
        };
        let context = self.size_or("max_position_embeddings", self.defaults.context)? as f64;
        let scaling = match kind {
            // Up to the context, which no row may pass here, the dynamic kind leaves every frequency as it is.
            "default" | "dynamic" => RopeScaling::None,
            "linear" => RopeScaling::Linear(needed("factor", None)?),
            "llama3" => RopeScaling::Llama3(Llama3Scaling {
                factor: needed("factor", None)?,
                low_frequency_factor: needed("low_freq_factor", None)?,
                high_frequency_factor: needed("high_freq_factor", None)?,
                original_context: needed("original_max_position_embeddings", Some(context))?,
            }),
            other => return Err(unknown(other)),
        };
        if matches!(&scaling, RopeScaling::Llama3(llama) if llama.high_frequency_factor <= llama.low_frequency_factor) {
            let found = Words::new("is not larger than low_freq_factor", "不大于 low_freq_factor");
            return Err(Config::bad("high_freq_factor", found));
        }
        Ok(Rope { theta, scaling, rotated: (head_dim as f64 * share) as usize })
    }
}

/// The error of a kind that is not carried out, or that nobody knows.
fn unknown(kind: &str) -> ModelError {
    let found = match REFUSED.contains(&kind) {
        true => wording!(
            "is “{kind}”, which is not carried out; known: default, linear, llama3, dynamic",
            "是“{kind}”，不支持；可用：default、linear、llama3、dynamic"
        ),
        false => wording!(
            "is “{kind}”; known: default, linear, llama3, dynamic",
            "是“{kind}”；可用：default、linear、llama3、dynamic"
        ),
    };
    Config::bad("rope_type", found)
}
