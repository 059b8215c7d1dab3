//! Safetensors files as plain data: the one place where tensor bytes become numbers and back.
//!
//! Half-precision values are widened exactly; whole numbers stay whole. Nothing here knows what a tensor means.

use crate::ModelError;
use crate::error::Result;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The numbers of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum TensorData {
    /// Floating point numbers.
    Floats(Vec<f32>),
    /// Whole numbers.
    Whole(Vec<i64>),
}

/// Reads every tensor of a file whose type is one of f32, f16, bf16, f64, i64, i32, u32, u8; others are skipped.
///
/// # Errors
/// When the file is missing, cut off or inconsistent.
pub fn read_tensors(path: &Path) -> Result<BTreeMap<String, (Vec<usize>, TensorData)>> {
    let unreadable = |found: String| ModelError::File { path: path.to_owned(), found };
    let about = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
    if !about.is_file() {
        return Err(unreadable("it is no ordinary file".to_owned()));
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| broken(path, &error))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        if let Some(data) = decode(&view) {
            tensors.insert(name, (view.shape().to_vec(), data));
        }
    }
    Ok(tensors)
}

pub(crate) fn broken(path: &Path, error: &dyn std::fmt::Display) -> ModelError {
    ModelError::BrokenWeights { path: path.to_owned(), found: error.to_string() }
}

/// Numbers of a view, or `None` for a type that is not read here.
pub(crate) fn decode(view: &TensorView) -> Option<TensorData> {
    let bytes = view.data();
    fn each<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
        bytes.as_chunks::<N>().0.iter().map(|chunk| read(*chunk)).collect()
    }
    Some(match view.dtype() {
        Dtype::F32 => TensorData::Floats(each(bytes, f32::from_le_bytes)),
        Dtype::F16 => TensorData::Floats(each(bytes, |pair| half::f16::from_le_bytes(pair).to_f32())),
        Dtype::BF16 => TensorData::Floats(each(bytes, |pair| half::bf16::from_le_bytes(pair).to_f32())),
        Dtype::F64 => TensorData::Floats(each(bytes, |eight| f64::from_le_bytes(eight) as f32)),
        Dtype::I64 => TensorData::Whole(each(bytes, i64::from_le_bytes)),
        Dtype::I32 => TensorData::Whole(each(bytes, |four| i64::from(i32::from_le_bytes(four)))),
        Dtype::U32 => TensorData::Whole(each(bytes, |four| i64::from(u32::from_le_bytes(four)))),
        Dtype::U8 => TensorData::Whole(bytes.iter().map(|byte| i64::from(*byte)).collect()),
        _ => return None,
    })
}

/// Writes tensors as f32 (or i64) with PEFT's metadata; equal input gives equal bytes.
///
/// # Errors
/// When shapes and lengths disagree or the file cannot be written.
pub fn write_tensors(path: &Path, tensors: &BTreeMap<String, (Vec<usize>, TensorData)>) -> Result<()> {
    let bytes = serialize(tensors, |data| match data {
        TensorData::Floats(values) => (Dtype::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        TensorData::Whole(values) => (Dtype::I64, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
    })?;
    std::fs::write(path, bytes).map_err(|error| ModelError::File { path: path.to_owned(), found: error.to_string() })
}

/// As [`write_tensors`], with floats rounded to f16.
pub(crate) fn write_half_tensors(path: &Path, tensors: &BTreeMap<String, (Vec<usize>, TensorData)>) -> Result<()> {
    let bytes = serialize(tensors, |data| match data {
        TensorData::Floats(values) => {
            (Dtype::F16, values.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()).collect())
        }
        TensorData::Whole(values) => (Dtype::I64, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
    })?;
    std::fs::write(path, bytes).map_err(|error| ModelError::File { path: path.to_owned(), found: error.to_string() })
}

type Encoded = (Dtype, Vec<u8>);

fn serialize(
    tensors: &BTreeMap<String, (Vec<usize>, TensorData)>,
    encode: impl Fn(&TensorData) -> Encoded,
) -> Result<Vec<u8>> {
    let encoded: Vec<(&String, &Vec<usize>, Encoded)> =
        tensors.iter().map(|(name, (shape, data))| (name, shape, encode(data))).collect();
    let failed = |error: safetensors::SafeTensorError| ModelError::Request(format!("Writing tensors: {error}."));
    let mut views = Vec::with_capacity(encoded.len());
    for (name, shape, (dtype, bytes)) in &encoded {
        views.push((name.as_str(), TensorView::new(*dtype, (*shape).clone(), bytes).map_err(failed)?));
    }
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(views, Some(metadata)).map_err(failed)
}
