//! Attention over queries, keys and values of bf16, both ways, as `crate::attention` has it for f32. Keys and values become
//! panels once for all blocks of queries; weights are written as the rows that the next product reads, and only panels that a
//! block of queries sees are multiplied.

use super::panel::{Source, lay, pack_columns, pack_rows};
use super::rounded::{Finish, Piece};
use super::{DEPTH, EMPTY_PAIRS, EMPTY_ROW, Line, SIDE, flat, flat_mut, grow};
use crate::InstructionSet;
use crate::attention::{AttentionShape, Segment, cut, cut_sums, cut_sums_mut, pull_back, softmax};
use crate::half_precision::{round, widen};
use crate::instruction_set::dispatch;
use crate::lanes::{madd, sum};
use crate::matrix::{How, MatMut};
use rayon::prelude::*;
use std::cell::RefCell;
use std::ops::Range;

/// Queries whose slopes are added to those of keys and values at a time.
const BLOCK: usize = 2 * SIDE;

/// Rows of a.
#[derive(Default)]
struct Left {
    lines: Vec<Line<u16, 32>>,
    /// Lines of a row.
    stride: usize,
}

impl Left {
    /// Room for `rows` rows of `width` numbers, with anything in it.
    fn room(&mut self, rows: usize, width: usize) -> usize {
        self.stride = width.div_ceil(DEPTH);
        let count = rows.next_multiple_of(SIDE) * self.stride;
        grow(&mut self.lines, count, EMPTY_ROW);
        count
    }

    /// The rows of a source, or its columns.
    fn fill(&mut self, from: Source, along: bool) {
        let (rows, width) = if along { (from.rows(), from.width()) } else { (from.width(), from.rows()) };
        let (count, stride) = (self.room(rows, width), self.stride);
        for (index, lines) in self.lines[..count].chunks_exact_mut((SIDE * stride).max(1)).enumerate() {
            // SAFETY: sets that take pairs, which alone lead here, have AVX-512 and its bf16.
            unsafe { lay(from, along, index * SIDE, lines, stride, 0) };
        }
    }

    /// A row to write, up to the end of its last line.
    fn row(&mut self, row: usize) -> &mut [u16] {
        flat_mut(&mut self.lines[row * self.stride..][..self.stride])
    }

    /// All of them to multiply with.
    fn source(&self, rows: usize, width: usize) -> Source<'_> {
        Source::half(flat(&self.lines), rows, width, self.stride * DEPTH)
    }
}

/// Panels of b.
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

/// `out` (+)= scale·a·b for the rows of a from `row` on and the columns of b from `column` on, both multiples of 32, as many as
/// `out` has. The lines of a are those of `steps` in b.
fn multiply<T: Finish>(
    set: InstructionSet,
    (a, row): (&Left, usize),
    (b, column): (&Right, usize),
    steps: Range<usize>,
    mut out: MatMut<T>,
    how: How,
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

/// Numbers of scores `[32, keys]`.
fn scores(room: &mut Vec<f32>, rows: usize, keys: usize) -> MatMut<'_> {
    grow(room, SIDE * keys, 0.0);
    MatMut::strided(room, rows, keys, keys)
}

const PLAIN: How = How { add: false, scale: 1.0 };

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
        Source::half(&self.qkv[first..], segment.length, dim, stride)
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

/// softmax(scale·q·kᵀ + mask)·v, rounded to bf16, for rows of `qkv` `[n, row()]` in bf16 into `out` `[n, heads·d]`. `log_sums`
/// `[n·heads]` gets the logarithm of each row's sum: document after document, in each head after head.
///
/// # Panics
/// When the sizes do not match, the documents do not cover the rows in order, or the set does not take pairs.
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

/// Room of a task, used again by the next one of its thread.
#[derive(Default)]
struct Scratch {
    queries: Left,
    pulls: Left,
    weights: Left,
    slopes: Left,
    turned: Left,
    keys: Right,
    values: Right,
    across: Right,
    pull_columns: Right,
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
        let how = How { add: false, scale: shape.scale };
        multiply(set, (queries, 0), (keys, seen.from), 0..queries.stride, target, how);
        weights.room(rows, seen.width());
        for (row, scores) in room.chunks_exact_mut(seen.width()).enumerate().take(rows) {
            let own = seen.own(shape, first + row);
            sums[first + row] = weigh_row(set, scores, weights.row(row), own);
        }
        multiply(set, (weights, 0), (values, 0), seen.steps(), out.part(first, 0, rows, dim), PLAIN);
    }
}

/// Keys that a block of queries looks at, in whole panels.
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

    /// What a single query sees of them.
    fn own(self, shape: &AttentionShape, query: usize) -> Range<usize> {
        let (low, high) = shape.seen(query, query + 1);
        low - self.from..high - self.from
    }
}

/// What the way back reads.
#[derive(Clone, Copy)]
pub struct RoundedKept<'a> {
    /// Queries, keys and values of the forward pass `[n, row()]`.
    pub qkv: &'a [u16],
    /// What it gave `[n, heads·d]`.
    pub out: &'a [u16],
    /// The logarithms that it left.
    pub log_sums: &'a [f32],
}

