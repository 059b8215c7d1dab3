//! Causal grouped-query attention over packed documents. Scores are never saved: the backward pass recomputes them from the
//! log-sum-exp of each row, a block of queries at a time (FlashAttention; Dao et al., arXiv 2205.14135, appendix B.4).

use crate::InstructionSet;
use crate::elementwise::dot;
use crate::instruction_set::dispatch;
use crate::lanes::{LANES, exp, fold, largest};
use crate::matrix::{Mat, MatMut, Threads, matmul};
use crate::pairs::pairs_matmul;
use rayon::prelude::*;

/// Queries per block.
const BLOCK: usize = 64;

/// A document: rows that attend to each other and to nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// First row.
    pub start: usize,
    /// Number of rows.
    pub length: usize,
}

/// Head counts and the attention mask.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionShape {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Factor of query·key.
    pub scale: f32,
    /// Sliding window: positions that a token attends to, its own included; all when absent.
    pub window: Option<usize>,
}

/// The number format in which a matmul takes two f32 operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operands {
    /// f32, unchanged.
    F32,
    /// Rounded to bf16. Only for sets that take bf16 pairs.
    Bf16,
}

impl Operands {
    /// `out` = scale·a·b, or `out` += scale·a·b with `add`.
    ///
    /// # Panics
    /// When the sizes do not match, or the set lacks the instructions.
    #[allow(clippy::too_many_arguments, reason = "the operands of a matmul and its options")]
    pub fn matmul(self, set: InstructionSet, out: MatMut, add: bool, scale: f32, a: Mat, b: Mat, threads: Threads) {
        match self {
            Operands::F32 => matmul(set, out, add, scale, a, b, threads),
            Operands::Bf16 => pairs_matmul(set, out, add, scale, a, b, threads),
        }
    }
}

impl AttentionShape {
    /// Width of all queries of a row.
    pub(crate) fn queries(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of all keys of a row.
    pub(crate) fn keys(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Query heads that share a key head.
    pub(crate) fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Width of a row of queries, keys and values side by side.
    pub fn row(&self) -> usize {
        self.queries() + 2 * self.keys()
    }

    /// The range of keys that queries `first..last` attend to.
    pub(crate) fn seen(&self, first: usize, last: usize) -> (usize, usize) {
        let start = self.window.map_or(0, |window| (first + 1).saturating_sub(window));
        (start, last)
    }
}

/// One query head of one document.
struct Head<'a> {
    query: Mat<'a>,
    key: Mat<'a>,
    value: Mat<'a>,
}

fn head<'a>(shape: &AttentionShape, qkv: Mat<'a>, segment: &Segment, head: usize) -> Head<'a> {
    let kv = head / shape.group();
    let part = |column| qkv.part(segment.start, column, segment.length, shape.head_dim);
    Head {
        query: part(head * shape.head_dim),
        key: part(shape.queries() + kv * shape.head_dim),
        value: part(shape.queries() + shape.keys() + kv * shape.head_dim),
    }
}

/// Splits `matrix` into documents, and each into `count` parts of `width` columns: documents outermost.
pub(crate) fn cut<'a, T>(
    matrix: MatMut<'a, T>,
    segments: &[Segment],
    count: usize,
    width: usize,
) -> Vec<MatMut<'a, T>> {
    let (mut parts, mut rest) = (Vec::with_capacity(segments.len() * count), matrix);
    for segment in segments {
        let (mut rows, below) = rest.split_rows(segment.length);
        rest = below;
        for _ in 0..count {
            let (part, right) = rows.split_columns(width);
            parts.push(part);
            rows = right;
        }
    }
    parts
}

/// Splits the log-sum-exps into one part for each document and each of `count` groups of `heads` heads.
pub(crate) fn cut_sums<'a>(sums: &'a [f32], segments: &[Segment], count: usize, heads: usize) -> Vec<&'a [f32]> {
    let (mut parts, mut rest) = (Vec::with_capacity(segments.len() * count), sums);
    for segment in segments {
        for _ in 0..count {
            let (part, right) = rest.split_at(segment.length * heads);
            parts.push(part);
            rest = right;
        }
    }
    parts
}

/// Splits them into one mutable part for each document and each of `heads` heads.
pub(crate) fn cut_sums_mut<'a>(sums: &'a mut [f32], segments: &[Segment], heads: usize) -> Vec<&'a mut [f32]> {
    let (mut parts, mut rest) = (Vec::with_capacity(segments.len() * heads), sums);
    for segment in segments {
        for _ in 0..heads {
            let (part, right) = rest.split_at_mut(segment.length);
            parts.push(part);
            rest = right;
        }
    }
    parts
}

