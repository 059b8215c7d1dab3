//! Matrix products on instructions that take bf16 pairs: AMX tile registers, where one instruction multiplies sixteen rows
//! by sixteen columns, 32 elements deep, or AVX-512 BF16 dot products of two elements per lane. Operands that are not bf16
//! yet are rounded while they are packed, as in mixed precision elsewhere; accumulators are f32.
//!
//! A block of 32×32 results is a product of packed rows (a, `rounded`) and a panel (b), in which pairs of elements that are
//! consecutive along the depth are interleaved. Model weights are packed into panels at load time (`panels`): the forward
//! pass reads them in place, the backward pass transposes them; other operands are packed on the fly (`packing`). All rows
//! of a are swept over each panel. Several matrices may be concatenated along the depth of a and b, so that a layer and its
//! adapters are one sweep. Generation is the same with few rows. No accumulation is split between threads, and no result
//! depends on other rows.

mod amx;
mod attention;
mod dot;
mod kv_cache;
mod packing;
mod panels;
mod rounded;

use crate::aligned::Line;
use crate::matrix::{Mat, MatMut, Threads};
use crate::{InstructionSet, ThreadPool};

pub(crate) use amx::available as tiles_available;
pub use amx::trust_tiles;
pub use attention::{SavedRoundedAttention, rounded_attention, rounded_attention_backward};
pub(crate) use kv_cache::Bf16Head;
pub use packing::Source;
pub(crate) use packing::transpose_tile;
pub use panels::Panels;
pub use rounded::{Place, RoundedRows, Term};

/// Rows and columns of a block of results: two tiles in either direction.
const SIDE: usize = 32;
/// Rows, columns or pairs of one tile, and elements of a vector.
const HALF_SIDE: usize = 16;
/// Depth of one tile instruction, in elements.
const DEPTH: usize = 32;

const EMPTY_ROW: Line<u16, 32> = Line([0; 32]);
const EMPTY_PAIRS: Line<u32, 16> = Line([0; 16]);

/// `out` (+)= x·Wᵀ for x `[n, inputs]`, on the current rayon pool.
///
/// # Panics
/// When the sizes do not match.
pub fn pairs_forward(set: InstructionSet, x: Mat, w: &Panels, out: MatMut, add: bool) {
    let mut rows = RoundedRows::new(set, x.rows(), [x.columns()]);
    let place = rows.push(x, 1.0, Threads::Pool);
    rows.times(&[Term::packed_transposed(place, w)], out, add, 1.0, Threads::Pool);
}

/// [`pairs_forward`] for generation, on a [`ThreadPool`]: bit-identical, however many rows there are.
///
/// # Panics
/// When the sizes do not match.
pub fn pairs_decode(workers: &ThreadPool, set: InstructionSet, x: Mat, w: &Panels, out: MatMut, add: bool) {
    let mut rows = RoundedRows::new(set, x.rows(), [x.columns()]);
    let place = rows.push(x, 1.0, Threads::Pool);
    rows.times_by(workers.worth(w.len() * x.rows()), &[Term::packed_transposed(place, w)], out, add, 1.0);
}

/// `out` (+)= dy·W for dy `[n, outputs]`.
///
/// # Panics
/// When the sizes do not match.
pub fn pairs_backward(set: InstructionSet, dy: Mat, w: &Panels, out: MatMut, add: bool) {
    let mut rows = RoundedRows::new(set, dy.rows(), [dy.columns()]);
    let place = rows.push(dy, 1.0, Threads::Pool);
    rows.times(&[Term::packed_plain(place, w)], out, add, 1.0, Threads::Pool);
}

/// `out` (+)= scale·a·b, both rounded to bf16.
///
/// # Panics
/// When the sizes do not match, or the set has no such instructions.
pub fn pairs_matmul(set: InstructionSet, out: MatMut, add: bool, scale: f32, a: Mat, b: Mat, threads: Threads) {
    assert!(b.rows() == a.columns() && b.columns() == out.columns(), "sizes of a matmul do not match");
    let mut rows = RoundedRows::new(set, a.rows(), [a.columns()]);
    let place = rows.push(a, 1.0, threads);
    let term = match b.lines() {
        Some(_) => Term::plain(place, Source::rounded(b, 1.0), 0),
        None => Term::transposed(place, Source::rounded(b.t(), 1.0), 0),
    };
    rows.times(&[term], out, add, scale, threads);
}

fn flat<T, const N: usize>(lines: &[Line<T, N>]) -> &[T] {
    const { assert!(size_of::<Line<T, N>>() == N * size_of::<T>(), "a line has no gaps") };
    // SAFETY: a line is N values without gaps, as just asserted, and a slice of lines has none between them.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * N) }
}

fn flat_mut<T, const N: usize>(lines: &mut [Line<T, N>]) -> &mut [T] {
    const { assert!(size_of::<Line<T, N>>() == N * size_of::<T>(), "a line has no gaps") };
    // SAFETY: as above, and the borrow is exclusive.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * N) }
}

fn grow<T: Copy>(room: &mut Vec<T>, length: usize, empty: T) {
    if room.len() < length {
        room.resize(length, empty);
    }
}
