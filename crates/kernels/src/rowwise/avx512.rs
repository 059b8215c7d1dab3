//! The inner loops of `rowwise` with AVX-512 intrinsics: the compiler does not keep sixteen vector accumulators in registers
//! by itself. The order of accumulation is that of the plain loop, so results are bit-identical to those of AVX2.

#![allow(clippy::needless_range_loop, reason = "loops over indices are unrolled, iterators are not")]

use super::{QUANT_BLOCK, Rows, TALL};
use crate::lanes::LANES;
use crate::matrix::Mat;
use std::arch::x86_64::*;

/// x·wᵀ for all rows of x and the eight rows of w that `group` holds one after another. `put` receives the row of x and
/// its eight results. Meanwhile the `bytes` from `next` on, which the next call will read, are prefetched.
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
pub(super) fn many_rows(x: Mat, group: &[f32], next: *const u8, bytes: usize, mut put: impl FnMut(usize, &[f32; 8])) {
    let (width, last) = (x.columns(), x.rows() - 1);
    let part = |row: usize| &group[row * width..(row + 1) * width];
    let share = bytes / (2 * x.rows().div_ceil(TALL));
    let step = share / width.div_ceil(LANES);
    for start in (0..x.rows()).step_by(TALL) {
        // Missing rows are padded with the last one; those results are dropped.
        let mut own = [x.row(start); TALL];
        for index in 1..TALL {
            own[index] = x.row(last.min(start + index));
        }
        let ahead = Ahead { next: next.wrapping_add(2 * (start / TALL) * share), step };
        let left = tile(own, [part(0), part(1), part(2), part(3)], ahead);
        let ahead = Ahead { next: ahead.next.wrapping_add(share), step };
        let right = tile(own, [part(4), part(5), part(6), part(7)], ahead);
        for index in 0..TALL.min(x.rows() - start) {
            let mut found = [0.0; 8];
            found[..4].copy_from_slice(&left[index]);
            found[4..].copy_from_slice(&right[index]);
            put(start + index, &found);
        }
    }
}

/// Addresses to prefetch, spread over the computation: a burst of requests would queue up.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    /// The first byte; it is never dereferenced, so it need not be in bounds.
    next: *const u8,
    /// Bytes for each round, two lines at most.
    step: usize,
}

impl Ahead {
    /// Nothing to prefetch.
    pub(super) const NONE: Self = Self { next: std::ptr::null(), step: 0 };
}

/// x·wᵀ for X rows of x and W rows of w.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
pub(super) fn tile<const X: usize, const W: usize>(
    x: [&[f32]; X],
    weights: [&[f32]; W],
    ahead: Ahead,
) -> [[f32; W]; X] {
    let width = x[0].len();
    for row in 0..X {
        assert!(x[row].len() == width, "rows of x differ");
    }
    for column in 0..W {
        assert!(weights[column].len() == width, "rows of w do not match");
    }
    let mut sums = [[_mm512_setzero_ps(); W]; X];
    let whole = width / LANES * LANES;
    let mut start = 0;
    // Loops over indices: the compiler unrolls these and keeps the accumulators in registers, which it does not for
    // iterators. A closure in here has these target features, so library functions that call it would not be inlined.
    let mut next = ahead.next;
    while start < whole {
        _mm_prefetch::<_MM_HINT_T0>(next.cast());
        _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(ahead.step / 2).cast());
        next = next.wrapping_add(ahead.step);
        let mut columns = [_mm512_setzero_ps(); W];
        for column in 0..W {
            // SAFETY: sixteen elements follow `start` in every row, all of which have the same width.
            columns[column] = unsafe { _mm512_loadu_ps(weights[column].as_ptr().add(start)) };
        }
        for row in 0..X {
            // SAFETY: as above.
            let value = unsafe { _mm512_loadu_ps(x[row].as_ptr().add(start)) };
            for column in 0..W {
                sums[row][column] = _mm512_fmadd_ps(value, columns[column], sums[row][column]);
            }
        }
        start += LANES;
    }
    // A copy: accumulators that are indexed by a variable below would not stay in registers above.
    let mut sums = std::hint::black_box(sums);
    if whole < width {
        let mask = mask(width - whole);
        for row in 0..X {
            // SAFETY: the mask ends where the rows end, and masked lanes are not read.
            let value = unsafe { _mm512_maskz_loadu_ps(mask, x[row].as_ptr().add(whole)) };
            for column in 0..W {
                // SAFETY: as above.
                let weight = unsafe { _mm512_maskz_loadu_ps(mask, weights[column].as_ptr().add(whole)) };
                sums[row][column] = _mm512_fmadd_ps(value, weight, sums[row][column]);
            }
        }
    }
    collected(&sums)
}

