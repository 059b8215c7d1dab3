//! Element-wise kernels: addition, biases, and the SwiGLU gate of the feed-forward layer, silu(g)∘u (Shazeer, arXiv
//! 2002.05202).

use crate::bf16::{round, widen};
use crate::instruction_set::dispatch;
use crate::lanes::{exp, madd, sum};
use crate::pairs::{Place, RoundedRows};
use crate::{GRAIN, InstructionSet, grains};
use rayon::prelude::*;

/// Elements that one task adds.
const BLOCK: usize = 16_384;

/// x += y.
///
/// # Panics
/// When the lengths differ.
pub fn add(set: InstructionSet, x: &mut [f32], y: &[f32]) {
    assert_eq!(x.len(), y.len(), "lengths of a sum differ");
    x.par_chunks_mut(BLOCK).zip(y.par_chunks(BLOCK)).for_each(|(x, y)| add_row(set, x, y));
}

/// Adds `bias` to every row of x `[n, bias]`.
///
/// # Panics
/// When x is no whole number of rows.
pub fn add_bias(set: InstructionSet, x: &mut [f32], bias: &[f32]) {
    assert_eq!(x.len() % bias.len().max(1), 0, "x is no whole number of rows");
    x.par_chunks_mut(bias.len() * GRAIN)
        .with_min_len(grains(bias.len()))
        .for_each(|rows| rows.chunks_exact_mut(bias.len()).for_each(|row| add_row(set, row, bias)));
}

/// Adds the column sums of dy to `gradient`, row after row.
///
/// # Panics
/// When dy is no whole number of rows.
pub fn bias_gradient(set: InstructionSet, dy: &[f32], gradient: &mut [f32]) {
    assert_eq!(dy.len() % gradient.len().max(1), 0, "dy is no whole number of rows");
    dy.chunks_exact(gradient.len()).for_each(|row| add_row(set, gradient, row));
}

/// out `[n, w]` = silu(g)∘u for rows of `both` `[n, 2w]`, g before u.
///
/// # Panics
/// When the lengths do not match.
pub fn gate(set: InstructionSet, both: &[f32], width: usize, out: &mut [f32]) {
    assert_eq!(both.len(), 2 * out.len(), "lengths of a gate do not match");
    let rows = out.par_chunks_mut(width * GRAIN).zip(both.par_chunks(2 * width * GRAIN));
    rows.with_min_len(grains(width)).for_each(|(out, both)| {
        for (out, both) in out.chunks_exact_mut(width).zip(both.chunks_exact(2 * width)) {
            let (gate, up) = both.split_at(width);
            gate_row(set, gate, up, out);
        }
    });
}

/// Overwrites g and u in `both` `[n, 2w]` with ∂/∂g and ∂/∂u, given ∂/∂out.
///
/// # Panics
/// When the lengths do not match.
pub fn gate_backward(set: InstructionSet, gradient: &[f32], width: usize, both: &mut [f32]) {
    assert_eq!(both.len(), 2 * gradient.len(), "lengths of a gate do not match");
    both.par_chunks_mut(2 * width * GRAIN).zip(gradient.par_chunks(width * GRAIN)).for_each(|(both, gradient)| {
        for (both, gradient) in both.chunks_exact_mut(2 * width).zip(gradient.chunks_exact(width)) {
            let (gate, up) = both.split_at_mut(width);
            gate_backward_row(set, gradient, gate, up);
        }
    });
}

/// silu(g)∘u for rows of `both` `[n, 2w]` in bf16, appended to `rows`.
///
/// # Panics
/// When the lengths do not match, or there is no room.
pub fn gate_rounded(set: InstructionSet, both: &[u16], width: usize, rows: &mut RoundedRows) -> Place {
    assert_eq!(both.len(), rows.rows() * 2 * width, "lengths of a gate do not match");
    let mut nothing = vec![(); rows.rows()];
    rows.push_with(width, &mut nothing, |row, out, ()| {
        let (gate, up) = both[row * 2 * width..][..2 * width].split_at(width);
        gate_rounded_row(set, gate, up, out);
    })
}

