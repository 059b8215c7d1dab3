//! A LoRA adapter as plain data: which layers it touches, with which rank and scale, and its numbers.
//!
//! `y = W x + s·B(A·x)` with A `[r, in]`, B `[out, r]`, s = α/r, or α/√r with rsLoRA (Hu et al., arXiv 2106.09685;
//! Kalajdzievski, arXiv 2312.03732). Names are PEFT's. Reading and writing its folder is `peft.rs`.

use crate::error::Result;
use crate::{DecoderSpec, ModelError};
use alidade_domain::{LoraSpec, Purpose, Stream, TargetModules};
use regex::Regex;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Numbers with a shape.
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

/// What PEFT puts before every module path.
pub(crate) const PREFIX: &str = "base_model.model.";

/// The part of an adapter that belongs to one module.
pub(crate) enum Part {
    A,
    B,
    /// DoRA's magnitude.
    Magnitude,
    EmbeddingA,
    EmbeddingB,
    Full,
    /// Learned keys and values; it belongs to no module.
    Prompt,
}

impl Part {
    /// PEFT's full name of this part of the module at `path`.
    pub(crate) fn name(&self, path: &str) -> String {
        let ending = match self {
            Part::A => "lora_A.weight",
            Part::B => "lora_B.weight",
            Part::Magnitude => "lora_magnitude_vector",
            Part::EmbeddingA => "lora_embedding_A",
            Part::EmbeddingB => "lora_embedding_B",
            Part::Full => "weight",
            Part::Prompt => return "prompt_embeddings".to_owned(),
        };
        format!("{PREFIX}{path}.{ending}")
    }
}

/// Splits a PEFT tensor name into the module path and the part; tolerates a missing prefix and a `.default` infix.
pub(crate) fn parse_name(name: &str) -> Option<(String, Part)> {
    let name = name.replace(".default", "");
    if name == "prompt_embeddings" {
        return Some((String::new(), Part::Prompt));
    }
    let path = name.strip_prefix(PREFIX).unwrap_or(&name);
    let endings = [
        (".lora_A.weight", Part::A),
        (".lora_B.weight", Part::B),
        (".lora_magnitude_vector", Part::Magnitude),
        (".lora_magnitude_vector.weight", Part::Magnitude),
        (".lora_embedding_A", Part::EmbeddingA),
        (".lora_embedding_B", Part::EmbeddingB),
    ];
    let found = endings.into_iter().find_map(|(ending, part)| Some((path.strip_suffix(ending)?.to_owned(), part)));
    if found.is_some() || path.contains("lora_") {
        return found;
    }
    path.strip_suffix(".weight").map(|path| (path.replace(".modules_to_save", ""), Part::Full))
}

/// PEFT's rule for patterns: the key is a regular expression that matches the end of the path from a dot on.
fn pattern<'a, T>(patterns: impl IntoIterator<Item = (&'a String, T)>, path: &str) -> Option<T> {
    let hit = |key: &str| Regex::new(&format!(r"^(.*\.)?({key})$")).is_ok_and(|regex| regex.is_match(path));
    patterns.into_iter().find(|(key, _)| hit(key)).map(|(_, value)| value)
}

impl AdapterConfig {
    /// s = α/r (or α/√r) for the module at `path`, whose A has `rank` rows.
    pub(crate) fn scale(&self, path: &str, rank: usize) -> f64 {
        let own = pattern(self.alpha_pattern.iter().map(|(key, alpha)| (key, *alpha)), path);
        let alpha = own.unwrap_or(self.lora_alpha);
        if self.use_rslora { alpha / (rank as f64).sqrt() } else { alpha / rank as f64 }
    }
}