/// Horizontal sums of all accumulators.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
fn collected<const X: usize, const W: usize>(sums: &[[__m512; W]; X]) -> [[f32; W]; X] {
    let mut flat = [_mm512_setzero_ps(); LANES];
    for row in 0..X {
        for column in 0..W {
            flat[row * W + column] = sums[row][column];
        }
    }
    let (flat, mut found) = (totals(&flat), [[0.0; W]; X]);
    for row in 0..X {
        found[row].copy_from_slice(&flat[row * W..(row + 1) * W]);
    }
    found
}

/// x·wᵀ for one row of x and W rows of a matrix, from element `first` on, widened in registers.
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
pub(super) fn one_row<const W: usize>(x: &[f32], rows: Rows, first: usize) -> [f32; W] {
    let width = x.len();
    let range = |row: usize| first + row * width..first + (row + 1) * width;
    let blocks = |row: usize| range(row).start / QUANT_BLOCK..range(row).end / QUANT_BLOCK;
    match rows {
        Rows::F32(values) => {
            let parts: [&[f32]; W] = std::array::from_fn(|row| &values[range(row)]);
            sweep(x, |row, at, mask| {
                // SAFETY: every part is as wide as x, and the mask ends where x ends.
                unsafe { _mm512_maskz_loadu_ps(mask, parts[row].as_ptr().add(at)) }
            })
        }
        Rows::Bf16(values) => {
            let parts: [&[u16]; W] = std::array::from_fn(|row| &values[range(row)]);
            sweep(x, |row, at, mask| {
                // SAFETY: every part is as wide as x, and the mask ends where x ends.
                let half = unsafe { _mm256_maskz_loadu_epi16(mask, parts[row].as_ptr().add(at).cast()) };
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half)))
            })
        }
        Rows::Q8_0(values, scales) => {
            let parts: [&[i8]; W] = std::array::from_fn(|row| &values[range(row)]);
            let scales: [&[f32]; W] = std::array::from_fn(|row| &scales[blocks(row)]);
            sweep(x, |row, at, _| {
                // SAFETY: every part is as wide as x, a whole number of blocks.
                let whole = unsafe { _mm_loadu_si128(parts[row].as_ptr().add(at).cast()) };
                let scale = _mm512_set1_ps(scales[row][at / QUANT_BLOCK]);
                _mm512_mul_ps(scale, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(whole)))
            })
        }
        Rows::Q4_0(values, scales) => {
            let parts: [&[u8]; W] = std::array::from_fn(|row| &values[range(row).start / 2..range(row).end / 2]);
            let scales: [&[f32]; W] = std::array::from_fn(|row| &scales[blocks(row)]);
            // The value of each nibble.
            let table: [f32; LANES] = std::array::from_fn(|index| index as f32 - 8.0);
            // SAFETY: the table holds sixteen elements.
            let table = unsafe { _mm512_loadu_ps(table.as_ptr()) };
            sweep(x, |row, at, _| {
                let block = at / QUANT_BLOCK;
                // SAFETY: every part holds sixteen bytes for each block of x.
                let bytes = unsafe { _mm_loadu_si128(parts[row].as_ptr().add(block * QUANT_BLOCK / 2).cast()) };
                let wide = _mm512_cvtepu8_epi32(bytes);
                // The lookup reads the lowest four bits alone.
                let index = if at.is_multiple_of(QUANT_BLOCK) { wide } else { _mm512_srli_epi32::<4>(wide) };
                _mm512_mul_ps(_mm512_set1_ps(scales[row][block]), _mm512_permutexvar_ps(index, table))
            })
        }
    }
}

