//! The KV cache of one key head, and decode-time attention of single new tokens over it.

use crate::instruction_set::dispatch;
use crate::lanes::{exp, largest, madd, sum};
use crate::pairs::Bf16Head;
use crate::rowwise::one_by_sixteen;
use crate::{InstructionSet, Operands};
use std::ops::Range;

/// Keys that are multiplied with a query at a time.
const SIXTEEN: usize = 16;
/// Columns of the values that are accumulated at a time.
const WIDE: usize = 32;

/// The KV cache of one key head, with keys and values of `dim` elements.
#[derive(Debug, Clone)]
pub struct CachedHead {
    set: InstructionSet,
    dim: usize,
    storage: Storage,
}

#[derive(Debug, Clone)]
enum Storage {
    /// `[n, d]` each.
    F32 { keys: Vec<f32>, values: Vec<f32> },
    /// Rounded to bf16, as are the queries and attention weights that are multiplied with them.
    Bf16(Bf16Head),
}

impl CachedHead {
    /// An empty cache.
    ///
    /// # Panics
    /// When operands are bf16 and the set has no instructions for bf16 pairs.
    pub fn new(set: InstructionSet, operands: Operands, dim: usize) -> Self {
        let storage = match operands {
            Operands::F32 => Storage::F32 { keys: Vec::new(), values: Vec::new() },
            Operands::Bf16 => Storage::Bf16(Bf16Head::new(set, dim)),
        };
        Self { set, dim, storage }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        match &self.storage {
            Storage::F32 { keys, .. } => keys.len() / self.dim,
            Storage::Bf16(head) => head.len(),
        }
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reserves capacity for so many further keys; appending them then allocates nothing.
    pub fn reserve(&mut self, further: usize) {
        match &mut self.storage {
            Storage::F32 { keys, values } => {
                keys.reserve(further * self.dim);
                values.reserve(further * self.dim);
            }
            Storage::Bf16(head) => head.reserve(further),
        }
    }

    /// Appends a key and its value.
    ///
    /// # Panics
    /// When they have another length.
    pub fn push(&mut self, key: &[f32], value: &[f32]) {
        assert!(key.len() == self.dim && value.len() == self.dim, "keys and values have another length");
        match &mut self.storage {
            Storage::F32 { keys, values } => {
                keys.extend_from_slice(key);
                values.extend_from_slice(value);
            }
            Storage::Bf16(head) => head.push(key, value),
        }
    }

    /// softmax(scale·q·kᵀ)·v for the query heads `[g·d]` that share the keys of a range, into `out` `[g·d]`.
    ///
    /// # Panics
    /// When the lengths do not match.
    pub fn attend(&self, scale: f32, range: Range<usize>, queries: &[f32], out: &mut [f32]) {
        assert!(queries.len().is_multiple_of(self.dim) && out.len() == queries.len(), "lengths do not match");
        match &self.storage {
            Storage::F32 { keys, values } => {
                let own = range.start * self.dim..range.end * self.dim;
                attend_f32(self.set, scale, self.dim, queries, &keys[own.clone()], &values[own], out);
            }
            Storage::Bf16(head) => head.attend(scale, range, queries, out, |scores| weigh(self.set, scores)),
        }
    }
}

fn attend_f32(
    set: InstructionSet,
    scale: f32,
    dim: usize,
    queries: &[f32],
    keys: &[f32],
    values: &[f32],
    out: &mut [f32],
) {
    let mut scores = vec![0.0; keys.len() / dim];
    for (query, out) in queries.chunks_exact(dim).zip(out.chunks_exact_mut(dim)) {
        for (keys, scores) in keys.chunks(dim * SIXTEEN).zip(scores.chunks_mut(SIXTEEN)) {
            // Missing keys are padded with the last one; those results are dropped.
            let last = scores.len() - 1;
            let found = one_by_sixteen(set, query, std::array::from_fn(|key| &keys[key.min(last) * dim..][..dim]));
            scores.iter_mut().zip(found).for_each(|(score, found)| *score = scale * found);
        }
        let factor = weigh(set, &mut scores);
        mix(set, factor, &scores, values, out);
    }
}

dispatch!(fn weigh(scores: &mut [f32]) -> f32 = weigh_body);
dispatch!(fn mix(factor: f32, weights: &[f32], values: &[f32], out: &mut [f32]) = mix_body);

/// Replaces scores by exp(s − max s) and returns one over their sum.
#[inline(always)]
fn weigh_body<const FMA: bool>(scores: &mut [f32]) -> f32 {
    let peak = largest(scores);
    scores.iter_mut().for_each(|score| *score = exp::<FMA>(*score - peak));
    1.0 / sum(scores.len(), |i, so_far| so_far + scores[i])
}

/// out = factor·Σ weight·value, as many columns at a time as fit into registers.
#[inline(always)]
fn mix_body<const FMA: bool>(factor: f32, weights: &[f32], values: &[f32], out: &mut [f32]) {
    let dim = out.len();
    let (wide, rest) = out.as_chunks_mut::<WIDE>();
    for (index, out) in wide.iter_mut().enumerate() {
        mix_columns::<FMA, WIDE>(factor, weights, &values[index * WIDE..], dim, out);
    }
    let done = dim - rest.len();
    for (index, out) in rest.iter_mut().enumerate() {
        mix_columns::<FMA, 1>(factor, weights, &values[done + index..], dim, std::array::from_mut(out));
    }
}

#[inline(always)]
fn mix_columns<const FMA: bool, const N: usize>(
    factor: f32,
    weights: &[f32],
    values: &[f32],
    dim: usize,
    out: &mut [f32; N],
) {
    // Two alternating accumulators, to break the dependency chain.
    let mut sums = [[0.0f32; N]; 2];
    let (pairs, last) = weights.as_chunks::<2>();
    for (weights, values) in pairs.iter().zip(values.chunks(2 * dim)) {
        let (even, odd) = (&values[..N], &values[dim..dim + N]);
        for column in 0..N {
            sums[0][column] = madd::<FMA>(weights[0], even[column], sums[0][column]);
            sums[1][column] = madd::<FMA>(weights[1], odd[column], sums[1][column]);
        }
    }
    if let [weight] = last {
        let value = &values[pairs.len() * 2 * dim..][..N];
        for column in 0..N {
            sums[0][column] = madd::<FMA>(*weight, value[column], sums[0][column]);
        }
    }
    let [even, odd] = sums;
    *out = std::array::from_fn(|column| (even[column] + odd[column]) * factor);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttentionShape, Mat, MatMut, Segment, attention};