/// Overwrites `gradient` `[n, row()]` with ∂/∂qkv, given ∂/∂out `[n, heads·d]` in bf16.
///
/// # Panics
/// When the sizes do not match, or the set does not take pairs.
pub fn rounded_attention_backward(
    set: InstructionSet,
    shape: &AttentionShape,
    segments: &[Segment],
    kept: RoundedKept,
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
    kept: RoundedKept<'a>,
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
        scratch.across.columns(key);
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

    /// Numbers of a row of `[n, heads·d]` that belong to a query head.
    fn place(&self, member: usize, row: usize) -> Range<usize> {
        let (dim, head) = (self.shape.head_dim, self.head * self.shape.group() + member);
        let start = (self.segment.start + row) * self.shape.queries() + head * dim;
        start..start + dim
    }

    /// The queries from `first` on, of one head.
    fn block(&mut self, member: usize, query: Source, first: usize, scratch: &mut Scratch) {
        let (set, shape, rows) = (self.set, self.shape, query.rows());
        let dim = shape.head_dim;
        let pull = Source::half(&self.upstream[self.place(member, first).start..], rows, dim, shape.queries());
        let seen = Seen::new(shape, first, rows);
        scratch.queries.fill(query, true);
        scratch.pulls.fill(pull, true);
        scratch.query_columns.columns(query);
        scratch.pull_columns.columns(pull);
        scratch.weights.room(rows, seen.width());
        scratch.slopes.room(rows, seen.width());
        for start in (0..rows).step_by(SIDE) {
            self.scores(member, first, start..rows.min(start + SIDE), seen, scratch);
        }
        let Scratch { weights, slopes, turned, pull_columns, query_columns, .. } = scratch;
        let keys = seen.to.min(self.segment.length) - seen.from;
        turned.fill(weights.source(rows, keys), false);
        let (steps, how) = (0..turned.stride, How { add: true, scale: 1.0 });
        multiply(set, (turned, 0), (pull_columns, 0), steps.clone(), self.values.part(seen.from, 0, keys, dim), how);
        turned.fill(slopes.source(rows, keys), false);
        let how = How { add: true, scale: shape.scale };
        multiply(set, (turned, 0), (query_columns, 0), steps, self.keys.part(seen.from, 0, keys, dim), how);
    }

    /// P and dS for up to 32 rows of a block that begins at query `first` and sees `all` of its keys; and dq.
    fn scores(&mut self, member: usize, first: usize, rows: Range<usize>, all: Seen, scratch: &mut Scratch) {
        let (set, shape, dim) = (self.set, self.shape, self.shape.head_dim);
        let Scratch { queries, pulls, weights, slopes, keys, values, across, scores: [room, other], .. } = scratch;
        // As the block's rows have it, from the same key on.
        let seen = Seen { from: all.from, ..Seen::new(shape, first + rows.start, rows.len()) };
        let (width, steps, count) = (seen.width(), 0..queries.stride, rows.len());
        let how = How { add: false, scale: shape.scale };
        let target = scores(room, count, width);
        multiply(set, (queries, rows.start), (keys, seen.from), steps.clone(), target, how);
        multiply(set, (pulls, rows.start), (values, seen.from), steps, scores(other, count, width), PLAIN);
        let found = room.chunks_exact(width).zip(other.chunks_exact(width));
        for (row, (scores, pulls)) in rows.clone().zip(found) {
            let (query, place) = (first + row, self.place(member, first + row));
            let own = seen.own(shape, query);
            let dot = dot(set, &self.upstream[place.clone()], &self.kept.out[place]);
            let sum = self.sums[member * self.segment.length + query];
            slope_row(set, [scores, pulls], [weights.row(row), slopes.row(row)], own, sum, dot);
        }
        let target = self.queries.part(first + rows.start, member * dim, count, dim);
        multiply(set, (slopes, rows.start), (across, 0), seen.steps(), target, how);
    }
}

dispatch!(fn dot(a: &[u16], b: &[u16]) -> f32 = dot_body);
dispatch!(fn weigh_row(scores: &mut [f32], weights: &mut [u16], own: Range<usize>) -> f32 = weigh_body);
dispatch!(
    fn slope_row(given: [&[f32]; 2], out: [&mut [u16]; 2], own: Range<usize>, sum: f32, dot: f32) = slope_body
);

#[inline(always)]
fn dot_body<const FMA: bool>(a: &[u16], b: &[u16]) -> f32 {
    let b = &b[..a.len()];
    sum(a.len(), |i, so_far| madd::<FMA>(widen(a[i]), widen(b[i]), so_far))
}

/// Softmax over the keys of a query, 0 elsewhere; gives the logarithm of the sum.
#[inline(always)]
fn weigh_body<const FMA: bool>(scores: &mut [f32], weights: &mut [u16], own: Range<usize>) -> f32 {
    clear_beside(weights, &own);
    let (scores, weights) = (&mut scores[own.clone()], &mut weights[own]);
    let (factor, log_sum) = softmax::<FMA>(scores);
    weights.iter_mut().zip(scores).for_each(|(weight, value)| *weight = round(*value * factor));
    log_sum
}

/// Weights and ∂/∂scores (without the factor) of scores and ∂/∂weights over the keys of a query, 0 elsewhere.
#[inline(always)]
fn slope_body<const FMA: bool>(
    [scores, pulls]: [&[f32]; 2],
    [weights, slopes]: [&mut [u16]; 2],
    own: Range<usize>,
    sum: f32,
    dot: f32,
) {
    clear_beside(weights, &own);
    clear_beside(slopes, &own);
    let given = scores[own.clone()].iter().zip(&pulls[own.clone()]);
    for ((weight, slope), (score, pull)) in weights[own.clone()].iter_mut().zip(&mut slopes[own]).zip(given) {
        let found = pull_back::<FMA>(*score, *pull, sum, dot);
        (*weight, *slope) = (round(found.0), round(found.1));
    }
}

#[inline(always)]
fn clear_beside(row: &mut [u16], own: &Range<usize>) {
    row[..own.start].fill(0);
    row[own.end..].fill(0);
}
