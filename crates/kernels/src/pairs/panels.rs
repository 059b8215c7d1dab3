//! Weights packed into panels at load time: products with them need no packing and read them as one stream.

use super::packing::pack_panel_transposed;
use super::{DEPTH, HALF_SIDE, Line, SIDE};
use crate::InstructionSet;
use crate::arena::{Arena, ArenaVec};
use crate::bf16::{round_block, widen};
use std::ops::Range;

/// Prefetch distance of transposing, in panels.
const PREFETCH_AHEAD: usize = 2;
/// Elements that are rounded at a time.
const PIECE: usize = 1 << 10;

/// A bf16 matrix `[outputs, inputs]` packed into panels of 32 rows: one pair of inputs after another, each as two lines of
/// sixteen rows. Zeros pad the last panel, and the inputs to a multiple of 32.
#[derive(Debug, Clone)]
pub struct Panels {
    set: InstructionSet,
    lines: ArenaVec<Line<u32, 16>>,
    inputs: usize,
    /// Elements pushed so far.
    count: usize,
}

/// Lines of a panel.
fn size(inputs: usize) -> usize {
    inputs.div_ceil(DEPTH) * SIDE
}

/// Lines of a matrix.
fn lines(count: usize, inputs: usize) -> usize {
    count.div_ceil(inputs.max(1)).div_ceil(SIDE) * size(inputs)
}

/// Where a row is stored: its panel, the first of its lines there, and its position in each of them.
fn place(row: usize) -> (usize, usize, usize) {
    (row / SIDE, row % SIDE / HALF_SIDE, row % HALF_SIDE)
}

/// The elements of a bf16 pair.
fn lower(pair: u32) -> f32 {
    widen(pair as u16)
}

fn upper(pair: u32) -> f32 {
    widen((pair >> 16) as u16)
}

impl Panels {
    /// An empty matrix with room for `capacity` elements, in rows of `inputs`.
    ///
    /// # Panics
    /// When the set has no instructions for bf16 pairs.
    pub fn new(arena: &mut Arena, set: InstructionSet, capacity: usize, inputs: usize) -> Self {
        assert!(set.takes_pairs(), "no instructions for bf16 pairs");
        Self { set, lines: arena.allocate(lines(capacity, inputs)), inputs, count: 0 }
    }

    /// Bytes of arena that `capacity` elements take.
    pub fn bytes_for(capacity: usize, inputs: usize) -> usize {
        Arena::bytes_for::<Line<u32, 16>>(lines(capacity, inputs))
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    pub(super) fn outputs(&self) -> usize {
        self.count.checked_div(self.inputs).unwrap_or(0)
    }

    /// Reserves capacity for so many further elements.
    pub(super) fn reserve(&mut self, further: usize) {
        let wanted = lines(self.count + further, self.inputs);
        self.lines.reserve(wanted.saturating_sub(self.lines.len()));
    }

    /// Appends elements, row after row, rounded to bf16. A piece may end within a row.
    pub fn push(&mut self, values: &[f32]) {
        let mut room = [0; PIECE];
        for values in values.chunks(PIECE) {
            let rounded = &mut room[..values.len()];
            round_block(self.set, values, rounded);
            self.push_rounded(rounded);
        }
    }

    /// The same for bf16 bits, which are stored as they are.
    pub fn push_rounded(&mut self, mut rest: &[u16]) {
        while !rest.is_empty() {
            let (row, first) = (self.count / self.inputs, self.count % self.inputs);
            let (own, further) = rest.split_at(rest.len().min(self.inputs - first));
            self.put(row, first, own);
            self.count += own.len();
            rest = further;
        }
    }

    /// Elements of one row, from `first` on.
    fn put(&mut self, row: usize, first: usize, elements: &[u16]) {
        let ((panel, side, place), size) = (place(row), size(self.inputs));
        if self.lines.len() <= panel * size {
            self.lines.grow(size);
        }
        let mut pairs = self.lines[panel * size..][..size].iter_mut().skip(first / 2 * 2 + side).step_by(2);
        let (odd, elements) = elements.split_at(first % 2);
        for (number, line) in odd.iter().zip(pairs.by_ref()) {
            line.0[place] |= u32::from(*number) << 16;
        }
        let (whole, last) = elements.as_chunks::<2>();
        for ([lower, upper], line) in whole.iter().zip(pairs.by_ref()) {
            line.0[place] = u32::from(*lower) | u32::from(*upper) << 16;
        }
        for (number, line) in last.iter().zip(pairs) {
            line.0[place] = u32::from(*number);
        }
    }

    /// The elements from `start` on, row after row, widened to f32.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn widen(&self, start: usize, out: &mut [f32]) {
        assert!(start + out.len() <= self.count, "there are fewer elements");
        let (mut rest, mut at) = (out, start);
        while !rest.is_empty() {
            let (row, first) = (at / self.inputs, at % self.inputs);
            let (own, further) = rest.split_at_mut(rest.len().min(self.inputs - first));
            at += own.len();
            let ((panel, side, place), size) = (place(row), size(self.inputs));
            let mut pairs = self.lines[panel * size..][..size].iter().skip(first / 2 * 2 + side).step_by(2);
            let (odd, own) = own.split_at_mut(first % 2);
            for (number, line) in odd.iter_mut().zip(pairs.by_ref()) {
                *number = upper(line.0[place]);
            }
            for (pair, line) in own.chunks_mut(2).zip(pairs) {
                pair[0] = lower(line.0[place]);
                if let Some(second) = pair.get_mut(1) {
                    *second = upper(line.0[place]);
                }
            }
            rest = further;
        }
    }

