//! q8_0 and q4_0 weights against rows of x that are rounded to q8_0 as well: four products of bytes are summed in each lane
//! (VPDPBUSD), exactly, before a block's factors make them f32.
//!
//! The instruction takes one operand without a sign. Weights are moved up to become that (q8_0 by 128; q4_0 is stored 8 too
//! high anyway), and the sums begin at what this adds, which depends on x alone.

#![allow(clippy::needless_range_loop, reason = "loops over indices are unrolled, iterators are not")]

use super::avx512::totals;
use super::{QUANT_BLOCK, Rows};
use crate::Crew;
use crate::lanes::LANES;
use crate::matrix::{Mat, MatMut};
use std::arch::x86_64::*;

/// Numbers of one vector: two blocks.
const BYTES: usize = 64;
/// Rows of x that meet a row of W at a time, and from how many on.
const QUAD: usize = 4;
/// Bytes ahead of those that are read, which are asked for into the second cache.
const FURTHER: usize = 4096;

/// 64 numbers of a row of x as bytes, where the sums of each lane's four products begin, and the factor of each lane.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Chunk {
    numbers: [i8; BYTES],
    starts: [i32; LANES],
    factors: [f32; LANES],
}

const EMPTY: Chunk = Chunk { numbers: [0; BYTES], starts: [0; LANES], factors: [0.0; LANES] };

/// Rounds a row to q8_0, for weights that are `lift` too high.
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,avx2,fma")]
fn round_row(row: &[f32], lift: i32, chunks: &mut [Chunk]) {
    for (values, chunk) in row.chunks(BYTES).zip(chunks) {
        *chunk = EMPTY;
        for (block, values) in values.chunks(QUANT_BLOCK).enumerate() {
            let largest = values.iter().fold(0.0f32, |so_far, value| so_far.max(value.abs()));
            let (factor, inverse) = if largest > 0.0 { (largest / 127.0, 127.0 / largest) } else { (0.0, 0.0) };
            let numbers = &mut chunk.numbers[block * QUANT_BLOCK..][..values.len()];
            for (number, value) in numbers.iter_mut().zip(values) {
                *number = (value * inverse).round_ties_even() as i8;
            }
            // A number that is none makes every result of its row one that is none, as it would in f32.
            let factor = if values.iter().all(|value| value.is_finite()) { factor } else { f32::NAN };
            chunk.factors[block * LANES / 2..][..LANES / 2].fill(factor);
        }
        for (start, four) in chunk.starts.iter_mut().zip(chunk.numbers.as_chunks::<4>().0) {
            *start = -lift * four.iter().map(|number| i32::from(*number)).sum::<i32>();
        }
    }
}

/// x·Wᵀ for rows of x: `put` takes a row of each task and its results.
pub(super) fn rows_times(
    crew: &Crew,
    x: Mat,
    rows: Rows,
    tasks: Vec<(usize, MatMut)>,
    put: impl Fn(&mut [f32], &[f32]) + Sync,
) {
    let (inputs, steps) = (x.columns(), x.columns().div_ceil(BYTES));
    let lift = if matches!(rows, Rows::Four(..)) { 8 } else { 128 };
    let mut chunks = vec![EMPTY; x.rows() * steps];
    for (row, chunks) in chunks.chunks_exact_mut(steps.max(1)).enumerate() {
        // SAFETY: only called for a set that has these instructions, which the processor has named then.
        unsafe { round_row(x.row(row), lift, chunks) };
    }
    crew.share_each(tasks, |(first, mut task): (usize, MatMut)| {
        let outputs = task.columns();
        let put = |row: usize, at: usize, found: &[f32]| put(&mut task.row(row)[at..], found);
        // SAFETY: as above.
        unsafe { sweep(&chunks, steps, rows, first * inputs, inputs, outputs, put) };
    });
}

/// All rows of x with `outputs` rows of W, the first of which begins at number `first`.
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,avx2,fma")]
fn sweep(
    x: &[Chunk],
    steps: usize,
    rows: Rows,
    first: usize,
    inputs: usize,
    outputs: usize,
    mut put: impl FnMut(usize, usize, &[f32]),
) {
    let count = x.len() / steps.max(1);
    for at in (0..outputs).step_by(LANES) {
        let own = LANES.min(outputs - at);
        let mut start = 0;
        while start < count {
            let taken = if count - start < QUAD { 1 } else { QUAD };
            let x = &x[start * steps..(start + taken) * steps];
            let mut sums = [[_mm512_setzero_ps(); LANES]; QUAD];
            for index in 0..own {
                let begin = first + (at + index) * inputs;
                if taken == QUAD {
                    let found: [__m512; QUAD] = meet(x, steps, rows, begin, inputs);
                    (0..QUAD).for_each(|row| sums[row][index] = found[row]);
                } else {
                    [sums[0][index]] = meet(x, steps, rows, begin, inputs);
                }
            }
            for (row, sums) in sums[..taken].iter().enumerate() {
                put(start + row, at, &totals(sums)[..own]);
            }
            start += taken;
        }
    }
}

