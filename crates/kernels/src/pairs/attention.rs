//! Attention in bf16, forward and backward, as `crate::attention` is for f32. Keys and values are packed into panels once
//! for all blocks of queries; attention weights are stored as the packed rows that the next matmul reads, and only panels
//! that a block of queries attends to are multiplied.

use super::packing::{Source, pack_columns, pack_rows, pack_rows_of_a};
use super::rounded::{Finish, Piece};
use super::{DEPTH, EMPTY_PAIRS, EMPTY_ROW, Line, SIDE, flat, flat_mut, grow};
use crate::InstructionSet;
use crate::attention::{AttentionShape, Segment, cut, cut_sums, cut_sums_mut, softmax, weight_and_gradient};
use crate::bf16::{round, widen};
use crate::instruction_set::dispatch;
use crate::lanes::{madd, sum};
use crate::matrix::{Epilogue, MatMut};
use rayon::prelude::*;
use std::cell::RefCell;
use std::ops::Range;

/// Queries per block of the backward pass.
const BLOCK: usize = 2 * SIDE;

/// Packed rows of a.
#[derive(Default)]
struct Left {
    lines: Vec<Line<u16, 32>>,
    /// Lines of a row.
    stride: usize,
}

impl Left {
    /// Allocates `rows` rows of `width` elements, with arbitrary contents.
    fn allocate(&mut self, rows: usize, width: usize) -> usize {
        self.stride = width.div_ceil(DEPTH);
        let count = rows.next_multiple_of(SIDE) * self.stride;
        grow(&mut self.lines, count, EMPTY_ROW);
        count
    }

    /// The rows of a source, or its columns.
    fn fill(&mut self, from: Source, along: bool) {
        let (rows, width) = if along { (from.rows(), from.width()) } else { (from.width(), from.rows()) };
        let (count, stride) = (self.allocate(rows, width), self.stride);
        for (index, lines) in self.lines[..count].chunks_exact_mut((SIDE * stride).max(1)).enumerate() {
            // SAFETY: only sets that take bf16 pairs lead here, and they have AVX-512 BF16.
            unsafe { pack_rows_of_a(from, along, index * SIDE, lines, stride, 0) };
        }
    }

    /// A row to write, up to the end of its last line.
    fn row(&mut self, row: usize) -> &mut [u16] {
        flat_mut(&mut self.lines[row * self.stride..][..self.stride])
    }

    /// All rows, as a right operand.
    fn source(&self, rows: usize, width: usize) -> Source<'_> {
        Source::bf16(flat(&self.lines), rows, width, self.stride * DEPTH)
    }
}

/// Packed panels of b.
#[derive(Default)]
struct Right {
    lines: Vec<Line<u32, 16>>,
    /// Lines of a panel.
    size: usize,
}

impl Right {
    /// A column of the result is a row of the source.
    fn rows(&mut self, from: Source) {
        self.size = from.width().div_ceil(DEPTH) * SIDE;
        self.fill(from.rows(), |first, panel| {
            // SAFETY: as in `Left::fill`.
            unsafe { pack_rows(from, first, 0, panel, 2) };
        });
    }

    /// A column of the result is a column of the source.
    fn columns(&mut self, from: Source) {
        self.size = from.rows().div_ceil(DEPTH) * SIDE;
        self.fill(from.width(), |first, panel| {
            // SAFETY: as in `Left::fill`.
            unsafe { pack_columns(from, first, 0, panel, 2) };
        });
    }

    fn fill(&mut self, columns: usize, pack: impl Fn(usize, &mut [Line<u32, 16>])) {
        let count = columns.div_ceil(SIDE) * self.size;
        grow(&mut self.lines, count, EMPTY_PAIRS);
        let panels = self.lines[..count].chunks_exact_mut(self.size.max(1));
        panels.enumerate().for_each(|(index, panel)| pack(index * SIDE, panel));
    }

    /// The panel of the columns from `first` on, for some lines of a.
    fn panel(&self, first: usize, steps: &Range<usize>) -> &[Line<u32, 16>] {
        &self.lines[first / SIDE * self.size..][steps.start * SIDE..steps.end * SIDE]
    }
}

