//! Packed rows of bf16, and their products with one or several matrices.

use super::packing::{Source, pack_columns, pack_rows, pack_rows_of_a};
use super::panels::Panels;
use super::{DEPTH, EMPTY_PAIRS, EMPTY_ROW, HALF_SIDE, Line, SIDE, amx, dot, flat, flat_mut, grow};
use crate::bf16::round_block;
use crate::matrix::{Epilogue, Mat, MatMut, Threads};
use crate::{InstructionSet, Level, ThreadPool};
use rayon::prelude::*;
use std::cell::RefCell;
use std::ops::Range;

/// Greatest depth of a panel from one matrix, in lines of a row: 64 KiB, which leave the L2 cache to the rows.
const DEEPEST: usize = 1024 / DEPTH;
/// Greatest depth of a panel from all matrices: a quarter more, so that narrow ones fit behind a deep one.
const ROOM: usize = DEEPEST + DEEPEST / 4;
/// Panels from which on a task takes all rows.
const PANELS_ENOUGH: usize = 8;
/// Rows that a task takes where panels are fewer.
const CHUNK: usize = 256;
thread_local! {
    /// Buffers for packed rows and for a panel, reused by every product of a thread. Rows of several products may be alive
    /// at once.
    static ROUNDED: RefCell<Vec<Vec<Line<u16, 32>>>> = const { RefCell::new(Vec::new()) };
    static PANEL: RefCell<Vec<Line<u32, 16>>> = const { RefCell::new(Vec::new()) };
}

/// Rows of one or several matrices rounded to bf16, concatenated along the depth. Each matrix begins at a cache line; zeros
/// pad its last line and the missing rows of the last block.
#[derive(Debug)]
pub struct RoundedRows {
    set: InstructionSet,
    lines: Vec<Line<u16, 32>>,
    rows: usize,
    /// Lines of a row, and how many of them are in use.
    stride: usize,
    taken: usize,
}

/// The position of a matrix in [`RoundedRows`].
#[derive(Debug, Clone, Copy)]
pub struct Place {
    line: usize,
    width: usize,
}

impl Place {
    /// The position of `width` of its columns, from `first` on.
    ///
    /// # Panics
    /// When there are fewer.
    #[must_use]
    pub fn part(self, first: usize, width: usize) -> (Self, usize) {
        assert!(first + width <= self.width, "a part reaches beyond its matrix");
        let (line, lead) = (self.line + first / DEPTH, first % DEPTH);
        (Self { line, width: lead + width }, lead)
    }

    fn lines(self) -> Range<usize> {
        self.line..self.line + self.width.div_ceil(DEPTH)
    }
}

/// One summand of a sum of matrix products.
#[derive(Debug, Clone)]
pub struct Term<'a> {
    lines: Range<usize>,
    b: Operand<'a>,
    /// Columns of the result that it contributes to.
    columns: Range<usize>,
    /// Elements of the first line before the first row of `b`.
    lead: usize,
    /// Elements of the lines that are multiplied.
    depth: usize,
}

