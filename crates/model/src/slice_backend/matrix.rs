//! A base weight as it is held: f32, or in less memory as bf16, q8_0 or q4_0. Where the processor multiplies pairs of bf16
//! numbers or bytes, such weights are panels for these instructions, and products with them round the other operand too.
//! Elsewhere, and in training with quantised weights, they are widened a block of rows at a time when a product needs them:
//! widening is exact, so that is the f32 product of the rounded weights.

use super::pool::Pool;
use crate::chunk::Chunk;
use alidade_domain::Precision;
use alidade_kernels::{
    Aligned, BytePanels, Crew, Ground, InstructionSet, Mat, MatMut, Panels, Plot, QUANT_BLOCK, Quantised, Rows,
    Threads, matmul, pairs_backward, pairs_forward, pairs_written, quantise_eight, quantise_four, round_bf16,
    rows_times, widen_bf16,
};
use rayon::prelude::*;

/// Numbers that are widened at a time: every matrix of a block of a small model whole, since each product packs its other
/// operand anew, and little beside the matrices themselves.
const BLOCK: usize = 1 << 22;

/// Numbers of a weight.
#[derive(Debug, Clone)]
pub(super) enum Numbers {
    Single(Plot<f32>),
    Half(Aligned<u16>),
    /// bf16 where the processor takes pairs.
    Paired(Panels),
    Eight(Vec<i8>, Vec<f32>),
    Four(Vec<u8>, Vec<f32>),
    /// q8_0 or q4_0 where the processor multiplies bytes.
    Bytes(BytePanels),
}

/// How rows of so many numbers are quantised.
fn quantised(precision: Precision, inputs: usize) -> Option<Quantised> {
    let form = match precision {
        Precision::Eight => Quantised::Eight,
        Precision::Four => Quantised::Four,
        _ => return None,
    };
    inputs.is_multiple_of(QUANT_BLOCK).then_some(form)
}

