//! y = x·Wᵀ + s·(drop(x)·Aᵀ)·Bᵀ + bias for a whole group of layers, forward and backward.

use super::adapter::GroupPairs;
use super::bf16_matmul::{self, Results};
use super::buffer_pool::Stored;
use super::pass::Pass;
use super::weights::{Buffer, Group, Stacked};
use alidade_kernels::{Mat, MatMut, Operands, Threads, add_bias, bias_gradient, matmul};

/// The saved input of a group, and the inner values drop(x)·Aᵀ of its adapters.
pub(super) struct Dropped<'a> {
    pub(super) input: &'a [f32],
    pub(super) inner: &'a [f32],
}

/// y = output of `group` (or y += it with `add`); returns the inner values `[n, Σ rank]`.
pub(super) fn forward(pass: &mut Pass, layer: usize, group: Group, x: &[f32], y: &mut [f32], add: bool) -> Vec<f32> {
    let rows = pass.layout.rows();
    let stacked = pass.weights.blocks[layer].groups[group as usize];
    let mut out = MatMut::new(y, rows, stacked.outputs);
    let inner = if let Some(w) = pass.packed_bf16(stacked.matrix) {
        bf16_matmul::forward(pass, layer, group, w, x, Results::F32(out, add))
    } else {
        pass.product(stacked.matrix, out.lend(), add, Mat::new(x, rows, stacked.inputs));
        let inner = inner_values(pass, layer, group, x);
        let pairs = pass.adapter.as_deref().map(|adapter| &adapter.layers[layer][group as usize]);
        let total = pairs.map_or(0, GroupPairs::inner);
        for pair in pairs.iter().flat_map(|pairs| &pairs.pairs) {
            let part = Mat::new(&inner, rows, total).part(0, pair.inner, rows, pair.rank);
            pass.small_product(&pair.b, out.part(0, pair.start, rows, pair.outputs), true, pair.scale, part);
        }
        inner
    };
    finish_bias(pass, stacked, y);
    inner
}

fn finish_bias(pass: &Pass, stacked: Stacked, y: &mut [f32]) {
    if let Some(bias) = stacked.bias {
        add_bias(pass.set, y, pass.weights.floats(bias));
    }
}

/// y = output of `group` for the norm of x; returns the inner values and the inverse RMS of each row.
pub(super) fn forward_normed(
    pass: &mut Pass,
    layer: usize,
    group: Group,
    x: &[f32],
    norm: Buffer,
    y: &mut [f32],
) -> [Vec<f32>; 2] {
    let stacked = pass.weights.blocks[layer].groups[group as usize];
    let Some(w) = pass.packed_bf16_no_dropout(stacked.matrix) else {
        let (normed, inverse) = pass.norm(x, norm);
        let inner = forward(pass, layer, group, &normed, y, false);
        pass.pool.give([normed]);
        return [inner, inverse];
    };
    let out = MatMut::new(y, pass.layout.rows(), stacked.outputs);
    let saved = bf16_matmul::forward_normed(pass, layer, group, w, x, norm, Results::F32(out, false));
    finish_bias(pass, stacked, y);
    saved
}

/// y += output of `group` for activations of either dtype; returns the inner values.
pub(super) fn forward_stored(pass: &mut Pass, layer: usize, group: Group, x: &Stored, y: &mut [f32]) -> Vec<f32> {
    let stacked = pass.weights.blocks[layer].groups[group as usize];
    match (x, pass.packed_bf16_no_dropout(stacked.matrix)) {
        (Stored::F32(x), _) => forward(pass, layer, group, x, y, true),
        (Stored::Bf16(x), Some(w)) => {
            let mut rounded = bf16_matmul::rows_for(pass, layer, group);
            let place = rounded.push_rounded(x, stacked.inputs);
            let inner = bf16_matmul::inner_values(pass, layer, group, &rounded, place, &[]);
            let out = MatMut::new(y, pass.layout.rows(), stacked.outputs);
            bf16_matmul::finish(pass, layer, group, w, (rounded, place), &inner, Results::F32(out, true));
            finish_bias(pass, stacked, y);
            inner
        }
        (Stored::Bf16(x), None) => {
            let x = pass.widen(x);
            let inner = forward(pass, layer, group, &x, y, true);
            pass.pool.give([x]);
            inner
        }
    }
}

