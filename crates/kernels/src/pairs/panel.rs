//! Rounding and packing: rows of a, in which a sum runs from line to line, and panels of b, in which pairs of numbers that
//! follow each other in a sum stand side by side, sixteen columns to a line. Either can be had from numbers that run along
//! the sum and from numbers that run across it.

use super::{DEPTH, HALF_SIDE, Line};
use crate::matrix::Mat;
use std::arch::x86_64::*;

/// Numbers of a matrix to multiply with, row after row.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    numbers: Numbers<'a>,
    rows: usize,
    width: usize,
    stride: usize,
}

#[derive(Debug, Clone, Copy)]
enum Numbers<'a> {
    Half(&'a [u16]),
    /// To be multiplied and rounded on the way.
    Single(&'a [f32], f32),
}

impl<'a> Source<'a> {
    /// Rows of `width` numbers of bf16, `stride` numbers apart.
    ///
    /// # Panics
    /// When the slice is too short.
    pub fn half(numbers: &'a [u16], rows: usize, width: usize, stride: usize) -> Self {
        assert!(rows == 0 || (rows - 1) * stride + width <= numbers.len(), "a matrix reaches beyond its slice");
        Self { numbers: Numbers::Half(numbers), rows, width, stride }
    }

    /// factor·m, rounded to bf16.
    ///
    /// # Panics
    /// When m is a transposed view.
    pub fn rounded(m: Mat<'a>, factor: f32) -> Self {
        let Some((numbers, stride)) = m.lines() else { panic!("a transposed view has no rows to round") };
        Self { numbers: Numbers::Single(numbers, factor), rows: m.rows(), width: m.columns(), stride }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Some of its rows.
    pub(super) fn part(self, first: usize, rows: usize) -> Self {
        assert!(first + rows <= self.rows, "a part reaches beyond its matrix");
        let at = first * self.stride;
        let numbers = match self.numbers {
            Numbers::Half(numbers) => Numbers::Half(&numbers[at.min(numbers.len())..]),
            Numbers::Single(numbers, factor) => Numbers::Single(&numbers[at.min(numbers.len())..], factor),
        };
        Self { numbers, rows, ..self }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Up to 32 numbers of a row from `start` on, and zeros for what lies behind its end or behind the last row.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn numbers(&self, row: usize, start: usize) -> __m512i {
        let count = if row < self.rows { self.width.saturating_sub(start).min(DEPTH) } else { 0 };
        let (mask, at) = (((1u64 << count) - 1) as u32, row.wrapping_mul(self.stride).wrapping_add(start));
        match self.numbers {
            // SAFETY: the mask covers numbers of this row alone, and what it does not cover is not read.
            Numbers::Half(numbers) => unsafe {
                _mm512_maskz_loadu_epi16(mask, numbers.as_ptr().wrapping_add(at).cast())
            },
            Numbers::Single(numbers, factor) => {
                let from = numbers.as_ptr().wrapping_add(at);
                let (lower, upper) = (mask as u16, (mask >> HALF_SIDE) as u16);
                // SAFETY: as above.
                let halves = unsafe {
                    [_mm512_maskz_loadu_ps(lower, from), _mm512_maskz_loadu_ps(upper, from.wrapping_add(HALF_SIDE))]
                };
                let [lower, upper] = halves.map(|half| _mm512_mul_ps(half, _mm512_set1_ps(factor)));
                as_bits(_mm512_cvtne2ps_pbh(upper, lower))
            }
        }
    }

    /// Two rows woven into each other: 32 numbers of each from `start` on, sixteen pairs to a vector.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn woven(&self, row: usize, start: usize) -> [__m512i; 2] {
        let (upper, lower) = (self.numbers(row, start), self.numbers(row.wrapping_add(1), start));
        woven(upper, lower)
    }
}

/// Two rows of 32 numbers woven into each other, sixteen pairs to a vector.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn woven(upper: __m512i, lower: __m512i) -> [__m512i; 2] {
    // Position 2·i takes number i of the first row, position 2·i + 1 that of the second (bit 5 of the index).
    const fn weave(first: u16) -> [u16; 32] {
        let (mut indices, mut at) = ([0; 32], 0);
        while at < 32 {
            indices[at] = first + at as u16 / 2 + 32 * (at as u16 % 2);
            at += 1;
        }
        indices
    }
    const HALVES: [[u16; 32]; 2] = [weave(0), weave(16)];
    [mixed(upper, &HALVES[0], lower), mixed(upper, &HALVES[1], lower)]
}

/// Numbers of two vectors by their indices.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn mixed(upper: __m512i, indices: &[u16; 32], lower: __m512i) -> __m512i {
    // SAFETY: the indices fill a vector.
    unsafe { _mm512_permutex2var_epi16(upper, _mm512_loadu_si512(indices.as_ptr().cast()), lower) }
}

