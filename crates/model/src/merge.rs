//! Merging an adapter into its base: W ← W + s·B·A in f32, written as a model folder that any program opens.

use crate::adapter::{AdapterKind, AdapterWeights, Part, parse_name};
use crate::error::Result;
use crate::tensor_file::{TensorData, write_tensors};
use crate::weights::load_weights;
use crate::{ModelError, ModelFolder, NamedTensor};
use std::collections::BTreeMap;
use std::path::Path;

/// Files that a merged model takes over unchanged.
const COMPANIONS: &[&str] = &[
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
];

/// Writes the merged model into an existing folder, in f32.
///
/// # Errors
/// When the adapter touches a layer that the model does not have, a merged weight is not finite, or a file fails.
pub fn save_merged(model: &ModelFolder, adapter: &AdapterWeights, folder: &Path) -> Result<()> {
    if adapter.config.kind == AdapterKind::Prefix {
        let reason = "a prefix stands in front of the layers and cannot be merged into them";
        return Err(ModelError::Adapter { reason: reason.to_owned() });
    }
    let mut weights = load_weights(&model.path, &model.spec)?;
    refuse_tied(model, adapter)?;
    for (name, tensor) in &adapter.tensors {
        let part = |part: Part, path: &str| adapter.tensors.get(&part.name(path));
        let partner = |other: Part, path: &str| {
            part(other, path).ok_or_else(|| ModelError::MissingTensor { name: format!("the partner of {name}") })
        };
        match parse_name(name) {
            Some((path, Part::A)) => {
                let scale = adapter.config.scale(&path, tensor.shape[0]);
                let weight = find(&mut weights, &path)?;
                add_product(weight, tensor, partner(Part::B, &path)?, scale);
                if let Some(magnitude) = part(Part::Magnitude, &path) {
                    set_row_norms(weight, &magnitude.values);
                }
            }
            Some((path, Part::EmbeddingA)) => {
                let scale = adapter.config.scale(&path, tensor.shape[0]);
                let (a, b) = (transposed(partner(Part::EmbeddingB, &path)?), transposed(tensor));
                add_product(find(&mut weights, &path)?, &a, &b, scale);
            }
            Some((path, Part::Full)) if path != "score" => {
                find(&mut weights, &path)?.values.clone_from(&tensor.values);
            }
            _ => {}
        }
    }
    save_model(model, weights, folder)
}

/// Writes `weights`, in f32, as a model like `model` into an existing folder.
///
/// # Errors
/// When a weight is not finite, or a file fails.
pub fn save_model(
    model: &ModelFolder,
    weights: BTreeMap<String, NamedTensor>,
    folder: &Path,
) -> std::result::Result<(), ModelError> {
    if let Some((name, _)) = weights.iter().find(|(_, tensor)| tensor.values.iter().any(|value| !value.is_finite())) {
        return Err(ModelError::NotFinite { name: name.clone() });
    }
    let tensors = weights.into_iter().map(|(name, t)| (name, (t.shape, TensorData::Floats(t.values)))).collect();
    write_tensors(&folder.join("model.safetensors"), &tensors)?;
    for file in COMPANIONS {
        let from = model.path.join(file);
        if from.is_file() {
            let to = folder.join(file);
            std::fs::copy(&from, &to).map_err(|error| ModelError::File { path: to, found: error.to_string() })?;
        }
    }
    Ok(())
}

/// An adapter on the embedding of a model with tied weights leaves the output matrix as it was; the merged model would
/// change both, so it is refused.
fn refuse_tied(model: &ModelFolder, adapter: &AdapterWeights) -> Result<()> {
    let touched = adapter.tensors.keys().any(|name| name.contains("embed_tokens") || name.contains("lm_head"));
    if model.spec.tied && touched {
        let reason = "it changes the embedding or the output matrix alone, which are one matrix in this model";
        return Err(ModelError::Adapter { reason: reason.to_owned() });
    }
    Ok(())
}

fn transposed(tensor: &NamedTensor) -> NamedTensor {
    let (rows, columns) = (tensor.shape[0], tensor.shape[1]);
    let values = (0..rows * columns).map(|index| tensor.values[index % rows * columns + index / rows]).collect();
    NamedTensor { shape: vec![columns, rows], values }
}

/// DoRA: each row gets the learned length.
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
