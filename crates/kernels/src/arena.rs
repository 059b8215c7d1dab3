//! One allocation in huge pages for all weights of a model. Matrices of a few megabytes each would rarely fill a huge page,
//! and TLB misses on 4 KiB pages cost a tenth of generation, which reads every weight once a token.

use crate::aligned::Line;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

/// Bytes of a huge page.
const HUGE_PAGE: usize = 2 << 20;
/// Alignment of each slice of the arena: a cache line.
const LINE: usize = 64;

/// Types for which all-zero bytes are a valid value, aligned to a cache line at most.
///
/// # Safety
/// All bytes may be zero, and the alignment is 64 at most.
pub unsafe trait Zeroable: Copy {}
// SAFETY: four bytes, zero is 0.0.
unsafe impl Zeroable for f32 {}
// SAFETY: plain integers, aligned to 64.
unsafe impl Zeroable for Line<u32, 16> {}
// SAFETY: as above.
unsafe impl Zeroable for Line<u8, 64> {}

/// A bump allocator over one allocation.
#[derive(Debug, Default)]
pub struct Arena {
    memory: Option<Arc<Allocation>>,
    used: usize,
}

#[derive(Debug)]
struct Allocation {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: nothing is read or written through it but by the vectors in it, none of which overlap.
unsafe impl Send for Allocation {}
// SAFETY: as above.
unsafe impl Sync for Allocation {}

impl Drop for Allocation {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout, and the last vector in it is gone.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

impl Arena {
    /// An arena of this many bytes. Below one huge page it is empty, and every vector gets a heap allocation of its own.
    pub fn new(bytes: usize) -> Self {
        let size = bytes.next_multiple_of(HUGE_PAGE);
        let layout = match Layout::from_size_align(size, HUGE_PAGE) {
            Ok(layout) if bytes >= HUGE_PAGE => layout,
            _ => return Self::default(),
        };
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        #[cfg(target_os = "linux")]
        // SAFETY: the advice concerns pages that were just allocated and changes how they are backed, not what they hold. A
        // system without huge pages refuses it, and nothing is lost.
        unsafe {
            libc::madvise(start.as_ptr().cast(), size, libc::MADV_HUGEPAGE)
        };
        Self { memory: Some(Arc::new(Allocation { start, layout })), used: 0 }
    }

    /// Bytes of arena that `count` values take.
    pub fn bytes_for<T>(count: usize) -> usize {
        (size_of::<T>() * count).next_multiple_of(LINE)
    }

    /// An empty vector with room for `capacity` values: in the arena if they fit, on the heap otherwise.
    pub fn allocate<T: Zeroable>(&mut self, capacity: usize) -> ArenaVec<T> {
        let bytes = Self::bytes_for::<T>(capacity);
        match &self.memory {
            Some(memory) if capacity > 0 && bytes <= memory.layout.size() - self.used => {
                // SAFETY: the vector ends within the allocation, as just checked.
                let start = unsafe { memory.start.add(self.used) }.cast();
                self.used += bytes;
                ArenaVec(Storage::Arena { start, length: 0, capacity, _memory: memory.clone() })
            }
            _ => ArenaVec(Storage::Heap(Vec::with_capacity(capacity))),
        }
    }
}

/// A vector in an arena, or on the heap where it did not fit.
#[derive(Debug)]
pub struct ArenaVec<T>(Storage<T>);

#[derive(Debug)]
enum Storage<T> {
    /// The first `length` values are set.
    Arena {
        start: NonNull<T>,
        length: usize,
        capacity: usize,
        /// Keeps the memory alive.
        _memory: Arc<Allocation>,
    },
    Heap(Vec<T>),
}

// SAFETY: it is the only owner of its values, and keeps the memory that they are in alive.
unsafe impl<T: Send> Send for ArenaVec<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for ArenaVec<T> {}

impl<T: Zeroable> ArenaVec<T> {
    /// Reserves capacity for so many further values. A vector that outgrows its place in the arena moves to the heap.
    pub fn reserve(&mut self, further: usize) {
        match &mut self.0 {
            Storage::Heap(values) => values.reserve(further),
            Storage::Arena { length, capacity, .. } if further <= *capacity - *length => {}
            Storage::Arena { .. } => {
                let mut values = self.to_vec();
                values.reserve(further);
                self.0 = Storage::Heap(values);
            }
        }
    }

