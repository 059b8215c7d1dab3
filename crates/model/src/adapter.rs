//! A LoRA adapter as plain data: which layers it adapts, their rank and scale, and its tensors.
//!
//! `y = W x + s·B(A·x)` with A `[r, in]`, B `[out, r]`, s = α/r, or α/√r with rsLoRA (Hu et al., arXiv 2106.09685;
//! Kalajdzievski, arXiv 2312.03732). Names are PEFT's. Reading and writing its folder is `peft.rs`.

use crate::adapter_names::Part;
use crate::error::Result;
use crate::peft_config::{fresh_config, fresh_prefix_config};
use crate::python_pattern::{first, idle};
use crate::targets::{targets, written};
use crate::{DecoderSpec, ModelError};
use alidade_domain::{LoraSpec, Purpose, Stream, Wording, Words, wording};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Values with a shape.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Row-major values.
    pub values: Vec<f32>,
}

/// What an adapter adds to its base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdapterKind {
    /// Low-rank updates of linear layers (with DoRA's magnitudes where they are there).
    Lora,
    /// Learned keys and values in front of every layer's own (Li and Liang, arXiv 2101.00190).
    Prefix,
}

/// adapter_config.json, kept whole: what is not understood is written back as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterConfig {
    /// What it adds; the fields below are LoRA's.
    pub kind: AdapterKind,
    /// Rank where no pattern says otherwise.
    pub r: usize,
    /// Scale numerator where no pattern says otherwise.
    pub lora_alpha: f64,
    /// Dropout before A, in training only.
    pub lora_dropout: f64,
    /// True when the scale is α/√r.
    pub use_rslora: bool,
    pub(crate) alpha_pattern: Vec<(String, f64)>,
    pub(crate) rank_pattern: Vec<(String, usize)>,
    /// The file as it was read or will be written.
    pub raw: Map<String, Value>,
}

/// An adapter: its configuration and its tensors under PEFT's names.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterWeights {
    /// Shape and origin.
    pub config: AdapterConfig,
    /// `base_model.model.<path>.lora_A.weight` and so on, in name order.
    pub tensors: BTreeMap<String, NamedTensor>,
}

impl AdapterConfig {
    /// s = α/r (or α/√r) for the module at `path`, whose A has `rank` rows.
    ///
    /// # Errors
    /// When a pattern cannot be read or matched.
    pub(crate) fn scale(&self, path: &str, rank: usize) -> Result<f64> {
        let own = first(self.alpha_pattern.iter().map(|(key, alpha)| (key.as_str(), *alpha)), path)?;
        let alpha = own.unwrap_or(self.lora_alpha);
        Ok(if self.use_rslora { alpha / (rank as f64).sqrt() } else { alpha / rank as f64 })
    }

    /// The rank that the configuration promises the module at `path`.
    ///
    /// # Errors
    /// As [`AdapterConfig::scale`].
    pub(crate) fn rank(&self, path: &str) -> Result<usize> {
        let own = first(self.rank_pattern.iter().map(|(key, rank)| (key.as_str(), *rank)), path)?;
        Ok(own.unwrap_or(self.r))
    }
}

impl AdapterWeights {
    /// A fresh adapter: A ~ U(−1/√in, 1/√in), B = 0, so that the policy starts as the base model. On the embedding A = 0 and
    /// B ~ N(0, 1). With DoRA the magnitudes are the row norms of the base weights, which `base` supplies by path.
    ///
    /// # Errors
    /// When the rank is 0, a pattern cannot be read or matches no layer, or no layer is meant by the targets.
    pub fn fresh(
        spec: &DecoderSpec,
        lora: &LoraSpec,
        base_name: &str,
        seed: u64,
        base: &dyn Fn(&str) -> Result<NamedTensor>,
    ) -> std::result::Result<Self, ModelError> {
        if lora.r == 0 || !(0.0..1.0).contains(&lora.lora_dropout) || !lora.lora_alpha.is_finite() {
            return refused(Words::new(
                "the rank must be at least 1, dropout lie in [0, 1), and lora_alpha be a number",
                "秩至少为 1，dropout 须在 [0, 1) 内，lora_alpha 须为数",
            ));
        }
        let ranks = || lora.rank_pattern.iter();
        if ranks().any(|(_, rank)| *rank == 0) || lora.alpha_pattern.iter().any(|(_, alpha)| !alpha.is_finite()) {
            return refused(Words::new(
                "rank_pattern holds a rank of 0, or alpha_pattern something that is no number",
                "rank_pattern 中有秩为 0，或 alpha_pattern 中有不是数的值",
            ));
        }
        let paths = targets(spec, lora)?;
        let mut tensors = BTreeMap::new();
        for (index, path) in paths.iter().enumerate() {
            let rank = first(ranks().map(|(key, rank)| (key, *rank)), path)?.unwrap_or(lora.r);
            let mut stream = Stream::new(seed, Purpose::Initialise, 1, index as u64);
            let mut put = |part: Part, shape: Vec<usize>, values: Vec<f32>| {
                tensors.insert(part.name(path), NamedTensor { shape, values });
            };
            if path == EMBEDDING && rank > spec.hidden.max(spec.vocabulary) {
                return refused(wording!("a rank of {rank} is larger than the embedding", "秩 {rank} 大于嵌入"));
            }
            if path == EMBEDDING {
                put(Part::EmbeddingA, vec![rank, spec.vocabulary], vec![0.0; rank * spec.vocabulary]);
                let b = (0..spec.hidden * rank).map(|_| stream.normal() as f32).collect();
                put(Part::EmbeddingB, vec![spec.hidden, rank], b);
                continue;
            }
            let Some((outputs, inputs)) = spec.linear_shape(path) else { continue };
            if rank > outputs.max(inputs) {
                return refused(wording!(
                    "a rank of {rank} is larger than {path}, which is {outputs} × {inputs}",
                    "秩 {rank} 大于 {path}（{outputs} × {inputs}）"
                ));
            }
            let bound = 1.0 / (inputs as f64).sqrt();
            let a = (0..rank * inputs).map(|_| ((2.0 * stream.unit() - 1.0) * bound) as f32).collect();
            put(Part::A, vec![rank, inputs], a);
            put(Part::B, vec![outputs, rank], vec![0.0; outputs * rank]);
            if lora.use_dora {
                put(Part::Magnitude, vec![outputs], row_norms(&base(path)?));
            }
        }
        let (modules, layers) = written(spec, lora, &paths);
        Ok(Self { config: fresh_config(lora, &modules, &layers, base_name), tensors })
    }

