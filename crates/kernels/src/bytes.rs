//! q8_0 and q4_0 weights against rows of x that are rounded to q8_0 as well: four products of bytes are summed in each lane
//! (VPDPBUSD), exactly, before a block's factors make them f32.
//!
//! The instruction takes one operand without a sign. Weights are moved up to become that (q8_0 by 128; q4_0 is stored 8 too
//! high anyway), and the sums begin at what this adds, which depends on x alone.
//!
//! Where these instructions are missing, `rowwise` widens such weights to f32.

#[cfg(target_arch = "x86_64")]
mod vnni;

use crate::aligned::Line;
use crate::ground::{Ground, Plot};
use crate::matrix::{Mat, MatMut};
use crate::rowwise::{QUANT_BLOCK, eight, four};
use crate::{Crew, InstructionSet};

/// Rows of a panel, and those of one line.
const SIDE: usize = 32;
const HALF_SIDE: usize = 16;
/// Numbers of a row that meet at a time.
const FOUR: usize = 4;

/// How numbers are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantised {
    /// q8_0.
    Eight,
    /// q4_0.
    Four,
}

impl Quantised {
    /// Lines of a block of 32 rows and 32 inputs: one of factors, and those of the numbers.
    const fn lines(self) -> usize {
        match self {
            Quantised::Eight => 17,
            Quantised::Four => 9,
        }
    }

    /// How much too high a number is stored.
    fn lift(self) -> i32 {
        match self {
            Quantised::Eight => 128,
            Quantised::Four => 8,
        }
    }
}

/// A matrix `[outputs, inputs]` of quantised numbers, 32 of its rows to a panel and in it one block of 32 inputs after another:
/// a line with the factor of each row (f16), and then lines with four inputs of sixteen rows, or with eight in half bytes, the
/// first four of them below. Zeros fill the last panel.
#[derive(Debug, Clone)]
pub struct BytePanels {
    form: Quantised,
    lines: Plot<Line<u8, 64>>,
    inputs: usize,
    /// Numbers so far.
    count: usize,
}

/// A block of a row of x.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "nothing multiplies them there"))]
struct Chunk {
    numbers: [i8; QUANT_BLOCK],
    /// Where the sums begin.
    start: i32,
    factor: f32,
}

/// Lines of a matrix.
fn lines(form: Quantised, count: usize, inputs: usize) -> usize {
    (count / inputs).div_ceil(SIDE) * inputs / QUANT_BLOCK * form.lines()
}

impl BytePanels {
    /// An empty matrix with room for `capacity` numbers, in rows of `inputs`, a multiple of 32.
    ///
    /// # Panics
    /// When it is not, or the set has no such instructions.
    pub fn new(ground: &mut Ground, set: InstructionSet, form: Quantised, capacity: usize, inputs: usize) -> Self {
        assert!(set.takes_pairs() && inputs > 0 && inputs.is_multiple_of(QUANT_BLOCK), "no instructions for bytes");
        Self { form, lines: ground.plot(lines(form, capacity, inputs)), inputs, count: 0 }
    }