/// drop(x)·Aᵀ of all adapters of a group, `[n, Σ rank]`.
pub(super) fn inner_values(pass: &mut Pass, layer: usize, group: Group, x: &[f32]) -> Vec<f32> {
    if pass.packed_bf16(pass.weights.blocks[layer].groups[group as usize].matrix).is_some() {
        let mut rounded = bf16_matmul::rows_for(pass, layer, group);
        let width = x.len() / pass.layout.rows().max(1);
        let place = rounded.push(Mat::new(x, pass.layout.rows(), width), 1.0, Threads::Pool);
        return bf16_matmul::inner_values(pass, layer, group, &rounded, place, x);
    }
    let Some(adapter) = pass.adapter.as_deref() else { return Vec::new() };
    let (rows, pairs) = (pass.layout.rows(), &adapter.layers[layer][group as usize]);
    let (total, inputs) = (pairs.inner(), pairs.inputs);
    let mut inner = pass.pool.take(rows * total);
    if pass.dropout.is_none() {
        if total > 0 {
            let x = Mat::new(x, rows, inputs);
            pass.small_product(&pairs.a, MatMut::new(&mut inner, rows, total), false, 1.0, x);
        }
        return inner;
    }
    dropped_values(pass, layer, group, x, Operands::F32, &mut inner);
    inner
}

/// drop(x)·Aᵀ, where each adapter draws a mask of its own.
pub(super) fn dropped_values(
    pass: &mut Pass,
    layer: usize,
    group: Group,
    x: &[f32],
    operands: Operands,
    inner: &mut [f32],
) {
    let (Some(dropout), Some(adapter)) = (&pass.dropout, pass.adapter.as_deref()) else { return };
    let (rows, pairs) = (pass.layout.rows(), &adapter.layers[layer][group as usize]);
    let (total, inputs) = (pairs.inner(), pairs.inputs);
    for pair in &pairs.pairs {
        let mut dropped = pass.pool.copy(x);
        dropout.apply(pair.index, &pass.layout.padded, &mut dropped);
        let (x, a) = (Mat::new(&dropped, rows, inputs), &pairs.a[pair.inner * inputs..][..pair.rank * inputs]);
        let mut all = MatMut::new(inner, rows, total);
        let target = all.part(0, pair.inner, rows, pair.rank);
        operands.matmul(pass.set, target, false, 1.0, x, Mat::new(a, pair.rank, inputs).t(), Threads::Pool);
        pass.pool.give([dropped]);
    }
}

/// Accumulates the gradients of trained tensors, and overwrites `dx` with ∂/∂x, given ∂/∂y.
pub(super) fn backward(
    pass: &mut Pass,
    layer: usize,
    group: Group,
    saved: &Dropped,
    dy: &[f32],
    mut dx: Option<&mut Vec<f32>>,
) {
    let rows = pass.layout.rows();
    let stacked = pass.weights.blocks[layer].groups[group as usize];
    let (inputs, outputs) = (stacked.inputs, stacked.outputs);
    let (dy_rows, weights) = (Mat::new(dy, rows, outputs), pass.weights);
    if let Some(gradients) = pass.gradients.as_mut() {
        let target = MatMut::new(&mut gradients[stacked.matrix], outputs, inputs);
        let input = Mat::new(saved.input, rows, inputs);
        matmul(pass.set, target, true, 1.0, dy_rows.t(), input, Threads::Pool);
        if let Some(bias) = stacked.bias {
            bias_gradient(pass.set, dy, &mut gradients[bias]);
        }
    }
    if let Some(w) = pass.packed_bf16(stacked.matrix) {
        return bf16_matmul::backward(pass, layer, group, w, saved, dy, dx);
    }
    if let Some(dx) = dx.as_deref_mut() {
        weights.buffers[stacked.matrix].backward(pass.set, pass.pool, MatMut::new(dx, rows, inputs), false, dy_rows);
    }
    adapter_backward(pass, layer, group, saved, dy_rows, dx);
}