/// ∂/∂g and ∂/∂u side by side, appended to `rows`, given ∂/∂out `[n, w]` and `both` `[n, 2w]` in bf16. `out` `[n, w]`
/// receives the recomputed output of the gate, which shares the exponentials.
///
/// # Panics
/// When the lengths do not match, or there is no room.
pub fn gate_backward_rounded(
    set: InstructionSet,
    gradient: &[u16],
    both: &[u16],
    width: usize,
    rows: &mut RoundedRows,
    out: &mut [u16],
) -> Place {
    assert!(
        both.len() == rows.rows() * 2 * width && both.len() == 2 * gradient.len() && gradient.len() == out.len(),
        "lengths of a gate do not match"
    );
    let mut out: Vec<_> = out.chunks_exact_mut(width).collect();
    rows.push_with(2 * width, &mut out, |row, gradients, out| {
        let (both, gradient) =
            (both[row * 2 * width..][..2 * width].split_at(width), &gradient[row * width..][..width]);
        gate_backward_rounded_row(set, gradient, both, gradients.split_at_mut(width), out);
    })
}

dispatch!(pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 = dot_body);

#[inline(always)]
fn dot_body<const FMA: bool>(a: &[f32], b: &[f32]) -> f32 {
    let b = &b[..a.len()];
    sum(a.len(), |i, so_far| madd::<FMA>(a[i], b[i], so_far))
}

dispatch!(fn add_row(x: &mut [f32], y: &[f32]) = add_body);
dispatch!(fn gate_row(gate: &[f32], up: &[f32], out: &mut [f32]) = gate_body);
dispatch!(fn gate_backward_row(gradient: &[f32], gate: &mut [f32], up: &mut [f32]) = gate_backward_body);
dispatch!(fn gate_rounded_row(gate: &[u16], up: &[u16], out: &mut [u16]) = gate_rounded_body);
dispatch!(
    fn gate_backward_rounded_row(
        gradient: &[u16],
        given: (&[u16], &[u16]),
        gradients: (&mut [u16], &mut [u16]),
        out: &mut [u16],
    ) = gate_backward_rounded_body
);

#[inline(always)]
fn add_body<const FMA: bool>(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

#[inline(always)]
fn gate_body<const FMA: bool>(gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
        *out = gated::<FMA>(*gate, *up);
    }
}

#[inline(always)]
fn gate_rounded_body<const FMA: bool>(gate: &[u16], up: &[u16], out: &mut [u16]) {
    for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
        *out = round(gated::<FMA>(widen(*gate), widen(*up)));
    }
}

/// silu(g)∘u with silu(g) = g·σ(g).
#[inline(always)]
fn gated<const FMA: bool>(gate: f32, up: f32) -> f32 {
    gate * sigmoid::<FMA>(gate) * up
}

#[inline(always)]
fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FMA>(-x))
}

#[inline(always)]
fn gate_backward_body<const FMA: bool>(gradient: &[f32], gate: &mut [f32], up: &mut [f32]) {
    for ((gradient, gate), up) in gradient.iter().zip(gate).zip(up) {
        [*gate, *up, _] = gate_gradients::<FMA>(*gradient, *gate, *up);
    }
}

#[inline(always)]
fn gate_backward_rounded_body<const FMA: bool>(
    gradient: &[u16],
    (gate, up): (&[u16], &[u16]),
    (gate_gradients_out, up_gradients_out): (&mut [u16], &mut [u16]),
    out: &mut [u16],
) {
    let given = gradient.iter().zip(gate).zip(up);
    let targets = gate_gradients_out.iter_mut().zip(up_gradients_out).zip(out);
    for (((gradient, gate), up), ((gate_gradient, up_gradient), out)) in given.zip(targets) {
        let found = gate_gradients::<FMA>(widen(*gradient), widen(*gate), widen(*up));
        [*gate_gradient, *up_gradient, *out] = found.map(round);
    }
}

