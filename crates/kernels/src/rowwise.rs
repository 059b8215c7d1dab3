//! Products of a few rows with a row-major matrix, for generation: x·Wᵀ where W is f32, bf16, q8_0 or q4_0.
//!
//! Where the processor has the instructions, weights other than f32 are packed into panels and do not come here (`pairs`,
//! `bytes`).
//!
//! The cost is reading W. Eight of its rows at a time are widened to f32 in a small buffer and multiplied with every row of
//! x. Each result is accumulated in a fixed order, so it does not depend on the number of rows, and threads share the rows
//! of W. Activations stay f32.
//!
//! q8_0 and q4_0 have llama.cpp's values: blocks of 32 with one scale of f16 precision (stored as f32, which saves its
//! conversion), q in −127..=127, or 0..=15 less 8.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use crate::bf16::widen_block;
use crate::instruction_set::dispatch;
use crate::lanes::{LANES, fold, madd};
use crate::matrix::{Mat, MatMut};
use crate::{InstructionSet, Level, ThreadPool};
use std::cell::RefCell;

/// Elements that share a scale.
pub const QUANT_BLOCK: usize = 32;
/// Rows of W that are taken at a time.
const GROUP: usize = 8;
/// Rows of x from which on they are multiplied four at a time, with AVX-512.
const TALL: usize = 4;
/// Rows of W of one task.
const TASK: usize = 32;

thread_local! {
    /// Buffer for widened rows, reused by every task of a thread.
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// A row-major matrix.
#[derive(Debug, Clone, Copy)]
pub enum Rows<'a> {
    /// f32.
    F32(&'a [f32]),
    /// bf16.
    Bf16(&'a [u16]),
    /// q8_0: quants, and a scale for each block of 32.
    Q8_0(&'a [i8], &'a [f32]),
    /// q4_0: byte i of a block holds element i in the low nibble and element i + 16 in the high one; and a scale for each
    /// block of 32.
    Q4_0(&'a [u8], &'a [f32]),
}

impl Rows<'_> {
    fn len(&self) -> usize {
        match self {
            Rows::F32(values) => values.len(),
            Rows::Bf16(values) => values.len(),
            Rows::Q8_0(values, _) => values.len(),
            Rows::Q4_0(values, _) => 2 * values.len(),
        }
    }

    /// Address (possibly past the end) and size in bytes of the `count` elements from `start` on: only for prefetching.
    #[cfg(target_arch = "x86_64")]
    fn ahead(&self, start: usize, count: usize) -> (*const u8, usize) {
        match self {
            Rows::F32(values) => (values.as_ptr().wrapping_add(start).cast(), 4 * count),
            Rows::Bf16(values) => (values.as_ptr().wrapping_add(start).cast(), 2 * count),
            Rows::Q8_0(values, _) => (values.as_ptr().wrapping_add(start).cast(), count),
            Rows::Q4_0(values, _) => (values.as_ptr().wrapping_add(start / 2), count / 2),
        }
    }

    /// Elements from `start` on, widened to f32; whole blocks for quantised ones.
    pub fn widen(&self, set: InstructionSet, start: usize, out: &mut [f32]) {
        let end = start + out.len();
        let blocks = start / QUANT_BLOCK..end.div_ceil(QUANT_BLOCK);
        match self {
            Rows::F32(values) => out.copy_from_slice(&values[start..end]),
            Rows::Bf16(values) => widen_block(set, &values[start..end], out),
            Rows::Q8_0(values, scales) => widen_q8_0(set, &values[start..end], &scales[blocks], out),
            Rows::Q4_0(values, scales) => widen_q4_0(set, &values[start / 2..end / 2], &scales[blocks], out),
        }
    }
}

/// `out` = scale·x·Wᵀ, or += it with `add`, for x `[n, inputs]` and W `[outputs, inputs]`.
///
/// # Panics
/// When the sizes do not match.
pub fn rows_times(workers: &ThreadPool, set: InstructionSet, x: Mat, rows: Rows, out: MatMut, add: bool, scale: f32) {
    let inputs = x.columns();
    let outputs = rows.len() / inputs.max(1);
    assert!(outputs * inputs == rows.len() && out.columns() == outputs && out.rows() == x.rows(), "sizes do not match");
    let wide = x.rows() >= TALL && set.level() >= Level::Avx512;
    let mut packed = Vec::new();
    let x = if wide { aligned_copy(x, &mut packed) } else { x };
    let one = |(first, mut task): (usize, MatMut)| {
        let mut scratch = SCRATCH.take();
        for start in (0..task.columns()).step_by(GROUP) {
            let count = GROUP.min(task.columns() - start);
            let target = task.part(0, start, x.rows(), count);
            RowGroup { set, x, rows, first: (first + start) * inputs, add, scale }.multiply(&mut scratch, target);
        }
        SCRATCH.set(scratch);
    };
    workers.worth(rows.len() * x.rows()).share_each(out.columns_by(TASK), one);
}

/// A copy whose rows are aligned to cache lines: a load across two lines costs twice.
fn aligned_copy<'a>(x: Mat, room: &'a mut Vec<f32>) -> Mat<'a> {
    let stride = x.columns().next_multiple_of(LANES);
    let copy = aligned(room, x.rows() * stride);
    for row in 0..x.rows() {
        copy[row * stride..][..x.columns()].copy_from_slice(x.row(row));
    }
    Mat::strided(copy, x.rows(), x.columns(), stride)
}

