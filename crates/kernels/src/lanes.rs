//! Building blocks of the kernel bodies: reductions in sixteen lanes, which the compiler vectorises, and an exponential that
//! needs no library call.

/// Accumulators side by side. Sixteen on every level, so that a reduction has the same order everywhere.
pub(crate) const LANES: usize = 16;

/// a·b + c, fused where that is one instruction.
#[inline(always)]
pub(crate) fn madd<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Reduces the lanes pairwise.
#[inline(always)]
pub(crate) fn fold(lanes: [f32; LANES], join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] = join(lanes[lane], lanes[lane + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// Σ f(i) over 0..count, in lanes.
#[inline(always)]
pub(crate) fn sum(count: usize, term: impl Fn(usize, f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let whole = count / LANES * LANES;
    let mut start = 0;
    while start < whole {
        for (lane, value) in lanes.iter_mut().enumerate() {
            *value = term(start + lane, *value);
        }
        start += LANES;
    }
    for (lane, index) in (whole..count).enumerate() {
        lanes[lane] = term(index, lanes[lane]);
    }
    fold(lanes, |a, b| a + b)
}

/// The maximum of a row.
#[inline(always)]
pub(crate) fn largest(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    let join = |a: f32, b: f32| if a > b { a } else { b };
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = join(*value, *lane);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane = join(*value, *lane);
    }
    fold(lanes, join)
}

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// ln 2 in two parts, the first with few enough bits that n·LN2_HIGH is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Adding and subtracting this rounds to the nearest integer.
const ROUND: f32 = 12_582_912.0;
/// Taylor's coefficients of e^r from r² on; |r| ≤ ln 2 / 2, so the next term is below 1e-8 of the value.
const TERMS: [f32; 6] = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5];

/// e^x to about one unit in the last place, without branches: x = n·ln 2 + r, e^x = 2^n·e^r. Saturates beyond ±87; NaN
/// passes through.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    let bounded = if x > 87.0 { 87.0 } else { x };
    let bounded = if bounded < -87.0 { -87.0 } else { bounded };
    let shifted = madd::<FMA>(bounded, LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = madd::<FMA>(n, -LN2_LOW, madd::<FMA>(n, -LN2_HIGH, bounded));
    let mut poly = TERMS[0];
    for term in &TERMS[1..] {
        poly = madd::<FMA>(poly, r, *term);
    }
    let value = madd::<FMA>(poly, r * r, r) + 1.0;
    // The low bits of `shifted` hold n; as an exponent they are 2^n.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    value * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_close_everywhere() {
        for step in -8_700..8_700 {
            let x = step as f32 / 100.0;
            let expected = f64::from(x).exp();
            for value in [exp::<true>(x), exp::<false>(x)] {
                let gap = (f64::from(value) - expected).abs() / expected;
                assert!(gap < 3e-7, "e^{x}: {value}, {gap}");
            }
        }
        assert!(exp::<true>(-1e30) < 1e-37 && exp::<true>(f32::NAN).is_nan());
    }

    #[test]
    fn sums_and_maxima_cover_the_tail() {
        let row: Vec<f32> = (0..37).map(|i| ((i * 7) % 37) as f32).collect();
        assert_eq!(sum(row.len(), |i, so_far| so_far + row[i]), 666.0);
        assert_eq!(largest(&row), 36.0);
    }
}