/// Sums in lanes of the products of X rows of x with the row of W that begins at number `begin`. One row of W after
/// another: so memory is read as one stream, which the processor fetches ahead by itself.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,avx2,fma")]
fn meet<const X: usize>(x: &[Chunk], steps: usize, rows: Rows, begin: usize, inputs: usize) -> [__m512; X] {
    let factors =
        |scales: &[f32]| -> *const f32 { scales[begin / QUANT_BLOCK..(begin + inputs) / QUANT_BLOCK].as_ptr() };
    match rows {
        Rows::Eight(numbers, scales) => {
            let numbers = numbers[begin..begin + inputs].as_ptr();
            let high = _mm512_set1_epi8(-128);
            multiply(x, steps, factors(scales), inputs, |step, mask| {
                _mm_prefetch::<_MM_HINT_T1>(numbers.wrapping_add(step * BYTES + FURTHER).cast());
                // SAFETY: the mask ends where the row ends.
                let numbers = unsafe { _mm512_maskz_loadu_epi8(mask, numbers.add(step * BYTES)) };
                _mm512_xor_si512(numbers, high)
            })
        }
        Rows::Four(pairs, scales) => {
            let pairs = pairs[begin / 2..(begin + inputs) / 2].as_ptr();
            let (twice, low) = (_mm512_setr_epi64(0, 1, 0, 1, 2, 3, 2, 3), _mm512_set1_epi8(15));
            let shift = _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4);
            multiply(x, steps, factors(scales), inputs, |step, mask| {
                _mm_prefetch::<_MM_HINT_T1>(pairs.wrapping_add(step * BYTES / 2 + FURTHER).cast());
                // SAFETY: half of the mask ends where the row, of half as many bytes, ends: both are whole blocks.
                let bytes = unsafe { _mm256_maskz_loadu_epi8(half(mask), pairs.add(step * BYTES / 2).cast()) };
                let bytes = _mm512_permutexvar_epi64(twice, _mm512_castsi256_si512(bytes));
                _mm512_and_si512(_mm512_srlv_epi64(bytes, shift), low)
            })
        }
        _ => [_mm512_setzero_ps(); X],
    }
}

/// A mask of whole blocks for half as many bytes.
#[inline]
fn half(mask: u64) -> u32 {
    if mask == u64::MAX { u32::MAX } else { 0xffff }
}

/// The sums for weights that `load` gives for (step, mask), without a sign.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,avx2,fma")]
fn multiply<const X: usize>(
    x: &[Chunk],
    steps: usize,
    factors: *const f32,
    inputs: usize,
    load: impl Fn(usize, u64) -> __m512i,
) -> [__m512; X] {
    assert!(x.len() == X * steps && steps == inputs.div_ceil(BYTES) && inputs.is_multiple_of(QUANT_BLOCK), "sizes");
    let spread = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
    let mut sums = [_mm512_setzero_ps(); X];
    for step in 0..steps {
        let whole = inputs - step * BYTES >= BYTES;
        let (mask, two) = if whole { (u64::MAX, 3) } else { (u64::from(u32::MAX), 1) };
        let weights = load(step, mask);
        // SAFETY: one factor for each block of the row, of which there are two in every step but perhaps the last.
        let pair = unsafe { _mm_maskz_loadu_ps(two, factors.add(2 * step)) };
        let own = _mm512_permutexvar_ps(spread, _mm512_castps128_ps512(pair));
        for row in 0..X {
            // SAFETY: there are X rows of `steps` chunks, whose parts begin at lines of the cache.
            let (numbers, start, factors) = unsafe {
                let chunk = &*x.as_ptr().add(row * steps + step);
                let numbers = _mm512_load_si512(chunk.numbers.as_ptr().cast());
                (numbers, _mm512_load_si512(chunk.starts.as_ptr().cast()), _mm512_load_ps(chunk.factors.as_ptr()))
            };
            let products = _mm512_cvtepi32_ps(_mm512_dpbusd_epi32(start, weights, numbers));
            sums[row] = _mm512_fmadd_ps(products, _mm512_mul_ps(own, factors), sums[row]);
        }
    }
    sums
}
