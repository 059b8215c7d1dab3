//! A group of layers with bf16 weights and its adapters as one matmul, where the processor takes bf16 pairs: x and the inner
//! values are concatenated along the depth, as are W and B. All operands are rounded to bf16; accumulators, inner values
//! and gradients are f32.

use super::adapter::Adapter;
use super::linear::{Dropped, dropout_backward, dropped_values};
use super::pass::Pass;
use super::weights::{Buffer, Group};
use alidade_kernels::{InstructionSet, Mat, MatMut, Operands, Panels, Place, RoundedRows, Source, Term, Threads};

/// The output of a matmul.
pub(super) enum Results<'a> {
    /// f32; added to the output if true.
    F32(MatMut<'a>, bool),
    /// Rounded to bf16.
    Bf16(MatMut<'a, u16>),
}

/// Empty rows with room for the input of a group and the inner values of its adapters.
pub(super) fn rows_for(pass: &Pass, layer: usize, group: Group) -> RoundedRows {
    let inputs = pass.weights.blocks[layer].groups[group as usize].inputs;
    let ranks = pass.adapter.as_deref().map_or(Vec::new(), |adapter| adapter.layers[layer][group as usize].ranks());
    RoundedRows::new(pass.set, pass.layout.rows(), [inputs].into_iter().chain(ranks))
}

/// As [`super::linear::forward`], for W in bf16.
pub(super) fn forward(pass: &mut Pass, layer: usize, group: Group, w: &Panels, x: &[f32], out: Results) -> Vec<f32> {
    let mut rounded = rows_for(pass, layer, group);
    let width = pass.weights.blocks[layer].groups[group as usize].inputs;
    let place = rounded.push(Mat::new(x, pass.layout.rows(), width), 1.0, Threads::Pool);
    let inner = inner_values(pass, layer, group, &rounded, place, x);
    finish(pass, layer, group, w, (rounded, place), &inner, out);
    inner
}

/// As [`super::linear::forward_normed`], without dropout.
pub(super) fn forward_normed(
    pass: &mut Pass,
    layer: usize,
    group: Group,
    w: &Panels,
    x: &[f32],
    norm: Buffer,
    out: Results,
) -> [Vec<f32>; 2] {
    let mut rounded = rows_for(pass, layer, group);
    let (place, inverse) = pass.norm_rounded(x, norm, &mut rounded);
    let inner = inner_values(pass, layer, group, &rounded, place, &[]);
    finish(pass, layer, group, w, (rounded, place), &inner, out);
    [inner, inverse]
}

/// The matmul that follows the inner values.
pub(super) fn finish(
    pass: &mut Pass,
    layer: usize,
    group: Group,
    w: &Panels,
    (mut rounded, place): (RoundedRows, Place),
    inner: &[f32],
    out: Results,
) {
    let rows = pass.layout.rows();
    let mut terms = vec![Term::packed_transposed(place, w)];
    if let Some(adapter) = pass.adapter.as_deref() {
        let pairs = &adapter.layers[layer][group as usize];
        for pair in &pairs.pairs {
            let own = Mat::new(inner, rows, pairs.inner()).part(0, pair.inner, rows, pair.rank);
            let own = rounded.push(own, pair.scale, Threads::Pool);
            let b = Source::rounded(Mat::new(&pair.b, pair.outputs, pair.rank), 1.0);
            terms.push(Term::transposed(own, b, pair.start));
        }
    }
    product(&rounded, &terms, out);
}

/// drop(x)·Aᵀ of all adapters of a group, `[n, Σ rank]`, for x in packed rows. x in f32 is read only with
/// dropout.
pub(super) fn inner_values(
    pass: &mut Pass,
    layer: usize,
    group: Group,
    rounded: &RoundedRows,
    place: Place,
    x: &[f32],
) -> Vec<f32> {
    let Some(adapter) = pass.adapter.as_deref() else { return Vec::new() };
    let (rows, pairs) = (pass.layout.rows(), &adapter.layers[layer][group as usize]);
    let (total, inputs) = (pairs.inner(), pairs.inputs);
    let mut inner = pass.pool.take(rows * total);
    if pass.dropout.is_none() {
        if total > 0 {
            let out = MatMut::new(&mut inner, rows, total);
            let a = Mat::new(&pairs.a, total, inputs);
            rounded.times(&[Term::transposed(place, Source::rounded(a, 1.0), 0)], out, false, 1.0, Threads::Pool);
        }
        return inner;
    }
    dropped_values(pass, layer, group, x, Operands::Bf16, &mut inner);
    inner
}

/// As [`super::linear::backward`], for W in bf16.
pub(super) fn backward(
    pass: &mut Pass,
    layer: usize,
    group: Group,
    w: &Panels,
    saved: &Dropped,
    dy: &[f32],
    mut dx: Option<&mut Vec<f32>>,
) {
    let (rows, stacked) = (pass.layout.rows(), pass.weights.blocks[layer].groups[group as usize]);
    let mut rounded = gradient_rows_for(pass, layer, group);
    let place = rounded.push(Mat::new(dy, rows, stacked.outputs), 1.0, Threads::Pool);
    let input = Source::rounded(Mat::new(saved.input, rows, stacked.inputs), 1.0);
    let out = dx.as_deref_mut().map(|dx| Results::F32(MatMut::new(dx, rows, stacked.inputs), false));
    let inner_gradients = backward_rows(pass, layer, group, w, (rounded, place), Some(input), saved.inner, out);
    if pass.dropout.is_some() {
        dropout_backward(pass, layer, group, saved, &inner_gradients, Operands::Bf16, dx);
    }
    pass.pool.give([inner_gradients]);
}

/// Empty rows with room for ∂/∂y of a group and the gradients of its inner values.
pub(super) fn gradient_rows_for(pass: &Pass, layer: usize, group: Group) -> RoundedRows {
    let outputs = pass.weights.blocks[layer].groups[group as usize].outputs;
    let total = inner_width(pass.adapter.as_deref(), layer, group);
    RoundedRows::new(pass.set, pass.layout.rows(), [outputs, total])
}

fn inner_width(adapter: Option<&Adapter>, layer: usize, group: Group) -> usize {
    adapter.map_or(0, |adapter| adapter.layers[layer][group as usize].inner())
}

/// The backward pass for ∂/∂y in packed rows; returns the gradients of the inner values. Leaves out what goes through
/// dropout, and the gradient of A where the input is not there yet ([`input_gradient`]).
#[allow(clippy::too_many_arguments, reason = "the backward pass reads everything that the forward pass returned")]
pub(super) fn backward_rows(
    pass: &mut Pass,
    layer: usize,
    group: Group,
    w: &Panels,
    (mut rounded, place): (RoundedRows, Place),
    input: Option<Source>,
    inner: &[f32],
    dx: Option<Results>,
) -> Vec<f32> {
    let (rows, inputs) = (pass.layout.rows(), pass.weights.blocks[layer].groups[group as usize].inputs);
    let total = inner_width(pass.adapter.as_deref(), layer, group);
    let mut terms = vec![Term::packed_plain(place, w)];
    let mut inner_gradients = pass.pool.take(rows * total);
    if let (Some(adapter), true) = (pass.adapter.as_deref_mut(), total > 0) {
        let pairs = &mut adapter.layers[layer][group as usize];
        for pair in &mut pairs.pairs {
            let (own, lead) = place.part(pair.start, pair.outputs);
            let b = Source::rounded(Mat::new(&pair.b, pair.outputs, pair.rank), 1.0);
            let mut all = MatMut::new(&mut inner_gradients, rows, total);
            let target = all.part(0, pair.inner, rows, pair.rank);
            rounded.times(&[Term::plain(own, b, lead)], target, false, pair.scale, Threads::Pool);
            let inner = Mat::new(inner, rows, total).part(0, pair.inner, rows, pair.rank);
            let target = MatMut::new(&mut pair.b_gradient, pair.outputs, pair.rank).t();
            add_gradient(pass.set, target, pair.scale, inner, rounded.columns(place, pair.start, pair.outputs));
        }
        let inner_rows = Mat::new(&inner_gradients, rows, total);
        if pass.dropout.is_none() {
            let own = rounded.push(inner_rows, 1.0, Threads::Pool);
            terms.push(Term::plain(own, Source::rounded(Mat::new(&pairs.a, total, inputs), 1.0), 0));
        }
    }
    if let Some(dx) = dx {
        product(&rounded, &terms, dx);
    }
    if let Some(input) = input {
        input_gradient(pass, layer, group, &inner_gradients, input);
    }
    inner_gradients
}

/// Adds to the gradient of A, given the input of the group and the gradients of its inner values. With dropout,
/// [`dropout_backward`] does this.
pub(super) fn input_gradient(pass: &mut Pass, layer: usize, group: Group, inner_gradients: &[f32], input: Source) {
    let (rows, inputs) = (pass.layout.rows(), pass.weights.blocks[layer].groups[group as usize].inputs);
    let Some(adapter) = pass.adapter.as_deref_mut() else { return };
    let pairs = &mut adapter.layers[layer][group as usize];
    let total = pairs.inner();
    if total > 0 && pass.dropout.is_none() {
        let target = MatMut::new(&mut pairs.a_gradient, total, inputs);
        add_gradient(pass.set, target, 1.0, Mat::new(inner_gradients, rows, total), input);
    }
}

/// Backward pass through a group that read the norm of x, without dropout, and through that norm: adds to `dx` if given.
/// `inner` are the inner values of the group, `inverse` the inverse RMS of each row.
#[allow(clippy::too_many_arguments, reason = "the backward pass reads everything that the forward pass returned")]
pub(super) fn backward_normed(
    pass: &mut Pass,
    layer: usize,
    group: Group,
    w: &Panels,
    gradients: (RoundedRows, Place),
    x: &[f32],
    norm: Buffer,
    [inner, inverse]: [&[f32]; 2],
    dx: Option<&mut [f32]>,
) {
    let (rows, width) = (pass.layout.rows(), pass.spec.hidden);
    let mut normed = RoundedRows::new(pass.set, rows, [width]);
    let (place, again) = pass.norm_rounded(x, norm, &mut normed);
    let mut normed_gradient = pass.pool.take(if dx.is_some() { x.len() } else { 0 });
    let out = dx.is_some().then(|| Results::F32(MatMut::new(&mut normed_gradient, rows, width), false));
    let input = normed.columns(place, 0, width);
    let other = backward_rows(pass, layer, group, w, gradients, Some(input), inner, out);
    if let Some(dx) = dx {
        pass.norm_backward(&normed_gradient, x, norm, inverse, dx);
    }
    pass.pool.give([again, other, normed_gradient]);
}

fn product(rounded: &RoundedRows, terms: &[Term], out: Results) {
    match out {
        Results::F32(out, add) => rounded.times(terms, out, add, 1.0, Threads::Pool),
        Results::Bf16(out) => rounded.times_rounded(terms, out),
    }
}

/// `gradient` `[r, m]` += scale·narrowᵀ·wide for narrow `[n, r]` and wide `[n, m]`.
fn add_gradient(set: InstructionSet, gradient: MatMut, scale: f32, narrow: Mat, wide: Source) {
    let mut transposed = RoundedRows::new(set, narrow.columns(), [narrow.rows()]);
    let place = transposed.push(narrow.t(), 1.0, Threads::Pool);
    transposed.times(&[Term::plain(place, wide, 0)], gradient, true, scale, Threads::Pool);
}
