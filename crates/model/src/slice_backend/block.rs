//! One pre-norm block over rows without padding, forward and backward (Touvron et al., arXiv 2302.13971, section 2.2):
//! x₂ = x + Wₒ·attention(rope(W_qkv·norm x)), y = x₂ + W_down·(silu(g)∘u) with (g, u) = W_gu·norm x₂.
//!
//! The second half is `feed_forward`. Saved for the backward pass: the block's input, queries, keys and values, the
//! attention output, x₂ and (g, u). The norms and the gate are recomputed; they cost little compared with the matmuls.
//! Where matmuls round their operands to bf16, those are saved as bf16.

use super::bf16_matmul::{self, Results};
use super::buffer_pool::Stored;
use super::feed_forward::{feed_forward, feed_forward_backward, recompute_feed_forward};
use super::linear::{Dropped, backward, forward_normed, forward_stored};
use super::pass::Pass;
use super::weights::{Block, Group};
use alidade_kernels as kernels;
use kernels::{Direction, Mat, MatMut, Operands, SavedAttention, SavedRoundedAttention, Source, Threads};

/// What the backward pass through a block reads.
pub(super) struct SavedActivations {
    pub(super) input: Vec<f32>,
    qkv: Stored,
    /// Queries and keys before their norms, and the inverse RMS of each head.
    before_norms: Option<[Vec<f32>; 2]>,
    attended: Stored,
    log_sums: Vec<f32>,
    /// x₂; empty when it was dropped.
    pub(super) middle: Vec<f32>,
    /// Gate and up, unless they were dropped.
    pub(super) gate_up: Option<Stored>,
    pub(super) inner: [Vec<f32>; 4],
    pub(super) inverses: [Vec<f32>; 2],
}

impl SavedActivations {
    /// Drops the residual stream between the halves; the backward pass recomputes it.
    pub(super) fn drop_middle(&mut self, pass: &mut Pass) {
        pass.pool.give_stream(std::mem::take(&mut self.middle));
    }

    /// Drops gate and up; the backward pass recomputes them.
    pub(super) fn drop_gate_up(&mut self, pass: &mut Pass) {
        if let Some(gate_up) = self.gate_up.take() {
            pass.pool.give_stored(gate_up);
        }
    }

    /// Returns all buffers to the pool but the input.
    pub(super) fn release(mut self, pass: &mut Pass) -> Vec<f32> {
        self.drop_gate_up(pass);
        let SavedActivations { input, qkv, before_norms, attended, log_sums, middle, gate_up: _, inner, inverses } =
            self;
        pass.pool.give_stored(qkv);
        pass.pool.give_stored(attended);
        pass.pool.give_stream(middle);
        pass.pool.give([log_sums]);
        pass.pool.give(inner);
        pass.pool.give(inverses);
        if let Some(before) = before_norms {
            pass.pool.give(before);
        }
        input
    }
}

/// The rotated queries, keys and values that attention read, its output `[n, heads·d]`, and its log-sum-exps for the
/// backward pass.
pub(super) struct Attended {
    pub(super) qkv: Stored,
    pub(super) out: Stored,
    pub(super) log_sums: Vec<f32>,
}

/// Runs block `layer` on x `[n, H]`.
pub(super) fn block_forward(pass: &mut Pass, layer: usize, x: Vec<f32>) -> (Vec<f32>, SavedActivations) {
    block_forward_with(pass, layer, x, attend_rows)
}

/// Recomputes the saved activations of block `layer`, without its output: the last matmul is skipped.
pub(super) fn recompute_block(pass: &mut Pass, layer: usize, x: Vec<f32>) -> SavedActivations {
    let mut saved = first_half(pass, layer, x, attend_rows);
    recompute_feed_forward(pass, layer, &mut saved);
    saved
}

/// [`block_forward`] with another attention over the projected queries, keys and values.
pub(super) fn block_forward_with(
    pass: &mut Pass,
    layer: usize,
    x: Vec<f32>,
    attend_rows: impl FnOnce(&mut Pass, usize, Vec<f32>) -> Attended,
) -> (Vec<f32>, SavedActivations) {
    let mut saved = first_half(pass, layer, x, attend_rows);
    let y = feed_forward(pass, layer, &mut saved);
    (y, saved)
}

/// The attention half.
fn first_half(
    pass: &mut Pass,
    layer: usize,
    x: Vec<f32>,
    attend_rows: impl FnOnce(&mut Pass, usize, Vec<f32>) -> Attended,
) -> SavedActivations {
    let block = pass.weights.blocks[layer].clone();
    let mut qkv = pass.pool.take(pass.layout.rows() * pass.shape(layer).row());
    let [inner, inverse] = forward_normed(pass, layer, Group::Qkv, &x, block.attention_norm, &mut qkv);
    let before_norms = head_norms(pass, &block, &mut qkv);
    let Attended { qkv, out, log_sums } = attend_rows(pass, layer, qkv);
    let (inner, inverses) = ([inner, Vec::new(), Vec::new(), Vec::new()], [inverse, Vec::new()]);
    let (middle, gate_up) = (Vec::new(), None);
    let mut saved =
        SavedActivations { input: x, qkv, before_norms, attended: out, log_sums, middle, gate_up, inner, inverses };
    add_attention(pass, layer, &mut saved);
    saved
}

