//! One pre-norm block over rows without padding, forward and backward (Touvron et al., arXiv 2302.13971, section 2.2):
//! x₂ = x + Wₒ·attention(rope(W_qkv·norm x)), y = x₂ + W_down·(silu(g)∘u) with (g, u) = W_gu·norm x₂.
//!
//! The second half is `feed_forward`. Kept for the way back: the block's input, queries, keys and values, what attention
//! gave, x₂ and (g, u). The norms and the gate are computed again; they cost little beside the products.

use super::feed_forward::{Widened, feed_forward, feed_forward_again, feed_forward_backward};
use super::linear::{Dropped, backward, forward};
use super::pass::Pass;
use super::weights::{Block, Group};
use alidade_kernels as kernels;
use kernels::{Direction, Kept as KeptAttention, Mat, MatMut};

/// What the way back through a block needs.
pub(super) struct Kept {
    pub(super) input: Vec<f32>,
    qkv: Vec<f32>,
    /// Queries and keys before their norms, and the inverse of each head's size.
    before_norms: Option<[Vec<f32>; 2]>,
    attended: Vec<f32>,
    log_sums: Vec<f32>,
    pub(super) middle: Vec<f32>,
    pub(super) widened: Widened,
    pub(super) inner: [Vec<f32>; 4],
    pub(super) inverses: [Vec<f32>; 2],
}

impl Kept {
    /// Gives the widest rows back; the way back computes them again.
    pub(super) fn slim(&mut self, pass: &mut Pass) {
        self.widened.release(pass);
    }

    /// Gives all buffers back but the input.
    pub(super) fn release(self, pass: &mut Pass) -> Vec<f32> {
        let Kept { input, qkv, before_norms, attended, log_sums, middle, mut widened, inner, inverses } = self;
        widened.release(pass);
        pass.pool.give([qkv, attended, log_sums, middle]);
        pass.pool.give(inner);
        pass.pool.give(inverses);
        if let Some(before) = before_norms {
            pass.pool.give(before);
        }
        input
    }
}

/// Runs block `layer` on x `[n, H]`.
pub(super) fn block_forward(pass: &mut Pass, layer: usize, x: Vec<f32>) -> (Vec<f32>, Kept) {
    block_forward_with(pass, layer, x, attend_rows)
}

/// What block `layer` leaves, without what it gives: the last product is spared.
pub(super) fn block_again(pass: &mut Pass, layer: usize, x: Vec<f32>) -> Kept {
    let mut kept = first_half(pass, layer, x, attend_rows);
    feed_forward_again(pass, layer, &mut kept);
    kept
}

/// The same with another attention: given the turned queries, keys and values, it gives `[n, heads·d]` and the logarithms
/// for the way back.
pub(super) fn block_forward_with(
    pass: &mut Pass,
    layer: usize,
    x: Vec<f32>,
    attend_rows: impl FnOnce(&mut Pass, usize, &[f32]) -> (Vec<f32>, Vec<f32>),
) -> (Vec<f32>, Kept) {
    let mut kept = first_half(pass, layer, x, attend_rows);
    let y = feed_forward(pass, layer, &mut kept);
    (y, kept)
}

/// Attention and what it adds to the stream.
fn first_half(
    pass: &mut Pass,
    layer: usize,
    x: Vec<f32>,
    attend_rows: impl FnOnce(&mut Pass, usize, &[f32]) -> (Vec<f32>, Vec<f32>),
) -> Kept {
    let rows = pass.layout.rows();
    let block = pass.weights.blocks[layer].clone();
    let (normed, inverse) = pass.norm(&x, block.attention_norm);
    let mut qkv = pass.pool.take(rows * pass.shape(layer).row());
    let attend = forward(pass, layer, Group::Attend, &normed, &mut qkv, false);
    pass.pool.give([normed]);
    let before_norms = head_norms(pass, &block, &mut qkv);
    pass.turn(layer, Direction::On, &mut qkv);
    let (attended, log_sums) = attend_rows(pass, layer, &qkv);
    let mut middle = pass.pool.copy(&x);
    let output = forward(pass, layer, Group::Output, &attended, &mut middle, true);
    let (inner, inverses) = ([attend, output, Vec::new(), Vec::new()], [inverse, Vec::new()]);
    Kept { input: x, qkv, before_norms, attended, log_sums, middle, widened: Widened::Gone, inner, inverses }
}