/// `out` (+)= scale·a·b for the rows of a from `row` on and the columns of b from `column` on, both multiples of 32, as
/// many as `out` has. `steps` is the range of lines along the depth.
fn multiply<T: Finish>(
    set: InstructionSet,
    (a, row): (&Left, usize),
    (b, column): (&Right, usize),
    steps: Range<usize>,
    mut out: MatMut<T>,
    how: Epilogue,
) {
    let (rows, columns) = (out.rows(), out.columns());
    for first in (0..columns).step_by(SIDE) {
        let pieces = [Piece { line: 0, panel: b.panel(column + first, &steps) }];
        for start in (0..rows).step_by(SIDE) {
            let lines = &a.lines[(row + start) * a.stride..][..SIDE * a.stride];
            let part = out.part(start, first, SIDE.min(rows - start), SIDE.min(columns - first));
            T::block::<2>(set, (lines, a.stride), &pieces, part, how);
        }
    }
}

/// A score buffer `[32, keys]`.
fn scores(room: &mut Vec<f32>, rows: usize, keys: usize) -> MatMut<'_> {
    grow(room, SIDE * keys, 0.0);
    MatMut::strided(room, rows, keys, keys)
}

const PLAIN: Epilogue = Epilogue { add: false, scale: 1.0 };

/// Rows of `[n, row()]`: queries, keys and values.
#[derive(Clone, Copy)]
struct Heads<'a> {
    shape: &'a AttentionShape,
    qkv: &'a [u16],
}

impl<'a> Heads<'a> {
    /// `dim` columns of a document.
    fn part(self, segment: &Segment, column: usize) -> Source<'a> {
        let (stride, dim) = (self.shape.row(), self.shape.head_dim);
        let first = (segment.start * stride + column).min(self.qkv.len());
        Source::bf16(&self.qkv[first..], segment.length, dim, stride)
    }

    fn query(self, segment: &Segment, head: usize) -> Source<'a> {
        self.part(segment, head * self.shape.head_dim)
    }

    /// Keys and values of a key head.
    fn keys_and_values(self, segment: &Segment, head: usize) -> [Source<'a>; 2] {
        let keys = self.shape.queries() + head * self.shape.head_dim;
        [keys, keys + self.shape.keys()].map(|column| self.part(segment, column))
    }
}

