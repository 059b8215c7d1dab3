//! Sums of two products of bf16 numbers in each lane (VDPBF16PS).

#![allow(clippy::needless_range_loop, reason = "loops over indices are unrolled, iterators are not")]

use super::rounded::Piece;
use super::{DEPTH, HALF_SIDE, Line};
use crate::lanes::LANES;
use crate::matrix::{How, MatMut};
use crate::rowwise::totals;
use std::arch::x86_64::*;

/// Rows of a block that are taken at a time: with two vectors of columns, sixteen sums stay in registers.
const TALL: usize = 8;
/// Rows of x, and rows of W, that meet at a time in writing.
const QUAD: usize = 4;
/// Numbers ahead of the one that is read, which are asked for into the second cache: waiting loads stand in the way of the
/// processor's own fetching (a tenth of the rate).
const FURTHER: usize = 2048;

/// `out` (+)= scale·a·b for up to 32 rows of a, `stride` lines each, and a panel b: the lines of a that the pieces name
/// against one line of b after another.
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,avx512bf16")]
pub(super) fn block<const SIDES: usize>(
    a: &[Line<u16, 32>],
    stride: usize,
    pieces: &[Piece],
    panel: &[Line<u32, 16>],
    mut out: MatMut,
    how: How,
) {
    let (rows, panel) = (out.rows(), panel.as_chunks::<SIDES>().0);
    let steps: usize = pieces.iter().map(|piece| piece.steps).sum();
    let reach = pieces.iter().map(|piece| piece.line + piece.steps).max().unwrap_or(0);
    assert!(rows.next_multiple_of(TALL) * stride <= a.len() && reach <= stride, "a is too short");
    assert!(steps * HALF_SIDE <= panel.len() && out.columns() <= SIDES * HALF_SIDE, "b is too short");
    for top in (0..rows).step_by(TALL) {
        let (mut sums, mut lines) = ([[_mm512_setzero_ps(); SIDES]; TALL], panel.iter());
        for piece in pieces {
            let from = a[top * stride + piece.line..].as_ptr().cast::<i32>();
            for (pair, columns) in lines.by_ref().take(piece.steps * HALF_SIDE).enumerate() {
                for row in 0..TALL {
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
        for (row, sums) in sums.into_iter().enumerate().take(rows - top) {
            put(sums, out.part(top + row, 0, 1, out.columns()), how);
        }
    }
}

/// One row of results.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
fn put<const SIDES: usize>(sums: [__m512; SIDES], mut out: MatMut, how: How) {
    if !out.runs_along_rows() {
        let mut found = [0.0f32; 2 * HALF_SIDE];
        for (side, sum) in sums.into_iter().enumerate() {
            // SAFETY: sixteen numbers are written.
            unsafe { _mm512_storeu_ps(found[side * HALF_SIDE..][..HALF_SIDE].as_mut_ptr(), sum) };
        }
        return out.blend(0, &found, how);
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

/// x·wᵀ for `count` rows of x, `steps` lines each and filled up to a multiple of four, and rows of w, `inputs` numbers each.
/// `put` takes the row of x, the first of some rows of w, and their results.
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,avx512bf16")]
pub(super) fn rows(
    (x, count, steps): (&[Line<u16, 32>], usize, usize),
    w: &[u16],
    inputs: usize,
    mut put: impl FnMut(usize, usize, &[f32]),
) {
    let outputs = w.len() / inputs.max(1);
    let quads = if count < QUAD { 0 } else { outputs / QUAD };
    for quad in 0..quads {
        let own = &w[quad * QUAD * inputs..][..QUAD * inputs];
        let parts = count.div_ceil(QUAD);
        // Meanwhile four rows further down are fetched: several short rows side by side are no stream that the processor
        // would recognise.
        let share = (QUAD * inputs).div_ceil(parts.min(QUAD));
        for part in 0..parts {
            let next = own.as_ptr().wrapping_add(2 * QUAD * inputs + part * share);
            let ahead = Ahead { next, step: if part < QUAD { share.div_ceil(steps) } else { 0 } };
            let found = totals(&four_by_four(&x[part * QUAD * steps..][..QUAD * steps], own, ahead));
            for index in 0..QUAD.min(count - part * QUAD) {
                put(part * QUAD + index, quad * QUAD, &found[index * QUAD..][..QUAD]);
            }
        }
    }
    for first in (quads * QUAD..outputs).step_by(LANES) {
        let own = first..outputs.min(first + LANES);
        for row in 0..count {
            let mut sums = [_mm512_setzero_ps(); LANES];
            for (sum, output) in sums.iter_mut().zip(own.clone()) {
                *sum = one_by_one(&x[row * steps..][..steps], &w[output * inputs..][..inputs]);
            }
            put(row, first, &totals(&sums)[..own.len()]);
        }
    }
}

/// What is asked for while something else is computed.
#[derive(Clone, Copy)]
struct Ahead {
    /// The first number; it is never read here, so it may lie anywhere.
    next: *const u16,
    /// Numbers for each round.
    step: usize,
}

/// Sums in lanes of the products of a row of x and a row of w. One row of w after another: so memory is read as one stream,
/// which the processor fetches ahead by itself.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,avx512bf16")]
fn one_by_one(x: &[Line<u16, 32>], w: &[u16]) -> __m512 {
    let mut sum = _mm512_setzero_ps();
    let (whole, rest) = w.as_chunks::<DEPTH>();
    for (x, w) in x.iter().zip(whole) {
        _mm_prefetch::<_MM_HINT_T1>(w.as_ptr().wrapping_add(FURTHER).cast());
        // SAFETY: a chunk holds 64 bytes.
        sum = _mm512_dpbf16_ps(sum, bf16(x), as_bf16(unsafe { _mm512_loadu_si512(w.as_ptr().cast()) }));
    }
    match x.get(whole.len()) {
        Some(last) => {
            let mask = (1u32 << rest.len()) - 1;
            // SAFETY: the mask ends where the numbers end, and what it does not cover is not read.
            let weights = unsafe { _mm512_maskz_loadu_epi16(mask, rest.as_ptr().cast()) };
            _mm512_dpbf16_ps(sum, bf16(last), as_bf16(weights))
        }
        None => sum,
    }
}

/// Sums in lanes of the products of four rows of x and four rows of w, row of x by row of x, in the order of `one_by_one`.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,avx512bf16")]
fn four_by_four(x: &[Line<u16, 32>], w: &[u16], ahead: Ahead) -> [__m512; LANES] {
    let (steps, width) = (x.len() / QUAD, w.len() / QUAD);
    assert!(x.len() == QUAD * steps && w.len() == QUAD * width && width.div_ceil(DEPTH) == steps, "rows do not match");
    let mut sums = [[_mm512_setzero_ps(); QUAD]; QUAD];
    let mut next = ahead.next;
    for step in 0..steps {
        for line in (0..ahead.step).step_by(DEPTH) {
            _mm_prefetch::<_MM_HINT_T1>(next.wrapping_add(line).cast());
        }
        next = next.wrapping_add(ahead.step);
        // Not a case of its own behind the loop: the sums would have to leave their registers for it.
        let mask = u32::MAX >> (DEPTH - (width - step * DEPTH).min(DEPTH));
        let mut columns = [as_bf16(_mm512_setzero_si512()); QUAD];
        for column in 0..QUAD {
            let start = column * width + step * DEPTH;
            // SAFETY: the mask covers numbers of this row of w alone, and what it does not cover is not read.
            columns[column] = as_bf16(unsafe { _mm512_maskz_loadu_epi16(mask, w.as_ptr().add(start).cast()) });
        }
        for row in 0..QUAD {
            // SAFETY: there are four rows of `steps` lines, as asserted above.
            let own = bf16(unsafe { &*x.as_ptr().add(row * steps + step) });
            for column in 0..QUAD {
                sums[row][column] = _mm512_dpbf16_ps(sums[row][column], own, columns[column]);
            }
        }
    }
    let mut flat = [_mm512_setzero_ps(); LANES];
    for index in 0..LANES {
        flat[index] = sums[index / QUAD][index % QUAD];
    }
    flat
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
