//! Merging an adapter into its base: W ← W + s·B·A in f32, written in the dtypes of the base's tensors (f32 for f16) as a
//! model folder that any program opens, with all files beside the base's weights.

use crate::adapter::{AdapterKind, AdapterWeights};
use crate::adapter_names::{Part, parse_name};
use crate::backend::{Backend, decoder};
use crate::census::{HEAD, TABLE};
use crate::decoder::Decoder;
use crate::error::Result;
use crate::source::{Weights, read_all};
use crate::tensor_file::{FloatFormat, write_floats};
use crate::{DecoderSpec, ModelError, ModelFolder, NamedTensor};
use alidade_domain::{Precision, Words, wording};
use std::collections::BTreeMap;
use std::path::Path;

/// A merged model, not written yet, in f32.
pub struct Merged {
    weights: BTreeMap<String, NamedTensor>,
    spec: DecoderSpec,
}

/// Writes the merged model into an existing folder.
///
/// # Errors
/// As [`Merged::new`] and [`Merged::save`].
pub fn save_merged(model: &ModelFolder, adapter: &AdapterWeights, folder: &Path) -> Result<()> {
    Merged::new(model, adapter)?.save(model, folder).map(|_| ())
}

impl Merged {
    /// Merges. Where the base ties LM head and embedding and the adapter changes one of them, they are untied.
    ///
    /// # Errors
    /// When the adapter is a prefix, touches a layer that the model does not have, or a weight becomes infinite.
    pub fn new(model: &ModelFolder, adapter: &AdapterWeights) -> Result<Self> {
        if adapter.config.kind == AdapterKind::Prefix {
            let reason = Words::new(
                "a prefix stands in front of the layers and cannot be merged into them",
                "前缀位于各层之前，不能合并进各层",
            );
            return Err(ModelError::Adapter { reason: reason.into() });
        }
        let mut weights = read_all(model.source())?;
        let mut spec = model.spec.clone();
        let touched = |name: &String| name.contains("embed_tokens") || name.contains("lm_head");
        if spec.tied && adapter.tensors.keys().any(touched) {
            let table = weights.get(TABLE).cloned();
            weights.extend(table.map(|table| (HEAD.to_owned(), table)));
            spec.tied = false;
        }
        replace(&mut weights, adapter)?;
        add_pairs(&mut weights, adapter)?;
        if model.spec.tied && !spec.tied && weights.get(HEAD) == weights.get(TABLE) {
            weights.remove(HEAD);
            spec.tied = true;
        }
        if let Some((name, _)) = weights.iter().find(|(_, tensor)| tensor.values.iter().any(|value| !value.is_finite()))
        {
            return Err(ModelError::NotFinite { name: name.clone() });
        }
        Ok(Self { weights, spec })
    }

    /// Writes it into an existing folder, in the dtypes of the base's tensors; returns the dtype of most of it.
    ///
    /// # Errors
    /// When a value overflows its dtype, or a file fails.
    pub fn save(&self, model: &ModelFolder, folder: &Path) -> std::result::Result<FloatFormat, ModelError> {
        write_model(model, &self.spec, &self.weights, folder)?;
        Ok(model.source().stored(TABLE))
    }

    /// Reads a written folder again and compares every element with what was to be written.
    ///
    /// # Errors
    /// Names the first tensor that differs.
    pub fn verify(&self, model: &ModelFolder, folder: &Path) -> std::result::Result<(), ModelError> {
        let (written, mut room) = (ModelFolder::open(folder)?, Vec::new());
        for (name, tensor) in &self.weights {
            let (stored, mut at, mut equal) = (model.source().stored(name), 0, true);
            written.source().read(name, &mut |chunk| {
                let piece = chunk.widened(&mut room);
                let meant = tensor.values.get(at..at + piece.len()).unwrap_or_default();
                equal &= meant.len() == piece.len() && meant.iter().zip(piece).all(|(m, p)| stored.round(*m) == *p);
                at += piece.len();
            })?;
            if !equal || at != tensor.values.len() {
                let found = wording!(
                    "{name} was read back with other numbers than were written",
                    "写入后读回的 {name} 数值不同"
                );
                return Err(ModelError::File { path: folder.join("model.safetensors"), found });
            }
        }
        Ok(())
    }

    /// Runs it as it is, without rounding.
    ///
    /// # Errors
    /// When the back-end fails.
    pub fn decoder(self, backend: Backend) -> std::result::Result<Box<dyn Decoder>, ModelError> {
        decoder(self.spec, Weights::Made(self.weights), backend, Precision::F32)
    }
}

