//! One pre-norm block over rows without padding, forward and backward (Touvron et al., arXiv 2302.13971, section 2.2):
//! x₂ = x + Wₒ·attention(rope(W_qkv·norm x)), y = x₂ + W_down·(silu(g)∘u) with (g, u) = W_gu·norm x₂.
//!
//! The second half is `feed_forward`. Kept for the way back: the block's input, queries, keys and values, what attention
//! gave, x₂ and (g, u). The norms and the gate are computed again; they cost little beside the products. Where products round
//! what they read, it is kept rounded.

use super::feed_forward::{feed_forward, feed_forward_again, feed_forward_backward};
use super::linear::{Dropped, backward, forward_normed, forward_stored};
use super::paired::{self, Results};
use super::pass::Pass;
use super::pool::Stored;
use super::weights::{Block, Group};
use alidade_kernels as kernels;
use kernels::{Direction, Kept as KeptAttention, Mat, MatMut, Operands, RoundedKept, Source, Threads};

/// What the way back through a block needs.
pub(super) struct Kept {
    pub(super) input: Vec<f32>,
    qkv: Stored,
    /// Queries and keys before their norms, and the inverse of each head's size.
    before_norms: Option<[Vec<f32>; 2]>,
    attended: Stored,
    log_sums: Vec<f32>,
    /// x₂; empty when it was given back.
    pub(super) middle: Vec<f32>,
    /// Gate and up, unless they were given back.
    pub(super) widened: Option<Stored>,
    pub(super) inner: [Vec<f32>; 4],
    pub(super) inverses: [Vec<f32>; 2],
}

impl Kept {
    /// Gives the stream between the halves back; the way back computes it again.
    pub(super) fn trim(&mut self, pass: &mut Pass) {
        pass.pool.give_stream(std::mem::take(&mut self.middle));
    }

    /// Gives the widest rows back; the way back computes them again.
    pub(super) fn slim(&mut self, pass: &mut Pass) {
        if let Some(widened) = self.widened.take() {
            pass.pool.give_stored(widened);
        }
    }

