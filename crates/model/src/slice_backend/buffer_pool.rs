//! A pool of reusable buffers: a pass takes what it needs and returns it, so that after the first step nothing is allocated
//! and no page fault occurs.

use rayon::prelude::*;

/// Elements that a task copies.
const SHARE: usize = 1 << 16;

/// Free buffers by use.
#[derive(Default)]
pub(super) struct BufferPool {
    floats: FreeList<f32>,
    /// Rows of the residual stream, which live until the backward pass: none of them should occupy a larger buffer.
    streams: FreeList<f32>,
    bf16s: FreeList<u16>,
}

/// Activations in f32 or bf16.
pub(super) enum Stored {
    /// f32.
    F32(Vec<f32>),
    /// Rounded to bf16, where matmuls round them anyway.
    Bf16(Vec<u16>),
}

struct FreeList<T> {
    free: Vec<Vec<T>>,
}

impl<T> Default for FreeList<T> {
    fn default() -> Self {
        Self { free: Vec::new() }
    }
}

impl<T: Clone + Default> FreeList<T> {
    fn take(&mut self, length: usize) -> Vec<T> {
        // Not one that is far too large: it will be needed elsewhere.
        let fits = |buffer: &Vec<T>| (length..=2 * length + 4096).contains(&buffer.capacity());
        let sizes = || self.free.iter().enumerate();
        let best = sizes().filter(|(_, buffer)| fits(buffer)).min_by_key(|(_, buffer)| buffer.capacity());
        let mut buffer = match best.map(|(index, _)| index) {
            Some(index) => self.free.swap_remove(index),
            None => {
                // The largest of those that are too small has been outgrown: free it.
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

impl BufferPool {
    /// A buffer of this length with arbitrary contents.
    pub(super) fn take(&mut self, length: usize) -> Vec<f32> {
        self.floats.take(length)
    }

    /// The same in bf16.
    pub(super) fn take_bf16(&mut self, length: usize) -> Vec<u16> {
        self.bf16s.take(length)
    }

    /// Returns a bf16 buffer.
    pub(super) fn give_bf16(&mut self, buffer: Vec<u16>) {
        self.bf16s.give(buffer);
    }

    /// Returns activations.
    pub(super) fn give_stored(&mut self, rows: Stored) {
        match rows {
            Stored::F32(rows) => self.floats.give(rows),
            Stored::Bf16(rows) => self.bf16s.give(rows),
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

    /// Rows of the residual stream with arbitrary contents.
    pub(super) fn take_stream(&mut self, length: usize) -> Vec<f32> {
        self.streams.take(length)
    }

    /// Rows of the residual stream with these values.
    pub(super) fn stream(&mut self, values: &[f32]) -> Vec<f32> {
        let mut buffer = self.take_stream(values.len());
        copy(values, &mut buffer);
        buffer
    }

    /// Returns rows of the residual stream.
    pub(super) fn give_stream(&mut self, rows: Vec<f32>) {
        self.streams.give(rows);
    }

    /// Returns buffers.
    pub(super) fn give<const N: usize>(&mut self, buffers: [Vec<f32>; N]) {
        buffers.into_iter().for_each(|buffer| self.floats.give(buffer));
    }
}

/// Copies, in parallel where that is worth it.
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
    fn buffers_are_reused() {
        let mut pool = BufferPool::default();
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