/// softmax(scale·q·kᵀ + mask)·v, rounded to bf16, for rows of `qkv` `[n, row()]` in bf16 into `out` `[n, heads·d]`.
/// `log_sums` `[n·heads]` receives the log-sum-exp of each row: document after document, in each head after head.
///
/// # Panics
/// When the sizes do not match, the documents do not cover the rows in order, or the set does not take bf16 pairs.
pub fn rounded_attention(
    set: InstructionSet,
    shape: &AttentionShape,
    segments: &[Segment],
    qkv: &[u16],
    out: MatMut<u16>,
    log_sums: &mut [f32],
) {
    assert!(set.takes_pairs() && qkv.len() == out.rows() * shape.row(), "sizes do not match");
    assert!(out.columns() == shape.queries() && log_sums.len() == out.rows() * shape.heads, "sizes do not match");
    let heads = Heads { shape, qkv };
    let parts = cut(out, segments, shape.heads, shape.head_dim);
    let sums = cut_sums_mut(log_sums, segments, shape.heads);
    let jobs = parts.into_par_iter().zip(sums).enumerate().with_max_len(1);
    jobs.for_each(|(index, (out, sums))| {
        let (segment, head) = (&segments[index / shape.heads], index % shape.heads);
        with_scratch(|scratch| forward(set, heads, segment, head, out, sums, scratch));
    });
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

fn with_scratch(task: impl FnOnce(&mut Scratch)) {
    let mut scratch = SCRATCH.take();
    task(&mut scratch);
    SCRATCH.set(scratch);
}

/// Buffers of a task, reused by the next one of its thread.
#[derive(Default)]
struct Scratch {
    queries: Left,
    out_gradients: Left,
    weights: Left,
    score_gradients: Left,
    transposed: Left,
    keys: Right,
    values: Right,
    key_columns: Right,
    out_gradient_columns: Right,
    query_columns: Right,
    scores: [Vec<f32>; 2],
}

/// One query head of one document.
fn forward(
    set: InstructionSet,
    heads: Heads,
    segment: &Segment,
    head: usize,
    mut out: MatMut<u16>,
    sums: &mut [f32],
    scratch: &mut Scratch,
) {
    let Scratch { queries, weights, keys, values, scores: [room, _], .. } = scratch;
    let (shape, dim) = (heads.shape, heads.shape.head_dim);
    let [key, value] = heads.keys_and_values(segment, head / shape.group());
    keys.rows(key);
    values.columns(value);
    let query = heads.query(segment, head);
    for first in (0..segment.length).step_by(SIDE) {
        let rows = SIDE.min(segment.length - first);
        let seen = Seen::new(shape, first, rows);
        queries.fill(query.part(first, rows), true);
        let target = scores(room, rows, seen.width());
        let how = Epilogue { add: false, scale: shape.scale };
        multiply(set, (queries, 0), (keys, seen.from), 0..queries.stride, target, how);
        weights.allocate(rows, seen.width());
        for (row, scores) in room.chunks_exact_mut(seen.width()).enumerate().take(rows) {
            let own = seen.own(shape, first + row);
            sums[first + row] = weigh_row(set, scores, weights.row(row), own);
        }
        multiply(set, (weights, 0), (values, 0), seen.steps(), out.part(first, 0, rows, dim), PLAIN);
    }
}

/// Keys that a block of queries attends to, in whole panels.
#[derive(Clone, Copy)]
struct Seen {
    from: usize,
    to: usize,
}

impl Seen {
    fn new(shape: &AttentionShape, first: usize, rows: usize) -> Self {
        let (from, to) = shape.seen(first, first + rows);
        Self { from: from / SIDE * SIDE, to: to.next_multiple_of(SIDE) }
    }

    fn width(self) -> usize {
        self.to - self.from
    }

    fn steps(self) -> Range<usize> {
        self.from / DEPTH..self.to / DEPTH
    }

    /// The keys that a single query attends to.
    fn own(self, shape: &AttentionShape, query: usize) -> Range<usize> {
        let (low, high) = shape.seen(query, query + 1);
        low - self.from..high - self.from
    }
}

/// Activations saved for the backward pass.
#[derive(Clone, Copy)]
pub struct SavedRoundedAttention<'a> {
    /// Queries, keys and values of the forward pass `[n, row()]`.
    pub qkv: &'a [u16],
    /// Its output `[n, heads·d]`.
    pub out: &'a [u16],
    /// Its log-sum-exp per row and head.
    pub log_sums: &'a [f32],
}

/// Overwrites `gradient` `[n, row()]` with ∂/∂qkv, given ∂/∂out `[n, heads·d]` in bf16.
///
/// # Panics
/// When the sizes do not match, or the set does not take bf16 pairs.
pub fn rounded_attention_backward(
    set: InstructionSet,
    shape: &AttentionShape,
    segments: &[Segment],
    kept: SavedRoundedAttention,
    upstream: &[u16],
    gradient: MatMut,
) {
    let rows = gradient.rows();
    assert!(set.takes_pairs() && kept.qkv.len() == rows * shape.row(), "sizes do not match");
    assert!([kept.out, upstream].iter().all(|part| part.len() == rows * shape.queries()), "sizes do not match");
    let (queries, rest) = gradient.split_columns(shape.queries());
    let (keys, values) = rest.split_columns(shape.keys());
    let queries = cut(queries, segments, shape.kv_heads, shape.group() * shape.head_dim);
    let keys = cut(keys, segments, shape.kv_heads, shape.head_dim);
    let values = cut(values, segments, shape.kv_heads, shape.head_dim);
    let sums = cut_sums(kept.log_sums, segments, shape.kv_heads, shape.group());
    let jobs = queries.into_par_iter().zip(keys).zip(values).zip(sums).enumerate().with_max_len(1);
    jobs.for_each(|(index, (((queries, keys), values), sums))| {
        let (segment, head) = (&segments[index / shape.kv_heads], index % shape.kv_heads);
        let mut group = Group { set, shape, segment, head, kept, sums, upstream, queries, keys, values };
        with_scratch(|scratch| group.backward(scratch));
    });
}

