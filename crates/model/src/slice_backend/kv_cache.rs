//! Generation with a KV cache. Each row has its own length, so prompts need no padding.

use super::adapter::Adapter;
use super::block::{Attended, attend_rotated, block_forward_with};
use super::buffer_pool::{BufferPool, Stored};
use super::layout::Layout;
use super::pass::{Pass, shape};
use super::weights::Weights;
use crate::decoder::{Cache, ForwardOptions, NextTokens, decode_loop};
use crate::error::Result;
use crate::{DecoderSpec, ModelError};
use alidade_domain::wording;
use alidade_kernels::{
    AttentionShape, CachedHead, Direction, InstructionSet, Operands, RotaryTable, Segment, ThreadPool,
};
use std::sync::Arc;

pub(super) struct SliceCache {
    spec: DecoderSpec,
    set: InstructionSet,
    weights: Arc<Weights>,
    adapter: Option<Adapter>,
    tables: Vec<RotaryTable>,
    /// KV cache by layer: row after row, head after head.
    heads: Vec<Vec<CachedHead>>,
    /// Positions so far of each row.
    lengths: Vec<usize>,
    pool: BufferPool,
}

impl SliceCache {
    pub(super) fn new(spec: DecoderSpec, set: InstructionSet, weights: Arc<Weights>, adapter: Option<Adapter>) -> Self {
        let tables = spec.ropes.iter().map(|rope| RotaryTable::new(rope.frequencies())).collect();
        let heads = (0..spec.layers).map(|_| Vec::new()).collect();
        Self { spec, set, weights, adapter, tables, heads, lengths: Vec::new(), pool: BufferPool::default() }
    }

    fn check(&mut self, tokens: &[Vec<u32>]) -> Result<()> {
        self.lengths.resize(tokens.len(), 0);
        for (row, length) in tokens.iter().zip(&self.lengths) {
            self.spec.check_ids(row, 0)?;
            if length + row.len() > self.spec.context {
                return Err(ModelError::Request(wording!(
                    "The model's context of {context} tokens is full.",
                    "模型的上下文（{context} 个词元）已满。",
                    context = self.spec.context
                )));
            }
        }
        Ok(())
    }

    fn layout(&self, tokens: &[Vec<u32>]) -> Layout {
        let lengths: Vec<usize> = tokens.iter().map(Vec::len).collect();
        let mut layout = Layout::whole(&lengths, |row, column| tokens[row][column], |_, _| 0);
        // Finished rows keep their (empty) segment.
        let starts = lengths.iter().scan(0, |start, length| Some(std::mem::replace(start, *start + length)));
        layout.segments = starts.zip(&lengths).map(|(start, length)| Segment { start, length: *length }).collect();
        for (segment, earlier) in layout.segments.iter().zip(&self.lengths) {
            let own = &mut layout.positions[segment.start..segment.start + segment.length];
            own.iter_mut().for_each(|position| *position += *earlier as u32);
        }
        layout
    }
}

/// Appends the keys and values of a pass for one head of a row to its cache.
fn append(shape: &AttentionShape, qkv: &[f32], segment: &Segment, head: usize, cached: &mut CachedHead) {
    let (dim, kv) = (shape.head_dim, shape.kv_heads);
    let (queries, stride) = (shape.heads * dim, shape.row());
    for row in qkv.chunks_exact(stride).skip(segment.start).take(segment.length) {
        cached.push(&row[queries + head * dim..][..dim], &row[queries + (kv + head) * dim..][..dim]);
    }
}

/// Attention of each row's new tokens over its cache, to which their keys and values are appended first. The first pass
/// (prefill) attends as training does.
fn attend(pass: &mut Pass, layer: usize, mut qkv: Vec<f32>, cached: &mut Vec<CachedHead>, first: bool) -> Attended {
    pass.rotate(layer, Direction::Forward, &mut qkv);
    let shape = shape(pass.spec, layer);
    let (dim, kv, group) = (shape.head_dim, shape.kv_heads, shape.heads / shape.kv_heads);
    cached.resize_with(pass.layout.segments.len() * kv, || CachedHead::new(pass.set, pass.operands(), dim));
    let (stride, width) = (shape.row(), group * dim);
    // Reserved here, on one thread: allocators keep an arena per thread, and if the threads that append also allocated, the
    // memory taken in all would depend on their order.
    for (index, cached) in cached.iter_mut().enumerate() {
        cached.reserve(pass.layout.segments[index / kv].length);
    }
    let mut out = if first { Vec::new() } else { pass.pool.take(pass.layout.rows() * kv * width) };
    let mut places = out.chunks_exact_mut(width);
    // Slices of the result: token after token, head after head.
    let mut tasks: Vec<(usize, &mut CachedHead, Vec<&mut [f32]>)> =
        cached.iter_mut().enumerate().map(|(index, cached)| (index, cached, Vec::new())).collect();
    for (row, segment) in pass.layout.segments.iter().enumerate() {
        for (index, place) in places.by_ref().take(segment.length * kv).enumerate() {
            tasks[row * kv + index % kv].2.push(place);
        }
    }
    let segments = &pass.layout.segments;
    let work: usize = tasks.iter().map(|(index, cached, _)| (cached.len() + segments[index / kv].length) * width).sum();
    pass.workers.unwrap_or(&ThreadPool::CALLER_ONLY).worth(work).share_each(tasks, |(index, cached, places)| {
        let (segment, head) = (&segments[index / kv], index % kv);
        append(&shape, &qkv, segment, head, cached);
        for (at, out) in places.into_iter().enumerate() {
            let end = cached.len() + at + 1 - segment.length;
            let start = shape.window.map_or(0, |window| end.saturating_sub(window));
            let query = &qkv[(segment.start + at) * stride + head * width..][..width];
            cached.attend(shape.scale, start..end, query, out);
        }
    });
    if first { attend_first(pass, layer, qkv) } else { attended(qkv, out, Vec::new()) }
}

