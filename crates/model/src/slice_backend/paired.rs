//! A group of layers with bf16 weights and its adapters as one product, where the processor takes numbers in pairs: rows of
//! x and of the inner values stand side by side, W and B below each other. Everything that is multiplied is rounded to
//! bf16; sums, inner values and gradients are f32.

use super::linear::Dropped;
use super::pass::Pass;
use super::weights::Group;
use alidade_kernels::{Mat, MatMut, RoundedRows, Source, Term, Threads, pairs_product};

/// As [`super::linear::forward`], for W in bf16.
pub(super) fn forward(
    pass: &mut Pass,
    layer: usize,
    group: Group,
    w: &[u16],
    x: &[f32],
    out: MatMut,
    add: bool,
) -> Vec<f32> {
    let (rows, set, inputs) = (pass.layout.rows(), pass.set, pass.weights.blocks[layer].groups[group as usize].inputs);
    let ranks = pass.adapter.as_deref().map_or(Vec::new(), |adapter| adapter.layers[layer][group as usize].ranks());
    let mut rounded = RoundedRows::new(set, rows, [inputs].into_iter().chain(ranks));
    let place = rounded.push(Mat::new(x, rows, inputs), 1.0, Threads::Pool);
    let mut terms = vec![Term::transposed(place, Source::half(w, inputs), 0)];
    let mut inner = Vec::new();
    if pass.adapter.is_some() {
        let known =
            |out: MatMut, a: Source| rounded.times(&[Term::transposed(place, a, 0)], out, false, 1.0, Threads::Pool);
        inner = inner_values_from(pass, layer, group, x, known);
    }
    if let Some(adapter) = pass.adapter.as_deref() {
        let pairs = &adapter.layers[layer][group as usize];
        for pair in &pairs.pairs {
            let own = Mat::new(&inner, rows, pairs.inner()).part(0, pair.inner, rows, pair.rank);
            let own = rounded.push(own, pair.scale, Threads::Pool);
            let b = Source::rounded(Mat::new(&pair.b, pair.outputs, pair.rank), 1.0);
            terms.push(Term::transposed(own, b, pair.start));
        }
    }
    rounded.times(&terms, out, add, 1.0, Threads::Pool);
    inner
}

/// drop(x)·Aᵀ of all adapters of a group, `[n, Σ rank]`.
pub(super) fn inner_values(pass: &mut Pass, layer: usize, group: Group, x: &[f32]) -> Vec<f32> {
    let (rows, set) = (pass.layout.rows(), pass.set);
    let known = |out: MatMut, a: Source| {
        let x = Mat::new(x, rows, x.len() / rows.max(1));
        let mut rounded = RoundedRows::new(set, rows, [x.columns()]);
        let place = rounded.push(x, 1.0, Threads::Pool);
        rounded.times(&[Term::transposed(place, a, 0)], out, false, 1.0, Threads::Pool);
    };
    inner_values_from(pass, layer, group, x, known)
}

/// The same, where `without_dropout` multiplies x by the transposed of all A.
fn inner_values_from(
    pass: &mut Pass,
    layer: usize,
    group: Group,
    x: &[f32],
    without_dropout: impl FnOnce(MatMut, Source),
) -> Vec<f32> {
    let Some(adapter) = pass.adapter.as_deref() else { return Vec::new() };
    let (rows, pairs) = (pass.layout.rows(), &adapter.layers[layer][group as usize]);
    let (total, inputs) = (pairs.inner(), pairs.inputs);
    let mut inner = pass.pool.take(rows * total);
    let mut out = MatMut::new(&mut inner, rows, total);
    let a = Mat::new(&pairs.a, total, inputs);
    let Some(dropout) = &pass.dropout else {
        if total > 0 {
            without_dropout(out, Source::rounded(a, 1.0));
        }
        return inner;
    };
    for pair in &pairs.pairs {
        let mut dropped = pass.pool.copy(x);
        dropout.apply(pair.index, &pass.layout.padded, &mut dropped);
        let (x, a) = (Mat::new(&dropped, rows, inputs), a.part(pair.inner, 0, pair.rank, inputs));
        let target = out.part(0, pair.inner, rows, pair.rank);
        pairs_product(pass.set, target, false, 1.0, x, a.t(), Threads::Pool);
        pass.pool.give([dropped]);
    }
    inner
}