    /// A fresh prefix of `count` learned keys and values per layer, from N(0, 1).
    ///
    /// # Errors
    /// When `count` is 0 or leaves no room in the model's context.
    pub fn fresh_prefix(spec: &DecoderSpec, count: usize, base_name: &str, seed: u64) -> Result<Self> {
        if count == 0 || count >= spec.context {
            return refused(Words::new(
                "the number of virtual tokens must be at least 1 and smaller than the model's context",
                "虚拟词元的数量至少为 1，且小于模型的上下文",
            ));
        }
        let width = 2 * spec.layers * spec.kv_heads * spec.head_dim;
        let mut stream = Stream::new(seed, Purpose::Initialise, 2, 0);
        let values = (0..count * width).map(|_| stream.normal() as f32).collect();
        let tensors = BTreeMap::from([(Part::Prompt.name(""), NamedTensor { shape: vec![count, width], values })]);
        Ok(Self { config: fresh_prefix_config(spec, count, base_name), tensors })
    }

    /// Says in the configuration that the adapter scores answers with a trained head of this name.
    pub(crate) fn mark_as_scorer(&mut self, head: &str) {
        let raw = &mut self.config.raw;
        raw.insert("task_type".to_owned(), Value::from("SEQ_CLS"));
        let listed = raw.get("modules_to_save").and_then(Value::as_array);
        if !listed.is_some_and(|list| list.iter().any(|name| name == head)) {
            raw.insert("modules_to_save".to_owned(), Value::from(vec![head]));
        }
    }

    /// What a person should know of it: patterns of scales and ranks that match none of its layers and so do nothing.
    ///
    /// # Errors
    /// When a pattern cannot be read or matched.
    pub fn notes(&self) -> std::result::Result<Vec<Wording>, ModelError> {
        let paths: Vec<String> =
            self.tensors.keys().filter_map(|name| Some(crate::adapter_names::parse_name(name)?.0)).collect();
        let ranks = idle(self.config.rank_pattern.iter().map(|(key, _)| key.as_str()), &paths)?;
        let alphas = idle(self.config.alpha_pattern.iter().map(|(key, _)| key.as_str()), &paths)?;
        let note = |key: &str, pattern: &String| {
            wording!(
                "{key} of the adapter holds “{pattern}”, which matches none of its layers and does nothing.",
                "适配器的 {key} 中有“{pattern}”，它与适配器的任何层都不匹配，不起作用。"
            )
        };
        let ranks = ranks.iter().map(|pattern| note("rank_pattern", pattern));
        Ok(ranks.chain(alphas.iter().map(|pattern| note("alpha_pattern", pattern))).collect())
    }

    /// Numbers in the adapter.
    pub fn parameters(&self) -> u64 {
        self.tensors.values().map(|tensor| tensor.values.len() as u64).sum()
    }
}

/// Path of the embedding.
pub(crate) const EMBEDDING: &str = "model.embed_tokens";

pub(crate) fn refused<T>(reason: impl Into<Wording>) -> Result<T> {
    Err(ModelError::Adapter { reason: reason.into() })
}

fn row_norms(weight: &NamedTensor) -> Vec<f32> {
    let width = weight.shape.last().copied().unwrap_or(1).max(1);
    let norm = |row: &[f32]| row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt() as f32;
    weight.values.chunks(width).map(norm).collect()
}