fn attended(qkv: Vec<f32>, out: Vec<f32>, log_sums: Vec<f32>) -> Attended {
    Attended { qkv: Stored::F32(qkv), out: Stored::F32(out), log_sums }
}

/// Attention of the prefill, as in training; its output is widened to f32 for the matmuls of generation.
fn attend_first(pass: &mut Pass, layer: usize, qkv: Vec<f32>) -> Attended {
    if pass.operands() == Operands::F32 {
        return attend_rotated(pass, layer, Stored::F32(qkv));
    }
    let rounded = Stored::Bf16(pass.round(&qkv));
    let Attended { qkv: rounded, out, log_sums } = attend_rotated(pass, layer, rounded);
    pass.pool.give_stored(rounded);
    let Stored::Bf16(out) = out else { unreachable!("attention reads and writes rows of one dtype") };
    let wide = pass.widen(&out);
    pass.pool.give_bf16(out);
    attended(qkv, wide, log_sums)
}

impl SliceCache {
    fn advance_with(
        &mut self,
        workers: &ThreadPool,
        tokens: &[Vec<u32>],
        next: &mut NextTokens,
    ) -> Result<Option<Vec<Vec<u32>>>> {
        self.check(tokens)?;
        let layout = self.layout(tokens);
        let first = self.lengths.iter().all(|length| *length == 0);
        self.lengths.iter_mut().zip(tokens).for_each(|(length, row)| *length += row.len());
        let furthest = self.lengths.iter().copied().max().unwrap_or(0);
        self.tables.iter_mut().for_each(|table| table.grow(furthest));
        let mut pass = Pass {
            set: self.set,
            spec: &self.spec,
            weights: &self.weights,
            gradients: None,
            adapter: self.adapter.as_mut(),
            tables: &self.tables,
            layout: &layout,
            dropout: None,
            workers: Some(workers),
            pool: &mut self.pool,
        };
        let logits = step(&mut pass, &mut self.heads, first);
        let mut found = logits.chunks_exact(self.spec.vocabulary);
        let rows =
            tokens.iter().map(|row| if row.is_empty() { [].as_slice() } else { found.next().unwrap_or_default() });
        let fed = next(&rows.collect::<Vec<_>>());
        self.pool.give([logits]);
        fed
    }
}

impl Cache for SliceCache {
    fn advance(&mut self, tokens: &[Vec<u32>], next: &mut NextTokens) -> Result<Option<Vec<Vec<u32>>>> {
        ThreadPool::scope(|workers| self.advance_with(workers, tokens, next))
    }

    fn generate(&mut self, prompts: Vec<Vec<u32>>, next: &mut NextTokens) -> Result<()> {
        ThreadPool::scope(|workers| decode_loop(prompts, |tokens| self.advance_with(workers, tokens, next)))
    }
}

/// One pass over the new tokens; returns the logits of the rows that have any, one after another.
fn step(pass: &mut Pass, heads: &mut [Vec<CachedHead>], first: bool) -> Vec<f32> {
    let mut x = super::embed(pass, None, &ForwardOptions::default());
    for (layer, cached) in heads.iter_mut().enumerate() {
        let (y, kept) = block_forward_with(pass, layer, x, |pass, layer, qkv| attend(pass, layer, qkv, cached, first));
        super::discard(pass, kept);
        x = y;
    }
    let hidden = pass.spec.hidden;
    let last = pass.layout.segments.iter().filter(|segment| segment.length > 0);
    let last = last.map(|segment| segment.start + segment.length - 1);
    let ends: Vec<f32> = last.flat_map(|row| x[row * hidden..][..hidden].to_vec()).collect();
    let (normed, inverse) = pass.norm(&ends, pass.weights.final_norm);
    let logits = super::score::logits(pass, &normed);
    pass.pool.give_stream(x);
    pass.pool.give([normed, inverse]);
    logits
}
