//! The buffers of the slice back-end, counted: every term names rows that a pass takes from its buffer pool, a KV cache of
//! generation, or matrices that the kernels pack.

use super::score::logit_rows;
use crate::decoder::Checkpointing;
use crate::memory::{Footprint, PerToken, Work};
use crate::{DecoderSpec, QueryKeyNorm};
use alidade_domain::Precision;
use alidade_kernels::InstructionSet;

/// f32 matmuls pack the matrix that they read, as much of it as a large last-level cache holds.
const PACKED_BYTES: u64 = 24 << 20;

/// Bytes of the buffers of the work.
pub(crate) fn work_bytes(model: &Footprint, set: InstructionSet, work: &Work) -> u64 {
    match *work {
        Work::Taped { tokens, scored, keep, .. } => taped(model, set, [tokens, scored], keep),
        Work::Read { tokens, scored, .. } => {
            tokens * 4 * reading(model.spec, keeps_pairs(model, set)) + logits_bytes(model, set, scored)
        }
        // KV caches of all answers, the pass over their prompts, the logits of one step.
        Work::Written { rows, asked, answer } => {
            let PerToken { passing, cached, .. } = per_token(model, set);
            let round = rows * model.spec.vocabulary as u64 * 4;
            asked * passing + (asked + rows * answer) * cached + round
        }
    }
}

fn taped(model: &Footprint, set: InstructionSet, [tokens, scored]: [u64; 2], keep: Checkpointing) -> u64 {
    let (four, pairs) = (4, keeps_pairs(model, set));
    let kept = tokens * four * model.spec.layers as u64 * per_layer(model, set, keep);
    // Scored rows: before and after the norm, ∂logp/∂hidden, and the gradient.
    let rows = scored * four * 4 * model.spec.hidden as u64;
    kept + tokens * four * passing(model.spec, pairs) + rows + logits_bytes(model, set, scored)
}

/// Bytes per token of a batch.
pub(crate) fn per_token(model: &Footprint, set: InstructionSet) -> PerToken {
    let (spec, pairs) = (model.spec, takes_pairs(model.precision, set));
    let keys = (2 * spec.layers * spec.kv_heads * spec.head_dim) as u64;
    // Keys and values are appended to vectors that double: half as much again on average.
    PerToken { passing: 4 * reading(spec, pairs), scored: 0, cached: keys * if pairs { 3 } else { 6 } }
}

/// Logits of one chunk of scored rows, and their copy in bf16.
pub(crate) fn logits_bytes(model: &Footprint, set: InstructionSet, scored: u64) -> u64 {
    let spec = model.spec;
    let matrix = (spec.vocabulary * spec.hidden * 4) as u64;
    let (rounded, packed) = match keeps_pairs(model, set) {
        true => (2, 0),
        false => (0, if scored > 0 { matrix.min(PACKED_BYTES) } else { 0 }),
    };
    (logit_rows(spec.vocabulary) as u64).min(scored) * spec.vocabulary as u64 * (4 + rounded) + packed
}

/// f32 values per token that a block saves for the backward pass.
fn per_layer(model: &Footprint, set: InstructionSet, keep: Checkpointing) -> u64 {
    let spec = model.spec;
    let (queries, keys) = ((spec.heads * spec.head_dim) as u64, (spec.kv_heads * spec.head_dim) as u64);
    let before = if spec.query_key_norm == QueryKeyNorm::None { 0 } else { queries + keys };
    let (hidden, wide) = (spec.hidden as u64, spec.intermediate as u64);
    let attention = (2 * queries + 2 * keys) / if rounds(model, set) { 2 } else { 1 };
    let slim = 2 * hidden + attention + spec.heads as u64 + model.adapter.inner + before + 2;
    let widened = if keeps_pairs(model, set) { wide } else { 2 * wide };
    match keep {
        Checkpointing::Blocks => hidden,
        Checkpointing::GateUp => slim,
        Checkpointing::MiddleStream => slim + widened - hidden,
        Checkpointing::Off => slim + widened,
    }
}

/// True when matmuls with these weights multiply pairs of bf16.
fn takes_pairs(precision: Precision, set: InstructionSet) -> bool {
    precision == Precision::Bf16 && set.takes_pairs()
}

/// True when inputs and output of attention are saved as bf16.
fn rounds(model: &Footprint, set: InstructionSet) -> bool {
    takes_pairs(model.precision, set) && !model.full
}

/// True when gate and up are saved as bf16.
pub(crate) fn keeps_pairs(model: &Footprint, set: InstructionSet) -> bool {
    rounds(model, set) && !model.adapter.dropout
}

/// Transient f32 values per token of a block with its backward pass: input, output and a normed row; queries, keys and values
/// with their gradients; and two rows of the gate's width, which are bf16 where matmuls multiply pairs.
fn passing(spec: &DecoderSpec, paired: bool) -> u64 {
    let attention = 2 * (spec.heads + spec.kv_heads) * spec.head_dim;
    let gate = if paired { spec.intermediate } else { 2 * spec.intermediate };
    (attention + gate + 3 * spec.hidden) as u64
}

/// The same for a forward pass alone: a block's input, middle and output and a normed row; queries, keys, values and the output
/// of attention; gate, up and their product. The last three are bf16 where matmuls multiply pairs.
fn reading(spec: &DecoderSpec, paired: bool) -> u64 {
    let attention = 2 * (spec.heads + spec.kv_heads) * spec.head_dim;
    let gate = 3 * spec.intermediate / if paired { 2 } else { 1 };
    (attention + gate + 4 * spec.hidden) as u64
}