/// Rows `first` to `first + 32` of a, as many of them as `lines` has room for, `stride` lines each, from their line `at` on.
/// `along` says that a row of a is one of the source; otherwise it is a column.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn lay(from: Source, along: bool, first: usize, lines: &mut [Line<u16, 32>], stride: usize, at: usize) {
    let depth = if along { from.width } else { from.rows };
    let steps = depth.div_ceil(DEPTH);
    if along {
        // Missing rows stay as they are: nothing is read from their results.
        for (row, lines) in lines.chunks_exact_mut(stride).enumerate().take(from.rows.saturating_sub(first)) {
            for (step, line) in lines[at..at + steps].iter_mut().enumerate() {
                store(line, from.numbers(first + row, step * DEPTH));
            }
        }
        return;
    }
    for step in 0..steps {
        let [mut left, mut right] = [[_mm512_setzero_si512(); HALF_SIDE]; 2];
        for (pair, (left, right)) in left.iter_mut().zip(&mut right).enumerate() {
            [*left, *right] = from.woven(step * DEPTH + 2 * pair, first);
        }
        // Arrays are borrowed: moved into an iterator they would be copied through memory.
        for (half, tile) in [&left, &right].into_iter().enumerate() {
            for (row, numbers) in turned_tile(tile).iter().enumerate() {
                store(&mut lines[(half * HALF_SIDE + row) * stride + at + step], *numbers);
            }
        }
    }
}

/// A panel of one or two (`sides`) times sixteen columns from `first` on, where a column is a row of the source and depth
/// runs along it, from `depth` on: pairs lie side by side already, and blocks of sixteen by sixteen pairs are turned.
/// Numbers before the first row are zeros, as `first` may be wrapped.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn pack_rows(from: Source, first: usize, depth: usize, panel: &mut [Line<u32, 16>], sides: usize) {
    for (step, tile) in panel.chunks_exact_mut(HALF_SIDE * sides).enumerate() {
        for side in 0..sides {
            let mut pairs = [_mm512_setzero_si512(); HALF_SIDE];
            for (index, pair) in pairs.iter_mut().enumerate() {
                *pair = from.numbers(first.wrapping_add(side * HALF_SIDE + index), depth + step * DEPTH);
            }
            for (pair, numbers) in turned_tile(&pairs).iter().enumerate() {
                store(&mut tile[pair * sides + side], *numbers);
            }
        }
    }
}

/// The panel where depth runs down the rows of the source, from `depth` on, which may be wrapped: two rows are woven into
/// each other.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn pack_columns(from: Source, first: usize, depth: usize, panel: &mut [Line<u32, 16>], sides: usize) {
    for (pair, lines) in panel.chunks_exact_mut(sides).enumerate() {
        store_sides(lines, from.woven(depth.wrapping_add(2 * pair), first));
    }
}