/// `length` elements in `room`, aligned to a cache line.
fn aligned(room: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if room.len() < length + LANES {
        room.resize(length + LANES, 0.0);
    }
    let skip = room.as_ptr().align_offset(LANES * size_of::<f32>()).min(LANES);
    &mut room[skip..skip + length]
}

/// All rows of x times up to eight rows of W, the first of which begins at element `first`.
struct RowGroup<'a> {
    set: InstructionSet,
    x: Mat<'a>,
    rows: Rows<'a>,
    first: usize,
    add: bool,
    scale: f32,
}

impl RowGroup<'_> {
    fn multiply(&self, scratch: &mut Vec<f32>, mut out: MatMut) {
        let (inputs, count, rows) = (self.x.columns(), out.columns(), self.x.rows());
        let wide = count == GROUP && self.set.level() >= Level::Avx512;
        if wide && rows < TALL {
            return (0..rows).for_each(|at| self.put(out.row(at), &one_row(self.x.row(at), self.rows, self.first)));
        }
        let group = aligned(scratch, count * inputs);
        self.rows.widen(self.set, self.first, group);
        let group = &*group;
        if wide {
            return many_rows(self.x, group, self.rows, self.first + group.len(), |at, found| {
                self.put(out.row(at), found)
            });
        }
        // Missing rows are padded with the last one; those results are dropped.
        let row = |index: usize| &group[index.min(count - 1) * inputs..][..inputs];
        let paired = if self.set.level() == Level::Avx2 { rows / 2 * 2 } else { 0 };
        for at in (0..paired).step_by(2) {
            let pair = [self.x.row(at), self.x.row(at + 1)];
            for first in (0..count).step_by(2) {
                let found = two_by_two(pair, [row(first), row(first + 1)]);
                let last = count.min(first + 2);
                (0..2).for_each(|index| self.put(&mut out.row(at + index)[first..last], &found[index]));
            }
        }
        for at in paired..rows {
            self.put(out.row(at), &one_by_eight(self.set, self.x.row(at), std::array::from_fn(row)));
        }
    }

    fn put(&self, out: &mut [f32], values: &[f32]) {
        put(out, values, self.add, self.scale);
    }
}

fn put(out: &mut [f32], values: &[f32], add: bool, scale: f32) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = if add { *out + scale * value } else { scale * value };
    }
}

#[cfg(target_arch = "x86_64")]
fn one_row(x: &[f32], rows: Rows, first: usize) -> [f32; 8] {
    debug_assert!(InstructionSet::forced(Level::Avx512).is_some());
    // SAFETY: only called at this level, which exists only after the processor reported it.
    unsafe { avx512::one_row(x, rows, first) }
}

#[cfg(not(target_arch = "x86_64"))]
fn one_row(_: &[f32], _: Rows, _: usize) -> [f32; 8] {
    [0.0; 8] // There is no such level on this processor.
}

#[cfg(target_arch = "x86_64")]
fn many_rows(x: Mat, group: &[f32], rows: Rows, next: usize, put: impl FnMut(usize, &[f32; 8])) {
    debug_assert!(InstructionSet::forced(Level::Avx512).is_some());
    let (next, bytes) = rows.ahead(next, group.len());
    // SAFETY: as above.
    unsafe { avx512::many_rows(x, group, next, bytes, put) }
}

#[cfg(not(target_arch = "x86_64"))]
fn many_rows(_: Mat, _: &[f32], _: Rows, _: usize, _: impl FnMut(usize, &[f32; 8])) {} // There is no such level here.

