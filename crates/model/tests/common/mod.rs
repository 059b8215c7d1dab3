//! What the golden tests share.
#![allow(dead_code, reason = "each test uses its part")]

use alidade_kernels::Level;
use alidade_model::{Backend, TensorData};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Every way to do the arithmetic; one that the processor lacks falls back to candle.
pub const BACKENDS: &[Backend] = &[
    Backend::Candle,
    Backend::Slices(Level::Portable),
    Backend::Slices(Level::Avx2),
    Backend::Slices(Level::Avx512),
    Backend::Slices(Level::Avx512Bf16),
    Backend::Slices(Level::Amx),
];

pub type Tensors = BTreeMap<String, (Vec<usize>, TensorData)>;

pub fn golden(part: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(part)
}

pub fn floats<'a>(tensors: &'a Tensors, name: &str) -> &'a [f32] {
    match &tensors[name].1 {
        TensorData::Floats(values) => values,
        TensorData::Whole(_) => panic!("{name} is whole"),
    }
}

pub fn rows(tensors: &Tensors, name: &str) -> Vec<Vec<u32>> {
    let (shape, data) = &tensors[name];
    let TensorData::Whole(values) = data else { panic!("{name} holds floats") };
    values.chunks(shape[1]).map(|row| row.iter().map(|id| *id as u32).collect()).collect()
}

pub fn largest_gap(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

pub fn relative_l2(ours: &[f32], theirs: &[f32]) -> f64 {
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
    let gap = square(&mut ours.iter().zip(theirs).map(|(a, b)| f64::from(a - b)));
    (gap / square(&mut theirs.iter().map(|value| f64::from(*value)))).sqrt()
}
