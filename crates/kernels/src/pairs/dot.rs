//! Sums of two products of bf16 numbers in each lane (VDPBF16PS).

#![allow(clippy::needless_range_loop, reason = "loops over indices are unrolled, iterators are not")]

use super::rounded::Piece;
use super::{HALF_SIDE, Line};
use crate::matrix::{How, MatMut};
use std::arch::x86_64::*;

/// Most rows of a block that are taken at a time: with two vectors of columns, sixteen sums stay in registers.
const TALL: usize = 8;
/// Lines of a panel ahead of the one that is read, which are asked for into the second cache where rows are few: loads that
/// wait stand in the way of the processor's own fetching.
const FURTHER: usize = 128;

/// `out` (+)= scale·Σ a·b for up to 32 rows of a, `stride` lines each, and the panels b of the pieces.
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,avx512bf16")]
pub(super) fn block<const SIDES: usize>(
    a: &[Line<u16, 32>],
    stride: usize,
    pieces: &[Piece],
    mut out: MatMut,
    how: How,
) {
    let (rows, columns) = (out.rows(), out.columns());
    for top in (0..rows).step_by(TALL) {
        let (a, count) = (&a[top * stride..], TALL.min(rows - top));
        let out = out.part(top, 0, count, columns);
        match count {
            1 => tile::<1, SIDES>(a, stride, pieces, out, how),
            2 => tile::<2, SIDES>(a, stride, pieces, out, how),
            3 | 4 => tile::<4, SIDES>(a, stride, pieces, out, how),
            _ => tile::<TALL, SIDES>(a, stride, pieces, out, how),
        }
    }
}

/// The same for so many rows of a at most: the lines of a that a piece names against one line of its panel after another.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,avx512bf16")]
fn tile<const ROWS: usize, const SIDES: usize>(
    a: &[Line<u16, 32>],
    stride: usize,
    pieces: &[Piece],
    mut out: MatMut,
    how: How,
) {
    assert!(out.rows() <= ROWS && out.columns() <= SIDES * HALF_SIDE, "the result is too large");
    let mut sums = [[_mm512_setzero_ps(); SIDES]; ROWS];
    for piece in pieces {
        let panel = piece.panel.as_chunks::<SIDES>().0;
        let end = piece.line + panel.len().div_ceil(HALF_SIDE);
        assert!(end <= stride && ROWS * stride <= a.len(), "a is too short");
        let from = a[piece.line..].as_ptr().cast::<i32>();
        for (pair, columns) in panel.iter().enumerate() {
            if ROWS < TALL {
                for line in columns {
                    _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(line).wrapping_add(FURTHER).cast());
                }
            }
            for row in 0..ROWS {
                // SAFETY: two numbers of a row of a, which reaches that far as asserted above.
                let own = unsafe { from.add(row * stride * HALF_SIDE + pair).read() };
                let own = as_bf16(_mm512_set1_epi32(own));
                for side in 0..SIDES {
                    sums[row][side] = _mm512_dpbf16_ps(sums[row][side], own, bf16(&columns[side]));
                }
            }
        }
    }
    // Moved, not indexed: sums that an index reaches would not stay in registers.
    for (row, sums) in sums.into_iter().enumerate().take(out.rows()) {
        put(sums, out.part(row, 0, 1, out.columns()), how);
    }
}

/// One row of results.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
fn put<const SIDES: usize>(sums: [__m512; SIDES], mut out: MatMut, how: How) {
    if !out.runs_along_rows() {
        return put_across(sums, out, how);
    }
    let row = out.row(0);
    for (sum, target) in sums.into_iter().zip(row.chunks_mut(HALF_SIDE)) {
        let mask = ((1u32 << target.len()) - 1) as u16;
        // SAFETY: the mask covers the numbers of this piece alone.
        unsafe {
            let before = if how.add { _mm512_maskz_loadu_ps(mask, target.as_ptr()) } else { _mm512_setzero_ps() };
            let after = _mm512_fmadd_ps(sum, _mm512_set1_ps(how.scale), before);
            _mm512_mask_storeu_ps(target.as_mut_ptr(), mask, after);
        }
    }
}

/// One row of results whose numbers lie apart. On its own, so that the common way is small enough to be compiled into the
/// loops that lead to it.
#[inline(never)]
#[target_feature(enable = "avx512f")]
fn put_across<const SIDES: usize>(sums: [__m512; SIDES], mut out: MatMut, how: How) {
    let mut found = [0.0f32; 2 * HALF_SIDE];
    for (side, sum) in sums.into_iter().enumerate() {
        // SAFETY: sixteen numbers are written.
        unsafe { _mm512_storeu_ps(found[side * HALF_SIDE..][..HALF_SIDE].as_mut_ptr(), sum) };
    }
    out.blend(0, &found, how);
}

#[inline]
#[target_feature(enable = "avx512f")]
fn bf16<T, const N: usize>(line: &Line<T, N>) -> __m512bh {
    const { assert!(size_of::<Line<T, N>>() == 64) };
    // SAFETY: a line holds 64 bytes and begins where a vector may begin.
    as_bf16(unsafe { _mm512_load_si512(line.0.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn as_bf16(bits: __m512i) -> __m512bh {
    // SAFETY: both are 64 bytes without further meaning.
    unsafe { std::mem::transmute(bits) }
}