/// Attention over all documents: what it gives, and the logarithms for the way back.
pub(super) fn attend_rows(pass: &mut Pass, layer: usize, qkv: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (rows, shape) = (pass.layout.rows(), pass.shape(layer));
    let width = shape.heads * shape.head_dim;
    let (mut out, mut sums) = (pass.pool.take(rows * width), pass.pool.take(rows * shape.heads));
    let (view, target) = (Mat::new(qkv, rows, shape.row()), MatMut::new(&mut out, rows, width));
    kernels::attention(pass.set, pass.operands(), &shape, &pass.layout.segments, view, target, &mut sums);
    (out, sums)
}

/// Normalises queries and keys head by head, where the family does so; gives what stood there and the inverse sizes.
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

/// Goes back through block `layer`: `dy` becomes ∂/∂input. Without `further` nothing reads it, and the last product is
/// left out.
pub(super) fn block_backward(pass: &mut Pass, layer: usize, mut kept: Kept, dy: Vec<f32>, further: bool) -> Vec<f32> {
    let block = pass.weights.blocks[layer].clone();
    let mut dx = dy;
    feed_forward_backward(pass, layer, &mut kept, &mut dx);

    let mut pull = pass.pool.take(kept.attended.len());
    let input = Dropped { input: &kept.attended, inner: &kept.inner[1] };
    backward(pass, layer, Group::Output, &input, &dx, Some(&mut pull));
    let mut slopes = attention_back(pass, layer, &kept, &pull);
    pass.pool.give([pull]);
    pass.turn(layer, Direction::Back, &mut slopes);
    head_norms_back(pass, &block, &kept, &mut slopes);
    norm_backward(pass, layer, Group::Attend, &kept.input, block.attention_norm, &kept, &slopes, &mut dx, further);
    pass.pool.give([slopes]);
    let input = kept.release(pass);
    pass.pool.give([input]);
    dx
}

fn attention_back(pass: &mut Pass, layer: usize, kept: &Kept, pull: &[f32]) -> Vec<f32> {
    let (rows, shape) = (pass.layout.rows(), pass.shape(layer));
    let width = shape.heads * shape.head_dim;
    let mut slopes = pass.pool.take(rows * shape.row());
    let earlier = KeptAttention {
        qkv: Mat::new(&kept.qkv, rows, shape.row()),
        out: Mat::new(&kept.attended, rows, width),
        log_sums: &kept.log_sums,
    };
    let (pull, target) = (Mat::new(pull, rows, width), MatMut::new(&mut slopes, rows, shape.row()));
    kernels::attention_backward(pass.set, pass.operands(), &shape, &pass.layout.segments, earlier, pull, target);
    slopes
}

/// Back through a product that reads the norm of `x`, and through that norm; adds to `dx`.
#[allow(clippy::too_many_arguments, reason = "the two halves of a block differ in just these")]
pub(super) fn norm_backward(
    pass: &mut Pass,
    layer: usize,
    group: Group,
    x: &[f32],
    norm: usize,
    kept: &Kept,
    slopes: &[f32],
    dx: &mut [f32],
    further: bool,
) {
    let half = usize::from(group == Group::Widen);
    let (normed, again) = pass.norm(x, norm);
    let input = Dropped { input: &normed, inner: &kept.inner[2 * half] };
    if !further && !pass.trains_base() {
        backward(pass, layer, group, &input, slopes, None);
        pass.pool.give([normed, again]);
        return;
    }
    let mut upstream = pass.pool.take(dx.len());
    backward(pass, layer, group, &input, slopes, Some(&mut upstream));
    pass.norm_back(&upstream, x, norm, &kept.inverses[half], dx);
    pass.pool.give([normed, again, upstream]);
}

fn head_norms_back(pass: &mut Pass, block: &Block, kept: &Kept, slopes: &mut [f32]) {
    let (Some(norms), Some([before, inverses])) = (block.head_norms, &kept.before_norms) else { return };
    let spec = pass.spec;
    let weights = norms.map(|norm| pass.weights.floats(norm));
    let heads = [spec.heads, spec.kv_heads];
    if let Some(gradients) = pass.gradients.as_mut() {
        let mut sums = norms.map(|norm| std::mem::take(&mut gradients[norm]));
        kernels::head_norm_weight_gradients(pass.set, slopes, before, heads, inverses, &mut sums);
        norms.into_iter().zip(sums).for_each(|(norm, sum)| gradients[norm] = sum);
    }
    kernels::norm_heads_backward(pass.set, before, heads, weights, inverses, slopes);
}