/// As [`super::linear::backward`], for W in bf16 and without gradients of W.
pub(super) fn backward(
    pass: &mut Pass,
    layer: usize,
    group: Group,
    w: &[u16],
    kept: &Dropped,
    dy: &[f32],
    mut dx: Option<&mut Vec<f32>>,
) {
    let (rows, set, stacked) = (pass.layout.rows(), pass.set, pass.weights.blocks[layer].groups[group as usize]);
    let (inputs, outputs) = (stacked.inputs, stacked.outputs);
    let (slope, input) = (Mat::new(dy, rows, outputs), Mat::new(kept.input, rows, inputs));
    let total = pass.adapter.as_deref().map_or(0, |adapter| adapter.layers[layer][group as usize].inner());
    let mut rounded = RoundedRows::new(set, rows, [outputs, total]);
    let place = rounded.push(slope, 1.0, Threads::Pool);
    let mut terms = vec![Term::plain(place, Source::half(w, inputs), 0)];
    let mut inner_slopes = pass.pool.take(rows * total);
    if let (Some(adapter), true) = (pass.adapter.as_deref_mut(), total > 0) {
        let pairs = &mut adapter.layers[layer][group as usize];
        for pair in &mut pairs.pairs {
            let (own, lead) = place.part(pair.start, pair.outputs);
            let b = Source::rounded(Mat::new(&pair.b, pair.outputs, pair.rank), 1.0);
            let mut all = MatMut::new(&mut inner_slopes, rows, total);
            let target = all.part(0, pair.inner, rows, pair.rank);
            rounded.times(&[Term::plain(own, b, lead)], target, false, pair.scale, Threads::Pool);
            let inner = Mat::new(kept.inner, rows, total).part(0, pair.inner, rows, pair.rank);
            let target = MatMut::new(&mut pair.b_gradient, pair.outputs, pair.rank).t();
            let mut turned = RoundedRows::new(set, pair.rank, [rows]);
            let depth = turned.push(inner.t(), 1.0, Threads::Pool);
            let part = rounded.columns(place, pair.start, pair.outputs);
            turned.times(&[Term::plain(depth, part, 0)], target, true, pair.scale, Threads::Pool);
        }
        let slopes = Mat::new(&inner_slopes, rows, total);
        if pass.dropout.is_none() {
            let target = MatMut::new(&mut pairs.a_gradient, total, inputs);
            pairs_product(set, target, true, 1.0, slopes.t(), input, Threads::Pool);
            let own = rounded.push(slopes, 1.0, Threads::Pool);
            terms.push(Term::plain(own, Source::rounded(Mat::new(&pairs.a, total, inputs), 1.0), 0));
        }
    }
    if let Some(dx) = dx.as_deref_mut() {
        rounded.times(&terms, MatMut::new(dx, rows, inputs), false, 1.0, Threads::Pool);
    }
    if pass.dropout.is_some() {
        through_dropout(pass, layer, group, kept, &inner_slopes, dx);
    }
    pass.pool.give([inner_slopes]);
}

/// What the way back through A needs where each adapter had rows of its own.
fn through_dropout(
    pass: &mut Pass,
    layer: usize,
    group: Group,
    kept: &Dropped,
    inner_slopes: &[f32],
    mut dx: Option<&mut Vec<f32>>,
) {
    let (Some(dropout), Some(adapter)) = (&pass.dropout, pass.adapter.as_deref_mut()) else { return };
    let (rows, pairs) = (pass.layout.rows(), &mut adapter.layers[layer][group as usize]);
    let (total, inputs) = (pairs.inner(), pairs.inputs);
    for pair in &pairs.pairs {
        let slopes = Mat::new(inner_slopes, rows, total).part(0, pair.inner, rows, pair.rank);
        let mut dropped = pass.pool.copy(kept.input);
        dropout.apply(pair.index, &pass.layout.padded, &mut dropped);
        let own = pair.inner * inputs..(pair.inner + pair.rank) * inputs;
        let target = MatMut::new(&mut pairs.a_gradient[own.clone()], pair.rank, inputs);
        let x = Mat::new(&dropped, rows, inputs);
        pairs_product(pass.set, target, true, 1.0, slopes.t(), x, Threads::Pool);
        if let Some(dx) = dx.as_deref_mut() {
            let a = Mat::new(&pairs.a[own], pair.rank, inputs);
            let target = MatMut::new(&mut dropped, rows, inputs);
            pairs_product(pass.set, target, false, 1.0, slopes, a, Threads::Pool);
            dropout.apply(pair.index, &pass.layout.padded, &mut dropped);
            alidade_kernels::add(pass.set, dx, &dropped);
        }
        pass.pool.give([dropped]);
    }
}
