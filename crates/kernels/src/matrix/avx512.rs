//! The f32 matmul with AVX-512: a tile of eight rows by 32 (or 16) columns of accumulators stays in registers.
//!
//! b is packed into panels of columns, because its elements are read by every row. a is read in place, one element of each
//! of eight rows at a time, so either layout will do. Tasks are panels of columns, and chunks of rows where panels are few;
//! no accumulation is split between threads.

use super::{Epilogue, Mat, MatMut, Threads};
use crate::lanes::LANES;
use crate::pairs::transpose_tile;
use rayon::prelude::*;
use std::arch::x86_64::*;
use std::cell::RefCell;
use std::ops::Range;

/// Rows of a tile: with two vectors of columns, sixteen accumulators.
const TALL: usize = 8;
/// Greatest depth of a panel: 64 KiB with two vectors of columns, a part of the L2 cache.
const DEEPEST: usize = 512;
/// Panels from which on a task takes all rows.
const PANELS_ENOUGH: usize = 8;
/// Rows that a task takes where panels are fewer.
const CHUNK: usize = 256;

/// A vector of a panel.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LANES]);

thread_local! {
    /// Scratch panel, reused by every matmul of a thread.
    static PANEL: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// `out` (+)= scale·a·b for sizes that match.
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
pub(super) fn matmul(out: MatMut, add: bool, scale: f32, a: Mat, b: Mat, threads: Threads) {
    if out.column_stride != 1 {
        return matmul(out.t(), add, scale, b.t(), a.t(), threads);
    }
    let width = if out.columns <= LANES { LANES } else { 2 * LANES };
    let chunk = if out.columns.div_ceil(width) < PANELS_ENOUGH { CHUNK } else { out.rows.max(1) };
    let one = |(first, row, part): (usize, usize, MatMut)| task(first, row, part, add, scale, a, b);
    match threads {
        Threads::One if out.columns <= width => one((0, 0, out)),
        Threads::One => out.columns_by(width).into_iter().for_each(|(first, part)| one((first, 0, part))),
        Threads::Pool => out.blocks_by(width, chunk).into_par_iter().for_each(one),
    }
}

/// The columns from `first` and rows from `row` on that `out` holds: one panel wide.
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
fn task(first: usize, row: usize, mut out: MatMut, add: bool, scale: f32, a: Mat, b: Mat) {
    let (columns, depth) = (first..first + out.columns, a.columns);
    let a = a.part(row, 0, out.rows, depth);
    let sides = out.columns.div_ceil(LANES);
    let parts = depth.div_ceil(DEEPEST).max(1);
    let mut panel = PANEL.take();
    for part in 0..parts {
        let depths = depth * part / parts..depth * (part + 1) / parts;
        let length = depths.len() * sides;
        if panel.len() < length {
            panel.resize(length, Line([0.0; LANES]));
        }
        let panel = &mut panel[..length];
        for side in 0..sides {
            let own = columns.start + side * LANES..columns.end.min(columns.start + (side + 1) * LANES);
            pack(b, own, depths.clone(), &mut panel[side..], sides);
        }
        let a = a.part(0, depths.start, a.rows, depths.len());
        let how = Epilogue { add: add || part > 0, scale };
        match sides {
            1 => sweep::<1>(a, panel, out.lend(), how),
            _ => sweep::<2>(a, panel, out.lend(), how),
        }
    }
    PANEL.set(panel);
}

/// Columns of b as every `sides`-th line of a panel, a line for each depth; zeros fill lines that are not full.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
fn pack(b: Mat, columns: Range<usize>, depths: Range<usize>, panel: &mut [Line], sides: usize) {
    let b = b.part(depths.start, columns.start, depths.len(), columns.len());
    let at =
        |depth: usize, column: usize| b.data.as_ptr().wrapping_add(depth * b.row_stride + column * b.column_stride);
    if b.column_stride == 1 {
        for depth in 0..b.rows {
            // SAFETY: the mask covers elements of this row of b alone; a line is an aligned vector.
            unsafe {
                let line = _mm512_maskz_loadu_ps(mask(b.columns), at(depth, 0));
                _mm512_store_ps(panel[depth * sides].0.as_mut_ptr(), line);
            }
        }
    } else {
        assert!(b.row_stride == 1, "a matrix is contiguous along rows or columns");
        for start in (0..b.rows).step_by(LANES) {
            let mut tile = [_mm512_setzero_si512(); LANES];
            let count = LANES.min(b.rows - start);
            for (column, line) in tile.iter_mut().enumerate().take(b.columns) {
                // SAFETY: the mask covers elements of this column of b alone.
                *line = unsafe { _mm512_maskz_loadu_epi32(mask(count), at(start, column).cast()) };
            }
            for (step, line) in transpose_tile(&tile).iter().enumerate().take(count) {
                // SAFETY: a line is an aligned vector.
                unsafe { _mm512_store_si512(panel[(start + step) * sides].0.as_mut_ptr().cast(), *line) };
            }
        }
    }
}

/// The first `count` elements of a vector.
fn mask(count: usize) -> u16 {
    ((1u32 << count) - 1) as u16
}

/// All rows of a times one panel.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
fn sweep<const SIDES: usize>(a: Mat, panel: &[Line], out: MatMut, how: Epilogue) {
    let (panel, rest) = panel.as_chunks::<SIDES>();
    assert!(rest.is_empty() && panel.len() == a.columns && out.columns <= SIDES * LANES && out.rows == a.rows, "sizes");
    for top in (0..a.rows).step_by(TALL) {
        let rows = TALL.min(a.rows - top);
        let sums = tile::<SIDES>(a.part(top, 0, rows, a.columns), panel);
        for (row, sums) in sums.into_iter().enumerate().take(rows) {
            for (side, sum) in sums.into_iter().enumerate() {
                let count = out.columns.saturating_sub(side * LANES).min(LANES);
                let mask = mask(count);
                let target = out.data.wrapping_add((top + row) * out.row_stride + side * LANES);
                // SAFETY: the mask covers elements of this row of `out` alone, which has exclusive access to them.
                unsafe {
                    let before = if how.add { _mm512_maskz_loadu_ps(mask, target) } else { _mm512_setzero_ps() };
                    let after = _mm512_fmadd_ps(sum, _mm512_set1_ps(how.scale), before);
                    _mm512_mask_storeu_ps(target, mask, after);
                }
            }
        }
    }
}

/// Up to eight rows of a times a panel; accumulators of rows that a does not have are meaningless.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
fn tile<const SIDES: usize>(a: Mat, panel: &[[Line; SIDES]]) -> [[__m512; SIDES]; TALL] {
    let rows: [usize; TALL] = std::array::from_fn(|row| row.min(a.rows - 1) * a.row_stride);
    let mut sums = [[_mm512_setzero_ps(); SIDES]; TALL];
    let mut from = a.data.as_ptr();
    for lines in panel {
        // SAFETY: a line is an aligned vector.
        let columns: [__m512; SIDES] = std::array::from_fn(|side| unsafe { _mm512_load_ps(lines[side].0.as_ptr()) });
        for row in 0..TALL {
            // SAFETY: an element of a row that a has: there are as many columns as lines.
            let own = unsafe { _mm512_set1_ps(*from.wrapping_add(rows[row])) };
            for side in 0..SIDES {
                sums[row][side] = _mm512_fmadd_ps(own, columns[side], sums[row][side]);
            }
        }
        from = from.wrapping_add(a.column_stride);
    }
    sums
}
