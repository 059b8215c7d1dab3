//! Safetensors files as plain data: the one place where tensor bytes are decoded and encoded.
//!
//! f16 and bf16 are widened exactly; integers stay integers. Nothing here knows what a tensor means.

use crate::ModelError;
use crate::adapter::NamedTensor;
use crate::bounded::open_ordinary;
use crate::error::Result;
use alidade_domain::{Wording, why, wording};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;

/// The elements of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum TensorData {
    /// Floating-point values.
    Floats(Vec<f32>),
    /// Integers.
    Integers(Vec<i64>),
}

/// Reads every tensor of a file whose dtype is one of f32, f16, bf16, f64, i64, i32, u32, u8; others are skipped.
///
/// # Errors
/// When the file is missing, cut off or inconsistent.
pub fn read_tensors(path: &Path) -> Result<BTreeMap<String, (Vec<usize>, TensorData)>> {
    let unreadable = |found: Wording| ModelError::File { path: path.to_owned(), found };
    let mut bytes = Vec::new();
    let read = open_ordinary(path).and_then(|mut file| file.read_to_end(&mut bytes));
    read.map_err(|error| unreadable(why(&error)))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| broken(path, Wording::name(error.to_string())))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        if let Some(data) = decode(&view) {
            tensors.insert(name, (view.shape().to_vec(), data));
        }
    }
    Ok(tensors)
}

pub(crate) fn broken(path: &Path, found: impl Into<Wording>) -> ModelError {
    ModelError::BrokenWeights { path: path.to_owned(), found: found.into() }
}

/// Elements of a view, or `None` for a dtype that is not read here.
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
        Dtype::I64 => TensorData::Integers(each(bytes, i64::from_le_bytes)),
        Dtype::I32 => TensorData::Integers(each(bytes, |four| i64::from(i32::from_le_bytes(four)))),
        Dtype::U32 => TensorData::Integers(each(bytes, |four| i64::from(u32::from_le_bytes(four)))),
        Dtype::U8 => TensorData::Integers(bytes.iter().map(|byte| i64::from(*byte)).collect()),
        _ => return None,
    })
}

/// The dtype in which floats are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FloatFormat {
    /// 32 bits.
    F32,
    /// IEEE half precision.
    F16,
    /// bfloat16, the upper 16 bits of f32.
    Bf16,
}

impl FloatFormat {
    /// As transformers calls it ("bfloat16").
    pub fn name(self) -> &'static str {
        match self {
            FloatFormat::F32 => "float32",
            FloatFormat::F16 => "float16",
            FloatFormat::Bf16 => "bfloat16",
        }
    }

    /// The nearest representable value.
    pub fn round(self, value: f32) -> f32 {
        match self {
            FloatFormat::F32 => value,
            FloatFormat::F16 => half::f16::from_f32(value).to_f32(),
            FloatFormat::Bf16 => half::bf16::from_f32(value).to_f32(),
        }
    }

    fn encode(self, values: &[f32]) -> Encoded {
        match self {
            FloatFormat::F32 => (Dtype::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
            FloatFormat::F16 => {
                (Dtype::F16, values.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()).collect())
            }
            FloatFormat::Bf16 => {
                (Dtype::BF16, values.iter().flat_map(|value| half::bf16::from_f32(*value).to_le_bytes()).collect())
            }
        }
    }
}

/// Writes tensors as f32 (or i64) with PEFT's metadata; equal input gives equal bytes.
///
/// # Errors
/// When shapes and lengths disagree or the file cannot be written.
pub fn write_tensors(path: &Path, tensors: &BTreeMap<String, (Vec<usize>, TensorData)>) -> Result<()> {
    write_tensors_as(path, tensors, |_| FloatFormat::F32)
}

/// As [`write_tensors`], with each tensor's floats stored as `stored` says of its name.
///
/// # Errors
/// As [`write_tensors`].
pub(crate) fn write_tensors_as(
    path: &Path,
    tensors: &BTreeMap<String, (Vec<usize>, TensorData)>,
    stored: impl Fn(&str) -> FloatFormat,
) -> Result<()> {
    let encode = |name: &str, data: &TensorData| match data {
        TensorData::Floats(values) => stored(name).encode(values),
        TensorData::Integers(values) => (Dtype::I64, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
    };
    let encoded = tensors.iter().map(|(name, (shape, data))| (name.as_str(), shape.clone(), encode(name, data)));
    write_encoded(path, encoded.collect())
}

/// Writes named tensors, each stored as `stored` says of its name.
///
/// # Errors
/// As [`write_tensors`].
pub(crate) fn write_floats(
    path: &Path,
    tensors: &BTreeMap<String, NamedTensor>,
    stored: impl Fn(&str) -> FloatFormat,
) -> Result<()> {
    let encoded = tensors.iter().map(|(name, t)| (name.as_str(), t.shape.clone(), stored(name).encode(&t.values)));
    write_encoded(path, encoded.collect())
}

fn write_encoded(path: &Path, encoded: Vec<(&str, Vec<usize>, Encoded)>) -> Result<()> {
    let failed = |error: safetensors::SafeTensorError| {
        ModelError::Request(wording!("Writing tensors: {error}.", "写入张量失败：{error}。"))
    };
    let mut views = Vec::with_capacity(encoded.len());
    for (name, shape, (dtype, bytes)) in &encoded {
        views.push((*name, TensorView::new(*dtype, shape.clone(), bytes).map_err(failed)?));
    }
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(failed)?;
    std::fs::write(path, bytes).map_err(|error| ModelError::Write { path: path.to_owned(), error })
}

type Encoded = (Dtype, Vec<u8>);