/// The query heads that share one key head, in one document, and the gradients of all of them: P = exp(s·q·kᵀ − logsum),
/// dP = dO·vᵀ, dS = P∘(dP − Σ dO∘O), dq = s·dS·k, dk = Σ s·dSᵀ·q, dv = Σ Pᵀ·dO.
struct Group<'a> {
    set: InstructionSet,
    shape: &'a AttentionShape,
    segment: &'a Segment,
    head: usize,
    kept: SavedRoundedAttention<'a>,
    sums: &'a [f32],
    upstream: &'a [u16],
    queries: MatMut<'a>,
    keys: MatMut<'a>,
    values: MatMut<'a>,
}

impl Group<'_> {
    fn backward(&mut self, scratch: &mut Scratch) {
        let heads = Heads { shape: self.shape, qkv: self.kept.qkv };
        let [key, value] = heads.keys_and_values(self.segment, self.head);
        scratch.keys.rows(key);
        scratch.values.rows(value);
        scratch.key_columns.columns(key);
        for row in 0..self.segment.length {
            self.keys.row(row).fill(0.0);
            self.values.row(row).fill(0.0);
        }
        for member in 0..self.shape.group() {
            let head = self.head * self.shape.group() + member;
            let query = heads.query(self.segment, head);
            for first in (0..self.segment.length).step_by(BLOCK) {
                let rows = BLOCK.min(self.segment.length - first);
                self.block(member, query.part(first, rows), first, scratch);
            }
        }
    }

    /// The part of a row of `[n, heads·d]` that belongs to a query head.
    fn place(&self, member: usize, row: usize) -> Range<usize> {
        let (dim, head) = (self.shape.head_dim, self.head * self.shape.group() + member);
        let start = (self.segment.start + row) * self.shape.queries() + head * dim;
        start..start + dim
    }

    /// The queries from `first` on, of one head.
    fn block(&mut self, member: usize, query: Source, first: usize, scratch: &mut Scratch) {
        let (set, shape, rows) = (self.set, self.shape, query.rows());
        let dim = shape.head_dim;
        let out_gradient = Source::bf16(&self.upstream[self.place(member, first).start..], rows, dim, shape.queries());
        let seen = Seen::new(shape, first, rows);
        scratch.queries.fill(query, true);
        scratch.out_gradients.fill(out_gradient, true);
        scratch.query_columns.columns(query);
        scratch.out_gradient_columns.columns(out_gradient);
        scratch.weights.allocate(rows, seen.width());
        scratch.score_gradients.allocate(rows, seen.width());
        for start in (0..rows).step_by(SIDE) {
            self.scores(member, first, start..rows.min(start + SIDE), seen, scratch);
        }
        let Scratch { weights, score_gradients, transposed, out_gradient_columns, query_columns, .. } = scratch;
        let keys = seen.to.min(self.segment.length) - seen.from;
        transposed.fill(weights.source(rows, keys), false);
        let (steps, how) = (0..transposed.stride, Epilogue { add: true, scale: 1.0 });
        multiply(
            set,
            (transposed, 0),
            (out_gradient_columns, 0),
            steps.clone(),
            self.values.part(seen.from, 0, keys, dim),
            how,
        );
        transposed.fill(score_gradients.source(rows, keys), false);
        let how = Epilogue { add: true, scale: shape.scale };
        multiply(set, (transposed, 0), (query_columns, 0), steps, self.keys.part(seen.from, 0, keys, dim), how);
    }

    /// P, dS and dq for up to 32 rows of a block that begins at query `first`; `all` are the keys of the whole block.
    fn scores(&mut self, member: usize, first: usize, rows: Range<usize>, all: Seen, scratch: &mut Scratch) {
        let (set, shape, dim) = (self.set, self.shape, self.shape.head_dim);
        let Scratch {
            queries,
            out_gradients,
            weights,
            score_gradients,
            keys,
            values,
            key_columns,
            scores: [room, other],
            ..
        } = scratch;
        // From the same key on as the rows of the whole block.
        let seen = Seen { from: all.from, ..Seen::new(shape, first + rows.start, rows.len()) };
        let (width, steps, count) = (seen.width(), 0..queries.stride, rows.len());
        let how = Epilogue { add: false, scale: shape.scale };
        let target = scores(room, count, width);
        multiply(set, (queries, rows.start), (keys, seen.from), steps.clone(), target, how);
        multiply(set, (out_gradients, rows.start), (values, seen.from), steps, scores(other, count, width), PLAIN);
        let found = room.chunks_exact(width).zip(other.chunks_exact(width));
        for (row, (scores, out_gradients)) in rows.clone().zip(found) {
            let (query, place) = (first + row, self.place(member, first + row));
            let own = seen.own(shape, query);
            let dot = dot(set, &self.upstream[place.clone()], &self.kept.out[place]);
            let sum = self.sums[member * self.segment.length + query];
            score_gradient_row(
                set,
                [scores, out_gradients],
                [weights.row(row), score_gradients.row(row)],
                own,
                sum,
                dot,
            );
        }
        let target = self.queries.part(first + rows.start, member * dim, count, dim);
        multiply(set, (score_gradients, rows.start), (key_columns, 0), seen.steps(), target, how);
    }
}