/// The panel of 32 columns (or of sixteen, for one side) where depth runs down the rows of a held panel: 32 pairs of its lines
/// from one on, whose sixteen rows each are turned and then woven. Lines from `next` on, which will be turned soon and may lie
/// anywhere, are asked for.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn turn_panel(
    held: &[Line<u32, 16>],
    next: *const Line<u32, 16>,
    panel: &mut [Line<u32, 16>],
    sides: usize,
) {
    for (half, out) in panel.chunks_exact_mut(HALF_SIDE / 2 * sides).enumerate() {
        let mut pairs = [_mm512_setzero_si512(); HALF_SIDE];
        for (index, (pair, line)) in pairs.iter_mut().zip(held.iter().skip(half).step_by(2)).enumerate() {
            _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(2 * index + half).cast());
            // SAFETY: a line holds 64 bytes and begins where a vector may begin.
            *pair = unsafe { _mm512_load_si512(line.0.as_ptr().cast()) };
        }
        let rows = turned_tile(&pairs);
        for (rows, lines) in rows.as_chunks::<2>().0.iter().zip(out.chunks_exact_mut(sides)) {
            store_sides(lines, woven(rows[0], rows[1]));
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store<T, const N: usize>(line: &mut Line<T, N>, numbers: __m512i) {
    const { assert!(size_of::<Line<T, N>>() == 64) };
    // SAFETY: a line holds 64 bytes and begins where a vector may begin.
    unsafe { _mm512_store_si512(line.0.as_mut_ptr().cast(), numbers) };
}

/// One or two lines. Not by a loop, which would become a call that copies memory.
#[inline]
#[target_feature(enable = "avx512f")]
fn store_sides<T, const N: usize>(lines: &mut [Line<T, N>], [left, right]: [__m512i; 2]) {
    if let Some(line) = lines.first_mut() {
        store(line, left);
    }
    if let Some(line) = lines.get_mut(1) {
        store(line, right);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn as_bits(numbers: __m512bh) -> __m512i {
    // SAFETY: both are 64 bytes without further meaning.
    unsafe { std::mem::transmute(numbers) }
}

/// Sixteen rows of sixteen as sixteen columns.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn turned_tile(rows: &[__m512i; HALF_SIDE]) -> [__m512i; HALF_SIDE] {
    let mut pairs = *rows;
    for at in 0..HALF_SIDE / 2 {
        let (a, b) = (rows[2 * at], rows[2 * at + 1]);
        (pairs[2 * at], pairs[2 * at + 1]) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    }
    // Lane l of `fours[4·g + c]` holds column 4·l + c of rows 4·g to 4·g + 3.
    let mut fours = pairs;
    for group in 0..4 {
        let [a, b, c, d] = [0, 1, 2, 3].map(|index| pairs[4 * group + index]);
        fours[4 * group] = _mm512_unpacklo_epi64(a, c);
        fours[4 * group + 1] = _mm512_unpackhi_epi64(a, c);
        fours[4 * group + 2] = _mm512_unpacklo_epi64(b, d);
        fours[4 * group + 3] = _mm512_unpackhi_epi64(b, d);
    }
    let mut columns = fours;
    for column in 0..4 {
        let [a, b, c, d] = [0, 1, 2, 3].map(|group| fours[4 * group + column]);
        let (ab_low, ab_high) = (_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0xEE>(a, b));
        let (cd_low, cd_high) = (_mm512_shuffle_i32x4::<0x44>(c, d), _mm512_shuffle_i32x4::<0xEE>(c, d));
        columns[column] = _mm512_shuffle_i32x4::<0x88>(ab_low, cd_low);
        columns[4 + column] = _mm512_shuffle_i32x4::<0xDD>(ab_low, cd_low);
        columns[8 + column] = _mm512_shuffle_i32x4::<0x88>(ab_high, cd_high);
        columns[12 + column] = _mm512_shuffle_i32x4::<0xDD>(ab_high, cd_high);
    }
    columns
}
