//! Packing numbers so that pairs which follow each other in a sum stand side by side, sixteen columns to a line.

use super::{DEPTH, HALF_SIDE, Line, SIDE};
use std::arch::x86_64::*;
use std::ops::Range;

/// Numbers of bf16, `width` in each row.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) numbers: &'a [u16],
    pub(super) width: usize,
}

impl Source<'_> {
    /// Up to 32 numbers of a row from `start` on, and zeros for what lies behind its end or behind the last row.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn numbers(&self, row: usize, start: usize) -> __m512i {
        let count =
            if (row + 1) * self.width > self.numbers.len() { 0 } else { self.width.saturating_sub(start).min(DEPTH) };
        let mask = ((1u64 << count) - 1) as u32;
        // SAFETY: the mask covers numbers of this row alone, and what it does not cover is not read.
        unsafe { _mm512_maskz_loadu_epi16(mask, self.numbers.as_ptr().wrapping_add(row * self.width + start).cast()) }
    }
}

/// The panel where a column is a row of the source and depth runs along it: pairs lie side by side already, and blocks of
/// sixteen by sixteen pairs are turned.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn pack_rows(from: Source, columns: Range<usize>, depths: Range<usize>, panel: &mut [Line<u32, 16>]) {
    for (side, half) in panel.chunks_exact_mut(panel.len() / 2).enumerate() {
        let first = columns.start + side * HALF_SIDE;
        for (step, tile) in half.chunks_exact_mut(HALF_SIDE).enumerate() {
            let mut pairs = [_mm512_setzero_si512(); HALF_SIDE];
            for (index, pair) in pairs.iter_mut().enumerate() {
                if first + index < columns.end {
                    *pair = from.numbers(first + index, depths.start + step * DEPTH);
                }
            }
            let pairs = turned_tile(pairs);
            for (line, pair) in tile.iter_mut().zip(pairs) {
                // SAFETY: a line holds 64 bytes and begins where a vector may begin.
                unsafe { _mm512_store_si512(line.0.as_mut_ptr().cast(), pair) };
            }
        }
    }
}

/// The panel where depth runs down the rows of the source: two rows are woven into each other.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn pack_columns(from: Source, columns: Range<usize>, depths: Range<usize>, panel: &mut [Line<u32, 16>]) {
    // Position 2·i of the woven rows takes number i of the first, position 2·i + 1 that of the second (bit 5 of the index).
    let weave = |first: u16| -> [u16; 32] { std::array::from_fn(|at| first + at as u16 / 2 + 32 * (at as u16 % 2)) };
    let halves = [weave(0), weave(16)];
    let (left, right) = panel.split_at_mut(panel.len() / 2);
    for (pair, (left, right)) in left.iter_mut().zip(right).enumerate() {
        let row = depths.start + 2 * pair;
        let (upper, lower) = (from.numbers(row, columns.start), from.numbers(row + 1, columns.start));
        for (line, weave) in [left, right].into_iter().zip(&halves) {
            // SAFETY: the indices fill a vector, and a line holds 64 bytes and begins where a vector may begin.
            unsafe {
                let weave = _mm512_loadu_si512(weave.as_ptr().cast());
                _mm512_store_si512(line.0.as_mut_ptr().cast(), _mm512_permutex2var_epi16(upper, weave, lower));
            }
        }
    }
}

/// Sixteen rows of sixteen as sixteen columns.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn turned_tile(rows: [__m512i; HALF_SIDE]) -> [__m512i; HALF_SIDE] {
    let mut pairs = rows;
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

/// A block of results with rows and columns exchanged.
#[target_feature(enable = "avx512f")]
pub(super) fn turned(block: &[f32; SIDE * SIDE]) -> [f32; SIDE * SIDE] {
    let mut out = [0.0; SIDE * SIDE];
    for (upper, left) in [(0, 0), (0, HALF_SIDE), (HALF_SIDE, 0), (HALF_SIDE, HALF_SIDE)] {
        let row = |index: usize| &block[(upper + index) * SIDE + left..][..HALF_SIDE];
        // SAFETY: sixteen numbers are read.
        let rows = std::array::from_fn(|index| unsafe { _mm512_loadu_si512(row(index).as_ptr().cast()) });
        for (index, column) in turned_tile(rows).into_iter().enumerate() {
            let target = &mut out[(left + index) * SIDE + upper..][..HALF_SIDE];
            // SAFETY: sixteen numbers are written.
            unsafe { _mm512_storeu_si512(target.as_mut_ptr().cast(), column) };
        }
    }
    out
}
