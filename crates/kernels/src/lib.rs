//! The hot arithmetic of a decoder over plain slices, forward and backward, chosen at run time for the processor at hand.
//!
//! Every function says which rows and columns it reads and writes; none knows what a layer, an adapter or a batch is
//! (that is `model`). Work is split by rows, heads or output columns and never along a sum, so the bytes do not depend on
//! the number of threads. This is the only crate that may hold `unsafe`: each block says why it is sound, and each fast
//! path is tested against the plain one.

mod aligned;
mod attention;
mod bytes;
mod cached;
mod crew;
mod cross_entropy;
mod elementwise;
mod ground;
mod half_precision;
mod instruction_set;
mod lanes;
mod matrix;
mod norm;
#[cfg_attr(not(target_arch = "x86_64"), path = "no_pairs.rs")]
mod pairs;
mod rotary;
mod rowwise;

pub use aligned::Aligned;
pub use attention::{AttentionShape, Kept, Operands, Segment, attention, attention_backward};
pub use bytes::{BytePanels, Quantised};
pub use cached::CachedHead;
pub use crew::Crew;
pub use cross_entropy::{RowScore, score_rows, spread_gradient};
pub use elementwise::{add, add_bias, bias_gradient, gate, gate_backward, gate_backward_rounded, gate_rounded};
pub use ground::{Ground, Plain, Plot};
pub use half_precision::{round_bf16, widen_bf16};
pub use instruction_set::{InstructionSet, Level};
pub use matrix::{Mat, MatMut, Threads, matmul};
pub use norm::{
    head_norm_weight_gradients, norm_heads, norm_heads_backward, rms_norm, rms_norm_backward, rms_norm_rounded,
    rms_norm_weight_gradient,
};
#[cfg(target_arch = "x86_64")]
pub use pairs::trust_tiles;
pub use pairs::{
    Panels, Place, RoundedKept, RoundedRows, Source, Term, pairs_backward, pairs_forward, pairs_product, pairs_written,
    rounded_attention, rounded_attention_backward,
};
pub use rotary::{Direction, RotaryTable, rotate, rotate_rounded};
pub use rowwise::{QUANT_BLOCK, Rows, quantise_eight, quantise_four, rows_times};

/// Rows that one task takes at a time in row-wise kernels; fixed, so that the split never depends on the machine.
pub(crate) const GRAIN: usize = 8;

/// Numbers below which a row-wise kernel stays on one thread: waking another costs more.
const WORTH_SHARING: usize = 32_768;

/// Grains of rows of this width that make a task.
pub(crate) fn grains(width: usize) -> usize {
    (WORTH_SHARING / (width * GRAIN).max(1)).max(1)
}
