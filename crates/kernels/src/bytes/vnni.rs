//! The inner loops of `bytes` with AVX-512 VNNI.

#![allow(clippy::needless_range_loop, reason = "loops over indices are unrolled, iterators are not")]

use super::{FOUR, HALF_SIDE, QUANT_BLOCK, Quantised, QuantisedBlock, SIDE};
use crate::aligned::Line;
use crate::matrix::MatMut;
use std::arch::x86_64::*;

/// Most rows of x that are multiplied with a panel at a time.
const MAX_ROWS: usize = 4;
/// Prefetch distance into the L2 cache, in lines.
const PREFETCH_AHEAD: usize = 128;

/// A block quantised to q8_0, for weights stored with this zero point.
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,avx2,fma")]
pub(super) fn quantise(values: &[f32; QUANT_BLOCK], zero_point: i32) -> QuantisedBlock {
    // SAFETY: a block is two vectors.
    let halves = unsafe { [_mm512_loadu_ps(values.as_ptr()), _mm512_loadu_ps(values[HALF_SIDE..].as_ptr())] };
    let sizes = halves.map(|half| _mm512_abs_ps(half));
    let finite = sizes.map(|size| _mm512_cmp_ps_mask::<_CMP_LT_OQ>(size, _mm512_set1_ps(f32::INFINITY)));
    let largest = _mm512_reduce_max_ps(_mm512_max_ps(sizes[0], sizes[1]));
    if finite != [u16::MAX; 2] {
        // A non-finite input makes every result of its row NaN, as it would in f32.
        return QuantisedBlock { quants: [0; QUANT_BLOCK], start: 0, scale: f32::NAN };
    }
    let (scale, inverse) = if largest > 0.0 { (largest / 127.0, 127.0 / largest) } else { (0.0, 0.0) };
    let (mut quants, mut sum) = ([0; QUANT_BLOCK], _mm512_setzero_si512());
    for (half, quants) in halves.into_iter().zip(quants.as_chunks_mut::<HALF_SIDE>().0) {
        let whole = _mm512_cvtps_epi32(_mm512_mul_ps(half, _mm512_set1_ps(inverse)));
        sum = _mm512_add_epi32(sum, whole);
        // SAFETY: sixteen bytes are written.
        unsafe { _mm_storeu_si128(quants.as_mut_ptr().cast(), _mm512_cvtsepi32_epi8(whole)) };
    }
    QuantisedBlock { quants, start: -zero_point * _mm512_reduce_add_epi32(sum), scale }
}

/// All rows of x, `blocks` blocks each, times one panel, whose blocks take `LINES` lines each.
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,avx2,fma")]
pub(super) fn multiply<const LINES: usize>(
    x: &[QuantisedBlock],
    blocks: usize,
    panel: &[Line<u8, 64>],
    mut out: MatMut,
    add: bool,
) {
    let (rows, columns) = (out.rows(), out.columns());
    for top in (0..rows).step_by(MAX_ROWS) {
        let (x, count) = (&x[top * blocks..], MAX_ROWS.min(rows - top));
        let out = out.part(top, 0, count, columns);
        match count {
            1 => tile::<1, LINES>(x, blocks, panel, out, add),
            2 => tile::<2, LINES>(x, blocks, panel, out, add),
            3 => tile::<3, LINES>(x, blocks, panel, out, add),
            _ => tile::<MAX_ROWS, LINES>(x, blocks, panel, out, add),
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,avx2,fma")]
fn tile<const ROWS: usize, const LINES: usize>(
    x: &[QuantisedBlock],
    blocks: usize,
    panel: &[Line<u8, 64>],
    mut out: MatMut,
    add: bool,
) {
    assert!(x.len() >= ROWS * blocks && panel.len() == blocks * LINES && out.rows() == ROWS, "sizes do not match");
    let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
    for (at, lines) in panel.as_chunks::<LINES>().0.iter().enumerate() {
        let block = |row: usize| {
            // SAFETY: there are this many rows of blocks, as asserted above.
            unsafe { &*x.as_ptr().add(row * blocks + at) }
        };
        let mut products = [[_mm512_setzero_si512(); 2]; ROWS];
        for row in 0..ROWS {
            products[row] = [_mm512_set1_epi32(block(row).start); 2];
        }
        for (group, pair) in lines[1..].as_chunks::<2>().0.iter().enumerate() {
            let weights = [load(&pair[0]), load(&pair[1])];
            if LINES == Quantised::Q8_0.lines() {
                for row in 0..ROWS {
                    products[row] = multiply_add(products[row], weights, &block(row).quants, group);
                }
            } else {
                let low = _mm512_set1_epi8(15);
                let lower = weights.map(|pairs| _mm512_and_si512(pairs, low));
                let upper = weights.map(|pairs| _mm512_and_si512(_mm512_srli_epi16::<4>(pairs), low));
                for row in 0..ROWS {
                    let quants = &block(row).quants;
                    let half = multiply_add(products[row], lower, quants, 2 * group);
                    products[row] = multiply_add(half, upper, quants, 2 * group + 1);
                }
            }
        }
        let scales = load(&lines[0]);
        let scales = [_mm512_castsi512_si256(scales), _mm512_extracti64x4_epi64::<1>(scales)];
        let scales = scales.map(|half| _mm512_cvtph_ps(half));
        for row in 0..ROWS {
            let own = _mm512_set1_ps(block(row).scale);
            for side in 0..2 {
                let products = _mm512_cvtepi32_ps(products[row][side]);
                sums[row][side] = _mm512_fmadd_ps(products, _mm512_mul_ps(scales[side], own), sums[row][side]);
            }
        }
    }
    // Moved, not indexed: an indexed array of accumulators would not stay in registers.
    for (row, sums) in sums.into_iter().enumerate() {
        for (sum, target) in sums.into_iter().zip(out.row(row).chunks_mut(HALF_SIDE)) {
            let mask = ((1u32 << target.len()) - 1) as u16;
            // SAFETY: the mask covers the elements of this piece alone.
            unsafe {
                let before = if add { _mm512_maskz_loadu_ps(mask, target.as_ptr()) } else { _mm512_setzero_ps() };
                _mm512_mask_storeu_ps(target.as_mut_ptr(), mask, _mm512_add_ps(sum, before));
            }
        }
    }
}

/// Accumulators plus the products of four more inputs of 32 rows of W.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn multiply_add(sums: [__m512i; 2], weights: [__m512i; 2], quants: &[i8; QUANT_BLOCK], group: usize) -> [__m512i; 2] {
    // SAFETY: four bytes of a block, which has eight times four.
    let own = unsafe { quants.as_ptr().add(group % (QUANT_BLOCK / FOUR) * FOUR).cast::<i32>().read_unaligned() };
    let own = _mm512_set1_epi32(own);
    [_mm512_dpbusd_epi32(sums[0], weights[0], own), _mm512_dpbusd_epi32(sums[1], weights[1], own)]
}

/// Loads a line of a panel and prefetches one further on: stalled loads would keep the hardware prefetcher from running
/// ahead.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(line: &Line<u8, 64>) -> __m512i {
    const { assert!(size_of::<Line<u8, 64>>() == 64 && SIDE == 2 * HALF_SIDE) };
    _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(line).wrapping_add(PREFETCH_AHEAD).cast());
    // SAFETY: a line holds 64 bytes and is aligned like a vector.
    unsafe { _mm512_load_si512(line.0.as_ptr().cast()) }
}
