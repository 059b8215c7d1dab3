//! A base weight in memory: f32, or smaller as bf16, q8_0 or q4_0. Where the processor multiplies bf16 pairs or bytes, such
//! weights are packed into panels for these instructions, and matmuls with them round the other operand too. Elsewhere, and
//! in training with quantised weights, they are widened a block of rows at a time when a matmul needs them: widening is
//! exact, so the result is the f32 matmul of the rounded weights.

use super::buffer_pool::BufferPool;
use crate::chunk::Chunk;
use alidade_domain::Precision;
use alidade_kernels::{
    Aligned, Arena, ArenaVec, BytePanels, InstructionSet, Mat, MatMut, Panels, QUANT_BLOCK, Quantised, Rows,
    ThreadPool, Threads, matmul, pairs_backward, pairs_decode, pairs_forward, quantise_q4_0, quantise_q8_0, round_bf16,
    rows_times, widen_bf16,
};
use rayon::prelude::*;

/// Elements that are widened at a time: whole matrices of small models, since each matmul packs its other operand anew, and
/// little compared with the weights themselves.
const BLOCK: usize = 1 << 22;

/// The elements of a weight.
#[derive(Debug, Clone)]
pub(super) enum WeightStorage {
    F32(ArenaVec<f32>),
    Bf16(Aligned<u16>),
    /// bf16 panels, where the processor takes bf16 pairs.
    PackedBf16(Panels),
    Q8_0(Vec<i8>, Vec<f32>),
    Q4_0(Vec<u8>, Vec<f32>),
    /// q8_0 or q4_0 panels, where the processor multiplies bytes.
    PackedQuantised(BytePanels),
}

/// The quantised format of rows of `inputs` elements, if any.
fn quantised(precision: Precision, inputs: usize) -> Option<Quantised> {
    let format = match precision {
        Precision::Q8_0 => Quantised::Q8_0,
        Precision::Q4_0 => Quantised::Q4_0,
        _ => return None,
    };
    inputs.is_multiple_of(QUANT_BLOCK).then_some(format)
}