    /// The last row of full attention equals attention over the cache; with a window, over its last part.
    #[test]
    fn it_agrees_with_full_attention_on_every_level() {
        for (dim, rows, window) in
            [(20, 37, None), (64, 100, None), (33, 1, None), (16, 150, Some(70)), (64, 64, Some(32))]
        {
            let shape = AttentionShape { heads: 4, kv_heads: 2, head_dim: dim, scale: 0.3, window };
            let width = shape.row();
            let qkv: Vec<f32> = (0..rows * width).map(|i| (i as f32 * 0.77).sin()).collect();
            let both = InstructionSet::all().flat_map(|set| [(set, Operands::F32), (set, Operands::Bf16)]);
            for (set, operands) in both.filter(|(set, how)| *how == Operands::F32 || set.takes_pairs()) {
                let (mut out, mut sums) = (vec![0.0; rows * 4 * dim], vec![0.0; rows * 4]);
                let segments = [Segment { start: 0, length: rows }];
                let target = MatMut::new(&mut out, rows, 4 * dim);
                attention(set, &shape, &segments, Mat::new(&qkv, rows, width), target, &mut sums);
                for kv in 0..2 {
                    let mut head = CachedHead::new(set, operands, dim);
                    for row in qkv.chunks_exact(width) {
                        let part = |first: usize| &row[(first + kv) * dim..][..dim];
                        head.push(part(4), part(6));
                    }
                    // One more key, which the range excludes.
                    head.push(&vec![9.0; dim], &vec![9.0; dim]);
                    assert_eq!(head.len(), rows + 1);
                    let queries = &qkv[(rows - 1) * width + kv * 2 * dim..][..2 * dim];
                    let mut ours = vec![0.0; 2 * dim];
                    head.attend(0.3, window.map_or(0, |window| rows - window)..rows, queries, &mut ours);
                    let expected = &out[(rows - 1) * 4 * dim + kv * 2 * dim..][..2 * dim];
                    // bf16 weights round differently before and after they are divided by their sum.
                    let bound = if operands == Operands::F32 { 1e-6 } else { 4e-3 };
                    let gap = ours.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(gap < bound, "{set:?} {operands:?} {dim} {rows}: {gap}");
                }
            }
        }
    }
}
