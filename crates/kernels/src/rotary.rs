//! Rotary position embedding (RoPE; Su et al., arXiv 2104.09864): pairs (x_i, x_{i + d/2}) of a head are rotated by the
//! angle of their position, their gradients by its negative.

use crate::bf16::round_block;
use crate::instruction_set::dispatch;
use crate::lanes::madd;
use crate::{GRAIN, InstructionSet, grains};
use rayon::prelude::*;

/// Cosines and sines of the angles of positions 0, 1, 2, …
#[derive(Debug, Clone, Default)]
pub struct RotaryTable {
    frequencies: Vec<f64>,
    /// `[positions, d/2]` each.
    cosines: Vec<f32>,
    sines: Vec<f32>,
}

impl RotaryTable {
    /// An empty table for angular frequencies `[d/2]` in radians per position.
    pub fn new(frequencies: Vec<f64>) -> Self {
        Self { frequencies, ..Self::default() }
    }

    /// Extends the table to the first `count` positions.
    pub fn grow(&mut self, count: usize) {
        let half = self.frequencies.len().max(1);
        for position in self.cosines.len() / half..count {
            let angles = self.frequencies.iter().map(|frequency| position as f64 * frequency);
            self.cosines.extend(angles.clone().map(|angle| angle.cos() as f32));
            self.sines.extend(angles.map(|angle| angle.sin() as f32));
        }
    }

    fn at(&self, position: usize) -> (&[f32], &[f32]) {
        let half = self.frequencies.len();
        (&self.cosines[position * half..][..half], &self.sines[position * half..][..half])
    }

    /// Rotates adjacent heads of one position.
    fn rotate_heads(&self, set: InstructionSet, position: u32, direction: Direction, heads: &mut [f32]) {
        let (cosines, sines) = self.at(position as usize);
        let sign = if direction == Direction::Forward { 1.0 } else { -1.0 };
        for head in heads.chunks_exact_mut((2 * cosines.len()).max(1)) {
            rotate_head(set, head, cosines, sines, sign);
        }
    }
}

/// The direction of rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// By the angle: the forward pass.
    Forward,
    /// By its negative: gradients.
    Backward,
}

/// Rotates the first `heads` heads of each row of x `[n, stride]` by the position of the same index.
///
/// # Panics
/// When the table lacks a position, or the heads are wider than a row.
pub fn rotate(
    set: InstructionSet,
    table: &RotaryTable,
    positions: &[u32],
    direction: Direction,
    heads: usize,
    stride: usize,
    x: &mut [f32],
) {
    let width = 2 * table.frequencies.len();
    assert!(x.len() == positions.len() * stride && heads * width <= stride, "sizes of a rotation do not match");
    let rows = x.par_chunks_mut(stride * GRAIN).zip(positions.par_chunks(GRAIN));
    rows.with_min_len(grains(stride)).for_each(|(rows, positions)| {
        for (row, position) in rows.chunks_exact_mut(stride).zip(positions) {
            table.rotate_heads(set, *position, direction, &mut row[..heads * width]);
        }
    });
}

/// Rows of x `[n, stride]` rounded to bf16, their first `heads` heads rotated where there is a table. x is overwritten.
///
/// # Panics
/// As [`rotate`], or when the lengths differ.
pub fn rotate_rounded(
    set: InstructionSet,
    table: Option<&RotaryTable>,
    positions: &[u32],
    heads: usize,
    stride: usize,
    x: &mut [f32],
    out: &mut [u16],
) {
    let width = heads * table.map_or(0, |table| 2 * table.frequencies.len());
    assert!(x.len() == positions.len() * stride && width <= stride, "sizes of a rotation do not match");
    assert_eq!(x.len(), out.len(), "lengths differ");
    let rows = x.par_chunks_mut(stride * GRAIN).zip(out.par_chunks_mut(stride * GRAIN));
    rows.zip(positions.par_chunks(GRAIN)).with_min_len(grains(stride)).for_each(|((rows, out), positions)| {
        let rows = rows.chunks_exact_mut(stride).zip(out.chunks_exact_mut(stride));
        for ((row, out), position) in rows.zip(positions) {
            if let Some(table) = table {
                table.rotate_heads(set, *position, Direction::Forward, &mut row[..width]);
            }
            round_block(set, row, out);
        }
    });
}

dispatch!(fn rotate_head(head: &mut [f32], cosines: &[f32], sines: &[f32], sign: f32) = rotate_body);

#[inline(always)]
fn rotate_body<const FMA: bool>(head: &mut [f32], cosines: &[f32], sines: &[f32], sign: f32) {
    let (low, high) = head.split_at_mut(cosines.len());
    for (((low, high), cosine), sine) in low.iter_mut().zip(high).zip(cosines).zip(sines) {
        let (x, y, sine) = (*low, *high, sign * sine);
        *low = madd::<FMA>(x, *cosine, -(y * sine));
        *high = madd::<FMA>(y, *cosine, x * sine);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forward_then_backward_is_the_identity_on_every_level() {
        let mut table = RotaryTable::new(vec![1.0, 0.1, 0.01]);
        table.grow(9);
        let start: Vec<f32> = (0..4 * 15).map(|i| i as f32 * 0.3).collect();
        for set in InstructionSet::all() {
            let mut x = start.clone();
            rotate(set, &table, &[0, 3, 8, 1], Direction::Forward, 2, 15, &mut x);
            let (sine, cosine) = 3f32.sin_cos();
            assert!((x[15] - (start[15] * cosine - start[18] * sine)).abs() < 1e-5);
            assert_eq!(x[12..15], start[12..15], "columns beyond the heads stay");
            rotate(set, &table, &[0, 3, 8, 1], Direction::Backward, 2, 15, &mut x);
            assert!(x.iter().zip(&start).all(|(a, b)| (a - b).abs() < 1e-5), "{set:?}");
        }
    }

    #[test]
    fn rounded_rows_are_the_rotated_ones_rounded() {
        let mut table = RotaryTable::new(vec![1.0, 0.1, 0.01]);
        table.grow(9);
        let start: Vec<f32> = (0..4 * 15).map(|i| (i as f32 * 0.3).sin()).collect();
        for set in InstructionSet::all() {
            for table in [Some(&table), None] {
                let (mut rotated, mut scratch, mut out) = (start.clone(), start.clone(), vec![0; start.len()]);
                if let Some(table) = table {
                    rotate(set, table, &[0, 3, 8, 1], Direction::Forward, 2, 15, &mut rotated);
                }
                rotate_rounded(set, table, &[0, 3, 8, 1], 2, 15, &mut scratch, &mut out);
                let mut expected = vec![0; start.len()];
                round_block(set, &rotated, &mut expected);
                assert_eq!(out, expected, "{set:?}");
            }
        }
    }
}
