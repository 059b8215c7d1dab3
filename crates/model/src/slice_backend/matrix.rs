//! A base weight as it is held: f32, or bf16 in half the memory, which is widened a block of rows at a time when a product
//! needs it. Widening is exact, so a product with bf16 weights is the f32 product of the rounded weights.

use super::pool::Pool;
use alidade_kernels::{InstructionSet, Mat, MatMut, Threads, matmul, round_bf16, widen_bf16};

/// Numbers that are widened at a time: small enough to stay in the cache until the product has read them.
const BLOCK: usize = 1 << 18;

/// How the frozen matrices are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// As f32.
    #[default]
    Single,
    /// As bf16, in half the memory.
    Half,
}

impl Precision {
    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Single => "f32",
            Precision::Half => "bf16",
        }
    }
}

/// Numbers of a weight.
#[derive(Debug, Clone)]
pub(super) enum Numbers {
    Single(Vec<f32>),
    Half(Vec<u16>),
}

impl Numbers {
    /// Holds numbers that arrive piece by piece.
    pub(super) fn empty(precision: Precision, capacity: usize) -> Self {
        match precision {
            Precision::Single => Numbers::Single(Vec::with_capacity(capacity)),
            Precision::Half => Numbers::Half(Vec::with_capacity(capacity)),
        }
    }

    pub(super) fn push(&mut self, set: InstructionSet, piece: &[f32]) {
        match self {
            Numbers::Single(values) => values.extend_from_slice(piece),
            Numbers::Half(values) => {
                let start = values.len();
                values.resize(start + piece.len(), 0);
                round_bf16(set, piece, &mut values[start..]);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Numbers::Single(values) => values.len(),
            Numbers::Half(values) => values.len(),
        }
    }

    /// The numbers themselves; empty when they are not held as f32.
    pub(super) fn floats(&self) -> &[f32] {
        match self {
            Numbers::Single(values) => values,
            Numbers::Half(_) => &[],
        }
    }

    pub(super) fn floats_mut(&mut self) -> &mut [f32] {
        match self {
            Numbers::Single(values) => values,
            Numbers::Half(_) => &mut [],
        }
    }

    /// A range as f32, into `out`.
    pub(super) fn copy(&self, set: InstructionSet, start: usize, out: &mut [f32]) {
        match self {
            Numbers::Single(values) => out.copy_from_slice(&values[start..start + out.len()]),
            Numbers::Half(values) => widen_bf16(set, &values[start..start + out.len()], out),
        }
    }

    /// `out` (+)= x·Wᵀ for this W `[outputs, inputs]`.
    pub(super) fn forward(&self, set: InstructionSet, pool: &mut Pool, mut out: MatMut, add: bool, x: Mat) {
        let inputs = x.columns();
        let outputs = self.len() / inputs;
        self.blocks(set, pool, inputs, |first, rows, block| {
            let target = out.part(0, first, x.rows(), rows);
            matmul(target, add, 1.0, x, Mat::new(block, rows, inputs).t(), Threads::Pool);
        });
        debug_assert!(outputs * inputs == self.len());
    }

    /// `out` (+)= dy·W for this W `[outputs, inputs]`.
    pub(super) fn backward(&self, set: InstructionSet, pool: &mut Pool, mut out: MatMut, add: bool, dy: Mat) {
        let inputs = self.len() / dy.columns();
        self.blocks(set, pool, inputs, |first, rows, block| {
            let slopes = dy.part(0, first, dy.rows(), rows);
            matmul(out.lend(), add || first > 0, 1.0, slopes, Mat::new(block, rows, inputs), Threads::Pool);
        });
    }

    /// Calls back with all rows at once, or with blocks of widened rows.
    fn blocks(&self, set: InstructionSet, pool: &mut Pool, inputs: usize, mut with: impl FnMut(usize, usize, &[f32])) {
        let values = match self {
            Numbers::Single(values) => return with(0, values.len() / inputs, values),
            Numbers::Half(values) => values,
        };
        let rows = (BLOCK / inputs).max(1);
        let mut block = pool.take((rows * inputs).min(values.len()));
        for (index, part) in values.chunks(rows * inputs).enumerate() {
            let block = &mut block[..part.len()];
            widen_bf16(set, part, block);
            with(index * rows, part.len() / inputs, block);
        }
        pool.give([block]);
    }
}
