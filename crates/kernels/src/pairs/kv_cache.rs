//! The KV cache of one head as bf16 panels: keys packed for q·kᵀ, sixteen keys to a line, and values packed for the weighted
//! sum over them, pairs of two values interleaved.

use super::panels::Panels;
use super::rounded::RoundedRows;
use super::{DEPTH, EMPTY_PAIRS, HALF_SIDE, Line, SIDE};
use crate::InstructionSet;
use crate::arena::Arena;
use crate::bf16::round_block;
use crate::matrix::{Epilogue, Mat, MatMut, Threads};
use std::ops::Range;

/// See the head of this module.
#[derive(Debug, Clone)]
pub(crate) struct Bf16Head {
    set: InstructionSet,
    keys: Panels,
    /// For each 32 columns, two lines per pair of values.
    values: Vec<Vec<Line<u32, 16>>>,
    dim: usize,
    count: usize,
}

impl Bf16Head {
    /// An empty cache for keys and values of `dim` elements.
    pub(crate) fn new(set: InstructionSet, dim: usize) -> Self {
        let keys = Panels::new(&mut Arena::default(), set, 0, dim);
        Self { set, keys, values: vec![Vec::new(); dim.div_ceil(SIDE)], dim, count: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Reserves capacity for so many further keys.
    pub(crate) fn reserve(&mut self, further: usize) {
        self.keys.reserve(further * self.dim);
        let lines = (self.count + further).next_multiple_of(DEPTH);
        self.values.iter_mut().for_each(|values| values.reserve(lines.saturating_sub(values.len())));
    }

    /// Appends a key and its value.
    pub(crate) fn push(&mut self, key: &[f32], value: &[f32]) {
        self.keys.push(key);
        let (first, shift) = (self.count / 2 * 2, self.count % 2 * 16);
        for (lines, value) in self.values.iter_mut().zip(value.chunks(SIDE)) {
            if lines.len() <= first {
                lines.resize(lines.len() + DEPTH, EMPTY_PAIRS);
            }
            let mut rounded = [0; SIDE];
            round_block(self.set, value, &mut rounded[..value.len()]);
            for (line, elements) in lines[first..first + 2].iter_mut().zip(rounded.as_chunks::<HALF_SIDE>().0) {
                line.0.iter_mut().zip(elements).for_each(|(pair, number)| *pair |= u32::from(*number) << shift);
            }
        }
        self.count += 1;
    }

    /// softmax(scale·q·kᵀ)·v for some queries `[g·d]` and the keys of a range, into `out` `[g·d]`. `weigh` replaces
    /// scores by exp(s − max s) and returns one over their sum.
    pub(crate) fn attend(
        &self,
        scale: f32,
        range: Range<usize>,
        queries: &[f32],
        out: &mut [f32],
        weigh: impl Fn(&mut [f32]) -> f32,
    ) {
        assert!(range.end <= self.count && out.len() == queries.len(), "there are fewer keys");
        let (dim, group) = (self.dim, queries.len() / self.dim);
        let first = range.start / SIDE * SIDE;
        let (count, own) = (range.end - first, range.start - first..range.end - first);
        let stride = count.next_multiple_of(SIDE);
        let mut scores = vec![0.0; group * stride];

        let mut rounded = RoundedRows::new(self.set, group, [dim]);
        let place = rounded.push(Mat::new(queries, group, dim), 1.0, Threads::One);
        for at in (0..count).step_by(SIDE) {
            let panel = self.keys.panel(first + at, 0..dim.div_ceil(DEPTH));
            let target = MatMut::strided(&mut scores[at..], group, SIDE, stride);
            rounded.multiply(place, panel, target, Epilogue { add: false, scale });
        }
        let mut factors = Vec::with_capacity(group);
        for scores in scores.chunks_exact_mut(stride) {
            scores[..own.start].fill(0.0);
            factors.push(weigh(&mut scores[own.clone()]));
        }

        let mut rounded = RoundedRows::new(self.set, group, [count]);
        let place = rounded.push(Mat::strided(&scores, group, count, stride), 1.0, Threads::One);
        for (index, lines) in self.values.iter().enumerate() {
            let (column, panel) = (index * SIDE, &lines[first..first + stride]);
            let width = SIDE.min(dim - column);
            let target = MatMut::strided(&mut out[column..], group, width, dim);
            rounded.multiply(place, panel, target, Epilogue { add: false, scale: 1.0 });
        }
        for (out, factor) in out.chunks_exact_mut(dim).zip(factors) {
            out.iter_mut().for_each(|value| *value *= factor);
        }
    }
}
