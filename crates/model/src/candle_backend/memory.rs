//! The tensors of the candle back-end, counted. A taped pass keeps every tensor that is an operand of another; a value with a
//! backward rule of ours (`rules::attach`) exists twice, in the rule and in the graph. Without a tape a tensor lives for one
//! operation. Rows are padded to the longest of their batch.

use crate::memory::{Footprint, PerToken, Work};
use crate::{DecoderSpec, QueryKeyNorm};

/// Positions by which a KV cache grows.
const ROOM: u64 = 256;

/// Tensors of a linear layer's output size in a tape: the frozen matmul and its node.
const FROZEN: u64 = 2;
/// In addition for a LoRA pair: the product, the scaled product, and the sum.
const PAIR: u64 = 3;
/// In addition for DoRA: the correction, the sum with it, and the weighted update.
const MAGNITUDE: u64 = 3;
/// Tensors of the size of the logits: matmul and node, log-probabilities, and those of the entropy (f64 counts twice).
const LOGITS: u64 = 7;

/// Tensors of the size of the attention scores of one block that its backward pass takes.
const BACKWARD: u64 = 4;

/// Bytes of the tensors of the work.
pub(crate) fn work_bytes(model: &Footprint, work: &Work) -> u64 {
    let spec = model.spec;
    match *work {
        Work::Taped { padded: tokens, scored, longest, .. } => {
            let keys = longest + model.adapter.prefix;
            let block = taped(model) + per_key(model, true) * keys;
            let kept = spec.layers as u64 * block + BACKWARD * spec.heads as u64 * keys;
            4 * (tokens * kept + scored * 4 * spec.hidden as u64) + logits_bytes(model, scored)
        }
        Work::Read { padded: tokens, scored, longest, .. } => {
            let scores = 4 * per_key(model, false) * (longest + model.adapter.prefix);
            tokens * (per_token(model).passing + scores) + logits_bytes(model, scored)
        }
        Work::Written { rows, asked, answer } => {
            let positions = (asked.div_ceil(rows.max(1)) + answer + model.adapter.prefix).div_ceil(ROOM) * ROOM;
            let round = rows * spec.vocabulary as u64 * 4 * 2;
            let scores = asked * asked.div_ceil(rows.max(1)) * 4 * per_key(model, false);
            asked * per_token(model).passing + scores + rows * positions * cached(spec) + round
        }
    }
}

/// Bytes per token of a batch: the widest moment of a block, and keys and values.
pub(crate) fn per_token(model: &Footprint) -> PerToken {
    let spec = model.spec;
    let [hidden, queries, keys, wide] = widths(spec);
    let passing = 3 * hidden + (5 * wide).max(4 * queries + 4 * keys);
    // A KV cache has capacity for more positions than are filled.
    PerToken { passing: 4 * passing, scored: logits_bytes(model, 1), cached: 2 * cached(spec) }
}

/// Keys and values of a position.
fn cached(spec: &DecoderSpec) -> u64 {
    (4 * 2 * spec.layers * spec.kv_heads * spec.head_dim) as u64
}

/// Bytes of the logits of so many tokens, and of what is computed from them.
pub(crate) fn logits_bytes(model: &Footprint, scored: u64) -> u64 {
    let capped = if model.spec.logit_cap.is_some() { 3 } else { 0 };
    let divided = u64::from(model.spec.logit_divisor != 1.0);
    scored * model.spec.vocabulary as u64 * 4 * (LOGITS + capped + divided)
}

fn widths(spec: &DecoderSpec) -> [u64; 4] {
    let (queries, keys) = (spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim);
    [spec.hidden, queries, keys, spec.intermediate].map(|width| width as u64)
}

/// f32 values per token that a block leaves in the tape, except attention scores.
fn taped(model: &Footprint) -> u64 {
    let spec = model.spec;
    let [hidden, queries, keys, wide] = widths(spec);
    let linears: u64 = spec
        .linears()
        .iter()
        .map(|linear| (linear.outputs * (FROZEN as usize + usize::from(linear.bias))) as u64)
        .sum();
    let update = PAIR + if model.adapter.magnitudes { MAGNITUDE } else { 0 };
    let mut adapter = model.adapter.outputs * update + model.adapter.inner;
    if model.adapter.dropout {
        // The mask, the dropped input and its node; with DoRA its product as well.
        adapter += 3 * model.adapter.inputs + if model.adapter.magnitudes { FROZEN * model.adapter.outputs } else { 0 };
    }
    let norms = spec.norms.names().count() as u64 * 2 * hidden;
    let head_norms = if spec.query_key_norm == QueryKeyNorm::None { 0 } else { 2 * (queries + keys) };
    // Heads, rotated, queries scaled, keys transposed; the output of attention, by heads and as a row.
    let attention = (queries + 2 * keys) + 2 * (queries + keys) + queries + keys + 2 * queries;
    // Keys and values are copied behind a learned prefix.
    let prefixed = if model.adapter.prefix > 0 { 2 * keys } else { 0 };
    // Two residual sums, the activation of the gate and its product.
    linears + adapter + norms + head_norms + attention + prefixed + 2 * hidden + 2 * wide
}

/// f32 values per token and key: scores, masked scores, weights and their node, and for candle's backward pass the gradient of
/// the mask, which it keeps to the end; three more where scores are capped.
fn per_key(model: &Footprint, taped: bool) -> u64 {
    let capped = if model.spec.attention_cap.is_some() { 3 } else { 0 };
    model.spec.heads as u64 * if taped { 5 + capped } else { 3 }
}