    /// The panel of the columns of a·wᵀ from `first` on, for some lines of a.
    ///
    /// # Panics
    /// When a panel does not begin there.
    pub(super) fn panel(&self, first: usize, steps: Range<usize>) -> &[Line<u32, 16>] {
        assert!(first.is_multiple_of(SIDE), "no panel begins at this column");
        let lines = &self.lines[first / SIDE * size(self.inputs)..][..size(self.inputs)];
        &lines[steps.start * SIDE..steps.end * SIDE]
    }

    /// Packs a panel of the columns of a·w from `first` on, for some lines of a, by transposing.
    pub(super) fn pack_transposed(&self, first: usize, steps: Range<usize>, panel: &mut [Line<u32, 16>], sides: usize) {
        let size = size(self.inputs);
        for (step, out) in steps.zip(panel.chunks_exact_mut(HALF_SIDE * sides)) {
            let own = &self.lines[step * size..][..size];
            let next = self.lines.as_ptr().wrapping_add((step + PREFETCH_AHEAD) * size + first);
            // SAFETY: the set, which takes bf16 pairs, has AVX-512 BF16.
            unsafe { pack_panel_transposed(&own[first..], next, out, sides) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bf16::round;

    #[test]
    fn elements_are_read_back_rounded_for_any_piece_size() {
        for set in InstructionSet::all().filter(|set| set.takes_pairs()) {
            for (outputs, inputs) in [(70, 75), (1, 1), (32, 64), (3, 2)] {
                let values: Vec<f32> = (0..outputs * inputs).map(|index| (index as f32 * 0.37).sin()).collect();
                for piece in [1, 7, 64, 10_000] {
                    let mut panels = Panels::new(&mut Arena::default(), set, values.len(), inputs);
                    let rounded: Vec<u16> = values.iter().map(|value| round(*value)).collect();
                    // Alternately as f32 and as bf16.
                    for (index, (piece, rounded)) in values.chunks(piece).zip(rounded.chunks(piece)).enumerate() {
                        if index % 2 == 0 { panels.push(piece) } else { panels.push_rounded(rounded) }
                    }
                    assert_eq!((panels.len(), panels.outputs()), (values.len(), outputs));
                    let mut found = vec![0.0; values.len()];
                    let mut start = 0;
                    for out in found.chunks_mut(piece) {
                        panels.widen(start, out);
                        start += out.len();
                    }
                    assert!(found.iter().zip(&values).all(|(found, value)| *found == widen(round(*value))), "{piece}");
                }
            }
        }
    }
}
