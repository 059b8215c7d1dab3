//! The second half of a block: y = x₂ + W_down·(silu(g)∘u) with (g, u) = W_gu·norm x₂, forward and backward.
//!
//! Where products take numbers in pairs, g and u are kept as bf16, and what the gate gives is written as the rounded rows
//! that the next product reads; so is what goes back through it. Dropout needs rows of its own for each adapter and takes
//! the other way, as f32.

use super::block::{Kept, norm_backward};
use super::linear::{Dropped, backward, forward, forward_normed, inner_values};
use super::paired::{self, Results};
use super::pass::Pass;
use super::pool::Stored;
use super::weights::Group;
use alidade_kernels as kernels;
use kernels::{Mat, MatMut, Panels, Place, RoundedRows, Source};

/// The rows that the last product of a block reads.
enum Gated {
    Single(Vec<f32>),
    Half(RoundedRows, Place),
}

/// y for a block whose first half is done.
pub(super) fn feed_forward(pass: &mut Pass, layer: usize, kept: &mut Kept) -> Vec<f32> {
    widen(pass, layer, kept);
    let mut y = pass.pool.stream(&kept.middle);
    kept.inner[3] = match (gated(pass, layer, kept), pass.paired_feed_forward(layer)) {
        (Gated::Half(rounded, place), Some([_, w])) => {
            let inner = paired::inner_values(pass, layer, Group::Narrow, &rounded, place, &[]);
            let out = MatMut::new(&mut y, pass.layout.rows(), pass.spec.hidden);
            paired::finish(pass, layer, Group::Narrow, w, (rounded, place), &inner, Results::Single(out, true));
            inner
        }
        (Gated::Single(gated), _) => {
            let inner = forward(pass, layer, Group::Narrow, &gated, &mut y, true);
            pass.pool.give([gated]);
            inner
        }
        (Gated::Half(..), None) => unreachable!("rounded rows come from paired products alone"),
    };
    y
}

/// What [`feed_forward`] leaves in `kept`, without y.
pub(super) fn feed_forward_again(pass: &mut Pass, layer: usize, kept: &mut Kept) {
    widen(pass, layer, kept);
    kept.inner[3] = match gated(pass, layer, kept) {
        Gated::Half(rounded, place) => paired::inner_values(pass, layer, Group::Narrow, &rounded, place, &[]),
        Gated::Single(gated) => {
            let inner = inner_values(pass, layer, Group::Narrow, &gated);
            pass.pool.give([gated]);
            inner
        }
    };
}

/// Gate and up.
fn widen(pass: &mut Pass, layer: usize, kept: &mut Kept) {
    let (rows, width) = (pass.layout.rows(), 2 * pass.spec.intermediate);
    let norm = pass.weights.blocks[layer].mlp_norm;
    let found = if let Some([w, _]) = pass.paired_feed_forward(layer) {
        let mut widened = pass.pool.take_half(rows * width);
        let out = Results::Half(MatMut::new(&mut widened, rows, width));
        let found = paired::forward_normed(pass, layer, Group::Widen, w, &kept.middle, norm, out);
        kept.widened = Some(Stored::Half(widened));
        found
    } else {
        let mut widened = pass.pool.take(rows * width);
        let found = forward_normed(pass, layer, Group::Widen, &kept.middle, norm, &mut widened);
        kept.widened = Some(Stored::Single(widened));
        found
    };
    let [inner, inverse] = found;
    let earlier = [std::mem::replace(&mut kept.inner[2], inner), std::mem::replace(&mut kept.inverses[1], inverse)];
    pass.pool.give(earlier);
}

/// silu(g)∘u, with room for what stands beside it.
fn gated(pass: &mut Pass, layer: usize, kept: &Kept) -> Gated {
    let (rows, width) = (pass.layout.rows(), pass.spec.intermediate);
    match &kept.widened {
        Some(Stored::Half(widened)) => {
            let mut rounded = paired::rows_for(pass, layer, Group::Narrow);
            let place = kernels::gate_rounded(pass.set, widened, width, &mut rounded);
            Gated::Half(rounded, place)
        }
        Some(Stored::Single(widened)) => {
            let mut gated = pass.pool.take(rows * width);
            kernels::gate(pass.set, widened, width, &mut gated);
            Gated::Single(gated)
        }
        None => unreachable!("gate and up are computed before the gate"),
    }
}

/// Adds to `dx`, which is ∂/∂y, what goes back through this half.
pub(super) fn feed_forward_backward(pass: &mut Pass, layer: usize, kept: &mut Kept, dx: &mut [f32]) {
    let (rows, width) = (pass.layout.rows(), pass.spec.intermediate);
    let norm = pass.weights.blocks[layer].mlp_norm;
    if kept.widened.is_none() {
        widen(pass, layer, kept);
    }
    match (pass.paired_feed_forward(layer), kept.widened.take()) {
        (Some(weights), Some(Stored::Half(widened))) => {
            paired_backward(pass, layer, weights, kept, &widened, dx);
            pass.pool.give_half(widened);
        }
        (_, Some(Stored::Single(mut widened))) => {
            let (mut upstream, mut gated) = (pass.pool.take(rows * width), pass.pool.take(rows * width));
            kernels::gate(pass.set, &widened, width, &mut gated);
            let input = Dropped { input: &gated, inner: &kept.inner[3] };
            backward(pass, layer, Group::Narrow, &input, dx, Some(&mut upstream));
            kernels::gate_backward(pass.set, &upstream, width, &mut widened);
            norm_backward(pass, layer, Group::Widen, &kept.middle, norm, kept, &widened, dx, true);
            pass.pool.give([gated, widened, upstream]);
        }
        _ => unreachable!("gate and up are held as the pass that reads them holds them"),
    }
}

/// The same where gate and up are bf16: what comes back to the gate is rounded as well.
fn paired_backward(
    pass: &mut Pass,
    layer: usize,
    [widen, narrow]: [&Panels; 2],
    kept: &Kept,
    widened: &[u16],
    dx: &mut [f32],
) {
    let (rows, width) = (pass.layout.rows(), pass.spec.intermediate);
    let [mut upstream, mut gated] = [(); 2].map(|()| pass.pool.take_half(rows * width));
    let mut slopes = paired::slopes_for(pass, layer, Group::Narrow);
    let own = slopes.push(Mat::new(dx, rows, pass.spec.hidden), 1.0, kernels::Threads::Pool);
    let out = Some(Results::Half(MatMut::new(&mut upstream, rows, width)));
    let inner = paired::back(pass, layer, Group::Narrow, narrow, (slopes, own), None, &kept.inner[3], out);

    let mut slopes = paired::slopes_for(pass, layer, Group::Widen);
    let own = kernels::gate_backward_rounded(pass.set, &upstream, widened, width, &mut slopes, &mut gated);
    paired::input_gradient(pass, layer, Group::Narrow, &inner, Source::half(&gated, rows, width, width));
    let (slopes, earlier) = ((slopes, own), [&kept.inner[2][..], &kept.inverses[1]]);
    let norm = pass.weights.blocks[layer].mlp_norm;
    paired::back_normed(pass, layer, Group::Widen, widen, slopes, &kept.middle, norm, earlier, Some(dx));
    pass.pool.give([inner]);
    pass.pool.give_half(upstream);
    pass.pool.give_half(gated);
}
