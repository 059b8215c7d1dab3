//! Token positions of one pass: RoPE angles and attention masks.

use crate::DecoderSpec;
use crate::error::Result;
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;

/// Added to scores that must not be attended to; finite, so that a row without any allowed position stays defined.
const FORBIDDEN: f32 = -1e30;

/// The layout of a pass of `rows` × `width` new tokens.
pub(super) struct Layout<'a> {
    pub(super) rows: usize,
    pub(super) width: usize,
    /// Keys of earlier passes that precede the new ones.
    pub(super) earlier: usize,
    /// Learned keys before every row (prefix tuning).
    pub(super) prefix: usize,
    /// Padding at the start of each row; empty when there is none.
    pub(super) padding: &'a [usize],
    /// Document of each new token `[rows · width]` in packed rows; empty when a row is one document.
    pub(super) documents: &'a [u32],
}

/// Angles and masks for one pass.
pub(super) struct Positions {
    /// cos and sin of each rotary embedding, `[T, d/2]` or `[B, T, d/2]`.
    pub(super) angles: Vec<(Tensor, Tensor)>,
    /// By window: `[1 or B, 1, 1, T, S]`, added to the scores.
    masks: BTreeMap<Option<usize>, Tensor>,
}

impl Positions {
    pub(super) fn new(spec: &DecoderSpec, layout: &Layout, device: &Device) -> Result<Self> {
        let places = layout.places();
        let angles = spec.ropes.iter().map(|rope| {
            let frequencies = rope.frequencies();
            let shape = match places.len() {
                count if count == layout.width => vec![layout.width, frequencies.len()],
                _ => vec![layout.rows, layout.width, frequencies.len()],
            };
            let table = |function: fn(f64) -> f64| -> Result<Tensor> {
                let values =
                    places.iter().flat_map(|p| frequencies.iter().map(move |f| function(*p as f64 * f) as f32));
                Ok(Tensor::from_vec(values.collect::<Vec<_>>(), shape.clone(), device)?)
            };
            Ok((table(f64::cos)?, table(f64::sin)?))
        });
        let angles = angles.collect::<Result<_>>()?;
        let mut masks = BTreeMap::new();
        // A single token that attends to everything needs no mask.
        let free = layout.width == 1 && layout.padding.iter().all(|padding| *padding == 0);
        for window in spec.kinds.iter().map(|kind| kind.window) {
            let needed = window.is_some() || !free;
            if needed && !masks.contains_key(&window) {
                masks.insert(window, layout.mask(window, device)?);
            }
        }
        Ok(Self { angles, masks })
    }

    /// The mask of a layer with this window; none when everything is attended to.
    pub(super) fn mask(&self, window: Option<usize>) -> Option<&Tensor> {
        self.masks.get(&window)
    }
}

impl Layout<'_> {
    /// True when all rows have the same layout.
    fn uniform(&self) -> bool {
        self.documents.is_empty() && self.padding.iter().all(|padding| *padding == 0)
    }

    /// Position of each new token for the rotary embedding: of one row when all rows have the same layout, else of every
    /// row.
    fn places(&self) -> Vec<usize> {
        let rows = if self.uniform() { 1 } else { self.rows };
        let mut places = Vec::with_capacity(rows * self.width);
        for row in 0..rows {
            let padding = self.padding.get(row).copied().unwrap_or(0);
            let mut start = 0;
            for column in 0..self.width {
                if column > 0 && self.document(row, column) != self.document(row, column - 1) {
                    start = column;
                }
                places.push(self.prefix + (self.earlier + column - start).saturating_sub(padding));
            }
        }
        places
    }

    fn document(&self, row: usize, column: usize) -> u32 {
        self.documents.get(row * self.width + column).copied().unwrap_or(0)
    }

    fn mask(&self, window: Option<usize>, device: &Device) -> Result<Tensor> {
        let (rows, keys) = (if self.uniform() { 1 } else { self.rows }, self.prefix + self.earlier + self.width);
        let mut values = Vec::with_capacity(rows * self.width * keys);
        for row in 0..rows {
            let padding = self.padding.get(row).copied().unwrap_or(0);
            for column in 0..self.width {
                let query = self.prefix + self.earlier + column;
                let seen = |key: usize| {
                    let real = key < self.prefix || key >= self.prefix + padding;
                    let near = window.is_none_or(|window| query < key + window);
                    key <= query && real && near && self.same_document(row, column, key)
                };
                values.extend((0..keys).map(|key| if seen(key) { 0.0 } else { FORBIDDEN }));
            }
        }
        Ok(Tensor::from_vec(values, (rows, 1, 1, self.width, keys), device)?)
    }

    /// True when a key belongs to the document of a query; learned keys belong to all.
    fn same_document(&self, row: usize, column: usize, key: usize) -> bool {
        match key.checked_sub(self.prefix + self.earlier) {
            Some(other) => self.document(row, column) == self.document(row, other),
            None => true,
        }
    }
}