/// Dot products of x with what `load` returns for (row of w, column, mask). One row after another, so that memory is read as
/// one stream, which the hardware prefetcher follows; the dependency chain of a row overlaps with those of its neighbours.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
fn sweep<const W: usize>(x: &[f32], load: impl Fn(usize, usize, __mmask16) -> __m512) -> [f32; W] {
    let mut sums = [_mm512_setzero_ps(); W];
    for row in 0..W {
        let (mut start, mut sum) = (0, _mm512_setzero_ps());
        while start < x.len() {
            let mask = mask(x.len() - start);
            // SAFETY: the mask ends where x ends.
            let value = unsafe { _mm512_maskz_loadu_ps(mask, x.as_ptr().add(start)) };
            sum = _mm512_fmadd_ps(value, load(row, start, mask), sum);
            start += LANES;
        }
        sums[row] = sum;
    }
    let mut flat = [_mm512_setzero_ps(); LANES];
    flat[..W].copy_from_slice(&sums);
    let (flat, mut found) = (totals(&flat), [0.0; W]);
    found.copy_from_slice(&flat[..W]);
    found
}

#[inline]
fn mask(left: usize) -> __mmask16 {
    if left >= LANES { 0xffff } else { (1 << left) - 1 }
}

/// The horizontal sums of sixteen vectors. Halves, quarters, pairs and neighbours are added as `fold` does it, two vectors
/// at a time, so that one instruction serves several sums; the results are bit-identical to those of `fold`.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
pub(crate) fn totals(vectors: &[__m512; LANES]) -> [f32; LANES] {
    let mut halves = [_mm512_setzero_ps(); LANES / 2];
    for index in 0..LANES / 2 {
        let (a, b) = (vectors[2 * index], vectors[2 * index + 1]);
        halves[index] = _mm512_add_ps(_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0xEE>(a, b));
    }
    let mut quarters = [_mm512_setzero_ps(); LANES / 4];
    for index in 0..LANES / 4 {
        let (a, b) = (halves[2 * index], halves[2 * index + 1]);
        quarters[index] = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xDD>(a, b));
    }
    let mut pairs = [_mm512_setzero_ps(); 2];
    for index in 0..2 {
        let (a, b) = (quarters[2 * index], quarters[2 * index + 1]);
        pairs[index] = _mm512_add_ps(_mm512_shuffle_ps::<0x44>(a, b), _mm512_shuffle_ps::<0xEE>(a, b));
    }
    let [a, b] = pairs;
    let whole = _mm512_add_ps(_mm512_shuffle_ps::<0x88>(a, b), _mm512_shuffle_ps::<0xDD>(a, b));
    let mut mixed = [0.0; LANES];
    // SAFETY: the array holds sixteen elements.
    unsafe { _mm512_storeu_ps(mixed.as_mut_ptr(), whole) };
    // The sum of vector 4·j + k has ended in lane 4·k + j.
    let mut ordered = [0.0; LANES];
    for vector in 0..LANES {
        ordered[vector] = mixed[4 * (vector % 4) + vector / 4];
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::fold;
    use crate::{InstructionSet, Level};

    #[test]
    fn sixteen_horizontal_sums_at_once_equal_them_one_by_one() {
        if InstructionSet::forced(Level::Avx512).is_none() {
            return;
        }
        let values: [[f32; LANES]; LANES] =
            std::array::from_fn(|vector| std::array::from_fn(|lane| ((vector * 31 + lane * 7) as f32).sin()));
        // SAFETY: the processor has this level, as asked above; each array holds sixteen elements.
        let found = unsafe {
            let vectors = std::array::from_fn(|vector| _mm512_loadu_ps(values[vector].as_ptr()));
            totals(&vectors)
        };
        assert_eq!(found, values.map(|lanes| fold(lanes, |a, b| a + b)));
    }
}