/// How they lie.
enum Held<'a> {
    Rows(Rows<'a>),
    Panels(&'a Panels),
    Bytes(&'a BytePanels),
}

impl Numbers {
    /// Holds numbers that arrive piece by piece. Rows that are no whole number of quantised blocks are held as bf16 instead.
    pub(super) fn empty(
        ground: &mut Ground,
        set: InstructionSet,
        precision: Precision,
        capacity: usize,
        inputs: usize,
    ) -> Self {
        let blocks = capacity.div_ceil(QUANT_BLOCK);
        match (quantised(precision, inputs), precision) {
            (_, Precision::Single) => Numbers::Single(ground.plot(capacity)),
            (Some(form), _) if set.takes_pairs() => {
                Numbers::Bytes(BytePanels::new(ground, set, form, capacity, inputs))
            }
            (Some(Quantised::Eight), _) => Numbers::Eight(Vec::with_capacity(capacity), Vec::with_capacity(blocks)),
            (Some(Quantised::Four), _) => Numbers::Four(Vec::with_capacity(capacity / 2), Vec::with_capacity(blocks)),
            _ if set.takes_pairs() => Numbers::Paired(Panels::new(ground, set, capacity, inputs)),
            _ => Numbers::Half(Aligned::with_capacity(capacity)),
        }
    }

    /// Bytes of ground that [`Numbers::empty`] takes.
    pub(super) fn needs(set: InstructionSet, precision: Precision, capacity: usize, inputs: usize) -> usize {
        match (quantised(precision, inputs), precision) {
            (_, Precision::Single) => Ground::needs::<f32>(capacity),
            _ if !set.takes_pairs() => 0,
            (Some(form), _) => BytePanels::needs(form, capacity, inputs),
            _ => Panels::needs(capacity, inputs),
        }
    }

    /// Takes a piece: as it is where it is held so, else by way of f32, in `room`. Quantised ones come in whole blocks.
    pub(super) fn push(&mut self, set: InstructionSet, chunk: Chunk, room: &mut Vec<f32>) {
        match (self, chunk) {
            (Numbers::Single(values), Chunk::Brain(bits)) => widen_bf16(set, bits, values.grow(bits.len())),
            (Numbers::Half(values), Chunk::Brain(bits)) => values.grow(bits.len()).copy_from_slice(bits),
            (Numbers::Paired(panels), Chunk::Brain(bits)) => panels.push_rounded(bits),
            (numbers, chunk) => numbers.push_floats(set, chunk.widened(room)),
        }
    }

    fn push_floats(&mut self, set: InstructionSet, piece: &[f32]) {
        match self {
            Numbers::Single(values) => values.grow(piece.len()).copy_from_slice(piece),
            Numbers::Half(values) => round_bf16(set, piece, values.grow(piece.len())),
            Numbers::Paired(panels) => panels.push(piece),
            Numbers::Eight(values, scales) => quantise_eight(piece, values, scales),
            Numbers::Four(values, scales) => quantise_four(piece, values, scales),
            Numbers::Bytes(panels) => panels.push(piece),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Numbers::Single(values) => values.len(),
            Numbers::Half(values) => values.len(),
            Numbers::Paired(panels) => panels.len(),
            Numbers::Eight(values, _) => values.len(),
            Numbers::Four(values, _) => 2 * values.len(),
            Numbers::Bytes(panels) => panels.len(),
        }
    }

    /// The numbers when products with them take pairs.
    pub(super) fn panels(&self) -> Option<&Panels> {
        match self {
            Numbers::Paired(panels) => Some(panels),
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

    fn held(&self) -> Held<'_> {
        match self {
            Numbers::Single(values) => Held::Rows(Rows::Single(values)),
            Numbers::Half(values) => Held::Rows(Rows::Half(values)),
            Numbers::Paired(panels) => Held::Panels(panels),
            Numbers::Eight(values, scales) => Held::Rows(Rows::Eight(values, scales)),
            Numbers::Four(values, scales) => Held::Rows(Rows::Four(values, scales)),
            Numbers::Bytes(panels) => Held::Bytes(panels),
        }
    }

    /// A range as f32, into `out`.
    pub(super) fn copy(&self, set: InstructionSet, start: usize, out: &mut [f32]) {
        match self.held() {
            Held::Rows(rows) => rows.widen(set, start, out),
            Held::Panels(panels) => panels.widen(start, out),
            Held::Bytes(panels) => panels.widen(start, out),
        }
    }

    /// `out` (+)= x·Wᵀ for this W `[outputs, inputs]`, for few rows: each is computed as if it were alone.
    pub(super) fn forward_rows(&self, crew: &Crew, set: InstructionSet, out: MatMut, add: bool, x: Mat) {
        match self.held() {
            Held::Rows(rows) => rows_times(crew, set, x, rows, out, add, 1.0),
            Held::Panels(panels) => pairs_written(crew, set, x, panels, out, add),
            Held::Bytes(panels) => panels.times(crew, x, out, add),
        }
    }

    /// `out` (+)= x·Wᵀ for this W `[outputs, inputs]`.
    pub(super) fn forward(&self, set: InstructionSet, pool: &mut Pool, mut out: MatMut, add: bool, x: Mat) {
        if let Held::Panels(panels) = self.held() {
            return pairs_forward(set, x, panels, out, add);
        }
        let inputs = x.columns();
        self.blocks(set, pool, inputs, |first, rows, block| {
            let target = out.part(0, first, x.rows(), rows);
            matmul(set, target, add, 1.0, x, Mat::new(block, rows, inputs).t(), Threads::Pool);
        });
    }

    /// `out` (+)= dy·W for this W `[outputs, inputs]`.
    pub(super) fn backward(&self, set: InstructionSet, pool: &mut Pool, mut out: MatMut, add: bool, dy: Mat) {
        if let Held::Panels(panels) = self.held() {
            return pairs_backward(set, dy, panels, out, add);
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
