//! A group of layers with bf16 weights and its adapters as one product, where the processor takes numbers in pairs: rows of
//! x and of the inner values stand side by side, W and B below each other. Everything that is multiplied is rounded to
//! bf16; sums, inner values and gradients are f32.

use super::adapter::Adapter;
use super::linear::{Dropped, dropped_values, through_dropout};
use super::pass::Pass;
use super::weights::{Buffer, Group};
use alidade_kernels::{InstructionSet, Mat, MatMut, Operands, Panels, Place, RoundedRows, Source, Term, Threads};

/// What a product leaves its results in.
pub(super) enum Results<'a> {
    /// They are added where asked for.
    Single(MatMut<'a>, bool),
    /// Rounded to bf16.
    Half(MatMut<'a, u16>),
}

/// Rows that have room for the input of a group and for the inner values of its adapters.
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

/// What follows the inner values: the product itself.
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
    let mut terms = vec![Term::held_transposed(place, w)];
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

/// drop(x)·Aᵀ of all adapters of a group, `[n, Σ rank]`, for x as it stands in rounded rows. x itself is read where there is
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
    dropped_values(pass, layer, group, x, Operands::Rounded, &mut inner);
    inner
}

/// As [`super::linear::backward`], for W in bf16.
pub(super) fn backward(
    pass: &mut Pass,
    layer: usize,
    group: Group,
    w: &Panels,
    kept: &Dropped,
    dy: &[f32],
    mut dx: Option<&mut Vec<f32>>,
) {
    let (rows, stacked) = (pass.layout.rows(), pass.weights.blocks[layer].groups[group as usize]);
    let mut rounded = slopes_for(pass, layer, group);
    let place = rounded.push(Mat::new(dy, rows, stacked.outputs), 1.0, Threads::Pool);
    let input = Source::rounded(Mat::new(kept.input, rows, stacked.inputs), 1.0);
    let out = dx.as_deref_mut().map(|dx| Results::Single(MatMut::new(dx, rows, stacked.inputs), false));
    let slopes = back(pass, layer, group, w, (rounded, place), Some(input), kept.inner, out);
    if pass.dropout.is_some() {
        through_dropout(pass, layer, group, kept, &slopes, Operands::Rounded, dx);
    }
    pass.pool.give([slopes]);
}

/// Rows that have room for ∂/∂y of a group and for the slopes of its inner values.
pub(super) fn slopes_for(pass: &Pass, layer: usize, group: Group) -> RoundedRows {
    let outputs = pass.weights.blocks[layer].groups[group as usize].outputs;
    let total = inner_width(pass.adapter.as_deref(), layer, group);
    RoundedRows::new(pass.set, pass.layout.rows(), [outputs, total])
}

fn inner_width(adapter: Option<&Adapter>, layer: usize, group: Group) -> usize {
    adapter.map_or(0, |adapter| adapter.layers[layer][group as usize].inner())
}

/// The way back for ∂/∂y in rounded rows; gives the slopes of the inner values. What lies behind dropout is left out, and so is
/// the gradient of A where there is no input yet ([`input_gradient`]).
#[allow(clippy::too_many_arguments, reason = "the way back reads all that the way on gave")]
pub(super) fn back(
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
    let mut terms = vec![Term::held_plain(place, w)];
    let mut inner_slopes = pass.pool.take(rows * total);
    if let (Some(adapter), true) = (pass.adapter.as_deref_mut(), total > 0) {
        let pairs = &mut adapter.layers[layer][group as usize];
        for pair in &mut pairs.pairs {
            let (own, lead) = place.part(pair.start, pair.outputs);
            let b = Source::rounded(Mat::new(&pair.b, pair.outputs, pair.rank), 1.0);
            let mut all = MatMut::new(&mut inner_slopes, rows, total);
            let target = all.part(0, pair.inner, rows, pair.rank);
            rounded.times(&[Term::plain(own, b, lead)], target, false, pair.scale, Threads::Pool);
            let inner = Mat::new(inner, rows, total).part(0, pair.inner, rows, pair.rank);
            let target = MatMut::new(&mut pair.b_gradient, pair.outputs, pair.rank).t();
            add_gradient(pass.set, target, pair.scale, inner, rounded.columns(place, pair.start, pair.outputs));
        }
        let slopes = Mat::new(&inner_slopes, rows, total);
        if pass.dropout.is_none() {
            let own = rounded.push(slopes, 1.0, Threads::Pool);
            terms.push(Term::plain(own, Source::rounded(Mat::new(&pairs.a, total, inputs), 1.0), 0));
        }
    }
    if let Some(dx) = dx {
        product(&rounded, &terms, dx);
    }
    if let Some(input) = input {
        input_gradient(pass, layer, group, &inner_slopes, input);
    }
    inner_slopes
}

/// Adds to the gradient of A, given the input of the group and the slopes of its inner values. Dropout has its own way.
pub(super) fn input_gradient(pass: &mut Pass, layer: usize, group: Group, inner_slopes: &[f32], input: Source) {
    let (rows, inputs) = (pass.layout.rows(), pass.weights.blocks[layer].groups[group as usize].inputs);
    let Some(adapter) = pass.adapter.as_deref_mut() else { return };
    let pairs = &mut adapter.layers[layer][group as usize];
    let total = pairs.inner();
    if total > 0 && pass.dropout.is_none() {
        let target = MatMut::new(&mut pairs.a_gradient, total, inputs);
        add_gradient(pass.set, target, 1.0, Mat::new(inner_slopes, rows, total), input);
    }
}

/// Back through a product that read the norm of x, without dropout, and through that norm: adds to `dx` where anything reads
/// it. `kept` are the product's inner values and the inverse sizes of the norm.
#[allow(clippy::too_many_arguments, reason = "the way back reads all that the way on gave")]
pub(super) fn back_normed(
    pass: &mut Pass,
    layer: usize,
    group: Group,
    w: &Panels,
    slopes: (RoundedRows, Place),
    x: &[f32],
    norm: Buffer,
    [inner, inverse]: [&[f32]; 2],
    dx: Option<&mut [f32]>,
) {
    let (rows, width) = (pass.layout.rows(), pass.spec.hidden);
    let mut normed = RoundedRows::new(pass.set, rows, [width]);
    let (place, again) = pass.norm_rounded(x, norm, &mut normed);
    let mut pull = pass.pool.take(if dx.is_some() { x.len() } else { 0 });
    let out = dx.is_some().then(|| Results::Single(MatMut::new(&mut pull, rows, width), false));
    let input = normed.columns(place, 0, width);
    let other = back(pass, layer, group, w, slopes, Some(input), inner, out);
    if let Some(dx) = dx {
        pass.norm_back(&pull, x, norm, inverse, dx);
    }
    pass.pool.give([again, other, pull]);
}

fn product(rounded: &RoundedRows, terms: &[Term], out: Results) {
    match out {
        Results::Single(out, add) => rounded.times(terms, out, add, 1.0, Threads::Pool),
        Results::Half(out) => rounded.times_rounded(terms, out),
    }
}

/// `gradient` `[r, m]` += scale·narrowᵀ·wide for narrow `[n, r]` and wide `[n, m]`.
fn add_gradient(set: InstructionSet, gradient: MatMut, scale: f32, narrow: Mat, wide: Source) {
    let mut turned = RoundedRows::new(set, narrow.columns(), [narrow.rows()]);
    let place = turned.push(narrow.t(), 1.0, Threads::Pool);
    turned.times(&[Term::plain(place, wide, 0)], gradient, true, scale, Threads::Pool);
}
