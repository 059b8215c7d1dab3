//! RMSNorm of rows: y = w ∘ x·s with s = (mean x² + ε)^(−1/2) (Zhang and Sennrich, arXiv 1910.07467, equation 4).

use crate::bf16::round;
use crate::instruction_set::dispatch;
use crate::lanes::{madd, sum};
use crate::pairs::{Place, RoundedRows};
use crate::{GRAIN, InstructionSet, grains};
use rayon::prelude::*;

/// y = w ∘ x·s for each row of x `[n, w]`; s goes into `inverse` `[n]` for the backward pass.
///
/// # Panics
/// When the lengths do not match.
pub fn rms_norm(set: InstructionSet, x: &[f32], weight: &[f32], epsilon: f32, y: &mut [f32], inverse: &mut [f32]) {
    let width = weight.len();
    assert!(x.len() == y.len() && x.len() == inverse.len() * width, "lengths of a norm do not match");
    let blocks = y.par_chunks_mut(width * GRAIN).zip(x.par_chunks(width * GRAIN)).zip(inverse.par_chunks_mut(GRAIN));
    blocks.with_min_len(grains(width)).for_each(|((y, x), inverse)| {
        for ((y, x), inverse) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(inverse) {
            *inverse = forward_row(set, x, weight, epsilon, y);
        }
    });
}

/// [`rms_norm`] rounded to bf16, appended to `rows`.
///
/// # Panics
/// When the lengths do not match, or there is no room.
pub fn rms_norm_rounded(
    set: InstructionSet,
    x: &[f32],
    weight: &[f32],
    epsilon: f32,
    rows: &mut RoundedRows,
    inverse: &mut [f32],
) -> Place {
    let width = weight.len();
    assert!(x.len() == rows.rows() * width, "lengths of a norm do not match");
    rows.push_with(width, inverse, |row, out, inverse| {
        *inverse = forward_rounded_row(set, &x[row * width..][..width], weight, epsilon, out);
    })
}

/// Adds ∂/∂x to `dx` `[n, w]`, given ∂/∂y: with n = x·s and g = dy∘w, dx += s·(g − n·mean(n∘g)).
///
/// # Panics
/// When the lengths do not match.
pub fn rms_norm_backward(set: InstructionSet, dy: &[f32], x: &[f32], weight: &[f32], inverse: &[f32], dx: &mut [f32]) {
    let width = weight.len();
    assert!(x.len() == dy.len() && x.len() == dx.len() && x.len() == inverse.len() * width, "lengths do not match");
    let blocks = dx.par_chunks_mut(width * GRAIN).zip(x.par_chunks(width * GRAIN));
    let blocks = blocks.zip(dy.par_chunks(width * GRAIN)).zip(inverse.par_chunks(GRAIN));
    blocks.for_each(|(((dx, x), dy), inverse)| {
        let rows = dx.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(dy.chunks_exact(width)).zip(inverse);
        for (((dx, x), dy), inverse) in rows {
            backward_row(set, dy, x, weight, *inverse, dx);
        }
    });
}

/// Adds ∂/∂w = Σ dy∘x·s over the rows to `dw`, row after row.
///
/// # Panics
/// When the lengths do not match.
pub fn rms_norm_weight_gradient(set: InstructionSet, dy: &[f32], x: &[f32], inverse: &[f32], dw: &mut [f32]) {
    let width = dw.len();
    assert!(x.len() == dy.len() && x.len() == inverse.len() * width, "lengths do not match");
    for ((x, dy), inverse) in x.chunks_exact(width).zip(dy.chunks_exact(width)).zip(inverse) {
        weight_row(set, dy, x, *inverse, dw);
    }
}

/// Norms of queries and keys, head by head: rows of `before` `[n, (q + k)·d]` are normalised with the weights `[d]` of
/// queries and keys into the first columns of `out` `[n, stride]`. `inverse` `[n·(q + k)]` receives the s of each head.
///
/// # Panics
/// When the lengths do not match.
pub fn norm_heads(
    set: InstructionSet,
    before: &[f32],
    heads: [usize; 2],
    weights: [&[f32]; 2],
    epsilon: f32,
    out: &mut [f32],
    inverse: &mut [f32],
) {
    let (count, dim) = (heads[0] + heads[1], weights[0].len());
    let (width, rows) = (count * dim, inverse.len() / count);
    let stride = out.len() / rows.max(1);
    assert!(before.len() == rows * width && stride >= width, "lengths do not match");
    let rows = out.par_chunks_mut(stride * GRAIN).zip(before.par_chunks(width * GRAIN));
    let rows = rows.zip(inverse.par_chunks_mut(count * GRAIN));
    rows.with_min_len(grains(width)).for_each(|((out, before), inverse)| {
        let rows = out.chunks_exact_mut(stride).zip(before.chunks_exact(width)).zip(inverse.chunks_exact_mut(count));
        for ((out, before), inverse) in rows {
            let all = out[..width].chunks_exact_mut(dim).zip(before.chunks_exact(dim)).zip(inverse).enumerate();
            for (head, ((out, before), inverse)) in all {
                *inverse = forward_row(set, before, weights[usize::from(head >= heads[0])], epsilon, out);
            }
        }
    });
}

