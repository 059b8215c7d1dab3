//! Buffers that are used again: a pass takes what it needs and gives it back, so that after the first step no memory is
//! asked for and no page is touched for the first time.

use rayon::prelude::*;

/// Numbers that a thread copies at a time.
const SHARE: usize = 1 << 16;

/// Buffers that nobody uses now.
#[derive(Default)]
pub(super) struct Pool {
    floats: Shelf<f32>,
    /// The rows of the residual stream, which stay until the way back: none of them shall lie in a buffer that is larger.
    streams: Shelf<f32>,
    halves: Shelf<u16>,
}

/// Rows that a pass keeps or hands on.
pub(super) enum Stored {
    /// As they are.
    Single(Vec<f32>),
    /// Rounded to bf16, where products round them anyway.
    Half(Vec<u16>),
}

struct Shelf<T> {
    free: Vec<Vec<T>>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { free: Vec::new() }
    }
}

impl<T: Clone + Default> Shelf<T> {
    fn take(&mut self, length: usize) -> Vec<T> {
        // Not one that is far too large: it is needed elsewhere.
        let fits = |buffer: &Vec<T>| (length..=2 * length + 4096).contains(&buffer.capacity());
        let sizes = || self.free.iter().enumerate();
        let best = sizes().filter(|(_, buffer)| fits(buffer)).min_by_key(|(_, buffer)| buffer.capacity());
        let mut buffer = match best.map(|(index, _)| index) {
            Some(index) => self.free.swap_remove(index),
            None => {
                // The largest of those that are too small has been outgrown.
                let small = sizes().filter(|(_, buffer)| buffer.capacity() < length);
                if let Some(index) = small.max_by_key(|(_, buffer)| buffer.capacity()).map(|(index, _)| index) {
                    drop(self.free.swap_remove(index));
                }
                Vec::with_capacity(length)
            }
        };
        buffer.resize(length, T::default());
        buffer
    }

    fn give(&mut self, buffer: Vec<T>) {
        self.free.extend(Some(buffer).filter(|buffer| buffer.capacity() > 0));
    }
}

impl Pool {
    /// A buffer of this length, with anything in it.
    pub(super) fn take(&mut self, length: usize) -> Vec<f32> {
        self.floats.take(length)
    }

    /// The same for bf16.
    pub(super) fn take_half(&mut self, length: usize) -> Vec<u16> {
        self.halves.take(length)
    }

    /// Takes back a buffer of bf16.
    pub(super) fn give_half(&mut self, buffer: Vec<u16>) {
        self.halves.give(buffer);
    }

    /// Takes rows back.
    pub(super) fn give_stored(&mut self, rows: Stored) {
        match rows {
            Stored::Single(rows) => self.floats.give(rows),
            Stored::Half(rows) => self.halves.give(rows),
        }
    }

    /// A buffer of zeros.
    pub(super) fn zeros(&mut self, length: usize) -> Vec<f32> {
        let mut buffer = self.take(length);
        buffer.fill(0.0);
        buffer
    }

    /// A buffer with these values.
    pub(super) fn copy(&mut self, values: &[f32]) -> Vec<f32> {
        let mut buffer = self.take(values.len());
        copy(values, &mut buffer);
        buffer
    }

    /// Rows of the residual stream, with anything in them.
    pub(super) fn take_stream(&mut self, length: usize) -> Vec<f32> {
        self.streams.take(length)
    }

    /// Rows of the residual stream with these values.
    pub(super) fn stream(&mut self, values: &[f32]) -> Vec<f32> {
        let mut buffer = self.take_stream(values.len());
        copy(values, &mut buffer);
        buffer
    }

    /// Takes rows of the residual stream back.
    pub(super) fn give_stream(&mut self, rows: Vec<f32>) {
        self.streams.give(rows);
    }

    /// Takes buffers back.
    pub(super) fn give<const N: usize>(&mut self, buffers: [Vec<f32>; N]) {
        buffers.into_iter().for_each(|buffer| self.floats.give(buffer));
    }
}

/// Copies, on all threads where that is worth it.
fn copy(from: &[f32], to: &mut [f32]) {
    if from.len() <= SHARE {
        return to.copy_from_slice(from);
    }
    to.par_chunks_mut(SHARE).zip(from.par_chunks(SHARE)).for_each(|(to, from)| to.copy_from_slice(from));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back() {
        let mut pool = Pool::default();
        let first = pool.take(100);
        let place = first.as_ptr();
        pool.give([first]);
        let second = pool.zeros(60);
        assert!(second.as_ptr() == place && second.iter().all(|value| *value == 0.0));
        pool.give([second]);
        assert_eq!(pool.take(200).len(), 200);
        assert!(pool.floats.free.is_empty(), "a buffer that is too small is not kept");
    }
}
