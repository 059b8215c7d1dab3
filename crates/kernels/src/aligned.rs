//! Vectors aligned to a cache line: a SIMD load across two lines costs two reads.

/// Bytes of a cache line.
const LINE: usize = 64;

/// A cache line, which is also one 512-bit vector.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line<T, const N: usize>(pub(crate) [T; N]);

/// A vector whose first element is aligned to a cache line, as long as it does not grow beyond its capacity.
#[derive(Debug, Clone)]
pub struct Aligned<T> {
    room: Vec<T>,
    skip: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// An empty vector with room for `capacity` elements.
    pub fn with_capacity(capacity: usize) -> Self {
        let spare = LINE / size_of::<T>().max(1);
        let mut room: Vec<T> = Vec::with_capacity(capacity + spare);
        let skip = room.as_ptr().align_offset(LINE).min(spare);
        room.resize(skip, T::default());
        Self { room, skip }
    }

    /// Appends `count` zeros and returns them.
    pub fn grow(&mut self, count: usize) -> &mut [T] {
        let start = self.room.len();
        self.room.resize(start + count, T::default());
        &mut self.room[start..]
    }
}

impl<T> std::ops::Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.room[self.skip..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_element_is_aligned_to_a_line() {
        for capacity in [1, 100, 100_000] {
            let mut list = Aligned::<u16>::with_capacity(capacity);
            assert!(list.is_empty());
            list.grow(capacity)[0] = 7;
            assert!(list.len() == capacity && list[0] == 7 && list.as_ptr().align_offset(LINE) == 0, "{capacity}");
        }
    }
}
