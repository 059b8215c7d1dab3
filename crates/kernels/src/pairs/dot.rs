//! Blocks of a matrix product with dot products of bf16 pairs in each lane (VDPBF16PS).

#![allow(clippy::needless_range_loop, reason = "loops over indices are unrolled, iterators are not")]

use super::rounded::Piece;
use super::{HALF_SIDE, Line};
use crate::matrix::{Epilogue, MatMut};
use std::arch::x86_64::*;

/// Most rows of a block per tile: with two vectors of columns, sixteen accumulators stay in registers.
const MAX_ROWS: usize = 8;
/// Prefetch distance into the L2 cache, in lines of a panel, where rows are few: stalled loads would keep the hardware
/// prefetcher from running ahead.
const PREFETCH_AHEAD: usize = 128;

/// The dtype of results.
pub(super) trait Target: Sized {
    /// Stores up to sixteen finished accumulators.
    ///
    /// # Safety
    /// The processor has AVX-512 and its bf16, and the mask covers elements to which the caller has exclusive access.
    unsafe fn put(at: *mut Self, mask: u16, sum: __m512, how: Epilogue);

    /// Stores a row of accumulators into a row that is not contiguous.
    fn put_across(sums: &[f32], row: usize, out: &mut MatMut<Self>, how: Epilogue);
}

impl Target for f32 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,avx512bf16")]
    unsafe fn put(at: *mut f32, mask: u16, sum: __m512, how: Epilogue) {
        // SAFETY: the mask covers the elements of the caller alone.
        unsafe {
            let before = if how.add { _mm512_maskz_loadu_ps(mask, at) } else { _mm512_setzero_ps() };
            _mm512_mask_storeu_ps(at, mask, _mm512_fmadd_ps(sum, _mm512_set1_ps(how.scale), before));
        }
    }

    fn put_across(sums: &[f32], row: usize, out: &mut MatMut, how: Epilogue) {
        out.blend(row, sums, how);
    }
}

impl Target for u16 {
    /// Rounds to bf16; neither adds nor scales.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,avx512bf16")]
    unsafe fn put(at: *mut u16, mask: u16, sum: __m512, _: Epilogue) {
        // SAFETY: both are 32 plain bytes.
        let rounded = unsafe { std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(sum)) };
        // SAFETY: the mask covers the elements of the caller alone.
        unsafe { _mm256_mask_storeu_epi16(at.cast(), mask, rounded) };
    }

    fn put_across(_: &[f32], _: usize, _: &mut MatMut<u16>, _: Epilogue) {
        panic!("bf16 results are contiguous");
    }
}

/// `out` (+)= scale·Σ a·b for up to 32 rows of a, `stride` lines each, and the panels b of the pieces.
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,avx512bf16")]
pub(super) fn block<const SIDES: usize, T: Target>(
    a: &[Line<u16, 32>],
    stride: usize,
    pieces: &[Piece],
    mut out: MatMut<T>,
    how: Epilogue,
) {
    let (rows, columns) = (out.rows(), out.columns());
    for top in (0..rows).step_by(MAX_ROWS) {
        let (a, count) = (&a[top * stride..], MAX_ROWS.min(rows - top));
        let out = out.part(top, 0, count, columns);
        match count {
            1 => tile::<1, SIDES, T>(a, stride, pieces, out, how),
            2 => tile::<2, SIDES, T>(a, stride, pieces, out, how),
            3 | 4 => tile::<4, SIDES, T>(a, stride, pieces, out, how),
            _ => tile::<MAX_ROWS, SIDES, T>(a, stride, pieces, out, how),
        }
    }
}

/// The same for up to `ROWS` rows of a: the lines of a that a piece names times one line of its panel after another.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,avx512bf16")]
fn tile<const ROWS: usize, const SIDES: usize, T: Target>(
    a: &[Line<u16, 32>],
    stride: usize,
    pieces: &[Piece],
    mut out: MatMut<T>,
    how: Epilogue,
) {
    assert!(out.rows() <= ROWS && out.columns() <= SIDES * HALF_SIDE, "the result is too large");
    let mut sums = [[_mm512_setzero_ps(); SIDES]; ROWS];
    for piece in pieces {
        let panel = piece.panel.as_chunks::<SIDES>().0;
        let end = piece.line + panel.len().div_ceil(HALF_SIDE);
        assert!(end <= stride && ROWS * stride <= a.len(), "a is too short");
        let from = a[piece.line..].as_ptr().cast::<i32>();
        for (pair, columns) in panel.iter().enumerate() {
            if ROWS < MAX_ROWS {
                for line in columns {
                    _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(line).wrapping_add(PREFETCH_AHEAD).cast());
                }
            }
            for row in 0..ROWS {
                // SAFETY: two elements of a row of a, which is long enough as asserted above.
                let own = unsafe { from.add(row * stride * HALF_SIDE + pair).read() };
                let own = as_bf16(_mm512_set1_epi32(own));
                for side in 0..SIDES {
                    sums[row][side] = _mm512_dpbf16_ps(sums[row][side], own, bf16(&columns[side]));
                }
            }
        }
    }
    let (rows, columns) = (out.rows(), out.columns());
    let Some((first, apart)) = out.lines_mut() else { return put_across(sums, &mut out, how) };
    // Moved, not indexed: an indexed array of accumulators would not stay in registers.
    for (row, sums) in sums.into_iter().enumerate().take(rows) {
        for (side, sum) in sums.into_iter().enumerate() {
            let count = columns.saturating_sub(side * HALF_SIDE).min(HALF_SIDE);
            let at = first.wrapping_add(row * apart + side * HALF_SIDE);
            // SAFETY: the mask covers the columns of this row that are left.
            unsafe { T::put(at, ((1u32 << count) - 1) as u16, sum, how) };
        }
    }
}

/// Results whose rows are not contiguous.
#[cold]
#[target_feature(enable = "avx512f")]
fn put_across<const ROWS: usize, const SIDES: usize, T: Target>(
    sums: [[__m512; SIDES]; ROWS],
    out: &mut MatMut<T>,
    how: Epilogue,
) {
    for (row, sums) in sums.iter().enumerate().take(out.rows()) {
        let mut found = [0.0f32; 2 * HALF_SIDE];
        for (found, sum) in found.as_chunks_mut::<HALF_SIDE>().0.iter_mut().zip(sums) {
            // SAFETY: sixteen elements are written.
            unsafe { _mm512_storeu_ps(found.as_mut_ptr(), *sum) };
        }
        T::put_across(&found, row, out, how);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn bf16<T, const N: usize>(line: &Line<T, N>) -> __m512bh {
    const { assert!(size_of::<Line<T, N>>() == 64) };
    // SAFETY: a line is an aligned vector of 64 bytes.
    as_bf16(unsafe { _mm512_load_si512(line.0.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn as_bf16(bits: __m512i) -> __m512bh {
    // SAFETY: both are 64 plain bytes.
    unsafe { std::mem::transmute(bits) }
}