/// The right operand of a product.
#[derive(Debug, Clone, Copy)]
enum Operand<'a> {
    /// A column of the result is a row of the source.
    Transposed(Source<'a>),
    /// A column of the result is a column of the source.
    Plain(Source<'a>),
    /// The same two for a matrix packed into panels by its rows.
    PackedTransposed(&'a Panels),
    PackedPlain(&'a Panels),
}

impl<'a> Term<'a> {
    /// a·wᵀ for the columns of the result from `first` on, as many as w has rows.
    ///
    /// # Panics
    /// When the sizes do not match.
    pub fn transposed(a: Place, w: Source<'a>, first: usize) -> Self {
        assert!(a.width == w.width(), "sizes of a matmul do not match");
        let columns = first..first + w.rows();
        Self { lines: a.lines(), b: Operand::Transposed(w), columns, lead: 0, depth: a.width }
    }

    /// a·b for the columns of a behind the first `lead`, and for all columns of the result.
    ///
    /// # Panics
    /// When the sizes do not match.
    pub fn plain(a: Place, b: Source<'a>, lead: usize) -> Self {
        assert!(a.width == lead + b.rows() || b.width() == 0, "sizes of a matmul do not match");
        Self { lines: a.lines(), columns: 0..b.width(), b: Operand::Plain(b), lead, depth: a.width }
    }

    /// a·wᵀ for w that is packed into panels.
    ///
    /// # Panics
    /// When the sizes do not match.
    pub fn packed_transposed(a: Place, w: &'a Panels) -> Self {
        assert!(a.width == w.inputs(), "sizes of a matmul do not match");
        Self { lines: a.lines(), b: Operand::PackedTransposed(w), columns: 0..w.outputs(), lead: 0, depth: a.width }
    }

    /// a·w for w that is packed into panels by its rows, which are transposed.
    ///
    /// # Panics
    /// When the sizes do not match.
    pub fn packed_plain(a: Place, w: &'a Panels) -> Self {
        assert!(a.width == w.outputs() || w.inputs() == 0, "sizes of a matmul do not match");
        Self { lines: a.lines(), b: Operand::PackedPlain(w), columns: 0..w.inputs(), lead: 0, depth: a.width }
    }

    /// The panel of the columns from `first` on and some lines of a, where it is packed already.
    fn prepacked(&self, first: usize, steps: Range<usize>) -> Option<&'a [Line<u32, 16>]> {
        match self.b {
            Operand::PackedTransposed(w) => Some(w.panel(first, steps)),
            _ => None,
        }
    }

    /// Pairs of some of its lines that are multiplied: a narrow matrix does not fill its last line.
    fn pairs(&self, steps: &Range<usize>) -> usize {
        (self.depth - steps.start * DEPTH).min(steps.len() * DEPTH).div_ceil(2)
    }

    /// Packs a panel of b.
    fn pack(&self, first: usize, steps: Range<usize>, panel: &mut [Line<u32, 16>], sides: usize) {
        let depth = steps.start * DEPTH;
        match self.b {
            Operand::Transposed(w) => {
                // SAFETY: terms are packed by `RoundedRows` alone, whose set has AVX-512 BF16.
                unsafe { pack_rows(w, first.wrapping_sub(self.columns.start), depth, panel, sides) };
            }
            Operand::Plain(b) => {
                // SAFETY: as above.
                unsafe { pack_columns(b, first, depth.wrapping_sub(self.lead), panel, sides) };
            }
            Operand::PackedPlain(w) => w.pack_transposed(first, steps, panel, sides),
            Operand::PackedTransposed(_) => {}
        }
    }
}

/// Lines of the rows of a, and the lines of a panel that they are multiplied with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) line: usize,
    pub(super) panel: &'a [Line<u32, 16>],
}

/// A piece whose panel is not borrowed yet.
struct Part<'a> {
    line: usize,
    /// Its lines of a panel that was packed before, or else its range in the scratch panel.
    prepacked: Option<&'a [Line<u32, 16>]>,
    scratch: Range<usize>,
}

impl RoundedRows {
    /// Allocates `rows` rows of matrices of these widths.
    ///
    /// # Panics
    /// When the set has no such instructions.
    pub fn new(set: InstructionSet, rows: usize, widths: impl IntoIterator<Item = usize>) -> Self {
        assert!(set.takes_pairs(), "no instructions for bf16 pairs");
        let stride = widths.into_iter().map(|width| width.div_ceil(DEPTH)).sum();
        let mut lines = ROUNDED.with_borrow_mut(Vec::pop).unwrap_or_default();
        grow(&mut lines, rows.next_multiple_of(SIDE) * stride, EMPTY_ROW);
        Self { set, lines, rows, stride, taken: 0 }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// `width` columns of a matrix from `first` on, as a right operand.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn columns(&self, place: Place, first: usize, width: usize) -> Source<'_> {
        assert!(first + width <= place.width, "a part reaches beyond its matrix");
        let elements = &flat(&self.lines)[place.line * DEPTH + first..];
        Source::bf16(elements, self.rows, width, self.stride * DEPTH)
    }

