//! The registry of families. A family reads config.json into a [`DecoderSpec`]; adding one is one file and one line here.

mod config;
mod defaults;
mod gemma2;
mod gemma3;
mod granite;
mod kind;
mod llama;
mod mistral;
mod olmo2;
mod phi3;
mod qwen2;
mod qwen3;
mod rope;
mod smollm3;

use crate::error::Result;
use crate::{DecoderSpec, ModelError};
use alidade_domain::{Wording, Words, wording};
pub(crate) use config::Config;
use defaults::Defaults;
pub(crate) use kind::quantised_tensor;
use serde_json::Value;

/// A family of models that share one way of reading config.json.
#[derive(Debug, Clone, Copy)]
pub struct Architecture {
    /// Its name.
    pub name: &'static str,
    /// `model_type` in config.json.
    pub(crate) model_type: &'static str,
    /// Defaults of absent keys.
    pub(crate) defaults: &'static Defaults,
    /// Keys that change the forward pass and are carried out.
    pub(crate) carries: &'static [&'static str],
    /// `model_type` and title of a multimodal model whose text part is of this family.
    pub(crate) multimodal: Option<(&'static str, &'static str)>,
    pub(crate) read: fn(&Config) -> Result<DecoderSpec>,
}

/// Every family that can be run.
pub const ARCHITECTURES: &[Architecture] = &[
    llama::LLAMA,
    mistral::MISTRAL,
    qwen2::QWEN2,
    qwen3::QWEN3,
    gemma2::GEMMA2,
    gemma3::GEMMA3,
    phi3::PHI3,
    smollm3::SMOLLM3,
    olmo2::OLMO2,
    granite::GRANITE,
];

/// A configuration whose family is known.
pub(crate) struct TextConfig<'a> {
    /// The group that describes the text model.
    pub(crate) value: &'a Value,
    /// Notes for the user on the choice.
    pub(crate) note: Option<Wording>,
    architecture: &'static Architecture,
}

impl<'a> TextConfig<'a> {
    /// Finds the text model in a parsed config.json and its family.
    ///
    /// # Errors
    /// When the family is unknown, or the model quantised or multimodal.
    pub(crate) fn find(config: &'a Value) -> Result<Self> {
        let (value, note) = kind::text_part(config)?;
        kind::refuse_quantised(config)?;
        kind::refuse_quantised(value)?;
        let name = match value.get("model_type") {
            // A multimodal configuration need not repeat what its text part is.
            None | Some(Value::Null) if note.is_some() => {
                let whole = config.get("model_type").and_then(Value::as_str);
                let of_whole = |family: &&Architecture| family.multimodal.map(|(name, _)| name) == whole;
                ARCHITECTURES.iter().find(of_whole).map_or("", |family| family.model_type)
            }
            None | Some(Value::Null) => return Err(Config::bad("model_type", Words::new("is missing", "缺失"))),
            Some(Value::String(name)) => name,
            Some(other) => {
                return Err(Config::bad(
                    "model_type",
                    wording!("is {other}; it must be a text", "是 {other}，必须是文本"),
                ));
            }
        };
        let Some(architecture) = ARCHITECTURES.iter().find(|architecture| architecture.model_type == name) else {
            let known = ARCHITECTURES.iter().map(|architecture| architecture.model_type).collect::<Vec<_>>().join(", ");
            return Err(ModelError::UnknownArchitecture { found: name.to_owned(), known });
        };
        Ok(Self { value, note, architecture })
    }

    /// The declared number of blocks, before anything is allocated.
    pub(crate) fn layers(&self) -> u64 {
        let said = self.value.get("num_hidden_layers").and_then(Value::as_u64);
        said.unwrap_or(self.architecture.defaults.layers as u64)
    }

    /// The value of a key, or a note that it is absent.
    pub(crate) fn said(&self, key: &str) -> Wording {
        match self.value.get(key) {
            None | Some(Value::Null) => wording!("missing", "空缺"),
            Some(value) => Wording::name(value.to_string()),
        }
    }

    /// The described decoder.
    ///
    /// # Errors
    /// When a key makes no sense or asks for something that the family does not support; the key is named.
    pub(crate) fn read(&self) -> Result<DecoderSpec> {
        let config = Config { value: self.value, defaults: self.architecture.defaults };
        kind::refuse_foreign(&config, self.architecture)?;
        let spec = (self.architecture.read)(&config)?;
        check(&spec)?;
        let whole = spec.ropes.iter().all(|rope| rope.rotated == spec.head_dim);
        if !whole && !self.architecture.carries.contains(&"partial_rotary_factor") {
            let found = wording!(
                "leaves a part of each head unturned, which the family “{family}” does not have",
                "使每个注意力头有一部分不旋转，“{family}”系列没有这种情况",
                family = spec.family
            );
            return Err(Config::bad("partial_rotary_factor", found));
        }
        Ok(spec)
    }
}

/// Reads a parsed config.json.
///
/// # Errors
/// When the family is unknown, or a key makes no sense; the key is named.
pub fn read_spec(config: &Value) -> std::result::Result<DecoderSpec, ModelError> {
    TextConfig::find(config)?.read()
}

/// Widest layer: products of two of them, and the sum over all blocks, can still be counted.
const WIDEST: usize = 1 << 25;