/// x₂, the residual stream after attention.
fn add_attention(pass: &mut Pass, layer: usize, saved: &mut SavedActivations) {
    saved.middle = pass.pool.stream(&saved.input);
    let inner = forward_stored(pass, layer, Group::Output, &saved.attended, &mut saved.middle);
    pass.pool.give([std::mem::replace(&mut saved.inner[1], inner)]);
}

/// Causal attention over all documents: each row attends to its own document up to itself.
fn attend_rows(pass: &mut Pass, layer: usize, mut qkv: Vec<f32>) -> Attended {
    let qkv = match pass.operands() {
        Operands::Bf16 => Stored::Bf16(pass.rotate_rounded(layer, qkv)),
        Operands::F32 => {
            pass.rotate(layer, Direction::Forward, &mut qkv);
            Stored::F32(qkv)
        }
    };
    attend_rotated(pass, layer, qkv)
}

/// The same for queries and keys that are rotated already.
pub(super) fn attend_rotated(pass: &mut Pass, layer: usize, qkv: Stored) -> Attended {
    let (rows, shape) = (pass.layout.rows(), pass.shape(layer));
    let (width, segments) = (shape.heads * shape.head_dim, &pass.layout.segments);
    let mut log_sums = pass.pool.take(rows * shape.heads);
    let out = match &qkv {
        Stored::F32(qkv) => {
            let mut out = pass.pool.take(rows * width);
            let (view, target) = (Mat::new(qkv, rows, shape.row()), MatMut::new(&mut out, rows, width));
            kernels::attention(pass.set, &shape, segments, view, target, &mut log_sums);
            Stored::F32(out)
        }
        Stored::Bf16(qkv) => {
            let mut out = pass.pool.take_bf16(rows * width);
            let target = MatMut::new(&mut out, rows, width);
            kernels::rounded_attention(pass.set, &shape, segments, qkv, target, &mut log_sums);
            Stored::Bf16(out)
        }
    };
    Attended { qkv, out, log_sums }
}

/// Normalises queries and keys head by head, where the family does so; returns the values before and the inverse RMS.
fn head_norms(pass: &mut Pass, block: &Block, qkv: &mut [f32]) -> Option<[Vec<f32>; 2]> {
    let norms = block.head_norms?;
    let (spec, rows) = (pass.spec, pass.layout.rows());
    let heads = [spec.heads, spec.kv_heads];
    let width = (spec.heads + spec.kv_heads) * spec.head_dim;
    let (mut before, mut inverses) = (pass.pool.take(rows * width), pass.pool.take(rows * width / spec.head_dim));
    let stride = qkv.len() / rows;
    for (row, before) in qkv.chunks_exact(stride).zip(before.chunks_exact_mut(width)) {
        before.copy_from_slice(&row[..width]);
    }
    let weights = norms.map(|norm| pass.weights.floats(norm));
    let epsilon = spec.norm_epsilon as f32;
    kernels::norm_heads(pass.set, &before, heads, weights, epsilon, qkv, &mut inverses);
    Some([before, inverses])
}

/// Backward pass through block `layer`: returns ∂/∂input given ∂/∂y. Without `further` nothing reads it, and the last
/// matmul is skipped.
pub(super) fn block_backward(
    pass: &mut Pass,
    layer: usize,
    mut saved: SavedActivations,
    dy: Vec<f32>,
    further: bool,
) -> Vec<f32> {
    let block = pass.weights.blocks[layer].clone();
    let mut dx = dy;
    if saved.middle.is_empty() {
        add_attention(pass, layer, &mut saved);
    }
    feed_forward_backward(pass, layer, &mut saved, &mut dx);
    let mut gradients = attention_backward(pass, layer, &saved, &dx);
    pass.rotate(layer, Direction::Backward, &mut gradients);
    head_norms_backward(pass, &block, &saved, &mut gradients);
    norm_backward(pass, layer, Group::Qkv, &saved.input, block.attention_norm, &saved, &gradients, &mut dx, further);
    pass.pool.give([gradients]);
    let input = saved.release(pass);
    pass.pool.give_stream(input);
    dx
}

/// ∂/∂qkv, given ∂/∂x₂.
fn attention_backward(pass: &mut Pass, layer: usize, saved: &SavedActivations, dx: &[f32]) -> Vec<f32> {
    let (rows, shape) = (pass.layout.rows(), pass.shape(layer));
    let width = shape.heads * shape.head_dim;
    let out_gradient = output_backward(pass, layer, saved, dx);
    let mut gradients = pass.pool.take(rows * shape.row());
    let (target, segments, log_sums) =
        (MatMut::new(&mut gradients, rows, shape.row()), &pass.layout.segments, &saved.log_sums);
    match (&saved.qkv, &saved.attended, &out_gradient) {
        (Stored::F32(qkv), Stored::F32(out), Stored::F32(out_gradient)) => {
            let (qkv, out) = (Mat::new(qkv, rows, shape.row()), Mat::new(out, rows, width));
            let earlier = SavedAttention { qkv, out, log_sums };
            kernels::attention_backward(
                pass.set,
                &shape,
                segments,
                earlier,
                Mat::new(out_gradient, rows, width),
                target,
            );
        }
        (Stored::Bf16(qkv), Stored::Bf16(out), Stored::Bf16(out_gradient)) => {
            let earlier = SavedRoundedAttention { qkv, out, log_sums };
            kernels::rounded_attention_backward(pass.set, &shape, segments, earlier, out_gradient, target);
        }
        _ => unreachable!("attention reads and writes rows of one dtype"),
    }
    pass.pool.give_stored(out_gradient);
    gradients
}

