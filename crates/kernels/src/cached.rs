//! Attention of single new tokens over cached keys and values, in generation.

use crate::InstructionSet;
use crate::instruction_set::dispatch;
use crate::lanes::{exp, largest, madd, sum};

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
        one_head(set, scale, query, keys, values, &mut scores, out);
    }
}

dispatch!(
    fn one_head(scale: f32, query: &[f32], keys: &[f32], values: &[f32], scores: &mut [f32], out: &mut [f32]) = head_body
);

#[inline(always)]
fn head_body<const FMA: bool>(
    scale: f32,
    query: &[f32],
    keys: &[f32],
    values: &[f32],
    scores: &mut [f32],
    out: &mut [f32],
) {
    let dim = query.len();
    for (score, key) in scores.iter_mut().zip(keys.chunks_exact(dim)) {
        *score = scale * sum(dim, |i, so_far| madd::<FMA>(query[i], key[i], so_far));
    }
    let peak = largest(scores);
    scores.iter_mut().for_each(|score| *score = exp::<FMA>(*score - peak));
    let mass = sum(scores.len(), |i, so_far| so_far + scores[i]);
    out.fill(0.0);
    for (weight, value) in scores.iter().zip(values.chunks_exact(dim)) {
        out.iter_mut().zip(value).for_each(|(out, value)| *out = madd::<FMA>(*weight, *value, *out));
    }
    let factor = 1.0 / mass;
    out.iter_mut().for_each(|value| *value *= factor);
}

#[cfg(test)]
mod tests {
    use super::*;
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
            attention(set, &shape, &segments, Mat::new(&qkv, rows, width), target, &mut sums);
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