/// ∂/∂g, ∂/∂u and silu(g)∘u, with silu'(g) = σ·(1 + g·(1 − σ)).
#[inline(always)]
fn gate_gradients<const FMA: bool>(gradient: f32, gate: f32, up: f32) -> [f32; 3] {
    let sigma = sigmoid::<FMA>(gate);
    let silu = gate * sigma;
    [gradient * up * madd::<FMA>(silu, 1.0 - sigma, sigma), gradient * silu, silu * up]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_gradient_agrees_with_finite_differences_on_every_level() {
        let (rows, width) = (9, 21);
        let both: Vec<f32> = (0..rows * 2 * width).map(|i| (i as f32 * 0.37).sin() * 3.0).collect();
        let upstream: Vec<f32> = (0..rows * width).map(|i| (i as f32 * 0.11).cos()).collect();
        for set in InstructionSet::all() {
            let value = |both: &[f32]| {
                let mut out = vec![0.0; rows * width];
                gate(set, both, width, &mut out);
                out.iter().zip(&upstream).map(|(a, b)| f64::from(a * b)).sum::<f64>()
            };
            let mut gradients = both.clone();
            gate_backward(set, &upstream, width, &mut gradients);
            for at in [0, 20, 21, 300, rows * 2 * width - 1] {
                let moved = |step: f32| {
                    let mut both = both.clone();
                    both[at] += step;
                    value(&both)
                };
                let numeric = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                assert!(
                    (f64::from(gradients[at]) - numeric).abs() < 1e-3,
                    "{set:?} {at}: {} against {numeric}",
                    gradients[at]
                );
            }
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn bf16_gates_are_the_gates_of_rounded_inputs() {
        use crate::{Mat, MatMut, Source, Term, Threads};
        let (rows, width) = (37, 45);
        let bits = |values: &[f32]| values.iter().copied().map(round).collect::<Vec<u16>>();
        let wide = |values: &[u16]| values.iter().copied().map(widen).collect::<Vec<f32>>();
        let both = bits(&(0..rows * 2 * width).map(|i| (i as f32 * 0.37).sin() * 3.0).collect::<Vec<_>>());
        let upstream: Vec<f32> = (0..rows * width).map(|i| (i as f32 * 0.11).cos()).collect();
        for set in InstructionSet::all().filter(|set| set.takes_pairs()) {
            // The rows are read back by multiplying them with the identity.
            let read = |rounded: &RoundedRows, place: Place, width: usize| {
                let unit: Vec<f32> = (0..width * width).map(|i| f32::from(u8::from(i / width == i % width))).collect();
                let unit = Source::rounded(Mat::new(&unit, width, width), 1.0);
                let mut out = vec![0.0; rows * width];
                let target = MatMut::new(&mut out, rows, width);
                rounded.times(&[Term::plain(place, unit, 0)], target, false, 1.0, Threads::Pool);
                out
            };
            let mut expected = vec![0.0; rows * width];
            gate(set, &wide(&both), width, &mut expected);
            let mut rounded = RoundedRows::new(set, rows, [width]);
            let place = gate_rounded(set, &both, width, &mut rounded);
            assert!(read(&rounded, place, width) == wide(&bits(&expected)), "{set:?}");

            let (mut expected, mut again) = (wide(&both), vec![0; rows * width]);
            gate_backward(set, &wide(&bits(&upstream)), width, &mut expected);
            let mut rows_back = RoundedRows::new(set, rows, [2 * width]);
            let place_back = gate_backward_rounded(set, &bits(&upstream), &both, width, &mut rows_back, &mut again);
            assert!(read(&rows_back, place_back, 2 * width) == wide(&bits(&expected)), "{set:?}, back");
            assert!(read(&rounded, place, width) == wide(&again), "{set:?}, again");
        }
    }

    #[test]
    fn biases_and_their_gradients_are_column_sums() {
        let set = InstructionSet::best();
        let mut x = vec![1.0; 6];
        add_bias(set, &mut x, &[1.0, 2.0, 3.0]);
        assert_eq!(x, [2.0, 3.0, 4.0, 2.0, 3.0, 4.0]);
        let mut gradient = vec![1.0; 3];
        bias_gradient(set, &x, &mut gradient);
        assert_eq!(gradient, [5.0, 7.0, 9.0]);
    }
}