    /// Appends factor·x along the depth.
    ///
    /// # Panics
    /// When there is no room for it.
    pub fn push(&mut self, x: Mat, factor: f32, threads: Threads) -> Place {
        match x.lines() {
            Some(_) => self.push_from(Source::rounded(x, factor), true, threads),
            None => self.push_from(Source::rounded(x.t(), factor), false, threads),
        }
    }

    /// Appends rows of `width` bf16 values along the depth.
    ///
    /// # Panics
    /// When there is no room for them.
    pub fn push_rounded(&mut self, x: &[u16], width: usize) -> Place {
        self.push_from(Source::bf16(x, self.rows, width, width), true, Threads::Pool)
    }

    fn push_from(&mut self, from: Source, along: bool, threads: Threads) -> Place {
        let (rows, width) = if along { (from.rows(), from.width()) } else { (from.width(), from.rows()) };
        let (stride, at, steps) = (self.stride, self.taken, width.div_ceil(DEPTH));
        assert!(rows == self.rows && at + steps <= stride, "no room for a matrix");
        self.taken += steps;
        let block = |(index, lines): (usize, &mut [Line<u16, 32>])| {
            // SAFETY: the set, which takes bf16 pairs, has AVX-512 BF16.
            unsafe { pack_rows_of_a(from, along, index * SIDE, lines, stride, at) };
        };
        let lines = &mut self.lines[..self.rows.next_multiple_of(SIDE) * stride];
        match threads {
            _ if steps == 0 => {}
            Threads::Pool if self.rows > SIDE => lines.par_chunks_exact_mut(SIDE * stride).enumerate().for_each(block),
            _ => lines.chunks_exact_mut(SIDE * stride).enumerate().for_each(block),
        }
        Place { line: at, width }
    }

    /// Appends rows of `width` bf16 values along the depth: `row` fills one, and may store a result per row in `aside`.
    ///
    /// # Panics
    /// When there is no room for them, or `aside` has another length.
    pub fn push_with<T: Send>(
        &mut self,
        width: usize,
        aside: &mut [T],
        row: impl Fn(usize, &mut [u16], &mut T) + Sync,
    ) -> Place {
        let (stride, at, steps, rows) = (self.stride, self.taken, width.div_ceil(DEPTH), self.rows);
        assert!(at + steps <= stride && aside.len() == rows, "no room for a matrix");
        self.taken += steps;
        let blocks = self.lines[..rows.next_multiple_of(SIDE) * stride].par_chunks_exact_mut(SIDE * stride.max(1));
        blocks.zip(aside.par_chunks_mut(SIDE)).enumerate().for_each(|(index, (lines, aside))| {
            // Missing rows stay unwritten: their results are never read.
            for (own, (lines, aside)) in lines.chunks_exact_mut(stride).zip(aside).enumerate() {
                let (elements, padding) = flat_mut(&mut lines[at..at + steps]).split_at_mut(width);
                padding.fill(0);
                row(index * SIDE + own, elements, aside);
            }
        });
        Place { line: at, width }
    }

    /// `out` (+)= scale·Σ terms.
    ///
    /// # Panics
    /// When the sizes do not match.
    pub fn times(&self, terms: &[Term], out: MatMut, add: bool, scale: f32, threads: Threads) {
        self.share(terms, out, Epilogue { add, scale }, threads);
    }

    /// `out` = Σ terms, rounded to bf16.
    ///
    /// # Panics
    /// When the sizes do not match.
    pub fn times_rounded(&self, terms: &[Term], out: MatMut<u16>) {
        self.share(terms, out, Epilogue { add: false, scale: 1.0 }, Threads::Pool);
    }