    /// Bytes of ground that so many numbers take.
    pub fn needs(form: Quantised, capacity: usize, inputs: usize) -> usize {
        Ground::needs::<Line<u8, 64>>(lines(form, capacity, inputs))
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends whole blocks of 32 numbers, row after row.
    ///
    /// # Panics
    /// When a block is not whole.
    pub fn push(&mut self, values: &[f32]) {
        assert!(values.len().is_multiple_of(QUANT_BLOCK), "a block is not whole");
        for values in values.as_chunks::<QUANT_BLOCK>().0 {
            if self.place(self.count).0 * self.form.lines() >= self.lines.len() {
                self.lines.grow(self.blocks() * self.form.lines());
            }
            self.put(values);
            self.count += QUANT_BLOCK;
        }
    }

    /// Blocks of a panel.
    fn blocks(&self) -> usize {
        self.inputs / QUANT_BLOCK
    }

    /// The block of a number, and its row there.
    fn place(&self, number: usize) -> (usize, usize) {
        let (row, block) = (number / self.inputs, number % self.inputs / QUANT_BLOCK);
        (row / SIDE * self.blocks() + block, row % SIDE)
    }

    fn put(&mut self, values: &[f32; QUANT_BLOCK]) {
        let ((block, row), form) = (self.place(self.count), self.form);
        let lines = &mut self.lines[block * form.lines()..][..form.lines()];
        let (side, at) = (row / HALF_SIDE, row % HALF_SIDE * FOUR);
        let factor = match form {
            Quantised::Eight => {
                let (numbers, factor) = eight(values);
                for (group, four) in numbers.chunks_exact(FOUR).enumerate() {
                    let place = &mut lines[1 + 2 * group + side].0[at..at + FOUR];
                    place.iter_mut().zip(four).for_each(|(place, number)| *place = *number as u8 ^ 0x80);
                }
                factor
            }
            Quantised::Four => {
                let (pairs, factor) = four(values);
                // Pairs are halves of a block apart; here they are four numbers apart.
                let number = |index: usize| pairs[index % HALF_SIDE] >> (index / HALF_SIDE * 4) & 15;
                for group in 0..QUANT_BLOCK / (2 * FOUR) {
                    for (index, place) in lines[1 + 2 * group + side].0[at..at + FOUR].iter_mut().enumerate() {
                        let first = group * 2 * FOUR + index;
                        *place = number(first) | number(first + FOUR) << 4;
                    }
                }
                factor
            }
        };
        lines[0].0[2 * row..2 * row + 2].copy_from_slice(&half::f16::from_f32(factor).to_bits().to_le_bytes());
    }

    /// The numbers from number `start` on, row after row, as f32; whole blocks.
    ///
    /// # Panics
    /// When there are fewer, or a block is not whole.
    pub fn widen(&self, start: usize, out: &mut [f32]) {
        assert!(start + out.len() <= self.count, "there are fewer numbers");
        assert!(start.is_multiple_of(QUANT_BLOCK) && out.len().is_multiple_of(QUANT_BLOCK), "a block is not whole");
        for (index, out) in out.as_chunks_mut::<QUANT_BLOCK>().0.iter_mut().enumerate() {
            let (block, row) = self.place(start + index * QUANT_BLOCK);
            let lines = &self.lines[block * self.form.lines()..][..self.form.lines()];
            let (side, at) = (row / HALF_SIDE, row % HALF_SIDE * FOUR);
            let factor = half::f16::from_le_bytes([lines[0].0[2 * row], lines[0].0[2 * row + 1]]).to_f32();
            let four = |group: usize| &lines[1 + 2 * group + side].0[at..at + FOUR];
            match self.form {
                Quantised::Eight => {
                    for (group, out) in out.as_chunks_mut::<FOUR>().0.iter_mut().enumerate() {
                        let wide = |number: &u8| factor * (f32::from(*number) - 128.0);
                        out.iter_mut().zip(four(group)).for_each(|(out, number)| *out = wide(number));
                    }
                }
                Quantised::Four => {
                    for (group, out) in out.as_chunks_mut::<{ 2 * FOUR }>().0.iter_mut().enumerate() {
                        let (low, high) = out.split_at_mut(FOUR);
                        for ((low, high), pair) in low.iter_mut().zip(high).zip(four(group)) {
                            *low = factor * (f32::from(pair & 15) - 8.0);
                            *high = factor * (f32::from(pair >> 4) - 8.0);
                        }
                    }
                }
            }
        }
    }

    /// `out` = x·Wᵀ, or += it with `add`, for few rows of x: each is computed as if it were alone.
    ///
    /// # Panics
    /// When the sizes do not match.
    pub fn times(&self, crew: &Crew, x: Mat, out: MatMut, add: bool) {
        let sizes = (self.count / self.inputs, self.inputs, x.rows());
        assert!((out.columns(), x.columns(), out.rows()) == sizes, "sizes do not match");
        let blocks = self.blocks();
        let mut chunks = Vec::with_capacity(x.rows() * blocks);
        for row in 0..x.rows() {
            chunks.extend(x.row(row).as_chunks::<QUANT_BLOCK>().0.iter().map(|values| rounded(values, self.form)));
        }
        let size = blocks * self.form.lines();
        let crew = crew.worth(self.count * x.rows());
        let panels = crew.panels_of_a_task(out.columns().div_ceil(SIDE), size_of::<Line<u8, 64>>() * size);
        crew.share_each(out.columns_by(SIDE * panels), |(first, part): (usize, MatMut)| {
            for (column, part) in part.columns_by(SIDE) {
                let panel = &self.lines[(first + column) / SIDE * size..][..size];
                meet(self.form, &chunks, blocks, panel, part, add);
            }
        });
    }
}

#[cfg(target_arch = "x86_64")]
fn rounded(values: &[f32; QUANT_BLOCK], form: Quantised) -> Chunk {
    // SAFETY: panels of bytes exist only for a set that has these instructions, which the processor has named then.
    unsafe { vnni::rounded(values, form.lift()) }
}

#[cfg(target_arch = "x86_64")]
fn meet(form: Quantised, x: &[Chunk], blocks: usize, panel: &[Line<u8, 64>], out: MatMut, add: bool) {
    // SAFETY: as above.
    unsafe {
        match form {
            Quantised::Eight => vnni::meet::<{ Quantised::Eight.lines() }>(x, blocks, panel, out, add),
            Quantised::Four => vnni::meet::<{ Quantised::Four.lines() }>(x, blocks, panel, out, add),
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn rounded(_: &[f32; QUANT_BLOCK], form: Quantised) -> Chunk {
    panic!("no instructions for bytes, {}", form.lift());
}

#[cfg(not(target_arch = "x86_64"))]
fn meet(_: Quantised, _: &[Chunk], _: usize, _: &[Line<u8, 64>], _: MatMut, _: bool) {
    panic!("no instructions for bytes");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rowwise::{quantise_eight, quantise_four};

    fn wave(count: usize, step: f32) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * step).sin()).collect()
    }

    /// x as it is rounded.
    fn taken(x: &[f32]) -> Vec<f32> {
        let round = |block: &[f32]| {
            let factor = block.iter().fold(0.0f32, |so_far, value| so_far.max(value.abs())) / 127.0;
            block.iter().map(|value| (value / factor).round_ties_even() * factor).collect::<Vec<_>>()
        };
        x.chunks(QUANT_BLOCK).flat_map(round).collect()
    }

    /// What a format makes of numbers, row by row as llama.cpp stores them.
    fn stored(form: Quantised, weights: &[f32]) -> Vec<f32> {
        let (mut out, mut factors) = (vec![0.0; weights.len()], Vec::new());
        let (mut eight, mut four) = (Vec::new(), Vec::new());
        let rows = match form {
            Quantised::Eight => {
                quantise_eight(weights, &mut eight, &mut factors);
                crate::Rows::Eight(&eight, &factors)
            }
            Quantised::Four => {
                quantise_four(weights, &mut four, &mut factors);
                crate::Rows::Four(&four, &factors)
            }
        };
        rows.widen(InstructionSet::best(), 0, &mut out);
        out
    }

    #[test]
    fn both_formats_agree_with_plain_sums_and_no_row_depends_on_the_others() {
        for set in InstructionSet::all().filter(|set| set.takes_pairs()) {
            for (form, inputs, outputs) in [
                (Quantised::Eight, 96, 139),
                (Quantised::Four, 96, 139),
                (Quantised::Eight, 32, 5),
                (Quantised::Four, 64, 32),
            ] {
                let weights = wave(inputs * outputs, 0.37);
                let stored = stored(form, &weights);
                let mut panels = BytePanels::new(&mut Ground::default(), set, form, weights.len(), inputs);
                weights.chunks(64).for_each(|piece| panels.push(piece));
                let mut found = vec![0.0; weights.len()];
                found.chunks_mut(inputs).enumerate().for_each(|(row, out)| panels.widen(row * inputs, out));
                assert!(found == stored && panels.len() == weights.len());

                for count in [1, 2, 3, 4, 9] {
                    let x = wave(inputs * count, 0.23);
                    let taken = taken(&x);
                    let mut out = vec![1.0; outputs * count];
                    let target = MatMut::new(&mut out, count, outputs);
                    panels.times(&Crew::ALONE, Mat::new(&x, count, inputs), target, true);
                    let mut alone = vec![1.0; outputs];
                    let one = Mat::new(&x[..inputs], 1, inputs);
                    panels.times(&Crew::ALONE, one, MatMut::new(&mut alone, 1, outputs), true);
                    assert!(alone == out[..outputs], "{set:?} {count}");
                    for (index, value) in out.iter().enumerate() {
                        let (row, output) = (index / outputs, index % outputs);
                        let term =
                            |i: usize| f64::from(taken[row * inputs + i]) * f64::from(stored[output * inputs + i]);
                        let expected = 1.0 + (0..inputs).map(term).sum::<f64>();
                        assert!((f64::from(*value) - expected).abs() < 1e-4, "{set:?} {form:?} {count}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_number_that_is_none_spoils_its_row_alone() {
        for set in InstructionSet::all().filter(|set| set.takes_pairs()) {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut panels = BytePanels::new(&mut Ground::default(), set, Quantised::Eight, 64 * 3, 64);
                panels.push(&wave(64 * 3, 0.37));
                let mut x = wave(64 * 2, 0.23);
                x[70] = bad;
                let mut out = vec![0.0; 6];
                panels.times(&Crew::ALONE, Mat::new(&x, 2, 64), MatMut::new(&mut out, 2, 3), false);
                assert!(out[..3].iter().all(|value| value.is_finite()) && out[3..].iter().all(|value| value.is_nan()));
            }
        }
    }
}
