//! Token rows padded to one width on the right, with marks on the tokens whose log-probability is wanted.
//!
//! Padding on the right needs no mask beyond the causal one: no real token attends to a later position.

use crate::ModelError;
use crate::error::Result;
use alidade_domain::wording;

/// One sequence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenRow {
    /// Token ids.
    pub ids: Vec<u32>,
    /// True for each token whose log-probability given the earlier ones is wanted; the first token never has one.
    pub scored: Vec<bool>,
}

impl TokenRow {
    /// A row in which every token but the first is scored.
    pub fn all_scored(ids: Vec<u32>) -> Self {
        let scored = (0..ids.len()).map(|position| position > 0).collect();
        Self { ids, scored }
    }

    /// A prompt, not scored, and an answer, scored.
    pub fn answer(prompt: &[u32], answer: &[u32]) -> Self {
        let mut ids = prompt.to_vec();
        ids.extend_from_slice(answer);
        let scored = (0..ids.len()).map(|position| position >= prompt.len() && position > 0).collect();
        Self { ids, scored }
    }

    /// Tokens whose log-probability is wanted.
    pub fn scored_tokens(&self) -> usize {
        self.scored.iter().filter(|scored| **scored).count()
    }
}

/// Rows of one forward pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBatch {
    /// Number of rows B.
    pub rows: usize,
    /// Padded width T.
    pub width: usize,
    /// Ids, `[B, T]` row-major; padding is id 0 and never attended to.
    pub ids: Vec<u32>,
    /// Real tokens of each row `[B]`.
    pub lengths: Vec<usize>,
    /// Document of each position `[B, T]`, when rows are packed with several; else empty.
    pub documents: Vec<u32>,
    /// For each scored token in row order: (row, position of the token that predicts it, id of the scored token).
    pub targets: Vec<Target>,
}

/// A token whose log-probability is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Row of the batch.
    pub row: usize,
    /// Position whose output predicts the token: its own position minus one.
    pub position: usize,
    /// The token.
    pub id: u32,
}

impl TokenBatch {
    /// Pads the rows to the longest.
    ///
    /// # Errors
    /// When there is no row, a row is empty, or its marks do not match its ids.
    pub fn new(rows: &[TokenRow]) -> Result<Self> {
        let width = rows.iter().map(|row| row.ids.len()).max().unwrap_or(0);
        if rows.is_empty() || rows.iter().any(|row| row.ids.is_empty() || row.ids.len() != row.scored.len()) {
            return Err(ModelError::Request(wording!(
                "A batch needs at least one row, and each row at least one token.",
                "一个批次至少要有一条数据，每条至少要有一个词元。"
            )));
        }
        let mut batch = Self {
            rows: rows.len(),
            width,
            ids: vec![0; rows.len() * width],
            lengths: rows.iter().map(|row| row.ids.len()).collect(),
            documents: Vec::new(),
            targets: Vec::new(),
        };
        for (index, row) in rows.iter().enumerate() {
            batch.ids[index * width..index * width + row.ids.len()].copy_from_slice(&row.ids);
            let scored = (1..row.ids.len()).filter(|position| row.scored[*position]);
            batch.targets.extend(scored.map(|position| Target {
                row: index,
                position: position - 1,
                id: row.ids[position],
            }));
        }
        Ok(batch)
    }

    /// Marks the last token of each row instead, for scores that are read off its hidden state.
    ///
    /// # Errors
    /// As [`TokenBatch::new`].
    pub fn ends(rows: &[TokenRow]) -> Result<Self> {
        let mut batch = Self::new(rows)?;
        let end = |(row, length): (usize, &usize)| Target { row, position: length - 1, id: 0 };
        batch.targets = batch.lengths.iter().enumerate().map(end).collect();
        Ok(batch)
    }

    /// Packs several documents into each row: none attends to another, and each begins at position 0.
    ///
    /// # Errors
    /// As [`TokenBatch::new`].
    pub fn packed(bins: &[Vec<TokenRow>]) -> Result<Self> {
        let join = |bin: &Vec<TokenRow>| {
            let ids = bin.iter().flat_map(|row| row.ids.iter().copied()).collect();
            // The first token of a document has no predecessor to be predicted from.
            let marks = |row: &TokenRow| row.scored.iter().enumerate().map(|(at, scored)| at > 0 && *scored).collect();
            TokenRow { ids, scored: bin.iter().flat_map(|row| -> Vec<bool> { marks(row) }).collect() }
        };
        let mut batch = Self::new(&bins.iter().map(join).collect::<Vec<_>>())?;
        for bin in bins {
            let lengths = bin.iter().enumerate().map(|(number, row)| (number as u32, row.ids.len()));
            let mut row: Vec<u32> = lengths.flat_map(|(number, length)| std::iter::repeat_n(number, length)).collect();
            row.resize(batch.width, bin.len() as u32);
            batch.documents.extend(row);
        }
        Ok(batch)
    }

    /// Ranges of `targets` that belong to each row.
    pub fn target_ranges(&self) -> Vec<std::ops::Range<usize>> {
        let mut start = 0;
        let mut range = |row| {
            let count = self.targets[start..].iter().take_while(|target| target.row == row).count();
            start += count;
            start - count..start
        };
        (0..self.rows).map(&mut range).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_point_at_the_position_before() {
        let rows = [TokenRow::answer(&[5, 6], &[7, 8]), TokenRow::answer(&[9], &[4])];
        let batch = TokenBatch::new(&rows).unwrap();
        assert_eq!(batch.ids, [5, 6, 7, 8, 9, 4, 0, 0]);
        let expected = [(0, 1, 7), (0, 2, 8), (1, 0, 4)].map(|(row, position, id)| Target { row, position, id });
        assert_eq!(batch.targets, expected);
        assert_eq!(batch.target_ranges(), [0..2, 2..3]);
    }

    #[test]
    fn empty_rows_are_refused() {
        assert!(TokenBatch::new(&[]).is_err());
        assert!(TokenBatch::new(&[TokenRow { ids: vec![], scored: vec![] }]).is_err());
    }
}
