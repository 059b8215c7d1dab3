//! What the golden tests share.
#![allow(dead_code, clippy::print_stdout, reason = "each test uses its part, and tells what it left out")]

use alidade_domain::Device;
use alidade_kernels::{InstructionSet, Level};
use alidade_model::{Backend, DecoderSpec, TensorData, runs_on_slices};
use std::collections::BTreeMap;

/// Those of these levels that the processor has; the others are told.
pub fn there(levels: &[Level]) -> Vec<InstructionSet> {
    for level in levels.iter().filter(|level| InstructionSet::forced(**level).is_none()) {
        println!("not run, since this processor lacks it: {}", level.name());
    }
    levels.iter().filter_map(|level| InstructionSet::forced(*level)).collect()
}

/// Every way in which this processor can run such a model: candle, and the kernels with each of their levels.
pub fn backends(spec: &DecoderSpec) -> Vec<Backend> {
    let sets = if runs_on_slices(spec, None) { there(&Level::ALL) } else { Vec::new() };
    std::iter::once(Backend::Candle(Device::Cpu)).chain(sets.into_iter().map(Backend::Slices)).collect()
}

pub type Tensors = BTreeMap<String, (Vec<usize>, TensorData)>;

#[allow(unused_imports, reason = "each test file uses its own part")]
pub use alidade_testkit::golden;

pub fn floats<'a>(tensors: &'a Tensors, name: &str) -> &'a [f32] {
    match &tensors[name].1 {
        TensorData::Floats(values) => values,
        TensorData::Integers(_) => panic!("{name} is whole"),
    }
}

pub fn rows(tensors: &Tensors, name: &str) -> Vec<Vec<u32>> {
    let (shape, data) = &tensors[name];
    let TensorData::Integers(values) = data else { panic!("{name} holds floats") };
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