/// softmax(scale·q·kᵀ + mask)·v for rows of `qkv` `[n, row()]` into `out` `[n, heads·d]`. `log_sums` `[n·heads]` receives
/// the log-sum-exp of each row: document after document, in each head after head.
///
/// # Panics
/// When the sizes do not match, or the documents do not cover the rows in order.
pub fn attention(
    set: InstructionSet,
    shape: &AttentionShape,
    segments: &[Segment],
    qkv: Mat,
    out: MatMut,
    log_sums: &mut [f32],
) {
    assert!(qkv.columns() == shape.row() && log_sums.len() == qkv.rows() * shape.heads, "sizes do not match");
    let parts = cut(out, segments, shape.heads, shape.head_dim);
    let sums = cut_sums_mut(log_sums, segments, shape.heads);
    let jobs = parts.into_par_iter().zip(sums).enumerate().with_max_len(1);
    jobs.for_each_init(Vec::new, |scores, (index, (mut out, sums))| {
        let segment = &segments[index / shape.heads];
        let Head { query, key, value } = head(shape, qkv, segment, index % shape.heads);
        for first in (0..segment.length).step_by(BLOCK) {
            let rows = BLOCK.min(segment.length - first);
            let (from, to) = shape.seen(first, first + rows);
            scores.resize(scores.len().max(rows * (to - from)), 0.0);
            let block = &mut scores[..rows * (to - from)];
            let (query, keys) = (query.part(first, 0, rows, shape.head_dim), to - from);
            let product = MatMut::new(block, rows, keys);
            matmul_here(set, product, false, shape.scale, query, key.part(from, 0, keys, shape.head_dim).t());
            for (row, scores) in block.chunks_exact_mut(keys).enumerate() {
                let own = first + row;
                let low = shape.seen(own, own).0 - from;
                sums[own] = softmax_row(set, scores, low, own + 1 - from);
            }
            let value = value.part(from, 0, keys, shape.head_dim);
            let weights = Mat::new(block, rows, keys);
            matmul_here(set, out.part(first, 0, rows, shape.head_dim), false, 1.0, weights, value);
        }
    });
}

/// Activations saved for the backward pass.
#[derive(Clone, Copy)]
pub struct SavedAttention<'a> {
    /// Queries, keys and values of the forward pass `[n, row()]`.
    pub qkv: Mat<'a>,
    /// Its output `[n, heads·d]`.
    pub out: Mat<'a>,
    /// Its log-sum-exp per row and head.
    pub log_sums: &'a [f32],
}

/// Overwrites `gradient` `[n, row()]` with ∂/∂qkv, given ∂/∂out.
///
/// # Panics
/// When the sizes do not match.
pub fn attention_backward(
    set: InstructionSet,
    shape: &AttentionShape,
    segments: &[Segment],
    kept: SavedAttention,
    upstream: Mat,
    gradient: MatMut,
) {
    assert!(kept.qkv.columns() == shape.row() && upstream.columns() == shape.queries(), "sizes do not match");
    let (queries, rest) = gradient.split_columns(shape.queries());
    let (keys, values) = rest.split_columns(shape.keys());
    let queries = cut(queries, segments, shape.kv_heads, shape.group() * shape.head_dim);
    let keys = cut(keys, segments, shape.kv_heads, shape.head_dim);
    let values = cut(values, segments, shape.kv_heads, shape.head_dim);
    let sums = cut_sums(kept.log_sums, segments, shape.kv_heads, shape.group());
    let jobs = queries.into_par_iter().zip(keys).zip(values).zip(sums).enumerate().with_max_len(1);
    jobs.for_each_init(Scratch::default, |scratch, (index, (((queries, keys), values), sums))| {
        let segment = &segments[index / shape.kv_heads];
        let parts = Gradients { queries, keys, values };
        group_backward(set, shape, segment, index % shape.kv_heads, kept, sums, upstream, parts, scratch);
    });
}

#[derive(Default)]
struct Scratch {
    weights: Vec<f32>,
    score_gradients: Vec<f32>,
}

struct Gradients<'a> {
    queries: MatMut<'a>,
    keys: MatMut<'a>,
    values: MatMut<'a>,
}

