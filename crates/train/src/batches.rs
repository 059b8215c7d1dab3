//! Which rows make up which optimizer step: a function of (seed, step), so that there is no iterator state to lose.

use alidade_domain::{Purpose, Stream};

/// How many optimizer steps a run takes, and how they divide into epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    items: usize,
    batch: usize,
    accumulation: usize,
    /// Rows come in file order in every epoch.
    sequential: bool,
    /// Optimizer steps in one pass over the rows; the last may be short.
    pub per_epoch: u64,
    /// Optimizer steps in all.
    pub total: u64,
}

impl Steps {
    /// Counts as transformers does: steps per epoch = ⌈⌈rows / batch⌉ / accumulation⌉.
    pub fn new(items: usize, batch: usize, accumulation: usize, epochs: f64, max_steps: Option<u64>) -> Self {
        let per_epoch = items.div_ceil(batch).div_ceil(accumulation).max(1) as u64;
        let total = max_steps.unwrap_or_else(|| (epochs * per_epoch as f64).ceil() as u64);
        Self { items, batch, accumulation, sequential: false, per_epoch, total }
    }

    /// The same steps, over the rows in file order if `sequential`.
    #[must_use]
    pub fn in_order(self, sequential: bool) -> Self {
        Self { sequential, ..self }
    }

    /// Passes over the rows after `step` steps.
    pub fn epoch(&self, step: u64) -> f64 {
        step as f64 / self.per_epoch as f64
    }
}

/// Item numbers of the micro-batches of step `step`, counted from 0. Every epoch has its own permutation, unless the rows
/// come in file order.
pub fn batch_of(steps: &Steps, seed: u64, step: u64) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..steps.items).collect();
    if !steps.sequential {
        Stream::new(seed, Purpose::Shuffle, step / steps.per_epoch, 0).shuffle(&mut order);
    }
    let size = steps.batch * steps.accumulation;
    let start = (step % steps.per_epoch) as usize * size;
    let chosen = &order[start.min(steps.items)..(start + size).min(steps.items)];
    chosen.chunks(steps.batch).map(<[usize]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_sees_every_row_once() {
        let steps = Steps::new(23, 4, 2, 2.0, None);
        assert_eq!((steps.per_epoch, steps.total), (3, 6));
        for epoch in 0..2 {
            let mut seen: Vec<usize> = (0..3).flat_map(|s| batch_of(&steps, 9, epoch * 3 + s)).flatten().collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..23).collect::<Vec<_>>());
        }
        assert_ne!(batch_of(&steps, 9, 0), batch_of(&steps, 9, 3));
        assert_eq!(batch_of(&steps, 9, 2).concat().len(), 7);
        assert_eq!(batch_of(&steps.in_order(true), 9, 4), [vec![8, 9, 10, 11], vec![12, 13, 14, 15]]);
        assert_eq!(Steps::new(8, 8, 1, 10.0, Some(3)).total, 3);
    }
}
