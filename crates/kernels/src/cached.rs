//! Attention of single new tokens over cached keys and values, in generation.

use crate::InstructionSet;
use crate::instruction_set::dispatch;
use crate::lanes::{exp, largest, madd, sum};
use crate::rowwise::one_by_sixteen;

/// Keys that meet a query at a time.
const SIXTEEN: usize = 16;
/// Columns of the values that are summed at a time.
const WIDE: usize = 32;

/// softmax(scale·q·kᵀ)·v for the query heads `[g·d]` that share the cached `keys` and `values` `[n, d]`, into `out` `[g·d]`.
///
/// # Panics
/// When the lengths do not match.
pub fn attend_cached(
    set: InstructionSet,
    scale: f32,
    dim: usize,
    queries: &[f32],
    keys: &[f32],
    values: &[f32],
    out: &mut [f32],
) {
    assert!(keys.len() == values.len() && keys.len().is_multiple_of(dim) && out.len() == queries.len());
    let mut scores = vec![0.0; keys.len() / dim];
    for (query, out) in queries.chunks_exact(dim).zip(out.chunks_exact_mut(dim)) {
        for (keys, scores) in keys.chunks(dim * SIXTEEN).zip(scores.chunks_mut(SIXTEEN)) {
            // Missing keys are filled with the last one, whose result is then left out.
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

/// Makes exp(s − max s) of the scores and gives one over their sum.
#[inline(always)]
fn weigh_body<const FMA: bool>(scores: &mut [f32]) -> f32 {
    let peak = largest(scores);
    scores.iter_mut().for_each(|score| *score = exp::<FMA>(*score - peak));
    1.0 / sum(scores.len(), |i, so_far| so_far + scores[i])
}

/// out = factor·Σ weight·value, value by value; columns that fit into registers at a time.
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
    // Two sums in turn: each would wait for itself otherwise.
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
    use crate::Operands;
    use crate::{AttentionShape, Mat, MatMut, Segment, attention};

    /// The last row of whole attention is attention over the cache.
    #[test]
    fn it_agrees_with_whole_attention_on_every_level() {
        let shape = AttentionShape { heads: 4, kv_heads: 2, head_dim: 20, scale: 0.3, window: None };
        let (rows, width) = (37, shape.row());
        let qkv: Vec<f32> = (0..rows * width).map(|i| (i as f32 * 0.77).sin()).collect();
        for set in InstructionSet::all() {
            let (mut out, mut sums) = (vec![0.0; rows * 80], vec![0.0; rows * 4]);
            let segments = [Segment { start: 0, length: rows }];
            let target = MatMut::new(&mut out, rows, 80);
            attention(set, Operands::Single, &shape, &segments, Mat::new(&qkv, rows, width), target, &mut sums);
            for kv in 0..2 {
                let lane = |first: usize| {
                    let row = |row: usize| qkv[row * width + first + kv * 20..][..20].to_vec();
                    (0..rows).flat_map(row).collect::<Vec<f32>>()
                };
                let queries = &qkv[(rows - 1) * width + kv * 40..][..40];
                let mut ours = vec![0.0; 40];
                attend_cached(set, 0.3, 20, queries, &lane(80), &lane(120), &mut ours);
                let expected = &out[(rows - 1) * 80 + kv * 40..][..40];
                assert!(ours.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{set:?}");
            }
        }
    }
}