/// Replaces ∂/∂out in the first columns of `gradients` `[n, stride]` by ∂/∂before.
///
/// # Panics
/// When the lengths do not match.
pub fn norm_heads_backward(
    set: InstructionSet,
    before: &[f32],
    heads: [usize; 2],
    weights: [&[f32]; 2],
    inverse: &[f32],
    gradients: &mut [f32],
) {
    let (count, dim) = (heads[0] + heads[1], weights[0].len());
    let (width, rows) = (count * dim, inverse.len() / count);
    let stride = gradients.len() / rows.max(1);
    assert!(before.len() == rows * width && stride >= width, "lengths do not match");
    let rows = gradients.par_chunks_mut(stride * GRAIN).zip(before.par_chunks(width * GRAIN));
    rows.zip(inverse.par_chunks(count * GRAIN)).for_each(|((gradients, before), inverse)| {
        let mut upstream = vec![0.0; dim];
        let rows = gradients.chunks_exact_mut(stride).zip(before.chunks_exact(width)).zip(inverse.chunks_exact(count));
        for ((gradients, before), inverse) in rows {
            let all = gradients[..width].chunks_exact_mut(dim).zip(before.chunks_exact(dim)).zip(inverse).enumerate();
            for (head, ((gradients, before), inverse)) in all {
                upstream.copy_from_slice(gradients);
                gradients.fill(0.0);
                backward_row(set, &upstream, before, weights[usize::from(head >= heads[0])], *inverse, gradients);
            }
        }
    });
}

/// Adds ∂/∂weights of queries and keys to `sums`, row after row; `gradients` holds ∂/∂out as in [`norm_heads_backward`].
pub fn head_norm_weight_gradients(
    set: InstructionSet,
    gradients: &[f32],
    before: &[f32],
    heads: [usize; 2],
    inverse: &[f32],
    sums: &mut [Vec<f32>; 2],
) {
    let (count, dim) = (heads[0] + heads[1], sums[0].len());
    let (width, rows) = (count * dim, inverse.len() / count);
    let stride = gradients.len() / rows.max(1);
    let rows = gradients.chunks_exact(stride).zip(before.chunks_exact(width)).zip(inverse.chunks_exact(count));
    for ((gradients, before), inverse) in rows {
        let all = gradients.chunks_exact(dim).zip(before.chunks_exact(dim)).zip(inverse).enumerate();
        for (head, ((gradients, before), inverse)) in all {
            weight_row(set, gradients, before, *inverse, &mut sums[usize::from(head >= heads[0])]);
        }
    }
}

dispatch!(fn forward_row(x: &[f32], weight: &[f32], epsilon: f32, y: &mut [f32]) -> f32 = forward_body);
dispatch!(
    fn forward_rounded_row(x: &[f32], weight: &[f32], epsilon: f32, y: &mut [u16]) -> f32 = forward_rounded_body
);
dispatch!(fn backward_row(dy: &[f32], x: &[f32], weight: &[f32], inverse: f32, dx: &mut [f32]) = backward_body);
dispatch!(fn weight_row(dy: &[f32], x: &[f32], inverse: f32, dw: &mut [f32]) = weight_body);

#[inline(always)]
fn forward_body<const FMA: bool>(x: &[f32], weight: &[f32], epsilon: f32, y: &mut [f32]) -> f32 {
    let inverse = inverse_size::<FMA>(x, epsilon);
    for ((y, x), weight) in y.iter_mut().zip(x).zip(weight) {
        *y = x * inverse * weight;
    }
    inverse
}

#[inline(always)]
fn forward_rounded_body<const FMA: bool>(x: &[f32], weight: &[f32], epsilon: f32, y: &mut [u16]) -> f32 {
    let inverse = inverse_size::<FMA>(x, epsilon);
    for ((y, x), weight) in y.iter_mut().zip(x).zip(weight) {
        *y = round(x * inverse * weight);
    }
    inverse
}

