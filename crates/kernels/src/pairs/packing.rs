//! Rounding to bf16 and packing: rows of a, whose depth runs from line to line, and panels of b, in which pairs of elements
//! that are consecutive along the depth are interleaved, sixteen columns to a line. The source of either may be contiguous
//! along the depth or across it.

use super::{DEPTH, HALF_SIDE, Line};
use crate::matrix::Mat;
use std::arch::x86_64::*;

/// A row-major operand, in f32 or bf16.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    elements: Elements<'a>,
    rows: usize,
    width: usize,
    stride: usize,
}

#[derive(Debug, Clone, Copy)]
enum Elements<'a> {
    Bf16(&'a [u16]),
    /// Scaled and rounded while packing.
    F32(&'a [f32], f32),
}

impl<'a> Source<'a> {
    /// Rows of `width` bf16 values, `stride` elements apart.
    ///
    /// # Panics
    /// When the slice is too short.
    pub fn bf16(elements: &'a [u16], rows: usize, width: usize, stride: usize) -> Self {
        assert!(rows == 0 || (rows - 1) * stride + width <= elements.len(), "a matrix reaches beyond its slice");
        Self { elements: Elements::Bf16(elements), rows, width, stride }
    }

    /// factor·m, rounded to bf16.
    ///
    /// # Panics
    /// When m is a transposed view.
    pub fn rounded(m: Mat<'a>, factor: f32) -> Self {
        let Some((elements, stride)) = m.lines() else { panic!("a transposed view has no rows to round") };
        Self { elements: Elements::F32(elements, factor), rows: m.rows(), width: m.columns(), stride }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Some of its rows.
    pub(super) fn part(self, first: usize, rows: usize) -> Self {
        assert!(first + rows <= self.rows, "a part reaches beyond its matrix");
        let at = first * self.stride;
        let elements = match self.elements {
            Elements::Bf16(elements) => Elements::Bf16(&elements[at.min(elements.len())..]),
            Elements::F32(elements, factor) => Elements::F32(&elements[at.min(elements.len())..], factor),
        };
        Self { elements, rows, ..self }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Up to 32 elements of a row from `start` on, zero-padded behind the end of the row and behind the last row.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn load(&self, row: usize, start: usize) -> __m512i {
        let count = if row < self.rows { self.width.saturating_sub(start).min(DEPTH) } else { 0 };
        let (mask, at) = (((1u64 << count) - 1) as u32, row.wrapping_mul(self.stride).wrapping_add(start));
        match self.elements {
            // SAFETY: the mask covers elements of this row alone, and what it does not cover is not read.
            Elements::Bf16(elements) => unsafe {
                _mm512_maskz_loadu_epi16(mask, elements.as_ptr().wrapping_add(at).cast())
            },
            Elements::F32(elements, factor) => {
                let from = elements.as_ptr().wrapping_add(at);
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

    /// Two rows interleaved: 32 elements of each from `start` on, sixteen pairs to a vector.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn interleaved(&self, row: usize, start: usize) -> [__m512i; 2] {
        let (upper, lower) = (self.load(row, start), self.load(row.wrapping_add(1), start));
        interleaved(upper, lower)
    }
}

/// Two rows of 32 elements interleaved, sixteen pairs to a vector.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn interleaved(upper: __m512i, lower: __m512i) -> [__m512i; 2] {
    // Position 2·i takes element i of the first row, position 2·i + 1 that of the second (bit 5 of the index).
    const fn interleaving(first: u16) -> [u16; 32] {
        let (mut indices, mut at) = ([0; 32], 0);
        while at < 32 {
            indices[at] = first + at as u16 / 2 + 32 * (at as u16 % 2);
            at += 1;
        }
        indices
    }
    const HALVES: [[u16; 32]; 2] = [interleaving(0), interleaving(16)];
    [permuted(upper, &HALVES[0], lower), permuted(upper, &HALVES[1], lower)]
}

/// Elements of two vectors selected by index.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn permuted(upper: __m512i, indices: &[u16; 32], lower: __m512i) -> __m512i {
    // SAFETY: the indices fill a vector.
    unsafe { _mm512_permutex2var_epi16(upper, _mm512_loadu_si512(indices.as_ptr().cast()), lower) }
}

/// Packs rows `first` to `first + 32` of a, as many of them as fit into `lines`, `stride` lines each, from their line `at`
/// on. `along` says that a row of a is one of the source; otherwise it is a column.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn pack_rows_of_a(
    from: Source,
    along: bool,
    first: usize,
    lines: &mut [Line<u16, 32>],
    stride: usize,
    at: usize,
) {
    let depth = if along { from.width } else { from.rows };
    let steps = depth.div_ceil(DEPTH);
    if along {
        // Missing rows stay unwritten: their results are never read.
        for (row, lines) in lines.chunks_exact_mut(stride).enumerate().take(from.rows.saturating_sub(first)) {
            for (step, line) in lines[at..at + steps].iter_mut().enumerate() {
                store(line, from.load(first + row, step * DEPTH));
            }
        }
        return;
    }
    for step in 0..steps {
        let [mut left, mut right] = [[_mm512_setzero_si512(); HALF_SIDE]; 2];
        for (pair, (left, right)) in left.iter_mut().zip(&mut right).enumerate() {
            [*left, *right] = from.interleaved(step * DEPTH + 2 * pair, first);
        }
        // Arrays are borrowed: moved into an iterator, they would be copied through memory.
        for (half, tile) in [&left, &right].into_iter().enumerate() {
            for (row, elements) in transpose_tile(tile).iter().enumerate() {
                store(&mut lines[(half * HALF_SIDE + row) * stride + at + step], *elements);
            }
        }
    }
}

/// Packs a panel of one or two (`sides`) times sixteen columns from `first` on, where a column is a row of the source and
/// depth runs along it, from `depth` on: pairs are adjacent already, and blocks of 16×16 pairs are transposed. Elements
/// before the first row are zeros, as `first` may be wrapped.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn pack_rows(from: Source, first: usize, depth: usize, panel: &mut [Line<u32, 16>], sides: usize) {
    for (step, tile) in panel.chunks_exact_mut(HALF_SIDE * sides).enumerate() {
        for side in 0..sides {
            let mut pairs = [_mm512_setzero_si512(); HALF_SIDE];
            for (index, pair) in pairs.iter_mut().enumerate() {
                *pair = from.load(first.wrapping_add(side * HALF_SIDE + index), depth + step * DEPTH);
            }
            for (pair, elements) in transpose_tile(&pairs).iter().enumerate() {
                store(&mut tile[pair * sides + side], *elements);
            }
        }
    }
}

/// Packs a panel where depth runs down the rows of the source, from `depth` on, which may be wrapped: two rows are
/// interleaved.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn pack_columns(from: Source, first: usize, depth: usize, panel: &mut [Line<u32, 16>], sides: usize) {
    for (pair, lines) in panel.chunks_exact_mut(sides).enumerate() {
        store_sides(lines, from.interleaved(depth.wrapping_add(2 * pair), first));
    }
}

