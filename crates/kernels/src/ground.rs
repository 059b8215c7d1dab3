//! One stretch of memory for all weights of a model, in large pages. Matrices of a few megabytes each would rarely fill one,
//! and looking up pages of four kilobytes costs a tenth of writing: whatever is read there is read once for each token.

use crate::aligned::Line;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

/// Bytes of a large page.
const LARGE_PAGE: usize = 2 << 20;
/// Where each plot begins.
const LINE: usize = 64;

/// Values that zeros are, and that need no more than a line.
///
/// # Safety
/// All bytes may be zero, and the alignment is 64 at most.
pub unsafe trait Plain: Copy {}
// SAFETY: numbers of four bytes.
unsafe impl Plain for f32 {}
// SAFETY: numbers again, aligned to 64.
unsafe impl Plain for Line<u32, 16> {}
// SAFETY: as above.
unsafe impl Plain for Line<u8, 64> {}

/// Memory that is given out from its beginning to its end.
#[derive(Debug, Default)]
pub struct Ground {
    whole: Option<Arc<Whole>>,
    taken: usize,
}

#[derive(Debug)]
struct Whole {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: nothing is read or written through it but by plots, none of which overlap.
unsafe impl Send for Whole {}
// SAFETY: as above.
unsafe impl Sync for Whole {}

impl Drop for Whole {
    fn drop(&mut self) {
        // SAFETY: it was asked for with this layout, and the last plot is gone.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

impl Ground {
    /// Room for so many bytes; where that is less than a large page, none, so that every plot has memory of its own.
    pub fn new(bytes: usize) -> Self {
        let size = bytes.next_multiple_of(LARGE_PAGE);
        let layout = match Layout::from_size_align(size, LARGE_PAGE) {
            Ok(layout) if bytes >= LARGE_PAGE => layout,
            _ => return Self::default(),
        };
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        #[cfg(target_os = "linux")]
        // SAFETY: the advice is about pages that were just asked for and changes where they come from, not what they hold. A
        // system without large pages refuses it, and nothing is lost.
        unsafe {
            libc::madvise(start.as_ptr().cast(), size, libc::MADV_HUGEPAGE)
        };
        Self { whole: Some(Arc::new(Whole { start, layout })), taken: 0 }
    }

    /// What so many values take at most.
    pub fn needs<T>(count: usize) -> usize {
        (size_of::<T>() * count).next_multiple_of(LINE)
    }

    /// An empty list with room for so many values, here if they fit.
    pub fn plot<T: Plain>(&mut self, capacity: usize) -> Plot<T> {
        let bytes = Self::needs::<T>(capacity);
        match &self.whole {
            Some(whole) if capacity > 0 && bytes <= whole.layout.size() - self.taken => {
                // SAFETY: the plot ends within the whole, as just asked.
                let start = unsafe { whole.start.add(self.taken) }.cast();
                self.taken += bytes;
                Plot(Place::Here { start, length: 0, capacity, _whole: whole.clone() })
            }
            _ => Plot(Place::Own(Vec::with_capacity(capacity))),
        }
    }
}

/// A list of values that nobody else reads or writes.
#[derive(Debug)]
pub struct Plot<T>(Place<T>);

#[derive(Debug)]
enum Place<T> {
    /// The first `length` values are set.
    Here {
        start: NonNull<T>,
        length: usize,
        capacity: usize,
        /// Keeps the memory.
        _whole: Arc<Whole>,
    },
    Own(Vec<T>),
}

// SAFETY: it owns its values alone, and keeps the memory that they are in.
unsafe impl<T: Send> Send for Plot<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Plot<T> {}

impl<T: Plain> Plot<T> {
    /// Appends `count` zeros, and lends them. What outgrows its room moves to memory of its own.
    pub fn grow(&mut self, count: usize) -> &mut [T] {
        let before = self.len();
        if let Place::Here { start, length, capacity, .. } = &mut self.0
            && count <= *capacity - *length
        {
            // SAFETY: there is room for them behind the others, and zeros are values.
            unsafe { start.add(*length).write_bytes(0, count) };
            *length += count;
            return &mut self[before..];
        }
        // SAFETY: zeros are a value.
        let zero = unsafe { std::mem::zeroed() };
        if let Place::Here { .. } = self.0 {
            self.0 = Place::Own(self.to_vec());
        }
        if let Place::Own(values) = &mut self.0 {
            values.resize(before + count, zero);
        }
        &mut self[before..]
    }
}

impl<T> Deref for Plot<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            // SAFETY: so many values are set, and the plot is borrowed.
            Place::Here { start, length, .. } => unsafe { std::slice::from_raw_parts(start.as_ptr(), *length) },
            Place::Own(values) => values,
        }
    }
}

impl<T> DerefMut for Plot<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.0 {
            // SAFETY: as above, and nobody else has this plot.
            Place::Here { start, length, .. } => unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), *length) },
            Place::Own(values) => values,
        }
    }
}

impl<T: Plain> Clone for Plot<T> {
    /// A copy in memory of its own.
    fn clone(&self) -> Self {
        Self(Place::Own(self.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plots_lie_side_by_side_and_are_their_owners() {
        let mut ground = Ground::new(LARGE_PAGE + 1);
        let mut lines = ground.plot::<Line<u32, 16>>(3);
        let mut floats = ground.plot::<f32>(100_001);
        let mut more = ground.plot::<f32>(10);
        assert!([&floats, &more].iter().all(|plot| matches!(plot.0, Place::Here { .. })));
        assert!(matches!(ground.plot::<f32>(LARGE_PAGE).0, Place::Own(_)), "there is no room for it");
        drop(ground);
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
        // What outgrows its room is not lost, and reaches nobody else.
        more.grow(2)[1] = 5.0;
        assert!(
            matches!(more.0, Place::Own(_)) && *more == [4.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 0.0, 5.0]
        );
    }

    #[test]
    fn small_grounds_are_none() {
        let mut ground = Ground::new(1000);
        let mut plot = ground.plot::<f32>(10);
        assert!(plot.is_empty() && plot.grow(12).len() == 12 && matches!(plot.0, Place::Own(_)));
    }
}