fn check(spec: &DecoderSpec) -> Result<()> {
    if spec.heads * spec.head_dim > WIDEST {
        let found = wording!(
            "is {heads}; with heads of {dim} that is wider than {WIDEST}",
            "是 {heads}；每个头 {dim} 维，总宽度超过 {WIDEST}",
            heads = spec.heads,
            dim = spec.head_dim
        );
        return Err(Config::bad("num_attention_heads", found));
    }
    if !spec.heads.is_multiple_of(spec.kv_heads) {
        let found = wording!(
            "is {kv}; it must divide num_attention_heads, which is {heads}",
            "是 {kv}，必须能整除 num_attention_heads（{heads}）",
            kv = spec.kv_heads,
            heads = spec.heads
        );
        return Err(Config::bad("num_key_value_heads", found));
    }
    if !spec.head_dim.is_multiple_of(2) {
        return Err(Config::bad(
            "head_dim",
            wording!(
                "is {dim}; rotary embeddings need an even number",
                "是 {dim}；旋转位置编码需要偶数",
                dim = spec.head_dim
            ),
        ));
    }
    let rotated = spec.ropes.iter().map(|rope| rope.rotated);
    if let Some(rotated) =
        rotated.clone().find(|rotated| *rotated == 0 || *rotated % 2 == 1 || *rotated > spec.head_dim)
    {
        let found = wording!(
            "leads to {rotated} rotated numbers in heads of {dim}",
            "导致 {dim} 维的头中有 {rotated} 个数旋转",
            dim = spec.head_dim
        );
        return Err(Config::bad("partial_rotary_factor", found));
    }
    let factors = [spec.embedding_scale, spec.attention_scale, spec.residual_scale, spec.logit_divisor];
    let caps = [spec.attention_cap, spec.logit_cap];
    if factors.iter().chain(caps.iter().flatten()).any(|factor| !(*factor > 0.0 && factor.is_finite())) {
        return Err(Config::bad("(multipliers)", Words::new("hold a number that is not positive", "中有不是正数的值")));
    }
    if !(spec.norm_epsilon > 0.0 && spec.norm_epsilon < 1.0) {
        return Err(Config::bad(
            "rms_norm_eps",
            wording!(
                "is {epsilon}; it must lie between 0 and 1",
                "是 {epsilon}，必须在 0 和 1 之间",
                epsilon = spec.norm_epsilon
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(change: impl FnOnce(&mut Value)) -> Value {
        let mut value = json!({"model_type": "llama", "vocab_size": 10, "hidden_size": 8, "intermediate_size": 16,
            "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1});
        change(&mut value);
        value
    }

    #[test]
    fn families_differ_in_their_biases() {
        let llama = read_spec(&config(|_| ())).unwrap();
        let qwen2 = read_spec(&config(|value| value["model_type"] = json!("qwen2"))).unwrap();
        assert!(!llama.qkv_bias && qwen2.qkv_bias && !qwen2.output_bias);
    }

    #[test]
    fn an_unknown_family_is_refused_by_name_and_never_called_known() {
        for name in ["mamba", "gemma3n", "gemma", "qwen2_moe", "mistral3"] {
            let error = read_spec(&config(|value| value["model_type"] = json!(name))).unwrap_err().to_string();
            assert!(error.contains(&format!("“{name}”")) && error.contains("llama, mistral, qwen2"), "{error}");
            let known = error.split("Known families: ").nth(1).unwrap();
            assert!(!known.trim_end_matches('.').split(", ").any(|known| known == name), "{error}");
        }
    }

    #[test]
    fn windows_follow_the_layer_types_or_the_first_windowed_layer() {
        let windows = |value: &Value| -> Vec<Option<usize>> {
            read_spec(value).unwrap().kinds.iter().map(|kind| kind.window).collect()
        };
        let qwen2 = config(|value| {
            value["model_type"] = json!("qwen2");
            value["num_hidden_layers"] = json!(3);
            value["use_sliding_window"] = json!(true);
            value["sliding_window"] = json!(4);
            value["max_window_layers"] = json!(1);
        });
        assert_eq!(windows(&qwen2), [None, Some(4), Some(4)]);
        let named = config(|value| {
            value["model_type"] = json!("qwen3");
            value["num_hidden_layers"] = json!(2);
            value["sliding_window"] = json!(4);
            value["use_sliding_window"] = json!(true);
            value["layer_types"] = json!(["sliding_attention", "full_attention"]);
        });
        assert_eq!(windows(&named), [Some(4), None]);
        let mut off = named.clone();
        off["use_sliding_window"] = json!(false);
        assert!(read_spec(&off).unwrap_err().to_string().contains("layer_types"));
        let mistral = config(|value| {
            value["model_type"] = json!("mistral");
            value["sliding_window"] = json!(7);
        });
        assert_eq!(windows(&mistral), [Some(7)]);
    }

    #[test]
    fn every_family_reads_the_smallest_configuration() {
        for architecture in ARCHITECTURES {
            let spec = read_spec(&config(|value| value["model_type"] = json!(architecture.model_type))).unwrap();
            assert_eq!((spec.family, spec.kinds.len()), (architecture.name, spec.layers));
        }
    }

    #[test]
    fn senseless_numbers_name_their_key() {
        for (key, value) in [("num_key_value_heads", json!(3)), ("vocab_size", json!(0)), ("hidden_size", json!("x"))] {
            let error = read_spec(&config(|config| config[key] = value)).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }
}
