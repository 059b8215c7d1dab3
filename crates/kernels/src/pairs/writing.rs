//! Products of a few rows with bf16 weights, for writing: each weight is read once, as it lies.
//!
//! With tiles, x is the panel and the weights are the rows of a block, whose results are turned afterwards. With sums of
//! pairs, both run along the sum in the lanes of a vector (`dot`), and nothing is packed.

use super::panel::{Source, pack_rows, turned};
use super::rounded::RoundedRows;
use super::{DEPTH, EMPTY_PAIRS, EMPTY_ROW, HALF_SIDE, Line, SIDE, amx, dot, flat, flat_mut};
use crate::matrix::{Mat, MatMut, Threads};
use crate::{Crew, InstructionSet, Level};
use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};

/// x·Wᵀ for few rows of x: `put` takes a row of each task of `SIDE` outputs and its results.
pub(crate) fn rows_times(
    crew: &Crew,
    set: InstructionSet,
    x: Mat,
    w: &[u16],
    tasks: Vec<(usize, MatMut)>,
    put: impl Fn(&mut [f32], &[f32]) + Sync,
) {
    let mut rounded = RoundedRows::new(set, x.rows(), [x.columns()]);
    rounded.push(x, 1.0, Threads::Pool);
    match set.level() {
        Level::Amx => with_tiles(crew, x, rounded.lines(), w, tasks, put),
        Level::Avx512Bf16 => with_sums_of_pairs(crew, x, rounded.lines(), w, tasks, put),
        _ => panic!("no instructions for pairs"),
    }
}

fn with_sums_of_pairs(
    crew: &Crew,
    x: Mat,
    rounded: &[Line<u16, 32>],
    w: &[u16],
    tasks: Vec<(usize, MatMut)>,
    put: impl Fn(&mut [f32], &[f32]) + Sync,
) {
    let (rows, inputs, steps) = (x.rows(), x.columns(), x.columns().div_ceil(DEPTH));
    let x = (rounded, rows, steps);
    crew.share_each(tasks, |(first, mut task): (usize, MatMut)| {
        let count = task.columns();
        let own = &w[first * inputs..(first + count) * inputs];
        // SAFETY: only called at this level, which exists only after the processor said that it has it.
        unsafe { dot::rows(x, own, inputs, |row, first, found| put(&mut task.row(row)[first..], found)) };
    });
}

fn with_tiles(
    crew: &Crew,
    x: Mat,
    rounded: &[Line<u16, 32>],
    w: &[u16],
    tasks: Vec<(usize, MatMut)>,
    put: impl Fn(&mut [f32], &[f32]) + Sync,
) {
    let (rows, inputs) = (x.rows(), x.columns());
    let steps = inputs.div_ceil(DEPTH);
    let mut panels = vec![EMPTY_PAIRS; rows.div_ceil(SIDE) * 2 * steps * HALF_SIDE];
    let from = Source::half(flat(rounded), steps * DEPTH);
    for (first, panel) in (0..rows).step_by(SIDE).zip(panels.chunks_exact_mut(2 * steps * HALF_SIDE)) {
        // SAFETY: a set with tiles has AVX-512 and its bf16.
        unsafe { pack_rows(from, first, 0, panel, 2) };
    }
    let one = |(first, mut task): (usize, MatMut)| {
        let mut copy = Vec::new();
        let whole = task.columns() == SIDE && inputs.is_multiple_of(DEPTH);
        // A tile reads sixteen rows side by side, which is no stream that the processor would recognise; this is one.
        ask_for(&w[first * inputs..(first + task.columns()) * inputs]);
        let (a, stride) = if whole {
            (&w[first * inputs..(first + SIDE) * inputs], inputs)
        } else {
            copy.resize(SIDE * steps, EMPTY_ROW);
            for (row, lines) in copy.chunks_exact_mut(steps).take(task.columns()).enumerate() {
                flat_mut(lines)[..inputs].copy_from_slice(&w[(first + row) * inputs..][..inputs]);
            }
            (flat(&copy), steps * DEPTH)
        };
        for (start, panel) in (0..rows).step_by(SIDE).zip(panels.chunks_exact(2 * steps * HALF_SIDE)) {
            let mut found = [0.0; SIDE * SIDE];
            amx::multiply(a, stride, panel, &mut found);
            // SAFETY: a set with tiles has AVX-512.
            let found = unsafe { turned(&found) };
            for row in start..rows.min(start + SIDE) {
                put(task.row(row), &found[(row - start) * SIDE..][..SIDE]);
            }
        }
    };
    crew.share_each(tasks, one);
}

/// Asks for numbers into the second cache.
fn ask_for(numbers: &[u16]) {
    for line in numbers.chunks(DEPTH) {
        // SAFETY: asking reads nothing, and every processor of the target can ask.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) };
    }
}
