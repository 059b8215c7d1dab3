//! q8_0 and q4_0 weights times rows of x that are quantised to q8_0 as well: each i32 lane accumulates four byte products
//! (VPDPBUSD), exactly, before the scales of a block convert them to f32.
//!
//! The instruction takes one unsigned operand, so weights are stored with a zero point (q8_0 with 128; q4_0 has 8 anyway),
//! and accumulators start at minus what it adds, which depends on x alone.
//!
//! Where these instructions are missing, `rowwise` widens such weights to f32.

#[cfg(target_arch = "x86_64")]
mod vnni;

use crate::aligned::Line;
use crate::arena::{Arena, ArenaVec};
use crate::matrix::{Mat, MatMut};
use crate::rowwise::{QUANT_BLOCK, q4_0_block, q8_0_block};
use crate::{InstructionSet, ThreadPool};

/// Rows of a panel, and those of one line.
const SIDE: usize = 32;
const HALF_SIDE: usize = 16;
/// Elements of a row that one instruction takes per lane.
const FOUR: usize = 4;

/// A quantised format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantised {
    /// q8_0.
    Q8_0,
    /// q4_0.
    Q4_0,
}

impl Quantised {
    /// Cache lines of a block of 32 rows and 32 inputs: one of scales, and those of the quants.
    const fn lines(self) -> usize {
        match self {
            Quantised::Q8_0 => 17,
            Quantised::Q4_0 => 9,
        }
    }

    /// What is added to a quant to make it unsigned.
    fn zero_point(self) -> i32 {
        match self {
            Quantised::Q8_0 => 128,
            Quantised::Q4_0 => 8,
        }
    }
}

/// A quantised matrix `[outputs, inputs]` packed into panels of 32 rows. A panel holds one block of 32 inputs after another:
/// a line with the scale of each row (f16), then lines with four inputs of sixteen rows, or with eight as nibbles, the first
/// four in the low ones. Zeros fill the last panel.
#[derive(Debug, Clone)]
pub struct BytePanels {
    format: Quantised,
    lines: ArenaVec<Line<u8, 64>>,
    inputs: usize,
    /// Elements pushed so far.
    count: usize,
}

/// A block of a row of x, quantised to q8_0.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "nothing multiplies them there"))]
struct QuantisedBlock {
    quants: [i8; QUANT_BLOCK],
    /// Initial value of the accumulators.
    start: i32,
    scale: f32,
}

/// Lines of a matrix.
fn lines(format: Quantised, count: usize, inputs: usize) -> usize {
    (count / inputs).div_ceil(SIDE) * inputs / QUANT_BLOCK * format.lines()
}

impl BytePanels {
    /// An empty matrix with room for `capacity` elements, in rows of `inputs`, a multiple of 32.
    ///
    /// # Panics
    /// When it is not, or the set has no such instructions.
    pub fn new(arena: &mut Arena, set: InstructionSet, format: Quantised, capacity: usize, inputs: usize) -> Self {
        assert!(set.takes_pairs() && inputs > 0 && inputs.is_multiple_of(QUANT_BLOCK), "no instructions for bytes");
        Self { format, lines: arena.allocate(lines(format, capacity, inputs)), inputs, count: 0 }
    }