pub(crate) fn one_by_eight(set: InstructionSet, x: &[f32], weights: [&[f32]; 8]) -> [f32; 8] {
    #[cfg(target_arch = "x86_64")]
    match set.level() {
        Level::Avx512 | Level::Avx512Bf16 | Level::Amx => {
            // SAFETY: a set of this level exists only after the processor reported it.
            return unsafe { avx512::tile([x], weights, avx512::Ahead::NONE) }[0];
        }
        Level::Avx2 => {
            let [a, b, c, d, e, f, g, h] = weights;
            // SAFETY: as above.
            let [left, right] = unsafe { [avx2::tile([x], [a, b, c, d])[0], avx2::tile([x], [e, f, g, h])[0]] };
            return std::array::from_fn(|index| if index < 4 { left[index] } else { right[index - 4] });
        }
        Level::Portable => {}
    }
    let _ = set;
    one_by_eight_plain(x, weights)
}

/// x·wᵀ for one row of x and sixteen rows of w.
pub(crate) fn one_by_sixteen(set: InstructionSet, x: &[f32], weights: [&[f32]; 16]) -> [f32; 16] {
    #[cfg(target_arch = "x86_64")]
    if set.level() >= Level::Avx512 {
        // SAFETY: a set of this level exists only after the processor reported it.
        return unsafe { avx512::tile([x], weights, avx512::Ahead::NONE) }[0];
    }
    let eight = |first: usize| one_by_eight(set, x, std::array::from_fn(|index| weights[first + index]));
    let halves = [eight(0), eight(8)];
    std::array::from_fn(|index| halves[index / 8][index % 8])
}

#[cfg(target_arch = "x86_64")]
fn two_by_two(x: [&[f32]; 2], weights: [&[f32]; 2]) -> [[f32; 2]; 2] {
    debug_assert!(InstructionSet::forced(Level::Avx2).is_some());
    // SAFETY: only called at this level, which exists only after the processor reported it.
    unsafe { avx2::tile(x, weights) }
}

#[cfg(not(target_arch = "x86_64"))]
fn two_by_two(_: [&[f32]; 2], _: [&[f32]; 2]) -> [[f32; 2]; 2] {
    [[0.0; 2]; 2] // There is no such level on this processor.
}

dispatch!(fn widen_q8_0(values: &[i8], scales: &[f32], out: &mut [f32]) = widen_q8_0_body);
dispatch!(fn widen_q4_0(values: &[u8], scales: &[f32], out: &mut [f32]) = widen_q4_0_body);

/// x·wᵀ for one row of x and eight rows of w, each result accumulated in sixteen lanes.
fn one_by_eight_plain(x: &[f32], weights: [&[f32]; 8]) -> [f32; 8] {
    let width = x.len();
    let weights = weights.map(|row| &row[..width]);
    let mut lanes = [[0.0f32; LANES]; 8];
    let whole = width / LANES * LANES;
    let mut start = 0;
    while start < whole {
        for (lanes, weights) in lanes.iter_mut().zip(&weights) {
            let (x, weights) = (&x[start..start + LANES], &weights[start..start + LANES]);
            for lane in 0..LANES {
                lanes[lane] = madd::<false>(x[lane], weights[lane], lanes[lane]);
            }
        }
        start += LANES;
    }
    for (lanes, weights) in lanes.iter_mut().zip(&weights) {
        for (lane, index) in (whole..width).enumerate() {
            lanes[lane] = madd::<false>(x[index], weights[index], lanes[lane]);
        }
    }
    lanes.map(|lanes| fold(lanes, |a, b| a + b))
}

#[inline(always)]
fn widen_q8_0_body<const FMA: bool>(values: &[i8], scales: &[f32], out: &mut [f32]) {
    let blocks = out.as_chunks_mut::<QUANT_BLOCK>().0.iter_mut().zip(values.as_chunks::<QUANT_BLOCK>().0);
    for ((out, values), scale) in blocks.zip(scales) {
        for (out, value) in out.iter_mut().zip(values) {
            *out = scale * f32::from(*value);
        }
    }
}

#[inline(always)]
fn widen_q4_0_body<const FMA: bool>(values: &[u8], scales: &[f32], out: &mut [f32]) {
    const SIDE: usize = QUANT_BLOCK / 2;
    let blocks = out.as_chunks_mut::<QUANT_BLOCK>().0.iter_mut().zip(values.as_chunks::<SIDE>().0);
    for ((out, values), scale) in blocks.zip(scales) {
        let (low, high) = out.split_at_mut(SIDE);
        for ((low, high), value) in low.iter_mut().zip(high).zip(values) {
            *low = scale * (f32::from(*value & 15) - 8.0);
            *high = scale * (f32::from(*value >> 4) - 8.0);
        }
    }
}