    /// Appends `count` zeros and returns them. A vector that outgrows its capacity moves to the heap.
    pub fn grow(&mut self, count: usize) -> &mut [T] {
        let before = self.len();
        if let Storage::Arena { start, length, capacity, .. } = &mut self.0
            && count <= *capacity - *length
        {
            // SAFETY: the capacity was just checked, and zero bytes are valid values.
            unsafe { start.add(*length).write_bytes(0, count) };
            *length += count;
            return &mut self[before..];
        }
        // SAFETY: zero bytes are a valid value.
        let zero = unsafe { std::mem::zeroed() };
        if let Storage::Arena { .. } = self.0 {
            self.0 = Storage::Heap(self.to_vec());
        }
        if let Storage::Heap(values) = &mut self.0 {
            values.resize(before + count, zero);
        }
        &mut self[before..]
    }
}

impl<T> Deref for ArenaVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            // SAFETY: `length` values are initialised, and the vector is borrowed.
            Storage::Arena { start, length, .. } => unsafe { std::slice::from_raw_parts(start.as_ptr(), *length) },
            Storage::Heap(values) => values,
        }
    }
}

impl<T> DerefMut for ArenaVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.0 {
            // SAFETY: as above, and the borrow is exclusive.
            Storage::Arena { start, length, .. } => unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), *length) },
            Storage::Heap(values) => values,
        }
    }
}

impl<T: Zeroable> Clone for ArenaVec<T> {
    /// A copy on the heap.
    fn clone(&self) -> Self {
        Self(Storage::Heap(self.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_an_arena_do_not_overlap_and_keep_it_alive() {
        let mut arena = Arena::new(HUGE_PAGE + 1);
        let mut lines = arena.allocate::<Line<u32, 16>>(3);
        let mut floats = arena.allocate::<f32>(100_001);
        let mut more = arena.allocate::<f32>(10);
        assert!([&floats, &more].iter().all(|vector| matches!(vector.0, Storage::Arena { .. })));
        assert!(matches!(arena.allocate::<f32>(HUGE_PAGE).0, Storage::Heap(_)), "there is no room for it");
        drop(arena);
        lines.grow(3)[1].0 = [7; 16];
        floats.grow(100_000).fill(1.0);
        floats.grow(1)[0] = 2.0;
        more.grow(10).fill(3.0);
        let copy = more.clone();
        more[0] = 4.0;
        assert!(lines[0].0 == [0; 16] && lines[1].0 == [7; 16] && lines[2].0 == [0; 16]);
        assert!(floats[..100_000].iter().all(|value| *value == 1.0) && floats[100_000] == 2.0);
        assert!(more[0] == 4.0 && *copy == [3.0; 10]);
        assert!(lines.as_ptr().addr().is_multiple_of(LINE) && more.as_ptr().addr().is_multiple_of(LINE));
        drop((lines, floats));
        // What outgrows its capacity is copied to the heap and does not touch its neighbours.
        more.grow(2)[1] = 5.0;
        assert!(
            matches!(more.0, Storage::Heap(_)) && *more == [4.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 0.0, 5.0]
        );
    }

    #[test]
    fn a_small_arena_uses_the_heap() {
        let mut arena = Arena::new(1000);
        let mut vector = arena.allocate::<f32>(10);
        assert!(vector.is_empty() && vector.grow(12).len() == 12 && matches!(vector.0, Storage::Heap(_)));
    }
}