/// The part of [`backward`] that goes through the adapters of the group: their gradients, and their contribution to `dx`.
fn adapter_backward(
    pass: &mut Pass,
    layer: usize,
    group: Group,
    saved: &Dropped,
    dy_rows: Mat,
    dx: Option<&mut Vec<f32>>,
) {
    let Some(adapter) = pass.adapter.as_deref_mut() else { return };
    let pairs = &mut adapter.layers[layer][group as usize];
    let total = pairs.inner();
    if total == 0 {
        return;
    }
    let rows = pass.layout.rows();
    let inputs = pass.weights.blocks[layer].groups[group as usize].inputs;
    let input = Mat::new(saved.input, rows, inputs);
    let mut inner_gradients = pass.pool.take(rows * total);
    for pair in &mut pairs.pairs {
        let part = dy_rows.part(0, pair.start, rows, pair.outputs);
        let b = Mat::new(&pair.b, pair.outputs, pair.rank);
        let mut all = MatMut::new(&mut inner_gradients, rows, total);
        matmul(pass.set, all.part(0, pair.inner, rows, pair.rank), false, pair.scale, part, b, Threads::Pool);
        let inner = Mat::new(saved.inner, rows, total).part(0, pair.inner, rows, pair.rank);
        let target = MatMut::new(&mut pair.b_gradient, pair.outputs, pair.rank);
        matmul(pass.set, target, true, pair.scale, part.t(), inner, Threads::Pool);
    }
    let inner_rows = Mat::new(&inner_gradients, rows, total);
    if pass.dropout.is_none() {
        matmul(
            pass.set,
            MatMut::new(&mut pairs.a_gradient, total, inputs),
            true,
            1.0,
            inner_rows.t(),
            input,
            Threads::Pool,
        );
        if let Some(dx) = dx {
            matmul(
                pass.set,
                MatMut::new(dx, rows, inputs),
                true,
                1.0,
                inner_rows,
                Mat::new(&pairs.a, total, inputs),
                Threads::Pool,
            );
        }
        return pass.pool.give([inner_gradients]);
    }
    dropout_backward(pass, layer, group, saved, &inner_gradients, Operands::F32, dx);
    pass.pool.give([inner_gradients]);
}

/// The backward pass through A with dropout, where each adapter has its own mask.
pub(super) fn dropout_backward(
    pass: &mut Pass,
    layer: usize,
    group: Group,
    saved: &Dropped,
    inner_gradients: &[f32],
    operands: Operands,
    mut dx: Option<&mut Vec<f32>>,
) {
    let (Some(dropout), Some(adapter)) = (&pass.dropout, pass.adapter.as_deref_mut()) else { return };
    let (rows, pairs) = (pass.layout.rows(), &mut adapter.layers[layer][group as usize]);
    let (total, inputs) = (pairs.inner(), pairs.inputs);
    for pair in &pairs.pairs {
        let inner_rows = Mat::new(inner_gradients, rows, total).part(0, pair.inner, rows, pair.rank);
        let mut dropped = pass.pool.copy(saved.input);
        dropout.apply(pair.index, &pass.layout.padded, &mut dropped);
        let own = pair.inner * inputs..(pair.inner + pair.rank) * inputs;
        let target = MatMut::new(&mut pairs.a_gradient[own.clone()], pair.rank, inputs);
        let x = Mat::new(&dropped, rows, inputs);
        operands.matmul(pass.set, target, true, 1.0, inner_rows.t(), x, Threads::Pool);
        if let Some(dx) = dx.as_deref_mut() {
            let a = Mat::new(&pairs.a[own], pair.rank, inputs);
            let target = MatMut::new(&mut dropped, rows, inputs);
            operands.matmul(pass.set, target, false, 1.0, inner_rows, a, Threads::Pool);
            dropout.apply(pair.index, &pass.layout.padded, &mut dropped);
            alidade_kernels::add(pass.set, dx, &dropped);
        }
        pass.pool.give([dropped]);
    }
}