    /// `out` (+)= scale·a·b for 32 columns of the result and the lines of a panel, by the calling thread.
    ///
    /// # Panics
    /// When the sizes do not match.
    pub(super) fn multiply(&self, a: Place, panel: &[Line<u32, 16>], out: MatMut, how: Epilogue) {
        assert!(out.rows() == self.rows && a.line < self.taken, "sizes of a matmul do not match");
        let pieces = [Piece { line: a.line, panel }];
        // SAFETY: the set takes bf16 pairs, and every such set has AVX-512 BF16.
        unsafe { dot::block::<2, f32>(&self.lines, self.stride, &pieces, out, how) };
    }

    /// [`RoundedRows::times`] on a [`ThreadPool`]: for few rows and prepacked panels.
    ///
    /// # Panics
    /// When the sizes do not match.
    pub(super) fn times_by(&self, workers: &ThreadPool, terms: &[Term], out: MatMut, add: bool, scale: f32) {
        self.check(terms, &out);
        let panels = workers.panels_per_task(out.columns().div_ceil(SIDE), 2 * SIDE * DEPTH * self.stride);
        workers.share_each(out.columns_by(SIDE * panels), |(first, part): (usize, MatMut)| {
            for (column, part) in part.columns_by(SIDE) {
                self.task::<2, f32>(terms, first + column, 0, part, Epilogue { add, scale });
            }
        });
    }

    fn check<T>(&self, terms: &[Term], out: &MatMut<T>) {
        assert!(out.rows() == self.rows, "sizes of a matmul do not match");
        assert!(
            terms.iter().all(|term| term.columns.end <= out.columns() && term.lines.end <= self.taken),
            "sizes of a matmul do not match"
        );
    }

    fn share<T: Finish>(&self, terms: &[Term], out: MatMut<T>, how: Epilogue, threads: Threads) {
        self.check(terms, &out);
        let prepacked = terms.iter().any(|term| matches!(term.b, Operand::PackedTransposed(_)));
        let halves = self.set.level() != Level::Amx && !prepacked;
        let one = |(first, row, part): (usize, usize, MatMut<T>)| match part.columns() <= HALF_SIDE && halves {
            true => self.task::<1, T>(terms, first, row, part, how),
            false => self.task::<2, T>(terms, first, row, part, how),
        };
        match threads {
            Threads::One => out.columns_by(SIDE).into_iter().for_each(|(first, part)| one((first, 0, part))),
            Threads::Pool => {
                let chunk = if out.columns().div_ceil(SIDE) < PANELS_ENOUGH { CHUNK } else { self.rows.max(1) };
                out.blocks_by(SIDE, chunk).into_par_iter().for_each(one);
            }
        }
    }

    /// The columns from `first` and rows from `row` on that `out` holds: one panel wide.
    fn task<const SIDES: usize, T: Finish>(
        &self,
        terms: &[Term],
        first: usize,
        row: usize,
        mut out: MatMut<T>,
        mut how: Epilogue,
    ) {
        let own = first..first + out.columns();
        let mut panel = PANEL.take();
        let (mut ready, mut lines, mut used) = (Vec::new(), 0, 0);
        let reached = terms.iter().filter(|term| term.columns.start < own.end && own.start < term.columns.end);
        for term in reached {
            let parts = term.lines.len().div_ceil(T::DEEPEST);
            for part in 0..parts {
                let steps = term.lines.len() * part / parts..term.lines.len() * (part + 1) / parts;
                if lines + steps.len() > T::ROOM {
                    self.sweep::<SIDES, T>(&ready, &panel, row, out.lend(), how);
                    how.add = true;
                    ready.clear();
                    (lines, used) = (0, 0);
                }
                let (line, start, prepacked) =
                    (term.lines.start + steps.start, used, term.prepacked(first, steps.clone()));
                lines += steps.len();
                // Tile instructions take whole lines.
                let pairs = if self.set.level() == Level::Amx { steps.len() * HALF_SIDE } else { term.pairs(&steps) };
                if prepacked.is_none() {
                    used += steps.len() * HALF_SIDE * SIDES;
                    grow(&mut panel, used, EMPTY_PAIRS);
                    term.pack(first, steps, &mut panel[start..used], SIDES);
                }
                ready.push(Part { line, prepacked, scratch: start..start + pairs * SIDES });
            }
        }
        self.sweep::<SIDES, T>(&ready, &panel, row, out, how);
        PANEL.set(panel);
    }