/// Packs a panel of 32 columns (or of sixteen, for one side) where depth runs down the rows of a packed panel: 32 pairs of
/// its lines, whose sixteen rows each are transposed and then interleaved. Lines from `next` on, which are transposed soon
/// and need not be in bounds, are prefetched.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn pack_panel_transposed(
    packed: &[Line<u32, 16>],
    next: *const Line<u32, 16>,
    panel: &mut [Line<u32, 16>],
    sides: usize,
) {
    for (half, out) in panel.chunks_exact_mut(HALF_SIDE / 2 * sides).enumerate() {
        let mut pairs = [_mm512_setzero_si512(); HALF_SIDE];
        for (index, (pair, line)) in pairs.iter_mut().zip(packed.iter().skip(half).step_by(2)).enumerate() {
            _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(2 * index + half).cast());
            // SAFETY: a line is an aligned vector of 64 bytes.
            *pair = unsafe { _mm512_load_si512(line.0.as_ptr().cast()) };
        }
        let rows = transpose_tile(&pairs);
        for (rows, lines) in rows.as_chunks::<2>().0.iter().zip(out.chunks_exact_mut(sides)) {
            store_sides(lines, interleaved(rows[0], rows[1]));
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store<T, const N: usize>(line: &mut Line<T, N>, elements: __m512i) {
    const { assert!(size_of::<Line<T, N>>() == 64) };
    // SAFETY: a line is an aligned vector of 64 bytes.
    unsafe { _mm512_store_si512(line.0.as_mut_ptr().cast(), elements) };
}

/// Stores one or two lines. Not in a loop, which would be compiled to a call of memcpy.
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
fn as_bits(elements: __m512bh) -> __m512i {
    // SAFETY: both are 64 plain bytes.
    unsafe { std::mem::transmute(elements) }
}

/// Transposes a tile of 16×16 32-bit elements.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn transpose_tile(rows: &[__m512i; HALF_SIDE]) -> [__m512i; HALF_SIDE] {
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
