//! Merging an adapter into its base: W ← W + s·B·A in f32, written as a model folder that any program opens.

use crate::adapter::{AdapterWeights, Part, parse_name};
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
    let mut weights = load_weights(&model.path, &model.spec)?;
    for (name, tensor) in &adapter.tensors {
        match parse_name(name) {
            Some((path, Part::A)) => {
                let b = adapter.tensors.get(&name.replace("lora_A", "lora_B"));
                let b = b.ok_or_else(|| ModelError::MissingTensor { name: name.replace("lora_A", "lora_B") })?;
                let scale = adapter.config.scale(&path, tensor.shape[0]);
                add_product(find(&mut weights, &path)?, tensor, b, scale);
            }
            Some((path, Part::Full)) => find(&mut weights, &path)?.values.clone_from(&tensor.values),
            _ => {}
        }
    }
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