/// Writes `weights` as a model like `model` into an existing folder, in the dtypes of its tensors.
///
/// # Errors
/// When a weight is not finite or overflows its dtype, or a file fails.
pub fn save_model(
    model: &ModelFolder,
    weights: BTreeMap<String, NamedTensor>,
    folder: &Path,
) -> std::result::Result<(), ModelError> {
    write_model(model, &model.spec, &weights, folder)
}

fn write_model(
    model: &ModelFolder,
    spec: &DecoderSpec,
    weights: &BTreeMap<String, NamedTensor>,
    folder: &Path,
) -> Result<()> {
    let source = model.source();
    for (name, tensor) in weights {
        let stored = source.stored(name);
        if let Some(value) = tensor.values.iter().find(|value| !stored.round(**value).is_finite()) {
            if !value.is_finite() {
                return Err(ModelError::NotFinite { name: name.clone() });
            }
            let kind = stored.name();
            let found = wording!(
                "{name} holds {value}, which {kind}, the type of the base's weights, cannot hold.",
                "{name} 中有 {value}，而基座权重的类型 {kind} 无法表示它。"
            );
            return Err(ModelError::Request(found));
        }
    }
    write_floats(&folder.join("model.safetensors"), weights, |name| source.stored(name))?;
    source.write_companions(spec, source.stored(TABLE), folder)
}

/// Replaces the base's matrices by those that the adapter holds whole.
fn replace(weights: &mut BTreeMap<String, NamedTensor>, adapter: &AdapterWeights) -> Result<()> {
    for (name, tensor) in &adapter.tensors {
        match parse_name(name) {
            Some((path, part)) if part.replaces() && path != "score" => {
                find(weights, &path)?.values.clone_from(&tensor.values);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Adds the low-rank updates to their base matrices.
fn add_pairs(weights: &mut BTreeMap<String, NamedTensor>, adapter: &AdapterWeights) -> Result<()> {
    for (name, tensor) in &adapter.tensors {
        let part = |part: Part, path: &str| adapter.tensors.get(&part.name(path));
        let partner = |other: Part, path: &str| {
            part(other, path).ok_or_else(|| ModelError::Adapter {
                reason: wording!("{name} has no partner: half of the pair is missing", "{name} 缺少与它配对的矩阵"),
            })
        };
        match parse_name(name) {
            Some((path, Part::A)) => {
                let scale = adapter.config.scale(&path, tensor.shape[0])?;
                let weight = find(weights, &path)?;
                add_product(weight, tensor, partner(Part::B, &path)?, scale);
                if let Some(magnitude) = part(Part::Magnitude, &path) {
                    set_row_norms(weight, &magnitude.values);
                }
            }
            Some((path, Part::EmbeddingA)) => {
                let scale = adapter.config.scale(&path, tensor.shape[0])?;
                let (a, b) = (transposed(partner(Part::EmbeddingB, &path)?), transposed(tensor));
                add_product(find(weights, &path)?, &a, &b, scale);
            }
            _ => {}
        }
    }
    Ok(())
}

fn transposed(tensor: &NamedTensor) -> NamedTensor {
    let (rows, columns) = (tensor.shape[0], tensor.shape[1]);
    let values = (0..rows * columns).map(|index| tensor.values[index % rows * columns + index / rows]).collect();
    NamedTensor { shape: vec![columns, rows], values }
}

/// DoRA: scales each row to its learned magnitude.
fn set_row_norms(weight: &mut NamedTensor, magnitude: &[f32]) {
    let inputs = weight.shape[1];
    for (row, wanted) in weight.values.chunks_exact_mut(inputs).zip(magnitude) {
        let norm = row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        let factor = (f64::from(*wanted) / norm) as f32;
        row.iter_mut().for_each(|value| *value *= factor);
    }
}

fn find<'a>(weights: &'a mut BTreeMap<String, NamedTensor>, path: &str) -> Result<&'a mut NamedTensor> {
    let name = format!("{path}.weight");
    weights.get_mut(&name).ok_or(ModelError::MissingTensor { name })
}

/// W `[out, in]` += scale · B `[out, r]` · A `[r, in]`.
fn add_product(weight: &mut NamedTensor, a: &NamedTensor, b: &NamedTensor, scale: f64) {
    let (rank, inputs) = (a.shape[0], a.shape[1]);
    for (row, out) in weight.values.chunks_exact_mut(inputs).enumerate() {
        for k in 0..rank {
            let factor = (f64::from(b.values[row * rank + k]) * scale) as f32;
            let source = &a.values[k * inputs..(k + 1) * inputs];
            out.iter_mut().zip(source).for_each(|(target, value)| *target += factor * value);
        }
    }
}