/// s of a row.
#[inline(always)]
fn inverse_size<const FMA: bool>(x: &[f32], epsilon: f32) -> f32 {
    let squares = sum(x.len(), |i, so_far| madd::<FMA>(x[i], x[i], so_far));
    1.0 / (squares / x.len() as f32 + epsilon).sqrt()
}

#[inline(always)]
fn backward_body<const FMA: bool>(dy: &[f32], x: &[f32], weight: &[f32], inverse: f32, dx: &mut [f32]) {
    let (dy, weight) = (&dy[..x.len()], &weight[..x.len()]);
    let product = sum(x.len(), |i, so_far| madd::<FMA>(dy[i] * weight[i], x[i], so_far));
    let projection = product * inverse * inverse / x.len() as f32;
    for (((dx, x), dy), weight) in dx.iter_mut().zip(x).zip(dy).zip(weight) {
        *dx = madd::<FMA>(inverse, madd::<FMA>(-projection, *x, dy * weight), *dx);
    }
}

#[inline(always)]
fn weight_body<const FMA: bool>(dy: &[f32], x: &[f32], inverse: f32, dw: &mut [f32]) {
    for ((dw, x), dy) in dw.iter_mut().zip(x).zip(dy) {
        *dw = madd::<FMA>(*dy, x * inverse, *dw);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "x86_64")]
    use crate::{Mat, MatMut, Source, Term, Threads};

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn bf16_rows_are_the_rounded_norm() {
        let (rows, width) = (37, 70);
        let x: Vec<f32> = (0..rows * width).map(|i| (i as f32 * 0.7).sin()).collect();
        let weight: Vec<f32> = (0..width).map(|i| (i as f32 * 0.4).cos()).collect();
        for set in InstructionSet::all().filter(|set| set.takes_pairs()) {
            let (mut y, mut inverse, mut other) = (vec![0.0; x.len()], vec![0.0; rows], vec![0.0; rows]);
            rms_norm(set, &x, &weight, 1e-5, &mut y, &mut inverse);
            // Next to the rounded rows of the plain norm; a product with the identity reads either.
            let mut rounded = RoundedRows::new(set, rows, [width, width]);
            let plain = rounded.push(Mat::new(&y, rows, width), 1.0, Threads::Pool);
            let ours = rms_norm_rounded(set, &x, &weight, 1e-5, &mut rounded, &mut other);
            let identity: Vec<f32> = (0..width * width).map(|i| f32::from(u8::from(i % (width + 1) == 0))).collect();
            let [expected, found] = [plain, ours].map(|place| {
                let mut out = vec![0.0; rows * width];
                let term = Term::plain(place, Source::rounded(Mat::new(&identity, width, width), 1.0), 0);
                rounded.times(&[term], MatMut::new(&mut out, rows, width), false, 1.0, Threads::Pool);
                out
            });
            assert!(found == expected && inverse == other, "{set:?}");
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences_on_every_level() {
        let wave = |count: usize, step: f32| (0..count).map(|i| (i as f32 * step).sin()).collect::<Vec<_>>();
        let (rows, width) = (11, 37);
        let (x, weight, dy) = (wave(rows * width, 0.7), wave(width, 0.4), wave(rows * width, 0.23));
        for set in InstructionSet::all() {
            let value = |x: &[f32], weight: &[f32]| {
                let (mut y, mut inverse) = (vec![0.0; x.len()], vec![0.0; rows]);
                rms_norm(set, x, weight, 1e-5, &mut y, &mut inverse);
                (y.iter().zip(&dy).map(|(y, g)| f64::from(y * g)).sum::<f64>(), inverse)
            };
            let inverse = value(&x, &weight).1;
            let (mut dx, mut dw) = (vec![1.0; x.len()], vec![0.0; width]);
            rms_norm_backward(set, &dy, &x, &weight, &inverse, &mut dx);
            rms_norm_weight_gradient(set, &dy, &x, &inverse, &mut dw);
            let moved = |values: &[f32], at: usize, step: f32| {
                let mut values = values.to_vec();
                values[at] += step;
                values
            };
            for at in [0, 40, 200, 406] {
                let numeric = (value(&moved(&x, at, 1e-2), &weight).0 - value(&moved(&x, at, -1e-2), &weight).0) / 2e-2;
                assert!((f64::from(dx[at] - 1.0) - numeric).abs() < 2e-3, "{set:?} {at}: {} against {numeric}", dx[at]);
            }
            for at in [0, 36] {
                let numeric = (value(&x, &moved(&weight, at, 1e-2)).0 - value(&x, &moved(&weight, at, -1e-2)).0) / 2e-2;
                assert!((f64::from(dw[at]) - numeric).abs() < 2e-3, "{set:?} {at}: {} against {numeric}", dw[at]);
            }
        }
    }
}
