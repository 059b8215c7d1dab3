//! Classifies a configuration before it is parsed: quantised, multimodal, or with keys that change the forward pass in ways
//! that the family does not support. Each is refused by name; ignoring one would silently give other answers than the
//! original model.

use super::{ARCHITECTURES, Architecture, Config};
use crate::ModelError;
use crate::error::Result;
use alidade_domain::{Wording, Words, wording};
use serde_json::Value;

/// Keys of vision and audio models.
const SENSES: [&str; 3] = ["vision_config", "audio_config", "speech_config"];

/// The configuration of the text model, and notes for the user on the choice: of some multimodal models the text part alone is
/// read.
pub(super) fn text_part(config: &Value) -> Result<(&Value, Option<Wording>)> {
    let model_type = config.get("model_type").and_then(Value::as_str).unwrap_or("");
    let inner = config.get("text_config").filter(|inner| inner.is_object());
    let families = ARCHITECTURES.iter().filter_map(|family| family.multimodal);
    if let Some((_, title)) = families.clone().find(|(name, _)| *name == model_type) {
        let Some(inner) = inner else {
            let found = wording!(
                "is missing; the multimodal {title} describes its text model there",
                "缺失；多模态的 {title} 在那里描述它的文本模型"
            );
            return Err(Config::bad("text_config", found));
        };
        let note = wording!(
            "This is the multimodal {title}: its text model alone is read, and pictures are not.",
            "这是多模态的 {title}：只读取其文本模型，不读取图片。"
        );
        return Ok((inner, Some(note)));
    }
    let sees = SENSES.iter().find(|key| config.get(**key).is_some_and(|value| !value.is_null()));
    if inner.is_some() || sees.is_some() {
        let by = sees.copied().unwrap_or("text_config");
        let known = Wording::names(families.map(|(_, title)| title));
        let found = wording!(
            "“{model_type}” is a multimodal model (config.json holds {by}); this version runs text-only models, and of \
             the multimodal ones the text part of {known}",
            "“{model_type}”是多模态模型（config.json 中有 {by}）；本版本运行纯文本模型，多模态模型中只支持 {known} 的文本部分";
            known
        );
        return Err(ModelError::Unsupported {
            found,
            hint: Words::new("Choose a text-only model of one of the known families.", "请选择已知系列的纯文本模型。"),
        });
    }
    Ok((config, None))
}

const FETCH: Words = Words::new(
    "Fetch the model in 16 or 32 bits (safetensors of f32, f16 or bf16).",
    "请获取 16 位或 32 位的模型（f32、f16 或 bf16 的 safetensors）。",
);

/// Refuses weights that the configuration declares as quantised.
pub(super) fn refuse_quantised(config: &Value) -> Result<()> {
    for key in ["quantization_config", "compression_config", "quantization"] {
        let Some(group) = config.get(key).and_then(Value::as_object).filter(|group| !group.is_empty()) else {
            continue;
        };
        let word = |name: &str| group.get(name).and_then(Value::as_str);
        let method = word("quant_method").or(word("quant_algo")).or(word("quantization_status"));
        let bits = group.get("bits").or(group.get("w_bit")).and_then(Value::as_u64);
        let four = group.get("load_in_4bit") == Some(&Value::Bool(true))
            || group.get("_load_in_4bit") == Some(&Value::Bool(true));
        let method = method.or((key == "quantization").then_some("mlx"));
        let method = method.map_or_else(|| wording!("an unnamed method", "未写明的方法"), Wording::name);
        let bits = bits.or(four.then_some(4)).map(|bits| wording!(", {bits} bits", "，{bits} 位")).unwrap_or_default();
        return Err(ModelError::Unsupported {
            found: wording!(
                "its weights are quantised ({key} in config.json: {method}{bits})",
                "它的权重经过量化（config.json 中的 {key}：{method}{bits}）";
                method, bits
            ),
            hint: FETCH,
        });
    }
    Ok(())
}

/// Refuses weights whose names or types show that they are quantised.
pub(crate) fn quantised_tensor(name: &str, found: impl Into<Wording>) -> ModelError {
    ModelError::Unsupported {
        found: wording!(
            "its weights are quantised ({name} {found})",
            "它的权重经过量化（{name} {found}）";
            found = found.into()
        ),
        hint: FETCH,
    }
}

/// When a key is neutral.
#[derive(Clone, Copy)]
enum Silent {
    /// Absent, null, false, 0, or empty.
    Off,
    /// Also at 1.
    One,
}

impl Silent {
    fn about(self, value: &Value) -> bool {
        let number = value.as_f64();
        match value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::String(text) => text.is_empty(),
            _ => number == Some(0.0) || (matches!(self, Silent::One) && number == Some(1.0)),
        }
    }
}

/// Keys that change the forward pass, and their neutral values. Each family lists those that it carries out.
const ARITHMETIC: &[(&str, Silent)] = &[
    ("attn_logit_softcapping", Silent::Off),
    ("final_logit_softcapping", Silent::Off),
    ("logit_softcapping", Silent::Off),
    ("query_pre_attn_scalar", Silent::Off),
    ("use_bidirectional_attention", Silent::Off),
    ("embedding_multiplier", Silent::One),
    ("residual_multiplier", Silent::One),
    ("attention_multiplier", Silent::One),
    ("logits_scaling", Silent::One),
    ("logit_scale", Silent::One),
    ("scale_emb", Silent::One),
    ("scale_depth", Silent::Off),
    ("attention_bias", Silent::Off),
    ("mlp_bias", Silent::Off),
    ("qkv_bias", Silent::Off),
    ("use_qk_norm", Silent::Off),
    ("qk_norm", Silent::Off),
    ("qk_layernorm", Silent::Off),
    ("clip_qkv", Silent::Off),
    ("no_rope_layers", Silent::Off),
    ("partial_rotary_factor", Silent::One),
    ("rotary_pct", Silent::One),
    ("rope_interleaved", Silent::Off),
    ("alibi", Silent::Off),
    ("use_alibi", Silent::Off),
    ("num_experts", Silent::One),
    ("num_local_experts", Silent::One),
    ("n_routed_experts", Silent::One),
    ("use_parallel_residual", Silent::Off),
    ("add_cross_attention", Silent::Off),
    ("is_encoder_decoder", Silent::Off),
];

/// Refuses keys that the family does not support.
pub(super) fn refuse_foreign(config: &Config, family: &Architecture) -> Result<()> {
    for (key, silent) in ARITHMETIC {
        let Some(value) = config.get(key).filter(|value| !silent.about(value)) else { continue };
        if !family.carries.contains(key) {
            let name = family.name;
            let found = wording!(
                "is {value}, which changes the arithmetic; in the family “{name}” it is not carried out",
                "是 {value}，它会改变计算方式；在“{name}”系列中不支持"
            );
            return Err(Config::bad(key, found));
        }
    }
    Ok(())
}