/// The gradient of the attention output, in its dtype, given ∂/∂x₂.
fn output_backward(pass: &mut Pass, layer: usize, saved: &SavedActivations, dx: &[f32]) -> Stored {
    let stacked = pass.weights.blocks[layer].groups[Group::Output as usize];
    let (rows, inner) = (pass.layout.rows(), &saved.inner[1]);
    let wide = match (&saved.attended, pass.packed_bf16_no_dropout(stacked.matrix)) {
        (Stored::Bf16(attended), Some(w)) => {
            let mut out_gradient = pass.pool.take_bf16(attended.len());
            let mut gradients = bf16_matmul::gradient_rows_for(pass, layer, Group::Output);
            let own = gradients.push(Mat::new(dx, rows, stacked.outputs), 1.0, Threads::Pool);
            let input = Source::bf16(attended, rows, stacked.inputs, stacked.inputs);
            let out = Some(Results::Bf16(MatMut::new(&mut out_gradient, rows, stacked.inputs)));
            let other =
                bf16_matmul::backward_rows(pass, layer, Group::Output, w, (gradients, own), Some(input), inner, out);
            pass.pool.give([other]);
            return Stored::Bf16(out_gradient);
        }
        (Stored::F32(attended), _) => {
            let mut out_gradient = pass.pool.take(attended.len());
            backward(pass, layer, Group::Output, &Dropped { input: attended, inner }, dx, Some(&mut out_gradient));
            return Stored::F32(out_gradient);
        }
        (Stored::Bf16(attended), None) => pass.widen(attended),
    };
    let mut out_gradient = pass.pool.take(wide.len());
    backward(pass, layer, Group::Output, &Dropped { input: &wide, inner }, dx, Some(&mut out_gradient));
    let rounded = pass.round(&out_gradient);
    pass.pool.give([wide, out_gradient]);
    Stored::Bf16(rounded)
}

/// Backward pass through a group that reads the norm of `x`, and through that norm; adds to `dx`.
#[allow(clippy::too_many_arguments, reason = "the two halves of a block differ in just these")]
pub(super) fn norm_backward(
    pass: &mut Pass,
    layer: usize,
    group: Group,
    x: &[f32],
    norm: usize,
    saved: &SavedActivations,
    gradients: &[f32],
    dx: &mut [f32],
    further: bool,
) {
    let (rows, half) = (pass.layout.rows(), usize::from(group == Group::GateUp));
    let stacked = pass.weights.blocks[layer].groups[group as usize];
    if let Some(w) = pass.packed_bf16_no_dropout(stacked.matrix) {
        let mut rounded = bf16_matmul::gradient_rows_for(pass, layer, group);
        let own = rounded.push(Mat::new(gradients, rows, stacked.outputs), 1.0, Threads::Pool);
        let earlier = [&saved.inner[2 * half][..], &saved.inverses[half]];
        return bf16_matmul::backward_normed(
            pass,
            layer,
            group,
            w,
            (rounded, own),
            x,
            norm,
            earlier,
            further.then_some(dx),
        );
    }
    let (normed, again) = pass.norm(x, norm);
    let input = Dropped { input: &normed, inner: &saved.inner[2 * half] };
    if !further && !pass.trains_base() {
        backward(pass, layer, group, &input, gradients, None);
        pass.pool.give([normed, again]);
        return;
    }
    let mut upstream = pass.pool.take(dx.len());
    backward(pass, layer, group, &input, gradients, Some(&mut upstream));
    pass.norm_backward(&upstream, x, norm, &saved.inverses[half], dx);
    pass.pool.give([normed, again, upstream]);
}

fn head_norms_backward(pass: &mut Pass, block: &Block, saved: &SavedActivations, gradients: &mut [f32]) {
    let (Some(norms), Some([before, inverses])) = (block.head_norms, &saved.before_norms) else { return };
    let spec = pass.spec;
    let weights = norms.map(|norm| pass.weights.floats(norm));
    let heads = [spec.heads, spec.kv_heads];
    if let Some(base) = pass.gradients.as_mut() {
        let mut sums = norms.map(|norm| std::mem::take(&mut base[norm]));
        kernels::head_norm_weight_gradients(pass.set, gradients, before, heads, inverses, &mut sums);
        norms.into_iter().zip(sums).for_each(|(norm, sum)| base[norm] = sum);
    }
    kernels::norm_heads_backward(pass.set, before, heads, weights, inverses, gradients);
}
