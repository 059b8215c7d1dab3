//! The second half of a block: y = x₂ + W_down·(silu(g)∘u) with (g, u) = W_gu·norm x₂, forward and backward.
//!
//! Where matmuls take bf16 pairs, g and u are saved as bf16, and the output of the gate is written as the packed rows that
//! the next matmul reads, as are its gradients in the backward pass. Dropout needs separate rows for each adapter and uses
//! the f32 path.

use super::bf16_matmul::{self, Results};
use super::block::{SavedActivations, norm_backward};
use super::buffer_pool::Stored;
use super::linear::{Dropped, backward, forward, forward_normed, inner_values};
use super::pass::Pass;
use super::weights::Group;
use alidade_kernels as kernels;
use kernels::{Mat, MatMut, Panels, Place, RoundedRows, Source};

/// The output of the gate, which the down projection reads.
enum Gated {
    F32(Vec<f32>),
    Bf16(RoundedRows, Place),
}

/// y, given the saved activations of the attention half.
pub(super) fn feed_forward(pass: &mut Pass, layer: usize, saved: &mut SavedActivations) -> Vec<f32> {
    compute_gate_up(pass, layer, saved);
    let mut y = pass.pool.stream(&saved.middle);
    saved.inner[3] = match (gated(pass, layer, saved), pass.packed_feed_forward(layer)) {
        (Gated::Bf16(rounded, place), Some([_, w])) => {
            let inner = bf16_matmul::inner_values(pass, layer, Group::Down, &rounded, place, &[]);
            let out = MatMut::new(&mut y, pass.layout.rows(), pass.spec.hidden);
            bf16_matmul::finish(pass, layer, Group::Down, w, (rounded, place), &inner, Results::F32(out, true));
            inner
        }
        (Gated::F32(gated), _) => {
            let inner = forward(pass, layer, Group::Down, &gated, &mut y, true);
            pass.pool.give([gated]);
            inner
        }
        (Gated::Bf16(..), None) => unreachable!("packed rows come from bf16 matmuls alone"),
    };
    y
}

/// Recomputes what [`feed_forward`] saves, without y.
pub(super) fn recompute_feed_forward(pass: &mut Pass, layer: usize, saved: &mut SavedActivations) {
    compute_gate_up(pass, layer, saved);
    saved.inner[3] = match gated(pass, layer, saved) {
        Gated::Bf16(rounded, place) => bf16_matmul::inner_values(pass, layer, Group::Down, &rounded, place, &[]),
        Gated::F32(gated) => {
            let inner = inner_values(pass, layer, Group::Down, &gated);
            pass.pool.give([gated]);
            inner
        }
    };
}

/// Gate and up.
fn compute_gate_up(pass: &mut Pass, layer: usize, saved: &mut SavedActivations) {
    let (rows, width) = (pass.layout.rows(), 2 * pass.spec.intermediate);
    let norm = pass.weights.blocks[layer].mlp_norm;
    let found = if let Some([w, _]) = pass.packed_feed_forward(layer) {
        let mut gate_up = pass.pool.take_bf16(rows * width);
        let out = Results::Bf16(MatMut::new(&mut gate_up, rows, width));
        let found = bf16_matmul::forward_normed(pass, layer, Group::GateUp, w, &saved.middle, norm, out);
        saved.gate_up = Some(Stored::Bf16(gate_up));
        found
    } else {
        let mut gate_up = pass.pool.take(rows * width);
        let found = forward_normed(pass, layer, Group::GateUp, &saved.middle, norm, &mut gate_up);
        saved.gate_up = Some(Stored::F32(gate_up));
        found
    };
    let [inner, inverse] = found;
    let earlier = [std::mem::replace(&mut saved.inner[2], inner), std::mem::replace(&mut saved.inverses[1], inverse)];
    pass.pool.give(earlier);
}

