//! Generation with cached keys and values. Each row has its own length, so prompts need no padding.

use super::adapter::Adapter;
use super::block::{attend_rows, block_forward_with};
use super::layout::Layout;
use super::pass::{Pass, shape};
use super::pool::Pool;
use super::weights::Weights;
use crate::decoder::{Cache, ForwardOptions, NextTokens, take_turns};
use crate::error::Result;
use crate::{DecoderSpec, ModelError};
use alidade_kernels::{Crew, InstructionSet, RotaryTable, Segment, attend_cached};
use std::sync::Arc;

/// Multiplications below which attention stays on one thread: telling another costs more.
const WORTH_SHARING: usize = 20_000;

/// Keys and values `[n, d]` of one key head of one row.
#[derive(Default)]
struct Lane {
    keys: Vec<f32>,
    values: Vec<f32>,
}

pub(super) struct SliceCache {
    spec: DecoderSpec,
    set: InstructionSet,
    weights: Arc<Weights>,
    adapter: Option<Adapter>,
    tables: Vec<RotaryTable>,
    /// By layer: row after row, head after head.
    lanes: Vec<Vec<Lane>>,
    /// Positions so far of each row.
    lengths: Vec<usize>,
    pool: Pool,
}

impl SliceCache {
    pub(super) fn new(spec: DecoderSpec, set: InstructionSet, weights: Arc<Weights>, adapter: Option<Adapter>) -> Self {
        let tables = spec.ropes.iter().map(|rope| RotaryTable::new(rope.frequencies())).collect();
        let lanes = (0..spec.layers).map(|_| Vec::new()).collect();
        Self { spec, set, weights, adapter, tables, lanes, lengths: Vec::new(), pool: Pool::default() }
    }

    fn check(&mut self, tokens: &[Vec<u32>]) -> Result<()> {
        self.lengths.resize(tokens.len(), 0);
        for (row, length) in tokens.iter().zip(&self.lengths) {
            self.spec.check_ids(row, 0)?;
            if length + row.len() > self.spec.context {
                return Err(ModelError::Request(format!(
                    "The model's context of {} tokens is full.",
                    self.spec.context
                )));
            }
        }
        Ok(())
    }

    fn layout(&self, tokens: &[Vec<u32>]) -> Layout {
        let lengths: Vec<usize> = tokens.iter().map(Vec::len).collect();
        let mut layout = Layout::whole(&lengths, |row, column| tokens[row][column], |_, _| 0);
        // Rows that have ended keep their place.
        let starts = lengths.iter().scan(0, |start, length| Some(std::mem::replace(start, *start + length)));
        layout.segments = starts.zip(&lengths).map(|(start, length)| Segment { start, length: *length }).collect();
        for (segment, earlier) in layout.segments.iter().zip(&self.lengths) {
            let own = &mut layout.positions[segment.start..segment.start + segment.length];
            own.iter_mut().for_each(|position| *position += *earlier as u32);
        }
        layout
    }
}

/// Appends the keys and values of a pass to the lanes of its layer.
fn append(spec: &DecoderSpec, layout: &Layout, qkv: &[f32], lanes: &mut Vec<Lane>) {
    let (dim, kv) = (spec.head_dim, spec.kv_heads);
    let (queries, stride) = (spec.heads * dim, (spec.heads + 2 * kv) * dim);
    lanes.resize_with(layout.segments.len() * kv, Lane::default);
    for (index, lane) in lanes.iter_mut().enumerate() {
        let (segment, head) = (&layout.segments[index / kv], index % kv);
        for row in segment.start..segment.start + segment.length {
            let row = &qkv[row * stride..][..stride];
            lane.keys.extend_from_slice(&row[queries + head * dim..][..dim]);
            lane.values.extend_from_slice(&row[queries + (kv + head) * dim..][..dim]);
        }
    }
}

/// Attention of each row's new tokens over its lanes, which hold them already.
fn attend(pass: &mut Pass, layer: usize, qkv: &[f32], lanes: &[Lane]) -> (Vec<f32>, Vec<f32>) {
    let shape = shape(pass.spec, layer);
    let (dim, group) = (shape.head_dim, shape.heads / shape.kv_heads);
    let (stride, queries) = (shape.row(), shape.heads * shape.head_dim);
    let mut out = pass.pool.take(pass.layout.rows() * queries);
    let places = pass.layout.segments.iter().enumerate();
    let places: Vec<(usize, usize)> =
        places.flat_map(|(row, segment)| (0..segment.length).map(move |at| (row, segment.length - 1 - at))).collect();
    let set = pass.set;
    let one = |(index, out): (usize, &mut [f32])| {
        let (place, head) = (index / shape.kv_heads, index % shape.kv_heads);
        let (row, behind) = places[place];
        let lane = &lanes[row * shape.kv_heads + head];
        let end = lane.keys.len() - behind * dim;
        let start = shape.window.map_or(0, |window| end.saturating_sub(window * dim));
        let query = &qkv[place * stride + head * group * dim..][..group * dim];
        attend_cached(set, shape.scale, dim, query, &lane.keys[start..end], &lane.values[start..end], out);
    };
    let work: usize = lanes.iter().map(|lane| lane.keys.len() * group).sum();
    let crew = pass.crew.filter(|_| work >= WORTH_SHARING).unwrap_or(&Crew::ALONE);
    crew.share_each(out.chunks_exact_mut(group * dim).enumerate().collect(), one);
    (out, Vec::new())
}

impl SliceCache {
    fn advance_with(&mut self, crew: &Crew, tokens: &[Vec<u32>]) -> Result<Vec<Vec<f32>>> {
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
            crew: Some(crew),
            pool: &mut self.pool,
        };
        let mut found = step(&mut pass, &mut self.lanes, first).into_iter();
        Ok(tokens
            .iter()
            .map(|row| if row.is_empty() { Vec::new() } else { found.next().unwrap_or_default() })
            .collect())
    }
}

impl Cache for SliceCache {
    fn advance(&mut self, tokens: &[Vec<u32>]) -> Result<Vec<Vec<f32>>> {
        Crew::gather(|crew| self.advance_with(crew, tokens))
    }

    fn write(&mut self, prompts: Vec<Vec<u32>>, next: &mut NextTokens) -> Result<()> {
        Crew::gather(|crew| take_turns(prompts, next, |tokens| self.advance_with(crew, tokens)))
    }
}

/// One pass over the new tokens; gives the logits of each row that has some.
fn step(pass: &mut Pass, lanes: &mut [Vec<Lane>], first: bool) -> Vec<Vec<f32>> {
    let mut x = super::embed(pass, None, &ForwardOptions::default());
    for (layer, lanes) in lanes.iter_mut().enumerate() {
        let (y, kept) = block_forward_with(pass, layer, x, |pass, layer, qkv| {
            append(pass.spec, pass.layout, qkv, lanes);
            if first { attend_rows(pass, layer, qkv) } else { attend(pass, layer, qkv, lanes) }
        });
        super::discard(pass, kept);
        x = y;
    }
    let hidden = pass.spec.hidden;
    let last = pass.layout.segments.iter().filter(|segment| segment.length > 0);
    let last = last.map(|segment| segment.start + segment.length - 1);
    let ends: Vec<f32> = last.flat_map(|row| x[row * hidden..][..hidden].to_vec()).collect();
    let (normed, inverse) = pass.norm(&ends, pass.weights.final_norm);
    let logits = super::score::logits(pass, &normed);
    let rows = logits.chunks_exact(pass.spec.vocabulary).map(<[f32]>::to_vec).collect();
    pass.pool.give([x, normed, inverse, logits]);
    rows
}