/// Quantises whole blocks of 32 to q8_0.
pub fn quantise_q8_0(values: &[f32], quants: &mut Vec<i8>, scales: &mut Vec<f32>) {
    for block in values.as_chunks::<QUANT_BLOCK>().0 {
        let (block, scale) = q8_0_block(block);
        quants.extend(block);
        scales.push(scale);
    }
}

/// A block as q8_0, and its scale, max |x| / 127.
pub(crate) fn q8_0_block(block: &[f32; QUANT_BLOCK]) -> ([i8; QUANT_BLOCK], f32) {
    let largest = block.iter().fold(0.0f32, |so_far, value| so_far.max(value.abs()));
    let scale = largest / 127.0;
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    (block.map(|value| (value * inverse).round() as i8), half::f16::from_f32(scale).to_f32())
}

/// Quantises whole blocks of 32 to q4_0.
pub fn quantise_q4_0(values: &[f32], quants: &mut Vec<u8>, scales: &mut Vec<f32>) {
    for block in values.as_chunks::<QUANT_BLOCK>().0 {
        let (pairs, scale) = q4_0_block(block);
        quants.extend(pairs);
        scales.push(scale);
    }
}

/// A block as q4_0, element i in the low nibble and element i + 16 in the high one, and its scale: the element of largest
/// magnitude becomes −8 times it.
pub(crate) fn q4_0_block(block: &[f32; QUANT_BLOCK]) -> ([u8; QUANT_BLOCK / 2], f32) {
    let largest = block.iter().fold(0.0f32, |so_far, value| if value.abs() > so_far.abs() { *value } else { so_far });
    let scale = largest / -8.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let whole = |index: usize| (block[index] * inverse + 8.5).clamp(0.0, 15.0) as u8;
    let pairs = std::array::from_fn(|index| whole(index) | (whole(index + QUANT_BLOCK / 2) << 4));
    (pairs, half::f16::from_f32(scale).to_f32())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(count: usize, step: f32) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * step).sin()).collect()
    }

    #[test]
    fn every_format_agrees_with_plain_sums_and_rows_are_independent() {
        let (inputs, outputs) = (96, 139);
        let weights = wave(inputs * outputs, 0.37);
        let bf16: Vec<u16> = weights.iter().map(|value| half::bf16::from_f32(*value).to_bits()).collect();
        let (mut q8_0, mut q8_0_scales, mut q4_0, mut q4_0_scales) = (vec![], vec![], vec![], vec![]);
        quantise_q8_0(&weights, &mut q8_0, &mut q8_0_scales);
        quantise_q4_0(&weights, &mut q4_0, &mut q4_0_scales);
        let formats = [
            (Rows::F32(&weights), 1e-7),
            (Rows::Bf16(&bf16), 4e-3),
            (Rows::Q8_0(&q8_0, &q8_0_scales), 4.5e-3),
            (Rows::Q4_0(&q4_0, &q4_0_scales), 0.13),
        ];
        for (rows, loss) in formats {
            let mut stored = vec![0.0; weights.len()];
            rows.widen(InstructionSet::best(), 0, &mut stored);
            let gap = stored.iter().zip(&weights).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(gap <= loss, "{gap}");
            for set in InstructionSet::all() {
                for count in [1, 3, 4, 9] {
                    let x = wave(inputs * count, 0.23);
                    let mut out = vec![1.0; outputs * count];
                    let target = MatMut::new(&mut out, count, outputs);
                    rows_times(&ThreadPool::CALLER_ONLY, set, Mat::new(&x, count, inputs), rows, target, true, 2.0);
                    let first: Vec<f32> = out[..outputs].to_vec();
                    let mut alone = vec![1.0; outputs];
                    let one = Mat::new(&x[..inputs], 1, inputs);
                    rows_times(
                        &ThreadPool::CALLER_ONLY,
                        set,
                        one,
                        rows,
                        MatMut::new(&mut alone, 1, outputs),
                        true,
                        2.0,
                    );
                    assert!(alone == first, "{set:?} {count}");
                    for (index, value) in out.iter().enumerate() {
                        let (row, output) = (index / outputs, index % outputs);
                        let term = |i: usize| f64::from(x[row * inputs + i]) * f64::from(stored[output * inputs + i]);
                        let expected = 1.0 + 2.0 * (0..inputs).map(term).sum::<f64>();
                        assert!((f64::from(*value) - expected).abs() < 1e-4, "{set:?} {count}");
                    }
                }
            }
        }
    }
}