    /// All rows of `out`, which are those from `row` on, times one panel.
    fn sweep<'a, const SIDES: usize, T: Finish>(
        &self,
        parts: &[Part<'a>],
        scratch: &'a [Line<u32, 16>],
        row: usize,
        mut out: MatMut<T>,
        how: Epilogue,
    ) {
        let piece = |part: &Part<'a>| {
            let panel = part.prepacked.unwrap_or_else(|| &scratch[part.scratch.clone()]);
            Piece { line: part.line, panel }
        };
        let pieces: Vec<_> = parts.iter().map(piece).collect();
        let (count, columns) = (out.rows(), out.columns());
        for start in (0..count).step_by(SIDE) {
            let rows = SIDE.min(count - start);
            let a = &self.lines[(row + start) * self.stride..][..rows.next_multiple_of(SIDE) * self.stride];
            T::block::<SIDES>(self.set, (a, self.stride), &pieces, out.part(start, 0, rows, columns), how);
        }
    }
}

/// The dtype of results.
pub(super) trait Finish: Sized + Send {
    /// Greatest depth of a panel from one matrix and from all of them, in lines of a row: bf16 results cannot be accumulated
    /// in parts.
    const DEEPEST: usize;
    const ROOM: usize;

    /// Up to 32 rows of `out`, given the packed rows, their stride, and the pieces to multiply.
    fn block<const SIDES: usize>(
        set: InstructionSet,
        a: (&[Line<u16, 32>], usize),
        pieces: &[Piece],
        out: MatMut<Self>,
        how: Epilogue,
    );
}

impl Finish for f32 {
    const DEEPEST: usize = DEEPEST;
    const ROOM: usize = ROOM;

    fn block<const SIDES: usize>(
        set: InstructionSet,
        (a, stride): (&[Line<u16, 32>], usize),
        pieces: &[Piece],
        out: MatMut,
        how: Epilogue,
    ) {
        match set.level() {
            Level::Amx => tiles(a, stride, pieces, out, how),
            // SAFETY: the other level that takes bf16 pairs, which exists only after the processor reported it.
            _ => unsafe { dot::block::<SIDES, f32>(a, stride, pieces, out, how) },
        }
    }
}

impl Finish for u16 {
    const DEEPEST: usize = usize::MAX;
    const ROOM: usize = usize::MAX;

    fn block<const SIDES: usize>(
        set: InstructionSet,
        a: (&[Line<u16, 32>], usize),
        pieces: &[Piece],
        mut out: MatMut<u16>,
        how: Epilogue,
    ) {
        if set.level() != Level::Amx {
            // SAFETY: as above.
            return unsafe { dot::block::<SIDES, u16>(a.0, a.1, pieces, out, how) };
        }
        let (rows, columns) = (out.rows(), out.columns());
        let mut found = [0.0; SIDE * SIDE];
        tiles(a.0, a.1, pieces, MatMut::strided(&mut found, rows, columns, SIDE), how);
        for row in 0..rows {
            round_block(set, &found[row * SIDE..][..columns], out.row(row));
        }
    }
}

impl Drop for RoundedRows {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        ROUNDED.with_borrow_mut(|free| free.push(lines));
    }
}

/// A block of results by AMX tiles: the sum over the pieces.
fn tiles(a: &[Line<u16, 32>], stride: usize, pieces: &[Piece], mut out: MatMut, how: Epilogue) {
    let mut sums = [0.0; SIDE * SIDE];
    for piece in pieces {
        let mut found = [0.0; SIDE * SIDE];
        amx::multiply(flat(&a[piece.line..]), stride * DEPTH, piece.panel, &mut found);
        sums.iter_mut().zip(&found).for_each(|(sum, found)| *sum += found);
    }
    for (row, sums) in sums.chunks_exact(SIDE).enumerate().take(out.rows()) {
        out.blend(row, sums, how);
    }
}
