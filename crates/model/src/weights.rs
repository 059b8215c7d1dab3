//! The base weights of a model folder, checked against the shapes that its configuration promises, as f32.

use crate::error::Result;
use crate::folder::weight_files;
use crate::tensor_file::{TensorData, broken, decode};
use crate::{DecoderSpec, ModelError, NamedTensor};
use safetensors::tensor::SafeTensors;
use std::collections::BTreeMap;
use std::path::Path;

/// Reads the tensors that `spec` names; further tensors in the files are ignored.
pub(crate) fn load_weights(folder: &Path, spec: &DecoderSpec) -> Result<BTreeMap<String, NamedTensor>> {
    let wanted: BTreeMap<String, Vec<usize>> = spec.tensors().into_iter().collect();
    let mut found = BTreeMap::new();
    for path in weight_files(folder)? {
        let bytes =
            std::fs::read(&path).map_err(|error| ModelError::File { path: path.clone(), found: error.to_string() })?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| broken(&path, &error))?;
        for (name, view) in file.tensors() {
            let Some(expected) = wanted.get(&name) else { continue };
            if view.shape() != expected.as_slice() {
                return Err(ModelError::WrongShape { name, found: view.shape().to_vec(), expected: expected.clone() });
            }
            let Some(TensorData::Floats(values)) = decode(&view) else {
                return Err(broken(&path, &format!("{name} is of the type {:?}, which holds no floats", view.dtype())));
            };
            if values.iter().any(|value| !value.is_finite()) {
                return Err(ModelError::NotFinite { name });
            }
            found.insert(name, NamedTensor { shape: expected.clone(), values });
        }
    }
    match wanted.keys().find(|name| !found.contains_key(*name)) {
        Some(name) => Err(ModelError::MissingTensor { name: name.clone() }),
        None => Ok(found),
    }
}
