//! The inner loops of `bytes`.

#![allow(clippy::needless_range_loop, reason = "loops over indices are unrolled, iterators are not")]

use super::{Chunk, FOUR, HALF_SIDE, QUANT_BLOCK, Quantised, SIDE};
use crate::aligned::Line;
use crate::matrix::MatMut;
use std::arch::x86_64::*;

/// Most rows of x that meet a panel at a time.
const TALL: usize = 4;
/// Lines ahead of the one that is read, which are asked for into the second cache.
const FURTHER: usize = 128;

/// A block rounded to q8_0, for weights that are `lift` too high.
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,avx2,fma")]
pub(super) fn rounded(values: &[f32; QUANT_BLOCK], lift: i32) -> Chunk {
    // SAFETY: a block is two vectors.
    let halves = unsafe { [_mm512_loadu_ps(values.as_ptr()), _mm512_loadu_ps(values[HALF_SIDE..].as_ptr())] };
    let sizes = halves.map(|half| _mm512_abs_ps(half));
    let finite = sizes.map(|size| _mm512_cmp_ps_mask::<_CMP_LT_OQ>(size, _mm512_set1_ps(f32::INFINITY)));
    let largest = _mm512_reduce_max_ps(_mm512_max_ps(sizes[0], sizes[1]));
    if finite != [u16::MAX; 2] {
        // A number that is none makes every result of its row one that is none, as it would in f32.
        return Chunk { numbers: [0; QUANT_BLOCK], start: 0, factor: f32::NAN };
    }
    let (factor, inverse) = if largest > 0.0 { (largest / 127.0, 127.0 / largest) } else { (0.0, 0.0) };
    let (mut numbers, mut sum) = ([0; QUANT_BLOCK], _mm512_setzero_si512());
    for (half, numbers) in halves.into_iter().zip(numbers.as_chunks_mut::<HALF_SIDE>().0) {
        let whole = _mm512_cvtps_epi32(_mm512_mul_ps(half, _mm512_set1_ps(inverse)));
        sum = _mm512_add_epi32(sum, whole);
        // SAFETY: sixteen bytes are written.
        unsafe { _mm_storeu_si128(numbers.as_mut_ptr().cast(), _mm512_cvtsepi32_epi8(whole)) };
    }
    Chunk { numbers, start: -lift * _mm512_reduce_add_epi32(sum), factor }
}

/// All rows of x, `blocks` chunks each, with one panel, whose blocks take `LINES` lines each.
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,avx2,fma")]
pub(super) fn meet<const LINES: usize>(x: &[Chunk], blocks: usize, panel: &[Line<u8, 64>], mut out: MatMut, add: bool) {
    let (rows, columns) = (out.rows(), out.columns());
    for top in (0..rows).step_by(TALL) {
        let (x, count) = (&x[top * blocks..], TALL.min(rows - top));
        let out = out.part(top, 0, count, columns);
        match count {
            1 => tile::<1, LINES>(x, blocks, panel, out, add),
            2 => tile::<2, LINES>(x, blocks, panel, out, add),
            3 => tile::<3, LINES>(x, blocks, panel, out, add),
            _ => tile::<TALL, LINES>(x, blocks, panel, out, add),
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,avx2,fma")]
fn tile<const ROWS: usize, const LINES: usize>(
    x: &[Chunk],
    blocks: usize,
    panel: &[Line<u8, 64>],
    mut out: MatMut,
    add: bool,
) {
    assert!(x.len() >= ROWS * blocks && panel.len() == blocks * LINES && out.rows() == ROWS, "sizes do not match");
    let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
    for (at, lines) in panel.as_chunks::<LINES>().0.iter().enumerate() {
        let chunk = |row: usize| {
            // SAFETY: there are so many rows of blocks, as asserted above.
            unsafe { &*x.as_ptr().add(row * blocks + at) }
        };
        let mut products = [[_mm512_setzero_si512(); 2]; ROWS];
        for row in 0..ROWS {
            products[row] = [_mm512_set1_epi32(chunk(row).start); 2];
        }
        for (group, pair) in lines[1..].as_chunks::<2>().0.iter().enumerate() {
            let weights = [load(&pair[0]), load(&pair[1])];
            if LINES == Quantised::Eight.lines() {
                for row in 0..ROWS {
                    products[row] = multiplied(products[row], weights, &chunk(row).numbers, group);
                }
            } else {
                let low = _mm512_set1_epi8(15);
                let lower = weights.map(|pairs| _mm512_and_si512(pairs, low));
                let upper = weights.map(|pairs| _mm512_and_si512(_mm512_srli_epi16::<4>(pairs), low));
                for row in 0..ROWS {
                    let numbers = &chunk(row).numbers;
                    let half = multiplied(products[row], lower, numbers, 2 * group);
                    products[row] = multiplied(half, upper, numbers, 2 * group + 1);
                }
            }
        }
        let factors = load(&lines[0]);
        let factors = [_mm512_castsi512_si256(factors), _mm512_extracti64x4_epi64::<1>(factors)];
        let factors = factors.map(|half| _mm512_cvtph_ps(half));
        for row in 0..ROWS {
            let own = _mm512_set1_ps(chunk(row).factor);
            for side in 0..2 {
                let products = _mm512_cvtepi32_ps(products[row][side]);
                sums[row][side] = _mm512_fmadd_ps(products, _mm512_mul_ps(factors[side], own), sums[row][side]);
            }
        }
    }
    // Moved, not indexed: sums that an index reaches would not stay in registers.
    for (row, sums) in sums.into_iter().enumerate() {
        for (sum, target) in sums.into_iter().zip(out.row(row).chunks_mut(HALF_SIDE)) {
            let mask = ((1u32 << target.len()) - 1) as u16;
            // SAFETY: the mask covers the numbers of this piece alone.
            unsafe {
                let before = if add { _mm512_maskz_loadu_ps(mask, target.as_ptr()) } else { _mm512_setzero_ps() };
                _mm512_mask_storeu_ps(target.as_mut_ptr(), mask, _mm512_add_ps(sum, before));
            }
        }
    }
}

/// The sums with the products of four more inputs of 32 rows of W.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn multiplied(sums: [__m512i; 2], weights: [__m512i; 2], numbers: &[i8; QUANT_BLOCK], group: usize) -> [__m512i; 2] {
    // SAFETY: four bytes of a block, which has eight times four.
    let own = unsafe { numbers.as_ptr().add(group % (QUANT_BLOCK / FOUR) * FOUR).cast::<i32>().read_unaligned() };
    let own = _mm512_set1_epi32(own);
    [_mm512_dpbusd_epi32(sums[0], weights[0], own), _mm512_dpbusd_epi32(sums[1], weights[1], own)]
}

/// A line of a panel; what follows further on is asked for, since loads that wait stand in the way of the processor's own
/// fetching.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(line: &Line<u8, 64>) -> __m512i {
    const { assert!(size_of::<Line<u8, 64>>() == 64 && SIDE == 2 * HALF_SIDE) };
    _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(line).wrapping_add(FURTHER).cast());
    // SAFETY: a line holds 64 bytes and begins where a vector may begin.
    unsafe { _mm512_load_si512(line.0.as_ptr().cast()) }
}
