//! Products on instructions that take numbers of bf16 in pairs: tile registers (AMX), where one instruction multiplies
//! sixteen rows by sixteen columns, 32 numbers deep, or sums of two products in each lane (AVX-512 BF16). What is not bf16
//! yet is rounded to it on the way in, as mixed precision does elsewhere; sums are f32.
//!
//! A block of 32 by 32 results is a product of rows of lines (a, `rounded`) and of a panel (b), where pairs of numbers that
//! follow each other in the sum stand side by side. The weights of a model are held as panels from the start (`held`), which
//! the way forward reads as they lie and the way back turns; what else is multiplied is packed into panels, a few at a time.
//! All rows of a are swept over each panel; several matrices may stand side by side in a and below each other in b, so that
//! a layer and its adapters are one sweep. Writing is the same with few rows. No sum is split between threads, and no result
//! depends on other rows.

mod amx;
mod attention;
mod cache;
mod dot;
mod held;
mod panel;
mod rounded;

use crate::aligned::Line;
use crate::matrix::{Mat, MatMut, Threads};
use crate::{Crew, InstructionSet};

pub(crate) use amx::available as tiles_available;
pub use amx::trust_tiles;
pub use attention::{RoundedKept, rounded_attention, rounded_attention_backward};
pub(crate) use cache::PairedHead;
pub use held::Panels;
pub use panel::Source;
pub(crate) use panel::turned_tile;
pub use rounded::{Place, RoundedRows, Term};

/// Rows and columns of a block of results: two tiles each way.
const SIDE: usize = 32;
/// Rows, columns or pairs of one tile, and numbers of a vector.
const HALF_SIDE: usize = 16;
/// Numbers of a sum that one instruction takes.
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
    rows.times(&[Term::held_transposed(place, w)], out, add, 1.0, Threads::Pool);
}

/// The same by a crew, for writing: the same bytes, however many rows there are.
///
/// # Panics
/// When the sizes do not match.
pub fn pairs_written(crew: &Crew, set: InstructionSet, x: Mat, w: &Panels, out: MatMut, add: bool) {
    let mut rows = RoundedRows::new(set, x.rows(), [x.columns()]);
    let place = rows.push(x, 1.0, Threads::Pool);
    rows.times_by(crew.worth(w.len() * x.rows()), &[Term::held_transposed(place, w)], out, add, 1.0);
}

/// `out` (+)= dy·W for dy `[n, outputs]`.
///
/// # Panics
/// When the sizes do not match.
pub fn pairs_backward(set: InstructionSet, dy: Mat, w: &Panels, out: MatMut, add: bool) {
    let mut rows = RoundedRows::new(set, dy.rows(), [dy.columns()]);
    let place = rows.push(dy, 1.0, Threads::Pool);
    rows.times(&[Term::held_plain(place, w)], out, add, 1.0, Threads::Pool);
}

/// `out` (+)= scale·a·b, both rounded to bf16.
///
/// # Panics
/// When the sizes do not match, or the set has no such instructions.
pub fn pairs_product(set: InstructionSet, out: MatMut, add: bool, scale: f32, a: Mat, b: Mat, threads: Threads) {
    assert!(b.rows() == a.columns() && b.columns() == out.columns(), "sizes of a product do not match");
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
    // SAFETY: a line is N values without gaps, as just asserted, and so is a row of lines.
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
