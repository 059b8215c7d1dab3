//! The inner loop of `rowwise` with AVX2 intrinsics: the compiler's own register allocation is up to five times slower,
//! depending on the number of accumulators. The order of accumulation is that of the plain loop, so results are
//! bit-identical.

#![allow(clippy::needless_range_loop, reason = "loops over indices are unrolled, iterators are not")]

use crate::lanes::LANES;
use std::arch::x86_64::*;

/// Elements of a vector; two vectors make the sixteen lanes of an accumulator.
const HALF: usize = LANES / 2;

/// x·wᵀ for X rows of x and W rows of w; four accumulators take half of the registers.
#[target_feature(enable = "avx2,fma")]
pub(super) fn tile<const X: usize, const W: usize>(x: [&[f32]; X], weights: [&[f32]; W]) -> [[f32; W]; X] {
    let width = x[0].len();
    for row in 0..X {
        assert!(x[row].len() == width, "rows of x differ");
    }
    for column in 0..W {
        assert!(weights[column].len() == width, "rows of w do not match");
    }
    let mut sums = [[[_mm256_setzero_ps(); 2]; W]; X];
    let whole = width / LANES * LANES;
    let mut start = 0;
    while start < whole {
        for half in 0..2 {
            let at = start + half * HALF;
            for row in 0..X {
                // SAFETY: sixteen elements follow `start` in every row, all of which have the same width.
                let value = unsafe { _mm256_loadu_ps(x[row].as_ptr().add(at)) };
                for column in 0..W {
                    // SAFETY: as above.
                    let weight = unsafe { _mm256_loadu_ps(weights[column].as_ptr().add(at)) };
                    sums[row][column][half] = _mm256_fmadd_ps(value, weight, sums[row][column][half]);
                }
            }
        }
        start += LANES;
    }
    // A copy: accumulators that are indexed by a variable below would not stay in registers above.
    let sums = std::hint::black_box(sums);
    let mut found = [[0.0; W]; X];
    for row in 0..X {
        for column in 0..W {
            let mut lanes = [0.0f32; LANES];
            for half in 0..2 {
                // SAFETY: the array holds sixteen elements.
                unsafe { _mm256_storeu_ps(lanes.as_mut_ptr().add(half * HALF), sums[row][column][half]) };
            }
            for index in whole..width {
                lanes[index - whole] = x[row][index].mul_add(weights[column][index], lanes[index - whole]);
            }
            found[row][column] = total(&lanes);
        }
    }
    found
}

/// Halves, quarters, pairs and neighbours are added as `fold` does it.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn total(lanes: &[f32; LANES]) -> f32 {
    // SAFETY: the array holds sixteen elements.
    let (low, high) = unsafe { (_mm256_loadu_ps(lanes.as_ptr()), _mm256_loadu_ps(lanes.as_ptr().add(HALF))) };
    let eight = _mm256_add_ps(low, high);
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}