impl AdapterWeights {
    /// A fresh adapter: A ~ U(−1/√in, 1/√in), B = 0, so that the policy starts as the base model. On the embedding A = 0 and
    /// B ~ N(0, 1). With DoRA the magnitudes are the row norms of the base weights, which `base` supplies by path.
    ///
    /// # Errors
    /// When the rank is 0, a pattern is no regular expression, or no linear layer is meant by the targets.
    pub fn fresh(
        spec: &DecoderSpec,
        lora: &LoraSpec,
        base_name: &str,
        seed: u64,
        base: &dyn Fn(&str) -> Result<NamedTensor>,
    ) -> std::result::Result<Self, ModelError> {
        if lora.r == 0 || !(0.0..1.0).contains(&lora.lora_dropout) || !lora.lora_alpha.is_finite() {
            return refused("the rank must be at least 1, dropout lie in [0, 1), and lora_alpha be a number");
        }
        if lora.rank_pattern.values().any(|rank| *rank == 0) || lora.alpha_pattern.values().any(|a| !a.is_finite()) {
            return refused("rank_pattern holds a rank of 0, or alpha_pattern something that is no number");
        }
        let paths = targets(spec, lora)?;
        let mut tensors = BTreeMap::new();
        for (index, path) in paths.iter().enumerate() {
            let rank = pattern(lora.rank_pattern.iter().map(|(key, rank)| (key, *rank)), path).unwrap_or(lora.r);
            let mut stream = Stream::new(seed, Purpose::Initialise, 1, index as u64);
            let mut put = |part: Part, shape: Vec<usize>, values: Vec<f32>| {
                tensors.insert(part.name(path), NamedTensor { shape, values });
            };
            if path == EMBEDDING && rank > spec.hidden.max(spec.vocabulary) {
                return refused(&format!("a rank of {rank} is larger than the embedding"));
            }
            if path == EMBEDDING {
                put(Part::EmbeddingA, vec![rank, spec.vocabulary], vec![0.0; rank * spec.vocabulary]);
                let b = (0..spec.hidden * rank).map(|_| stream.normal() as f32).collect();
                put(Part::EmbeddingB, vec![spec.hidden, rank], b);
                continue;
            }
            let Some((outputs, inputs)) = spec.linear_shape(path) else { continue };
            if rank > outputs.max(inputs) {
                return refused(&format!("a rank of {rank} is larger than {path}, which is {outputs} × {inputs}"));
            }
            let bound = 1.0 / (inputs as f64).sqrt();
            let a = (0..rank * inputs).map(|_| ((2.0 * stream.unit() - 1.0) * bound) as f32).collect();
            put(Part::A, vec![rank, inputs], a);
            put(Part::B, vec![outputs, rank], vec![0.0; outputs * rank]);
            if lora.use_dora {
                put(Part::Magnitude, vec![outputs], row_norms(&base(path)?));
            }
        }
        Ok(Self { config: crate::peft::fresh_config(lora, &suffixes(&paths), base_name), tensors })
    }

    /// A fresh prefix of `count` learned keys and values per layer, from N(0, 1).
    ///
    /// # Errors
    /// When `count` is 0 or leaves no room in the model's context.
    pub fn fresh_prefix(spec: &DecoderSpec, count: usize, base_name: &str, seed: u64) -> Result<Self> {
        if count == 0 || count >= spec.context {
            return refused("the number of virtual tokens must be at least 1 and smaller than the model's context");
        }
        let width = 2 * spec.layers * spec.kv_heads * spec.head_dim;
        let mut stream = Stream::new(seed, Purpose::Initialise, 2, 0);
        let values = (0..count * width).map(|_| stream.normal() as f32).collect();
        let tensors = BTreeMap::from([(Part::Prompt.name(""), NamedTensor { shape: vec![count, width], values })]);
        Ok(Self { config: crate::peft::fresh_prefix_config(spec, count, base_name), tensors })
    }

    /// Says in the configuration that the adapter rates answers with a trained head of this name.
    pub(crate) fn mark_as_scorer(&mut self, head: &str) {
        let raw = &mut self.config.raw;
        raw.insert("task_type".to_owned(), Value::from("SEQ_CLS"));
        let listed = raw.get("modules_to_save").and_then(Value::as_array);
        if !listed.is_some_and(|list| list.iter().any(|name| name == head)) {
            raw.insert("modules_to_save".to_owned(), Value::from(vec![head]));
        }
    }