    /// Gives all buffers back but the input.
    pub(super) fn release(mut self, pass: &mut Pass) -> Vec<f32> {
        self.slim(pass);
        let Kept { input, qkv, before_norms, attended, log_sums, middle, widened: _, inner, inverses } = self;
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

/// What attention leaves: the turned queries, keys and values that it read, what it gave `[n, heads·d]`, and the logarithms
/// for the way back.
pub(super) struct Attended {
    pub(super) qkv: Stored,
    pub(super) out: Stored,
    pub(super) log_sums: Vec<f32>,
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

/// The same with another attention over queries, keys and values as the product gave them.
pub(super) fn block_forward_with(
    pass: &mut Pass,
    layer: usize,
    x: Vec<f32>,
    attend_rows: impl FnOnce(&mut Pass, usize, Vec<f32>) -> Attended,
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
    attend_rows: impl FnOnce(&mut Pass, usize, Vec<f32>) -> Attended,
) -> Kept {
    let block = pass.weights.blocks[layer].clone();
    let mut qkv = pass.pool.take(pass.layout.rows() * pass.shape(layer).row());
    let [inner, inverse] = forward_normed(pass, layer, Group::Attend, &x, block.attention_norm, &mut qkv);
    let before_norms = head_norms(pass, &block, &mut qkv);
    let Attended { qkv, out, log_sums } = attend_rows(pass, layer, qkv);
    let (inner, inverses) = ([inner, Vec::new(), Vec::new(), Vec::new()], [inverse, Vec::new()]);
    let (middle, widened) = (Vec::new(), None);
    let mut kept = Kept { input: x, qkv, before_norms, attended: out, log_sums, middle, widened, inner, inverses };
    add_attended(pass, layer, &mut kept);
    kept
}

/// x₂.
fn add_attended(pass: &mut Pass, layer: usize, kept: &mut Kept) {
    kept.middle = pass.pool.stream(&kept.input);
    let inner = forward_stored(pass, layer, Group::Output, &kept.attended, &mut kept.middle);
    pass.pool.give([std::mem::replace(&mut kept.inner[1], inner)]);
}

/// Attention over all documents: each row sees the rows of its own up to itself.
fn attend_rows(pass: &mut Pass, layer: usize, mut qkv: Vec<f32>) -> Attended {
    let qkv = match pass.operands() {
        Operands::Rounded => Stored::Half(pass.turn_rounded(layer, qkv)),
        Operands::Single => {
            pass.turn(layer, Direction::On, &mut qkv);
            Stored::Single(qkv)
        }
    };
    attend_turned(pass, layer, qkv)
}

/// The same for queries and keys that have been turned.
pub(super) fn attend_turned(pass: &mut Pass, layer: usize, qkv: Stored) -> Attended {
    let (rows, shape) = (pass.layout.rows(), pass.shape(layer));
    let (width, segments) = (shape.heads * shape.head_dim, &pass.layout.segments);
    let mut log_sums = pass.pool.take(rows * shape.heads);
    let out = match &qkv {
        Stored::Single(qkv) => {
            let mut out = pass.pool.take(rows * width);
            let (view, target) = (Mat::new(qkv, rows, shape.row()), MatMut::new(&mut out, rows, width));
            kernels::attention(pass.set, &shape, segments, view, target, &mut log_sums);
            Stored::Single(out)
        }
        Stored::Half(qkv) => {
            let mut out = pass.pool.take_half(rows * width);
            let target = MatMut::new(&mut out, rows, width);
            kernels::rounded_attention(pass.set, &shape, segments, qkv, target, &mut log_sums);
            Stored::Half(out)
        }
    };
    Attended { qkv, out, log_sums }
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
    if kept.middle.is_empty() {
        add_attended(pass, layer, &mut kept);
    }
    feed_forward_backward(pass, layer, &mut kept, &mut dx);
    let mut slopes = attention_back(pass, layer, &kept, &dx);
    pass.turn(layer, Direction::Back, &mut slopes);
    head_norms_back(pass, &block, &kept, &mut slopes);
    norm_backward(pass, layer, Group::Attend, &kept.input, block.attention_norm, &kept, &slopes, &mut dx, further);
    pass.pool.give([slopes]);
    let input = kept.release(pass);
    pass.pool.give_stream(input);
    dx
}

/// ∂/∂qkv, given ∂/∂x₂.
fn attention_back(pass: &mut Pass, layer: usize, kept: &Kept, dx: &[f32]) -> Vec<f32> {
    let (rows, shape) = (pass.layout.rows(), pass.shape(layer));
    let width = shape.heads * shape.head_dim;
    let pull = output_back(pass, layer, kept, dx);
    let mut slopes = pass.pool.take(rows * shape.row());
    let (target, segments, log_sums) =
        (MatMut::new(&mut slopes, rows, shape.row()), &pass.layout.segments, &kept.log_sums);
    match (&kept.qkv, &kept.attended, &pull) {
        (Stored::Single(qkv), Stored::Single(out), Stored::Single(pull)) => {
            let (qkv, out) = (Mat::new(qkv, rows, shape.row()), Mat::new(out, rows, width));
            let earlier = KeptAttention { qkv, out, log_sums };
            kernels::attention_backward(pass.set, &shape, segments, earlier, Mat::new(pull, rows, width), target);
        }
        (Stored::Half(qkv), Stored::Half(out), Stored::Half(pull)) => {
            let earlier = RoundedKept { qkv, out, log_sums };
            kernels::rounded_attention_backward(pass.set, &shape, segments, earlier, pull, target);
        }
        _ => unreachable!("attention reads and gives rows of one kind"),
    }
    pass.pool.give_stored(pull);
    slopes
}

/// ∂ of what attention gave, of the same kind, given ∂/∂x₂.
fn output_back(pass: &mut Pass, layer: usize, kept: &Kept, dx: &[f32]) -> Stored {
    let stacked = pass.weights.blocks[layer].groups[Group::Output as usize];
    let (rows, inner) = (pass.layout.rows(), &kept.inner[1]);
    let wide = match (&kept.attended, pass.wholly_paired(stacked.matrix)) {
        (Stored::Half(attended), Some(w)) => {
            let mut pull = pass.pool.take_half(attended.len());
            let mut slopes = paired::slopes_for(pass, layer, Group::Output);
            let own = slopes.push(Mat::new(dx, rows, stacked.outputs), 1.0, Threads::Pool);
            let input = Source::half(attended, rows, stacked.inputs, stacked.inputs);
            let out = Some(Results::Half(MatMut::new(&mut pull, rows, stacked.inputs)));
            let other = paired::back(pass, layer, Group::Output, w, (slopes, own), Some(input), inner, out);
            pass.pool.give([other]);
            return Stored::Half(pull);
        }
        (Stored::Single(attended), _) => {
            let mut pull = pass.pool.take(attended.len());
            backward(pass, layer, Group::Output, &Dropped { input: attended, inner }, dx, Some(&mut pull));
            return Stored::Single(pull);
        }
        (Stored::Half(attended), None) => pass.widen(attended),
    };
    let mut pull = pass.pool.take(wide.len());
    backward(pass, layer, Group::Output, &Dropped { input: &wide, inner }, dx, Some(&mut pull));
    let rounded = pass.round(&pull);
    pass.pool.give([wide, pull]);
    Stored::Half(rounded)
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
    let (rows, half) = (pass.layout.rows(), usize::from(group == Group::Widen));
    let stacked = pass.weights.blocks[layer].groups[group as usize];
    if let Some(w) = pass.wholly_paired(stacked.matrix) {
        let mut rounded = paired::slopes_for(pass, layer, group);
        let own = rounded.push(Mat::new(slopes, rows, stacked.outputs), 1.0, Threads::Pool);
        let earlier = [&kept.inner[2 * half][..], &kept.inverses[half]];
        return paired::back_normed(pass, layer, group, w, (rounded, own), x, norm, earlier, further.then_some(dx));
    }
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
