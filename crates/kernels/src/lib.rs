//! The compute kernels of a decoder over plain slices, forward and backward, dispatched at run time by instruction set.
//!
//! Every function says which rows and columns it reads and writes; none knows what a layer, an adapter or a batch is
//! (that is `model`). Work is split by rows, heads or output columns and never along a reduction, so results are
//! bit-identical for any number of threads. This is the only crate that may hold `unsafe`: each block says why it is sound,
//! and each fast path is tested against the plain one.

mod aligned;
mod arena;
mod attention;
mod bf16;
mod bytes;
mod cross_entropy;
mod elementwise;
mod instruction_set;
mod kv_cache;
mod lanes;
mod matrix;
mod norm;
#[cfg_attr(not(target_arch = "x86_64"), path = "pairs_stub.rs")]
mod pairs;
mod rotary;
mod rowwise;
mod thread_pool;

pub use aligned::Aligned;
pub use arena::{Arena, ArenaVec, Zeroable};
pub use attention::{AttentionShape, Operands, SavedAttention, Segment, attention, attention_backward};
pub use bf16::{round_bf16, widen_bf16};
pub use bytes::{BytePanels, Quantised};
pub use cross_entropy::{RowScore, logit_gradients, score_rows};
pub use elementwise::{add, add_bias, bias_gradient, gate, gate_backward, gate_backward_rounded, gate_rounded};
pub use instruction_set::{InstructionSet, Level};
pub use kv_cache::CachedHead;
pub use matrix::{Mat, MatMut, Threads, matmul};
pub use norm::{
    head_norm_weight_gradients, norm_heads, norm_heads_backward, rms_norm, rms_norm_backward, rms_norm_rounded,
    rms_norm_weight_gradient,
};
#[cfg(target_arch = "x86_64")]
pub use pairs::trust_tiles;
pub use pairs::{
    Panels, Place, RoundedRows, SavedRoundedAttention, Source, Term, pairs_backward, pairs_decode, pairs_forward,
    pairs_matmul, rounded_attention, rounded_attention_backward,
};
pub use rotary::{Direction, RotaryTable, rotate, rotate_rounded};
pub use rowwise::{QUANT_BLOCK, Rows, quantise_q4_0, quantise_q8_0, rows_times};
pub use thread_pool::ThreadPool;

/// Rows that one task takes at a time in row-wise kernels; fixed, so that the split never depends on the machine.
pub(crate) const GRAIN: usize = 8;

/// Elements below which a row-wise kernel stays on one thread: waking another costs more.
const WORTH_SHARING: usize = 32_768;

/// Grains of rows of this width that make a task.
pub(crate) fn grains(width: usize) -> usize {
    (WORTH_SHARING / (width * GRAIN).max(1)).max(1)
}