    /// Numbers in the adapter.
    pub fn parameters(&self) -> u64 {
        self.tensors.values().map(|tensor| tensor.values.len() as u64).sum()
    }
}

/// Path of the embedding.
pub(crate) const EMBEDDING: &str = "model.embed_tokens";

fn refused<T>(reason: &str) -> Result<T> {
    Err(ModelError::Adapter { reason: reason.to_owned() })
}

fn row_norms(weight: &NamedTensor) -> Vec<f32> {
    let width = weight.shape.last().copied().unwrap_or(1).max(1);
    let norm = |row: &[f32]| row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt() as f32;
    weight.values.chunks(width).map(norm).collect()
}

/// Full paths of the modules that are meant, by PEFT's rules: a list means equal to a name, or ending with `.name`; a text
/// is a regular expression for the whole path; `all-linear` is every linear layer except the output head.
pub(crate) fn targets(spec: &DecoderSpec, lora: &LoraSpec) -> Result<Vec<String>> {
    let linears = spec.linears();
    let inner =
        (0..spec.layers).flat_map(|layer| linears.iter().map(move |l| format!("model.layers.{layer}.{}", l.path)));
    let every: Vec<String> = inner.chain(["lm_head".to_owned(), EMBEDDING.to_owned()]).collect();
    let excluded = match &lora.exclude_modules {
        Some(modules) => meant(modules, &every, &linears)?,
        None => Vec::new(),
    };
    let layers = &lora.layers_to_transform;
    let in_layers = |path: &String| {
        let number = path.strip_prefix("model.layers.").and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
        layers.is_empty() || number.is_some_and(|number| layers.contains(&number))
    };
    let mut chosen = meant(&lora.target_modules, &every, &linears)?;
    chosen.retain(|path| !excluded.contains(path) && in_layers(path));
    if spec.tied && chosen.iter().any(|path| path == "lm_head") {
        return refused("lm_head shares its weights with the embedding in this model");
    }
    if lora.use_dora && chosen.iter().any(|path| path == EMBEDDING) {
        return refused("DoRA on the embedding is not carried out; leave embed_tokens out, or switch use_dora off");
    }
    if chosen.is_empty() {
        refused("target_modules, exclude_modules and layers_to_transform leave no layer")
    } else {
        Ok(chosen)
    }
}

fn meant(modules: &TargetModules, every: &[String], linears: &[crate::Linear]) -> Result<Vec<String>> {
    let all = |names: &[String]| names.iter().any(|name| name == "all-linear");
    let names = match modules {
        TargetModules::Pattern(text) if text != "all-linear" => {
            let Ok(regex) = Regex::new(&format!("^({text})$")) else {
                return refused(&format!("“{text}” is no regular expression"));
            };
            return Ok(every.iter().filter(|path| regex.is_match(path)).cloned().collect());
        }
        TargetModules::Pattern(text) => vec![text.clone()],
        TargetModules::Names(names) => names.clone(),
    };
    if all(&names) {
        return Ok(every.iter().filter(|path| path.starts_with("model.layers.")).cloned().collect());
    }
    let hit = |path: &str, name: &str| path == name || path.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
    if let Some(name) = names.iter().find(|name| !every.iter().any(|path| hit(path, name))) {
        let known = linears.iter().filter_map(|linear| linear.path.rsplit('.').next()).collect::<Vec<_>>().join(", ");
        return refused(&format!("no linear layer is called “{name}”; known: all-linear, {known}"));
    }
    Ok(every.iter().filter(|path| names.iter().any(|name| hit(path, name))).cloned().collect())
}

fn suffixes(paths: &[String]) -> Vec<String> {
    let mut list: Vec<String> = paths.iter().filter_map(|path| path.rsplit('.').next()).map(str::to_owned).collect();
    list.sort_unstable();
    list.dedup();
    list
}
