//! A base weight as it is held: f32, or in less memory as bf16, q8_0 or q4_0, which are widened a block of rows at a time
//! when a product needs them. Widening is exact, so a product is the f32 product of the rounded weights; but where the
//! processor has instructions for pairs of bf16 numbers, products with such weights use them and round the other operand too.

use super::pool::Pool;
use alidade_domain::Precision;
use alidade_kernels::{
    Aligned, Crew, InstructionSet, Mat, MatMut, QUANT_BLOCK, Rows, Threads, matmul, pairs_backward, pairs_forward,
    quantise_eight, quantise_four, round_bf16, rows_times,
};
use rayon::prelude::*;

/// Numbers that are widened at a time: every matrix of a block of a small model whole, since each product packs its other
/// operand anew, and little beside the matrices themselves.
const BLOCK: usize = 1 << 22;

/// Numbers of a weight.
#[derive(Debug, Clone)]
pub(super) enum Numbers {
    Single(Vec<f32>),
    Half(Aligned<u16>),
    Eight(Vec<i8>, Vec<f32>),
    Four(Vec<u8>, Vec<f32>),
}

impl Numbers {
    /// Holds numbers that arrive piece by piece. Rows that are no whole number of quantised blocks are held as bf16 instead.
    pub(super) fn empty(precision: Precision, capacity: usize, inputs: usize) -> Self {
        let blocks = capacity.div_ceil(QUANT_BLOCK);
        match precision {
            Precision::Single => Numbers::Single(Vec::with_capacity(capacity)),
            Precision::Eight if inputs.is_multiple_of(QUANT_BLOCK) => {
                Numbers::Eight(Vec::with_capacity(capacity), Vec::with_capacity(blocks))
            }
            Precision::Four if inputs.is_multiple_of(QUANT_BLOCK) => {
                Numbers::Four(Vec::with_capacity(capacity / 2), Vec::with_capacity(blocks))
            }
            _ => Numbers::Half(Aligned::with_capacity(capacity)),
        }
    }

    /// Takes a piece; quantised ones come in whole blocks.
    pub(super) fn push(&mut self, set: InstructionSet, piece: &[f32]) {
        match self {
            Numbers::Single(values) => values.extend_from_slice(piece),
            Numbers::Half(values) => round_bf16(set, piece, values.grow(piece.len())),
            Numbers::Eight(values, scales) => quantise_eight(piece, values, scales),
            Numbers::Four(values, scales) => quantise_four(piece, values, scales),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Numbers::Single(values) => values.len(),
            Numbers::Half(values) => values.len(),
            Numbers::Eight(values, _) => values.len(),
            Numbers::Four(values, _) => 2 * values.len(),
        }
    }

    /// The numbers when they are held as bf16.
    pub(super) fn halves(&self) -> Option<&[u16]> {
        match self {
            Numbers::Half(values) => Some(values),
            _ => None,
        }
    }

    /// The numbers themselves; empty when they are not held as f32.
    pub(super) fn floats(&self) -> &[f32] {
        match self {
            Numbers::Single(values) => values,
            _ => &[],
        }
    }

    pub(super) fn floats_mut(&mut self) -> &mut [f32] {
        match self {
            Numbers::Single(values) => values,
            _ => &mut [],
        }
    }

    fn rows(&self) -> Rows<'_> {
        match self {
            Numbers::Single(values) => Rows::Single(values),
            Numbers::Half(values) => Rows::Half(values),
            Numbers::Eight(values, scales) => Rows::Eight(values, scales),
            Numbers::Four(values, scales) => Rows::Four(values, scales),
        }
    }

    /// A range as f32, into `out`.
    pub(super) fn copy(&self, set: InstructionSet, start: usize, out: &mut [f32]) {
        self.rows().widen(set, start, out);
    }

    /// `out` (+)= x·Wᵀ for this W `[outputs, inputs]`, for few rows: each is computed as if it were alone.
    pub(super) fn forward_rows(&self, crew: &Crew, set: InstructionSet, out: MatMut, add: bool, x: Mat) {
        rows_times(crew, set, x, self.rows(), out, add, 1.0);
    }

    /// `out` (+)= x·Wᵀ for this W `[outputs, inputs]`.
    pub(super) fn forward(&self, set: InstructionSet, pool: &mut Pool, mut out: MatMut, add: bool, x: Mat) {
        if let (Numbers::Half(values), true) = (self, set.takes_pairs()) {
            return pairs_forward(set, x, values, out, add);
        }
        let inputs = x.columns();
        self.blocks(set, pool, inputs, |first, rows, block| {
            let target = out.part(0, first, x.rows(), rows);
            matmul(set, target, add, 1.0, x, Mat::new(block, rows, inputs).t(), Threads::Pool);
        });
    }

    /// `out` (+)= dy·W for this W `[outputs, inputs]`.
    pub(super) fn backward(&self, set: InstructionSet, pool: &mut Pool, mut out: MatMut, add: bool, dy: Mat) {
        if let (Numbers::Half(values), true) = (self, set.takes_pairs()) {
            return pairs_backward(set, dy, values, out, add);
        }
        let inputs = self.len() / dy.columns();
        self.blocks(set, pool, inputs, |first, rows, block| {
            let slopes = dy.part(0, first, dy.rows(), rows);
            matmul(set, out.lend(), add || first > 0, 1.0, slopes, Mat::new(block, rows, inputs), Threads::Pool);
        });
    }

    /// Calls back with all rows at once, or with blocks of widened rows.
    fn blocks(&self, set: InstructionSet, pool: &mut Pool, inputs: usize, mut with: impl FnMut(usize, usize, &[f32])) {
        if let Numbers::Single(values) = self {
            return with(0, values.len() / inputs, values);
        }
        let (total, rows) = (self.len() / inputs, (BLOCK / inputs).max(1));
        let mut block = pool.take(rows.min(total) * inputs);
        for first in (0..total).step_by(rows) {
            let count = rows.min(total - first);
            let block = &mut block[..count * inputs];
            block.par_chunks_mut(inputs).enumerate().for_each(|(row, out)| {
                self.copy(set, (first + row) * inputs, out);
            });
            with(first, count, block);
        }
        pool.give([block]);
    }
}
