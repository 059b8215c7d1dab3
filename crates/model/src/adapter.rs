//! A LoRA adapter as plain data: which layers it touches, with which rank and scale, and its numbers.
//!
//! `y = W x + s·B(A·x)` with A `[r, in]`, B `[out, r]`, s = α/r, or α/√r with rsLoRA (Hu et al., arXiv 2106.09685;
//! Kalajdzievski, arXiv 2312.03732). Names are PEFT's. Reading and writing its folder is `peft.rs`.

use crate::error::Result;
use crate::{DecoderSpec, ModelError};
use alidade_domain::{LoraSpec, Purpose, Stream};
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

/// adapter_config.json, kept whole: what is not understood is written back as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterConfig {
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
    Full,
}

/// Splits a PEFT tensor name into the module path and the part; tolerates a missing prefix and a `.default` infix.
pub(crate) fn parse_name(name: &str) -> Option<(String, Part)> {
    let name = name.replace(".default", "");
    let path = name.strip_prefix(PREFIX).unwrap_or(&name);
    let ending = |suffix: &str| path.strip_suffix(suffix).map(str::to_owned);
    if let Some(path) = ending(".lora_A.weight") {
        return Some((path, Part::A));
    }
    if let Some(path) = ending(".lora_B.weight") {
        return Some((path, Part::B));
    }
    if path.contains("lora_") {
        return None;
    }
    ending(".weight").map(|path| (path.replace(".modules_to_save", ""), Part::Full))
}

impl AdapterConfig {
    /// s = α/r (or α/√r) for the module at `path`, whose A has `rank` rows.
    pub(crate) fn scale(&self, path: &str, rank: usize) -> f64 {
        let matches =
            |pattern: &str| Regex::new(&format!(r"^(.*\.)?({pattern})$")).is_ok_and(|regex| regex.is_match(path));
        let own = self.alpha_pattern.iter().find(|(pattern, _)| matches(pattern)).map(|(_, alpha)| *alpha);
        let alpha = own.unwrap_or(self.lora_alpha);
        if self.use_rslora { alpha / (rank as f64).sqrt() } else { alpha / rank as f64 }
    }
}

impl AdapterWeights {
    /// A fresh adapter: A ~ U(−1/√in, 1/√in), B = 0, so that the policy starts as the base model.
    ///
    /// # Errors
    /// When the rank is 0 or no linear layer ends with one of the target names.
    pub fn fresh(spec: &DecoderSpec, lora: &LoraSpec, base_name: &str, seed: u64) -> Result<Self> {
        if lora.r == 0 || !(0.0..1.0).contains(&lora.lora_dropout) || !lora.lora_alpha.is_finite() {
            let reason = "the rank must be at least 1, dropout lie in [0, 1), and lora_alpha be a number";
            return Err(ModelError::Adapter { reason: reason.to_owned() });
        }
        let paths = targets(spec, &lora.target_modules)?;
        let mut tensors = BTreeMap::new();
        for (index, path) in paths.iter().enumerate() {
            let Some((outputs, inputs)) = spec.linear_shape(path) else { continue };
            let mut stream = Stream::new(seed, Purpose::Initialise, 1, index as u64);
            let bound = 1.0 / (inputs as f64).sqrt();
            let a = (0..lora.r * inputs).map(|_| ((2.0 * stream.unit() - 1.0) * bound) as f32).collect();
            let name = |part: &str| format!("{PREFIX}{path}.lora_{part}.weight");
            tensors.insert(name("A"), NamedTensor { shape: vec![lora.r, inputs], values: a });
            let b = vec![0.0; outputs * lora.r];
            tensors.insert(name("B"), NamedTensor { shape: vec![outputs, lora.r], values: b });
        }
        Ok(Self { config: crate::peft::fresh_config(lora, &suffixes(&paths), base_name), tensors })
    }

    /// Numbers in the adapter.
    pub fn parameters(&self) -> u64 {
        self.tensors.values().map(|tensor| tensor.values.len() as u64).sum()
    }
}

/// Full paths of the linear layers that the target names mean: equal to a name, or ending with `.name`;
/// `all-linear` is every linear layer except the output head.
pub(crate) fn targets(spec: &DecoderSpec, names: &[String]) -> Result<Vec<String>> {
    let linears = spec.linears();
    let inner =
        (0..spec.layers).flat_map(|layer| linears.iter().map(move |l| format!("model.layers.{layer}.{}", l.path)));
    if names.iter().any(|name| name == "all-linear") {
        return Ok(inner.collect());
    }
    let every: Vec<String> = inner.chain(std::iter::once("lm_head".to_owned())).collect();
    let hit = |path: &str, name: &str| path == name || path.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
    if let Some(name) = names.iter().find(|name| !every.iter().any(|path| hit(path, name))) {
        let known = linears.iter().filter_map(|linear| linear.path.rsplit('.').next()).collect::<Vec<_>>().join(", ");
        return Err(ModelError::Adapter {
            reason: format!("no linear layer is called “{name}”; known: all-linear, {known}"),
        });
    }
    let chosen: Vec<String> = every.into_iter().filter(|path| names.iter().any(|name| hit(path, name))).collect();
    if spec.tied && chosen.iter().any(|path| path == "lm_head") {
        return Err(ModelError::Adapter {
            reason: "lm_head shares its weights with the embedding in this model".to_owned(),
        });
    }
    if chosen.is_empty() {
        return Err(ModelError::Adapter { reason: "target_modules is empty".to_owned() });
    }
    Ok(chosen)
}

fn suffixes(paths: &[String]) -> Vec<String> {
    let mut list: Vec<String> = paths.iter().filter_map(|path| path.rsplit('.').next()).map(str::to_owned).collect();
    list.sort_unstable();
    list.dedup();
    list
}
