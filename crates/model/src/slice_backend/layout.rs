//! A batch without padding: documents one after another, each truncated at its last scored token.

use crate::TokenBatch;
use alidade_kernels::Segment;

/// Rows of one pass.
pub(super) struct Layout {
    pub(super) segments: Vec<Segment>,
    /// Token of each row.
    pub(super) ids: Vec<u32>,
    /// Position of each row within its document.
    pub(super) positions: Vec<u32>,
    /// Index of each row in the padded batch: row·width + column.
    pub(super) padded: Vec<usize>,
    /// For each target, the row that predicts it.
    pub(super) targets: Vec<usize>,
}

impl Layout {
    /// Lays out a batch for its targets. What follows the last target of a batch row is left out.
    pub(super) fn new(batch: &TokenBatch) -> Self {
        let mut lengths = vec![0; batch.rows];
        for target in &batch.targets {
            lengths[target.row] = lengths[target.row].max(target.position + 1);
        }
        let starts = lengths.iter().scan(0, |start, length| Some(std::mem::replace(start, *start + length)));
        let starts: Vec<usize> = starts.collect();
        let mut layout = Self::whole(
            &lengths,
            |row, column| batch.ids[row * batch.width + column],
            |row, column| batch.documents.get(row * batch.width + column).copied().unwrap_or(0),
        );
        layout.padded = (0..batch.rows)
            .flat_map(|row| (0..lengths[row]).map(move |c| (row, c)))
            .map(|(row, column)| row * batch.width + column)
            .collect();
        layout.targets = batch.targets.iter().map(|target| starts[target.row] + target.position).collect();
        layout
    }

    /// Lays out rows of these lengths; a row is split into documents where `document` changes.
    pub(super) fn whole(
        lengths: &[usize],
        id: impl Fn(usize, usize) -> u32,
        document: impl Fn(usize, usize) -> u32,
    ) -> Self {
        let count = lengths.iter().sum();
        let mut layout = Self {
            segments: Vec::with_capacity(lengths.len()),
            ids: Vec::with_capacity(count),
            positions: Vec::with_capacity(count),
            padded: Vec::new(),
            targets: Vec::new(),
        };
        for (row, length) in lengths.iter().enumerate() {
            for column in 0..*length {
                if column == 0 || document(row, column) != document(row, column - 1) {
                    layout.segments.push(Segment { start: layout.ids.len(), length: 0 });
                }
                layout.ids.push(id(row, column));
                if let Some(segment) = layout.segments.last_mut() {
                    layout.positions.push(segment.length as u32);
                    segment.length += 1;
                }
            }
        }
        layout
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.ids.len()
    }

    /// One more than the last position.
    pub(super) fn longest(&self) -> usize {
        self.segments.iter().map(|segment| segment.length).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TokenRow;

    #[test]
    fn padding_and_tokens_after_the_last_target_are_left_out() {
        let rows = [TokenRow::answer(&[5, 6], &[7, 8]), TokenRow::answer(&[9], &[4])];
        let layout = Layout::new(&TokenBatch::new(&rows).unwrap());
        assert_eq!(layout.ids, [5, 6, 7, 9]);
        assert_eq!(layout.positions, [0, 1, 2, 0]);
        assert_eq!(layout.padded, [0, 1, 2, 4]);
        assert_eq!(layout.targets, [1, 2, 3]);
        assert_eq!(layout.segments, [Segment { start: 0, length: 3 }, Segment { start: 3, length: 1 }]);
    }

    #[test]
    fn packed_documents_become_segments_of_their_own() {
        let bins = [vec![TokenRow::all_scored(vec![1, 2, 3]), TokenRow::all_scored(vec![4, 5])]];
        let layout = Layout::new(&TokenBatch::packed(&bins).unwrap());
        assert_eq!(layout.ids, [1, 2, 3, 4]);
        assert_eq!(layout.positions, [0, 1, 2, 0]);
        assert_eq!(layout.targets, [0, 1, 3]);
    }
}