/// silu(g)∘u, with room for the inner values beside it.
fn gated(pass: &mut Pass, layer: usize, saved: &SavedActivations) -> Gated {
    let (rows, width) = (pass.layout.rows(), pass.spec.intermediate);
    match &saved.gate_up {
        Some(Stored::Bf16(gate_up)) => {
            let mut rounded = bf16_matmul::rows_for(pass, layer, Group::Down);
            let place = kernels::gate_rounded(pass.set, gate_up, width, &mut rounded);
            Gated::Bf16(rounded, place)
        }
        Some(Stored::F32(gate_up)) => {
            let mut gated = pass.pool.take(rows * width);
            kernels::gate(pass.set, gate_up, width, &mut gated);
            Gated::F32(gated)
        }
        None => unreachable!("gate and up are computed before the gate"),
    }
}

/// Backward pass of this half: adds its gradient to `dx`, which holds ∂/∂y.
pub(super) fn feed_forward_backward(pass: &mut Pass, layer: usize, saved: &mut SavedActivations, dx: &mut [f32]) {
    let (rows, width) = (pass.layout.rows(), pass.spec.intermediate);
    let norm = pass.weights.blocks[layer].mlp_norm;
    if saved.gate_up.is_none() {
        compute_gate_up(pass, layer, saved);
    }
    match (pass.packed_feed_forward(layer), saved.gate_up.take()) {
        (Some(weights), Some(Stored::Bf16(gate_up))) => {
            bf16_backward(pass, layer, weights, saved, &gate_up, dx);
            pass.pool.give_bf16(gate_up);
        }
        (_, Some(Stored::F32(mut gate_up))) => {
            let (mut upstream, mut gated) = (pass.pool.take(rows * width), pass.pool.take(rows * width));
            kernels::gate(pass.set, &gate_up, width, &mut gated);
            let input = Dropped { input: &gated, inner: &saved.inner[3] };
            backward(pass, layer, Group::Down, &input, dx, Some(&mut upstream));
            kernels::gate_backward(pass.set, &upstream, width, &mut gate_up);
            norm_backward(pass, layer, Group::GateUp, &saved.middle, norm, saved, &gate_up, dx, true);
            pass.pool.give([gated, gate_up, upstream]);
        }
        _ => unreachable!("gate and up have the dtype of the pass that reads them"),
    }
}

/// The same where gate and up are bf16: the gradient of the gate output is bf16 as well.
fn bf16_backward(
    pass: &mut Pass,
    layer: usize,
    [gate_up_w, down_w]: [&Panels; 2],
    saved: &SavedActivations,
    gate_up: &[u16],
    dx: &mut [f32],
) {
    let (rows, width) = (pass.layout.rows(), pass.spec.intermediate);
    let [mut upstream, mut gated] = [(); 2].map(|()| pass.pool.take_bf16(rows * width));
    let mut gradients = bf16_matmul::gradient_rows_for(pass, layer, Group::Down);
    let own = gradients.push(Mat::new(dx, rows, pass.spec.hidden), 1.0, kernels::Threads::Pool);
    let out = Some(Results::Bf16(MatMut::new(&mut upstream, rows, width)));
    let inner =
        bf16_matmul::backward_rows(pass, layer, Group::Down, down_w, (gradients, own), None, &saved.inner[3], out);

    let mut gradients = bf16_matmul::gradient_rows_for(pass, layer, Group::GateUp);
    let own = kernels::gate_backward_rounded(pass.set, &upstream, gate_up, width, &mut gradients, &mut gated);
    bf16_matmul::input_gradient(pass, layer, Group::Down, &inner, Source::bf16(&gated, rows, width, width));
    let (gradients, earlier) = ((gradients, own), [&saved.inner[2][..], &saved.inverses[1]]);
    let norm = pass.weights.blocks[layer].mlp_norm;
    bf16_matmul::backward_normed(
        pass,
        layer,
        Group::GateUp,
        gate_up_w,
        gradients,
        &saved.middle,
        norm,
        earlier,
        Some(dx),
    );
    pass.pool.give([inner]);
    pass.pool.give_bf16(upstream);
    pass.pool.give_bf16(gated);
}