/// A borrowed view by layout.
enum View<'a> {
    Rows(Rows<'a>),
    Panels(&'a Panels),
    Bytes(&'a BytePanels),
}

impl WeightStorage {
    /// Empty storage, filled piece by piece. Rows that are not a multiple of the quantised block are stored as bf16 instead.
    pub(super) fn empty(
        arena: &mut Arena,
        set: InstructionSet,
        precision: Precision,
        capacity: usize,
        inputs: usize,
    ) -> Self {
        let blocks = capacity.div_ceil(QUANT_BLOCK);
        match (quantised(precision, inputs), precision) {
            (_, Precision::F32) => WeightStorage::F32(arena.allocate(capacity)),
            (Some(format), _) if set.takes_pairs() => {
                WeightStorage::PackedQuantised(BytePanels::new(arena, set, format, capacity, inputs))
            }
            (Some(Quantised::Q8_0), _) => WeightStorage::Q8_0(Vec::with_capacity(capacity), Vec::with_capacity(blocks)),
            (Some(Quantised::Q4_0), _) => {
                WeightStorage::Q4_0(Vec::with_capacity(capacity / 2), Vec::with_capacity(blocks))
            }
            _ if set.takes_pairs() => WeightStorage::PackedBf16(Panels::new(arena, set, capacity, inputs)),
            _ => WeightStorage::Bf16(Aligned::with_capacity(capacity)),
        }
    }

    /// Bytes of arena that [`WeightStorage::empty`] takes.
    pub(super) fn bytes_for(set: InstructionSet, precision: Precision, capacity: usize, inputs: usize) -> usize {
        match (quantised(precision, inputs), precision) {
            (_, Precision::F32) => Arena::bytes_for::<f32>(capacity),
            _ if !set.takes_pairs() => 0,
            (Some(format), _) => BytePanels::bytes_for(format, capacity, inputs),
            _ => Panels::bytes_for(capacity, inputs),
        }
    }

    /// Appends a piece: as it is where the dtype is the same, else via f32 in `scratch`. Quantised pieces are whole blocks.
    pub(super) fn push(&mut self, set: InstructionSet, chunk: Chunk, scratch: &mut Vec<f32>) {
        match (self, chunk) {
            (WeightStorage::F32(values), Chunk::Bf16(bits)) => widen_bf16(set, bits, values.grow(bits.len())),
            (WeightStorage::Bf16(values), Chunk::Bf16(bits)) => values.grow(bits.len()).copy_from_slice(bits),
            (WeightStorage::PackedBf16(panels), Chunk::Bf16(bits)) => panels.push_rounded(bits),
            (storage, chunk) => storage.push_floats(set, chunk.widened(scratch)),
        }
    }

    fn push_floats(&mut self, set: InstructionSet, piece: &[f32]) {
        match self {
            WeightStorage::F32(values) => values.grow(piece.len()).copy_from_slice(piece),
            WeightStorage::Bf16(values) => round_bf16(set, piece, values.grow(piece.len())),
            WeightStorage::PackedBf16(panels) => panels.push(piece),
            WeightStorage::Q8_0(values, scales) => quantise_q8_0(piece, values, scales),
            WeightStorage::Q4_0(values, scales) => quantise_q4_0(piece, values, scales),
            WeightStorage::PackedQuantised(panels) => panels.push(piece),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            WeightStorage::F32(values) => values.len(),
            WeightStorage::Bf16(values) => values.len(),
            WeightStorage::PackedBf16(panels) => panels.len(),
            WeightStorage::Q8_0(values, _) => values.len(),
            WeightStorage::Q4_0(values, _) => 2 * values.len(),
            WeightStorage::PackedQuantised(panels) => panels.len(),
        }
    }

    /// The panels, when matmuls with them take bf16 pairs.
    pub(super) fn panels(&self) -> Option<&Panels> {
        match self {
            WeightStorage::PackedBf16(panels) => Some(panels),
            _ => None,
        }
    }

    /// The elements; empty when they are not stored as f32.
    pub(super) fn floats(&self) -> &[f32] {
        match self {
            WeightStorage::F32(values) => values,
            _ => &[],
        }
    }

    pub(super) fn floats_mut(&mut self) -> &mut [f32] {
        match self {
            WeightStorage::F32(values) => values,
            _ => &mut [],
        }
    }

    fn view(&self) -> View<'_> {
        match self {
            WeightStorage::F32(values) => View::Rows(Rows::F32(values)),
            WeightStorage::Bf16(values) => View::Rows(Rows::Bf16(values)),
            WeightStorage::PackedBf16(panels) => View::Panels(panels),
            WeightStorage::Q8_0(values, scales) => View::Rows(Rows::Q8_0(values, scales)),
            WeightStorage::Q4_0(values, scales) => View::Rows(Rows::Q4_0(values, scales)),
            WeightStorage::PackedQuantised(panels) => View::Bytes(panels),
        }
    }

    /// Widens a range to f32 into `out`.
    pub(super) fn copy(&self, set: InstructionSet, start: usize, out: &mut [f32]) {
        match self.view() {
            View::Rows(rows) => rows.widen(set, start, out),
            View::Panels(panels) => panels.widen(start, out),
            View::Bytes(panels) => panels.widen(start, out),
        }
    }

    /// `out` (+)= x·Wᵀ for this W `[outputs, inputs]`, for few rows. Each row is computed independently of the others.
    pub(super) fn forward_rows(&self, workers: &ThreadPool, set: InstructionSet, out: MatMut, add: bool, x: Mat) {
        match self.view() {
            View::Rows(rows) => rows_times(workers, set, x, rows, out, add, 1.0),
            View::Panels(panels) => pairs_decode(workers, set, x, panels, out, add),
            View::Bytes(panels) => panels.times(workers, x, out, add),
        }
    }

    /// `out` (+)= x·Wᵀ for this W `[outputs, inputs]`.
    pub(super) fn forward(&self, set: InstructionSet, pool: &mut BufferPool, mut out: MatMut, add: bool, x: Mat) {
        if let View::Panels(panels) = self.view() {
            return pairs_forward(set, x, panels, out, add);
        }
        let inputs = x.columns();
        self.blocks(set, pool, inputs, |first, rows, block| {
            let target = out.part(0, first, x.rows(), rows);
            matmul(set, target, add, 1.0, x, Mat::new(block, rows, inputs).t(), Threads::Pool);
        });
    }

    /// `out` (+)= dy·W for this W `[outputs, inputs]`.
    pub(super) fn backward(&self, set: InstructionSet, pool: &mut BufferPool, mut out: MatMut, add: bool, dy: Mat) {
        if let View::Panels(panels) = self.view() {
            return pairs_backward(set, dy, panels, out, add);
        }
        let inputs = self.len() / dy.columns();
        self.blocks(set, pool, inputs, |first, rows, block| {
            let gradients = dy.part(0, first, dy.rows(), rows);
            matmul(set, out.lend(), add || first > 0, 1.0, gradients, Mat::new(block, rows, inputs), Threads::Pool);
        });
    }

    /// Calls `with` on all rows at once, or on blocks of widened rows.
    fn blocks(
        &self,
        set: InstructionSet,
        pool: &mut BufferPool,
        inputs: usize,
        mut with: impl FnMut(usize, usize, &[f32]),
    ) {
        if let WeightStorage::F32(values) = self {
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
