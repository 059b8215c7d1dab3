//! Products with bf16 weights on instructions that take numbers in pairs: tile registers (AMX), where one instruction
//! multiplies sixteen rows by sixteen columns, 32 numbers deep, or sums of two products in each lane (AVX-512 BF16).
//! Activations and slopes are rounded to bf16 on the way in, as mixed precision does elsewhere; sums are f32.
//!
//! A block of 32 by 32 results is a product of rows as they lie (a) and of a panel (b), where pairs of numbers that follow
//! each other in the sum stand side by side. Training packs the weights into panels, a few at a time, and sweeps all rows
//! of x over each. Writing has few rows and reads every weight once, as it lies (`writing`).
//! No sum is split between threads, and no result depends on other rows.

mod amx;
mod dot;
mod panel;
mod writing;

use crate::matrix::{Mat, MatMut};
use crate::{InstructionSet, Level, half_precision};
use panel::{Source, pack_columns, pack_rows};
use rayon::prelude::*;
use std::cell::RefCell;
use std::ops::Range;

pub(crate) use amx::available as tiles_available;
pub use amx::trust_tiles;
pub(crate) use panel::turned_tile;
pub(crate) use writing::rows_times;

/// Rows and columns of a block of results: two tiles each way.
const SIDE: usize = 32;
/// Rows, columns or pairs of one tile, and numbers of a vector.
const HALF_SIDE: usize = 16;
/// Numbers of a sum that one instruction takes.
const DEPTH: usize = 32;
/// Numbers of a sum that a panel holds at most: 64 kilobytes, which leave the second cache to the rows.
const DEEPEST: usize = 1024;

/// What memory moves in, and what a row of a tile holds.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line<T, const N: usize>([T; N]);

const EMPTY_ROW: Line<u16, 32> = Line([0; 32]);
const EMPTY_PAIRS: Line<u32, 16> = Line([0; 16]);

thread_local! {
    /// Room for rounded rows and for panels, used again by every product of a thread.
    static ROUNDED: RefCell<Vec<Line<u16, 32>>> = const { RefCell::new(Vec::new()) };
    static PANELS: RefCell<Vec<Line<u32, 16>>> = const { RefCell::new(Vec::new()) };
}

/// `out` (+)= x·Wᵀ for x `[n, inputs]` and W `[outputs, inputs]` in bf16.
///
/// # Panics
/// When the sizes do not match, or the set has no such instructions.
pub fn pairs_forward(set: InstructionSet, x: Mat, w: &[u16], out: MatMut, add: bool) {
    let inputs = x.columns();
    assert!(w.len() == out.columns() * inputs && out.rows() == x.rows(), "sizes of a product do not match");
    sweep(set, x, out, add, |columns, depths, panel| {
        // SAFETY: a set that takes pairs, which `sweep` asks for, has AVX-512.
        unsafe { pack_rows(Source { numbers: w, width: inputs }, columns, depths, panel) }
    });
}

/// `out` (+)= dy·W for dy `[n, outputs]` and W `[outputs, inputs]` in bf16.
///
/// # Panics
/// When the sizes do not match, or the set has no such instructions.
pub fn pairs_backward(set: InstructionSet, dy: Mat, w: &[u16], out: MatMut, add: bool) {
    let inputs = out.columns();
    assert!(w.len() == dy.columns() * inputs && out.rows() == dy.rows(), "sizes of a product do not match");
    sweep(set, dy, out, add, |columns, depths, panel| {
        // SAFETY: a set that takes pairs, which `sweep` asks for, has AVX-512.
        unsafe { pack_columns(Source { numbers: w, width: inputs }, columns, depths, panel) }
    });
}

/// `out` (+)= a·b, where `pack` fills the panel of a range of columns and depths of b.
fn sweep(
    set: InstructionSet,
    a: Mat,
    out: MatMut,
    add: bool,
    pack: impl Fn(Range<usize>, Range<usize>, &mut [Line<u32, 16>]) + Sync,
) {
    assert!(set.takes_pairs(), "no instructions for pairs");
    let (rows, steps) = (a.rows(), a.columns().div_ceil(DEPTH));
    let mut rounded = ROUNDED.take();
    round_rows(set, a, &mut rounded);
    let (numbers, stride) = (flat(&rounded), steps * DEPTH);
    let parts = steps.div_ceil(DEEPEST / DEPTH).max(1);
    let one = |(first, mut task): (usize, MatMut)| {
        let (mut panel, mut found) = (PANELS.take(), [0.0; SIDE * SIDE]);
        for part in 0..parts {
            let own = steps * part / parts..steps * (part + 1) / parts;
            let lines = 2 * own.len() * HALF_SIDE;
            grow(&mut panel, lines, EMPTY_PAIRS);
            if lines > 0 {
                pack(first..first + task.columns(), own.start * DEPTH..own.end * DEPTH, &mut panel[..lines]);
            }
            for start in (0..rows).step_by(SIDE) {
                multiply(set, &numbers[start * stride + own.start * DEPTH..], stride, &panel[..lines], &mut found);
                for row in start..rows.min(start + SIDE) {
                    let found = &found[(row - start) * SIDE..][..SIDE];
                    let out = task.row(row).iter_mut().zip(found);
                    let add = add || part > 0;
                    out.for_each(|(out, value)| *out = if add { *out + value } else { *value });
                }
            }
        }
        PANELS.set(panel);
    };
    out.columns_by(SIDE).into_par_iter().for_each(one);
    ROUNDED.set(rounded);
}

/// A block of results in place of what `out` held, for a whose 32 rows lie `stride` numbers apart.
fn multiply(set: InstructionSet, a: &[u16], stride: usize, panel: &[Line<u32, 16>], out: &mut [f32; SIDE * SIDE]) {
    let steps = panel.len() / (2 * HALF_SIDE);
    assert!(panel.len() == 2 * HALF_SIDE * steps && a.len() >= (SIDE - 1) * stride + steps * DEPTH, "too short");
    match set.level() {
        _ if steps == 0 => out.fill(0.0),
        // SAFETY: the set says that there are tiles, and both operands reach as far as the block reads.
        Level::Amx => unsafe { amx::block(a.as_ptr(), stride, panel.as_ptr(), steps, out) },
        // SAFETY: a set of this level exists only after the processor said that it has it.
        Level::Avx512Bf16 => unsafe { dot::block(a, stride, panel, out) },
        _ => panic!("no instructions for pairs"),
    }
}

/// Rounds rows to bf16: each begins at a line, and zeros fill its last line and the missing rows of the last block.
fn round_rows(set: InstructionSet, x: Mat, out: &mut Vec<Line<u16, 32>>) {
    let (rows, steps) = (x.rows(), x.columns().div_ceil(DEPTH));
    let lines = rows.next_multiple_of(SIDE) * steps;
    grow(out, lines, EMPTY_ROW);
    let (filled, rest) = out[..lines].split_at_mut(rows * steps);
    let round = |(row, lines): (usize, &mut [Line<u16, 32>])| {
        let (values, empty) = flat_mut(lines).split_at_mut(x.columns());
        half_precision::round_block(set, x.row(row), values);
        empty.fill(0);
    };
    if rows > SIDE {
        filled.par_chunks_exact_mut(steps.max(1)).enumerate().for_each(round);
    } else {
        filled.chunks_exact_mut(steps.max(1)).enumerate().for_each(round);
    }
    rest.fill(EMPTY_ROW);
}

fn grow<T: Copy>(room: &mut Vec<T>, length: usize, empty: T) {
    if room.len() < length {
        room.resize(length, empty);
    }
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