dispatch!(fn dot(a: &[u16], b: &[u16]) -> f32 = dot_body);
dispatch!(fn weigh_row(scores: &mut [f32], weights: &mut [u16], own: Range<usize>) -> f32 = weigh_body);
dispatch!(
    fn score_gradient_row(given: [&[f32]; 2], out: [&mut [u16]; 2], own: Range<usize>, sum: f32, dot: f32) =
        score_gradient_body
);

#[inline(always)]
fn dot_body<const FMA: bool>(a: &[u16], b: &[u16]) -> f32 {
    let b = &b[..a.len()];
    sum(a.len(), |i, so_far| madd::<FMA>(widen(a[i]), widen(b[i]), so_far))
}

/// Softmax over the keys of a query, 0 elsewhere; returns the log-sum-exp.
#[inline(always)]
fn weigh_body<const FMA: bool>(scores: &mut [f32], weights: &mut [u16], own: Range<usize>) -> f32 {
    clear_beside(weights, &own);
    let (scores, weights) = (&mut scores[own.clone()], &mut weights[own]);
    let (factor, log_sum) = softmax::<FMA>(scores);
    weights.iter_mut().zip(scores).for_each(|(weight, value)| *weight = round(*value * factor));
    log_sum
}

/// Attention weights and ∂/∂scores (before scaling), given scores and ∂/∂weights, over the keys of a query; 0 elsewhere.
#[inline(always)]
fn score_gradient_body<const FMA: bool>(
    [scores, out_gradients]: [&[f32]; 2],
    [weights, score_gradients]: [&mut [u16]; 2],
    own: Range<usize>,
    sum: f32,
    dot: f32,
) {
    clear_beside(weights, &own);
    clear_beside(score_gradients, &own);
    let given = scores[own.clone()].iter().zip(&out_gradients[own.clone()]);
    for ((weight, gradient), (score, out_gradient)) in
        weights[own.clone()].iter_mut().zip(&mut score_gradients[own]).zip(given)
    {
        let found = weight_and_gradient::<FMA>(*score, *out_gradient, sum, dot);
        (*weight, *gradient) = (round(found.0), round(found.1));
    }
}

#[inline(always)]
fn clear_beside(row: &mut [u16], own: &Range<usize>) {
    row[..own.start].fill(0);
    row[own.end..].fill(0);
}