/// The query heads that share one key head, in one document: P = exp(s·q·kᵀ − logsum), dP = dO·vᵀ,
/// dS = P∘(dP − Σ dO∘O), dq = s·dS·k, dk = Σ s·dSᵀ·q, dv = Σ Pᵀ·dO.
#[allow(clippy::too_many_arguments, reason = "the body of one task: everything that it reads and writes")]
fn group_backward(
    set: InstructionSet,
    shape: &AttentionShape,
    segment: &Segment,
    kv: usize,
    kept: SavedAttention,
    sums: &[f32],
    upstream: Mat,
    mut gradients: Gradients,
    scratch: &mut Scratch,
) {
    let dim = shape.head_dim;
    for row in 0..segment.length {
        gradients.keys.row(row).fill(0.0);
        gradients.values.row(row).fill(0.0);
    }
    for member in 0..shape.group() {
        let query_head = kv * shape.group() + member;
        let Head { query, key, value } = head(shape, kept.qkv, segment, query_head);
        for first in (0..segment.length).step_by(BLOCK) {
            let rows = BLOCK.min(segment.length - first);
            let (from, to) = shape.seen(first, first + rows);
            let keys = to - from;
            scratch.weights.resize(scratch.weights.len().max(rows * keys), 0.0);
            scratch.score_gradients.resize(scratch.score_gradients.len().max(rows * keys), 0.0);
            let (weights, score_gradients) =
                (&mut scratch.weights[..rows * keys], &mut scratch.score_gradients[..rows * keys]);
            let (query, key, value) =
                (query.part(first, 0, rows, dim), key.part(from, 0, keys, dim), value.part(from, 0, keys, dim));
            let place = |matrix: Mat<'_>| (segment.start + first, query_head * dim, rows.min(matrix.rows()));
            let (top, left, _) = place(upstream);
            let out_gradient = upstream.part(top, left, rows, dim);
            matmul_here(set, MatMut::new(weights, rows, keys), false, shape.scale, query, key.t());
            matmul_here(set, MatMut::new(score_gradients, rows, keys), false, 1.0, out_gradient, value.t());
            for row in 0..rows {
                let own = first + row;
                let low = shape.seen(own, own).0 - from;
                let range = row * keys..(row + 1) * keys;
                let dot = dot(set, out_gradient.row(row), kept.out.part(top + row, left, 1, dim).row(0));
                let sum = sums[member * segment.length + own];
                let (weights, score_gradients) = (&mut weights[range.clone()], &mut score_gradients[range]);
                score_gradient_row(set, weights, score_gradients, low, own + 1 - from, sum, dot);
            }
            let (weights, score_gradients) = (Mat::new(weights, rows, keys), Mat::new(score_gradients, rows, keys));
            let scale = shape.scale;
            matmul_here(set, gradients.values.part(from, 0, keys, dim), true, 1.0, weights.t(), out_gradient);
            matmul_here(set, gradients.keys.part(from, 0, keys, dim), true, scale, score_gradients.t(), query);
            let target = gradients.queries.part(first, member * dim, rows, dim);
            matmul_here(set, target, false, scale, score_gradients, key);
        }
    }
}

/// Matmul on the calling thread.
fn matmul_here(set: InstructionSet, out: MatMut, add: bool, scale: f32, a: Mat, b: Mat) {
    matmul(set, out, add, scale, a, b, Threads::One);
}

dispatch!(fn softmax_row(row: &mut [f32], low: usize, high: usize) -> f32 = softmax_body);
dispatch!(
    fn score_gradient_row(weights: &mut [f32], gradients: &mut [f32], low: usize, high: usize, sum: f32, dot: f32) =
        score_gradient_body
);

/// Softmax over `low..high`, 0 elsewhere; returns the log-sum-exp.
#[inline(always)]
fn softmax_body<const FMA: bool>(row: &mut [f32], low: usize, high: usize) -> f32 {
    row[..low].fill(0.0);
    row[high..].fill(0.0);
    let row = &mut row[low..high];
    let (factor, log_sum) = softmax::<FMA>(row);
    row.iter_mut().for_each(|value| *value *= factor);
    log_sum
}

/// Replaces x by exp(x − max x); returns one over their sum, and the log-sum-exp of x.
#[inline(always)]
pub(crate) fn softmax<const FMA: bool>(row: &mut [f32]) -> (f32, f32) {
    let peak = largest(row);
    let mut masses = [0.0f32; LANES];
    let mut take = |values: &mut [f32]| {
        for (value, mass) in values.iter_mut().zip(&mut masses) {
            *value = exp::<FMA>(*value - peak);
            *mass += *value;
        }
    };
    let (chunks, rest) = row.as_chunks_mut::<LANES>();
    chunks.iter_mut().for_each(|chunk| take(chunk));
    take(rest);
    let mass = fold(masses, |a, b| a + b);
    (1.0 / mass, peak + mass.ln())
}

/// Replaces scores by attention weights, and ∂/∂weights by ∂/∂scores (before scaling); 0 outside `low..high`.
#[inline(always)]
fn score_gradient_body<const FMA: bool>(
    weights: &mut [f32],
    score_gradients: &mut [f32],
    low: usize,
    high: usize,
    sum: f32,
    dot: f32,
) {
    for row in [&mut *weights, &mut *score_gradients] {
        row[..low].fill(0.0);
        row[high..].fill(0.0);
    }
    for (weight, gradient) in weights[low..high].iter_mut().zip(&mut score_gradients[low..high]) {
        (*weight, *gradient) = weight_and_gradient::<FMA>(*weight, *gradient, sum, dot);
    }
}

/// The attention weight of a score, and ∂/∂score given ∂/∂weight.
#[inline(always)]
pub(crate) fn weight_and_gradient<const FMA: bool>(score: f32, gradient: f32, sum: f32, dot: f32) -> (f32, f32) {
    let weight = exp::<FMA>(score - sum);
    (weight, weight * (gradient - dot))
}

#[cfg(test)]
mod tests;