    /// Bytes of arena that `capacity` elements take.
    pub fn bytes_for(format: Quantised, capacity: usize, inputs: usize) -> usize {
        Arena::bytes_for::<Line<u8, 64>>(lines(format, capacity, inputs))
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends whole blocks of 32 elements, row after row.
    ///
    /// # Panics
    /// When a block is not whole.
    pub fn push(&mut self, values: &[f32]) {
        assert!(values.len().is_multiple_of(QUANT_BLOCK), "a block is not whole");
        for values in values.as_chunks::<QUANT_BLOCK>().0 {
            if self.place(self.count).0 * self.format.lines() >= self.lines.len() {
                self.lines.grow(self.blocks() * self.format.lines());
            }
            self.put(values);
            self.count += QUANT_BLOCK;
        }
    }

    /// Blocks of a panel.
    fn blocks(&self) -> usize {
        self.inputs / QUANT_BLOCK
    }

    /// The block of an element, and its row there.
    fn place(&self, element: usize) -> (usize, usize) {
        let (row, block) = (element / self.inputs, element % self.inputs / QUANT_BLOCK);
        (row / SIDE * self.blocks() + block, row % SIDE)
    }

    fn put(&mut self, values: &[f32; QUANT_BLOCK]) {
        let ((block, row), format) = (self.place(self.count), self.format);
        let lines = &mut self.lines[block * format.lines()..][..format.lines()];
        let (side, at) = (row / HALF_SIDE, row % HALF_SIDE * FOUR);
        let scale = match format {
            Quantised::Q8_0 => {
                let (quants, scale) = q8_0_block(values);
                for (group, four) in quants.chunks_exact(FOUR).enumerate() {
                    let place = &mut lines[1 + 2 * group + side].0[at..at + FOUR];
                    place.iter_mut().zip(four).for_each(|(place, quant)| *place = *quant as u8 ^ 0x80);
                }
                scale
            }
            Quantised::Q4_0 => {
                let (pairs, scale) = q4_0_block(values);
                // In q4_0 a byte holds elements half a block apart; here they are four apart.
                let quant = |index: usize| pairs[index % HALF_SIDE] >> (index / HALF_SIDE * 4) & 15;
                for group in 0..QUANT_BLOCK / (2 * FOUR) {
                    for (index, place) in lines[1 + 2 * group + side].0[at..at + FOUR].iter_mut().enumerate() {
                        let first = group * 2 * FOUR + index;
                        *place = quant(first) | quant(first + FOUR) << 4;
                    }
                }
                scale
            }
        };
        lines[0].0[2 * row..2 * row + 2].copy_from_slice(&half::f16::from_f32(scale).to_bits().to_le_bytes());
    }

    /// The elements from `start` on, row after row, widened to f32; whole blocks.
    ///
    /// # Panics
    /// When there are fewer, or a block is not whole.
    pub fn widen(&self, start: usize, out: &mut [f32]) {
        assert!(start + out.len() <= self.count, "there are fewer elements");
        assert!(start.is_multiple_of(QUANT_BLOCK) && out.len().is_multiple_of(QUANT_BLOCK), "a block is not whole");
        for (index, out) in out.as_chunks_mut::<QUANT_BLOCK>().0.iter_mut().enumerate() {
            let (block, row) = self.place(start + index * QUANT_BLOCK);
            let lines = &self.lines[block * self.format.lines()..][..self.format.lines()];
            let (side, at) = (row / HALF_SIDE, row % HALF_SIDE * FOUR);
            let scale = half::f16::from_le_bytes([lines[0].0[2 * row], lines[0].0[2 * row + 1]]).to_f32();
            let four = |group: usize| &lines[1 + 2 * group + side].0[at..at + FOUR];
            match self.format {
                Quantised::Q8_0 => {
                    for (group, out) in out.as_chunks_mut::<FOUR>().0.iter_mut().enumerate() {
                        let wide = |quant: &u8| scale * (f32::from(*quant) - 128.0);
                        out.iter_mut().zip(four(group)).for_each(|(out, quant)| *out = wide(quant));
                    }
                }
                Quantised::Q4_0 => {
                    for (group, out) in out.as_chunks_mut::<{ 2 * FOUR }>().0.iter_mut().enumerate() {
                        let (low, high) = out.split_at_mut(FOUR);
                        for ((low, high), pair) in low.iter_mut().zip(high).zip(four(group)) {
                            *low = scale * (f32::from(pair & 15) - 8.0);
                            *high = scale * (f32::from(pair >> 4) - 8.0);
                        }
                    }
                }
            }
        }
    }

    /// `out` = x·Wᵀ, or += it with `add`, for few rows of x. Each row is computed independently of the others.
    ///
    /// # Panics
    /// When the sizes do not match.
    pub fn times(&self, workers: &ThreadPool, x: Mat, out: MatMut, add: bool) {
        let sizes = (self.count / self.inputs, self.inputs, x.rows());
        assert!((out.columns(), x.columns(), out.rows()) == sizes, "sizes do not match");
        let blocks = self.blocks();
        let mut quantised = Vec::with_capacity(x.rows() * blocks);
        for row in 0..x.rows() {
            let blocks = x.row(row).as_chunks::<QUANT_BLOCK>().0;
            quantised.extend(blocks.iter().map(|values| quantise(values, self.format)));
        }
        let size = blocks * self.format.lines();
        let workers = workers.worth(self.count * x.rows());
        let panels = workers.panels_per_task(out.columns().div_ceil(SIDE), size_of::<Line<u8, 64>>() * size);
        workers.share_each(out.columns_by(SIDE * panels), |(first, part): (usize, MatMut)| {
            for (column, part) in part.columns_by(SIDE) {
                let panel = &self.lines[(first + column) / SIDE * size..][..size];
                multiply(self.format, &quantised, blocks, panel, part, add);
            }
        });
    }
}

#[cfg(target_arch = "x86_64")]
fn quantise(values: &[f32; QUANT_BLOCK], format: Quantised) -> QuantisedBlock {
    // SAFETY: `BytePanels` exist only for a set with these instructions, which the processor has reported.
    unsafe { vnni::quantise(values, format.zero_point()) }
}

#[cfg(target_arch = "x86_64")]
fn multiply(format: Quantised, x: &[QuantisedBlock], blocks: usize, panel: &[Line<u8, 64>], out: MatMut, add: bool) {
    // SAFETY: as above.
    unsafe {
        match format {
            Quantised::Q8_0 => vnni::multiply::<{ Quantised::Q8_0.lines() }>(x, blocks, panel, out, add),
            Quantised::Q4_0 => vnni::multiply::<{ Quantised::Q4_0.lines() }>(x, blocks, panel, out, add),
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn quantise(_: &[f32; QUANT_BLOCK], format: Quantised) -> QuantisedBlock {
    panic!("no instructions for bytes, {}", format.zero_point());
}

#[cfg(not(target_arch = "x86_64"))]
fn multiply(_: Quantised, _: &[QuantisedBlock], _: usize, _: &[Line<u8, 64>], _: MatMut, _: bool) {
    panic!("no instructions for bytes");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rowwise::{quantise_q4_0, quantise_q8_0};

    fn wave(count: usize, step: f32) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * step).sin()).collect()
    }

    /// x as it is quantised.
    fn quantised(x: &[f32]) -> Vec<f32> {
        let round = |block: &[f32]| {
            let scale = block.iter().fold(0.0f32, |so_far, value| so_far.max(value.abs())) / 127.0;
            block.iter().map(|value| (value / scale).round_ties_even() * scale).collect::<Vec<_>>()
        };
        x.chunks(QUANT_BLOCK).flat_map(round).collect()
    }

    /// Elements after a round trip through a format, stored row by row as llama.cpp does.
    fn stored(format: Quantised, weights: &[f32]) -> Vec<f32> {
        let (mut out, mut scales) = (vec![0.0; weights.len()], Vec::new());
        let (mut q8_0, mut q4_0) = (Vec::new(), Vec::new());
        let rows = match format {
            Quantised::Q8_0 => {
                quantise_q8_0(weights, &mut q8_0, &mut scales);
                crate::Rows::Q8_0(&q8_0, &scales)
            }
            Quantised::Q4_0 => {
                quantise_q4_0(weights, &mut q4_0, &mut scales);
                crate::Rows::Q4_0(&q4_0, &scales)
            }
        };
        rows.widen(InstructionSet::best(), 0, &mut out);
        out
    }

    #[test]
    fn both_formats_agree_with_plain_sums_and_rows_are_independent() {
        for set in InstructionSet::all().filter(|set| set.takes_pairs()) {
            for (format, inputs, outputs) in [
                (Quantised::Q8_0, 96, 139),
                (Quantised::Q4_0, 96, 139),
                (Quantised::Q8_0, 32, 5),
                (Quantised::Q4_0, 64, 32),
            ] {
                let weights = wave(inputs * outputs, 0.37);
                let stored = stored(format, &weights);
                let mut panels = BytePanels::new(&mut Arena::default(), set, format, weights.len(), inputs);
                weights.chunks(64).for_each(|piece| panels.push(piece));
                let mut found = vec![0.0; weights.len()];
                found.chunks_mut(inputs).enumerate().for_each(|(row, out)| panels.widen(row * inputs, out));
                assert!(found == stored && panels.len() == weights.len());

                for count in [1, 2, 3, 4, 9] {
                    let x = wave(inputs * count, 0.23);
                    let quantised = quantised(&x);
                    let mut out = vec![1.0; outputs * count];
                    let target = MatMut::new(&mut out, count, outputs);
                    panels.times(&ThreadPool::CALLER_ONLY, Mat::new(&x, count, inputs), target, true);
                    let mut alone = vec![1.0; outputs];
                    let one = Mat::new(&x[..inputs], 1, inputs);
                    panels.times(&ThreadPool::CALLER_ONLY, one, MatMut::new(&mut alone, 1, outputs), true);
                    assert!(alone == out[..outputs], "{set:?} {count}");
                    for (index, value) in out.iter().enumerate() {
                        let (row, output) = (index / outputs, index % outputs);
                        let term =
                            |i: usize| f64::from(quantised[row * inputs + i]) * f64::from(stored[output * inputs + i]);
                        let expected = 1.0 + (0..inputs).map(term).sum::<f64>();
                        assert!((f64::from(*value) - expected).abs() < 1e-4, "{set:?} {format:?} {count}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_non_finite_input_affects_its_row_alone() {
        for set in InstructionSet::all().filter(|set| set.takes_pairs()) {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut panels = BytePanels::new(&mut Arena::default(), set, Quantised::Q8_0, 64 * 3, 64);
                panels.push(&wave(64 * 3, 0.37));
                let mut x = wave(64 * 2, 0.23);
                x[70] = bad;
                let mut out = vec![0.0; 6];
                panels.times(&ThreadPool::CALLER_ONLY, Mat::new(&x, 2, 64), MatMut::new(&mut out, 2, 3), false);
                assert!(out[..3].iter().all(|value| value.is_finite()) && out[3..].iter().all(|value| value.is_nan()));
            }
        }
    }
}
