//! Matrix views of slices, and the f32 matmul.
//!
//! With AVX-512 the matmul is our own (`avx512`): it is faster for the shapes of training, above all for LoRA ranks of 16.
//! Otherwise it is the `gemm` crate's (`gemm_kernel`). Both split the output among threads and never the accumulation.

#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod gemm_kernel;

use crate::InstructionSet;
use gemm::Parallelism;
use std::marker::PhantomData;

/// Which threads compute a matmul.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// The calling thread, for a matmul inside a task.
    One,
    /// The current rayon pool.
    Pool,
}

/// How a finished accumulator is stored.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Epilogue {
    /// Added to the output instead of overwriting it.
    pub(crate) add: bool,
    /// Factor that it is multiplied by first.
    pub(crate) scale: f32,
}

/// A read-only matrix view.
#[derive(Debug, Clone, Copy)]
pub struct Mat<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Mat<'a> {
    /// `rows` × `columns` elements, row after row, `stride` elements apart.
    ///
    /// # Panics
    /// When the slice is too short.
    pub fn strided(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(fits(data.len(), rows, columns, stride, 1), "a matrix reaches beyond its slice");
        Self { data, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// `rows` × `columns` elements without gaps.
    ///
    /// # Panics
    /// When the slice is too short.
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// The transposed view.
    #[must_use]
    pub fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// The part from (`row`, `column`) on, `rows` × `columns` large.
    ///
    /// # Panics
    /// When it reaches beyond this one.
    #[must_use]
    pub fn part(self, row: usize, column: usize, rows: usize, columns: usize) -> Self {
        assert!(row + rows <= self.rows && column + columns <= self.columns, "a part reaches beyond its matrix");
        if rows == 0 || columns == 0 {
            return Self { data: &[], rows, columns, ..self };
        }
        let start = row * self.row_stride + column * self.column_stride;
        Self { data: &self.data[start..], rows, columns, ..self }
    }

    /// One row of a matrix whose rows are contiguous.
    pub fn row(self, row: usize) -> &'a [f32] {
        debug_assert_eq!(self.column_stride, 1);
        &self.data[row * self.row_stride..][..self.columns]
    }

    /// The elements and the row stride, when rows are contiguous.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn lines(self) -> Option<(&'a [f32], usize)> {
        (self.column_stride == 1).then_some((self.data, self.row_stride))
    }

    /// Number of rows.
    pub fn rows(self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(self) -> usize {
        self.columns
    }
}

/// A mutable matrix view. It holds a pointer instead of a slice, so that it can be split by columns that different threads
/// write at once.
#[derive(Debug)]
pub struct MatMut<'a, T = f32> {
    data: *mut T,
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
    life: PhantomData<&'a mut [T]>,
}

// SAFETY: a `MatMut` has exclusive access to its elements, as `&mut [T]` has; splitting one gives disjoint parts.
unsafe impl<T: Send> Send for MatMut<'_, T> {}

impl<'a, T> MatMut<'a, T> {
    /// `rows` × `columns` elements, row after row, `stride` elements apart.
    ///
    /// # Panics
    /// When the slice is too short, or rows overlap.
    pub fn strided(data: &'a mut [T], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(fits(data.len(), rows, columns, stride, 1), "a matrix reaches beyond its slice");
        assert!(stride >= columns, "rows overlap");
        Self { data: data.as_mut_ptr(), rows, columns, row_stride: stride, column_stride: 1, life: PhantomData }
    }

    /// `rows` × `columns` elements without gaps.
    ///
    /// # Panics
    /// When the slice is too short.
    pub fn new(data: &'a mut [T], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// A reborrow.
    pub fn lend(&mut self) -> MatMut<'_, T> {
        MatMut { life: PhantomData, ..*self }
    }

    /// The transposed view.
    #[must_use]
    pub fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Splits after `at` rows.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn split_rows(self, at: usize) -> (Self, Self) {
        assert!(at <= self.rows, "cut beyond the last row");
        let lower = Self { data: self.data.wrapping_add(at * self.row_stride), rows: self.rows - at, ..self };
        (Self { rows: at, ..self }, lower)
    }

    /// Splits after `at` columns.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn split_columns(self, at: usize) -> (Self, Self) {
        assert!(at <= self.columns, "cut beyond the last column");
        let right = Self { data: self.data.wrapping_add(at * self.column_stride), columns: self.columns - at, ..self };
        (Self { columns: at, ..self }, right)
    }

    /// Splits into parts of `width` columns, the last of which may be narrower, each with its first column.
    pub(crate) fn columns_by(self, width: usize) -> Vec<(usize, Self)> {
        let (columns, mut rest) = (self.columns, self);
        let mut parts = Vec::with_capacity(columns.div_ceil(width));
        for first in (0..columns).step_by(width) {
            let (part, right) = rest.split_columns(width.min(columns - first));
            parts.push((first, part));
            rest = right;
        }
        parts
    }

    /// Splits into blocks of `width` columns and `height` rows, each with its first column and row.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn blocks_by(self, width: usize, height: usize) -> Vec<(usize, usize, Self)> {
        let mut blocks = Vec::new();
        for (column, mut rest) in self.columns_by(width) {
            for row in (0..rest.rows).step_by(height) {
                let (block, lower) = {
                    let count = height.min(rest.rows);
                    rest.split_rows(count)
                };
                blocks.push((column, row, block));
                rest = lower;
            }
        }
        blocks
    }

    /// Pointer to the first row and the row stride, when rows are contiguous.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn lines_mut(&mut self) -> Option<(*mut T, usize)> {
        (self.column_stride == 1).then_some((self.data, self.row_stride))
    }

    /// The part from (`row`, `column`) on, `rows` × `columns` large, as a reborrow.
    ///
    /// # Panics
    /// When it reaches beyond this one.
    #[inline]
    pub fn part(&mut self, row: usize, column: usize, rows: usize, columns: usize) -> MatMut<'_, T> {
        assert!(row + rows <= self.rows && column + columns <= self.columns, "a part reaches beyond its matrix");
        let data = self.data.wrapping_add(row * self.row_stride + column * self.column_stride);
        MatMut { data, rows, columns, life: PhantomData, ..*self }
    }

    /// One row of a matrix whose rows are contiguous.
    ///
    /// # Panics
    /// When there is no such row, or this is a transposed view.
    pub fn row(&mut self, row: usize) -> &mut [T] {
        assert!(row < self.rows && self.column_stride == 1, "no such row");
        // SAFETY: the row lies within the slice that this view was made from, and no other view reaches these columns.
        unsafe { std::slice::from_raw_parts_mut(self.data.wrapping_add(row * self.row_stride), self.columns) }
    }
}

#[cfg(target_arch = "x86_64")]
impl MatMut<'_> {
    /// Stores finished accumulators in a row, as many as it has columns.
    pub(crate) fn blend(&mut self, row: usize, sums: &[f32], how: Epilogue) {
        assert!(row < self.rows && sums.len() >= self.columns, "no such row");
        for (column, sum) in sums.iter().enumerate().take(self.columns) {
            let at = self.data.wrapping_add(row * self.row_stride + column * self.column_stride);
            // SAFETY: an element of this view, which has exclusive access to it.
            unsafe { *at = if how.add { *at + how.scale * sum } else { how.scale * sum } };
        }
    }
}

fn fits(length: usize, rows: usize, columns: usize, row_stride: usize, column_stride: usize) -> bool {
    rows == 0 || columns == 0 || (rows - 1) * row_stride + (columns - 1) * column_stride < length
}

/// `out` = scale·a·b, or `out` += scale·a·b with `add`.
///
/// # Panics
/// When the sizes do not match.
pub fn matmul(set: InstructionSet, out: MatMut, add: bool, scale: f32, a: Mat, b: Mat, threads: Threads) {
    let (m, n, k) = (out.rows, out.columns, a.columns);
    assert!(a.rows == m && b.columns == n && b.rows == k, "sizes of a matmul do not match");
    if m == 0 || n == 0 {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if set.level() >= crate::Level::Avx512 {
        // SAFETY: a set of this level exists only after the processor said that it has it.
        return unsafe { avx512::matmul(out, add, scale, a, b, threads) };
    }
    let parallelism = match threads {
        Threads::One => Parallelism::None,
        Threads::Pool => Parallelism::Rayon(rayon::current_num_threads()),
    };
    #[cfg(target_arch = "x86_64")]
    gemm_kernel::matmul(set.level(), out, add, scale, a, b, parallelism);
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = set;
        gemm_matmul(out, add, scale, a, b, parallelism);
    }
}

/// With the kernel that the `gemm` crate picks.
#[cfg(not(target_arch = "x86_64"))]
fn gemm_matmul(out: MatMut, add: bool, scale: f32, a: Mat, b: Mat, parallelism: Parallelism) {
    // SAFETY: each view was checked against its slice when it was made, `out` has exclusive access to its elements, and the
    // caller has compared the sizes.
    unsafe {
        gemm::gemm(
            out.rows,
            out.columns,
            a.columns,
            out.data,
            out.column_stride as isize,
            out.row_stride as isize,
            add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(count: usize, step: f32) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * step).sin()).collect()
    }

    #[test]
    fn products_of_parts_agree_with_plain_sums() {
        let (a, b) = (ramp(7 * 9, 0.7), ramp(9 * 6, 0.3));
        let mut out = vec![1.0; 7 * 10];
        let right = Mat::new(&b, 9, 6).part(1, 2, 5, 4);
        let left = Mat::new(&a, 7, 9).part(2, 3, 4, 5);
        let mut whole = MatMut::new(&mut out, 7, 10);
        matmul(InstructionSet::best(), whole.part(1, 3, 4, 4), true, 2.0, left, right, Threads::One);
        for row in 0..7 {
            for column in 0..10 {
                let inside = (1..5).contains(&row) && (3..7).contains(&column);
                let term = |k: usize| a[(row + 1) * 9 + 3 + k] * b[(1 + k) * 6 + 2 + column - 3];
                let expected = 1.0 + if inside { 2.0 * (0..5).map(term).sum::<f32>() } else { 0.0 };
                assert!((out[row * 10 + column] - expected).abs() < 1e-5, "{row} {column}");
            }
        }
    }

    /// A view of elements as `rows` × `columns`: transposed, or with gaps behind each row.
    fn view(elements: &[f32], rows: usize, columns: usize, transposed: bool) -> Mat<'_> {
        if transposed {
            Mat::new(elements, columns, rows).t()
        } else {
            Mat::strided(elements, rows, columns, columns + 3)
        }
    }

    #[test]
    fn each_level_agrees_with_plain_sums_for_every_layout() {
        let sizes = [(1, 1, 1), (8, 32, 16), (9, 17, 33), (23, 16, 600), (140, 70, 40), (5, 300, 1030), (7, 5, 0)];
        for (set, (m, n, k)) in InstructionSet::all().flat_map(|set| sizes.map(|size| (set, size))) {
            let (a, b) = (ramp((m + 3) * (k + 3), 0.7), ramp((k + 3) * (n + 3), 0.3));
            for flags in 0..16 {
                let flag = |bit: usize| flags >> bit & 1 == 1;
                let (left, right) = (view(&a, m, k, flag(0)), view(&b, k, n, flag(1)));
                let add = flag(3);
                let mut out = vec![1.0; (m + 3) * (n + 3)];
                let target = match flag(2) {
                    true => MatMut::new(&mut out, n, m).t(),
                    false => MatMut::strided(&mut out, m, n, n + 3),
                };
                matmul(set, target, add, 0.5, left, right, Threads::Pool);
                let element = |mat: Mat, row: usize, column: usize| {
                    f64::from(mat.data[row * mat.row_stride + column * mat.column_stride])
                };
                let mut written = 0.0;
                for (row, column) in (0..m).flat_map(|row| (0..n).map(move |column| (row, column))) {
                    let sum: f64 = (0..k).map(|at| element(left, row, at) * element(right, at, column)).sum();
                    let expected = 0.5 * sum + f64::from(u8::from(add));
                    let found = out[if flag(2) { column * m + row } else { row * (n + 3) + column }];
                    written += f64::from(found) - 1.0;
                    assert!(
                        (f64::from(found) - expected).abs() < 1e-3,
                        "{set:?} {m} {n} {k} flags {flags}: {row} {column}"
                    );
                }
                // Nothing between or behind the rows was touched.
                let all: f64 = out.iter().map(|value| f64::from(*value) - 1.0).sum();
                assert!((all - written).abs() < 1e-6, "{set:?} {m} {n} {k} flags {flags}: wrote beside the result");
            }
        }
    }

    /// Also on a processor with AVX-512: a forced level gives the bits of its own kernel, without FMA for portable and with
    /// it for AVX2.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_forced_level_multiplies_with_its_own_instructions() {
        let (m, n, k) = (33, 40, 71);
        let (a, b) = (ramp(m * k, 0.7), ramp(n * k, 0.3));
        let run = |level| {
            let set = InstructionSet::forced(level)?;
            let mut out = vec![0.0; m * n];
            let (left, right) = (Mat::new(&a, m, k), Mat::new(&b, n, k).t());
            matmul(set, MatMut::new(&mut out, m, n), false, 1.0, left, right, Threads::One);
            Some(out)
        };
        // Portable kernels have no FMA: each product is rounded before it is added.
        let portable = run(crate::Level::Portable).unwrap_or_default();
        let plain =
            |row: usize, column: usize| (0..k).fold(0.0f32, |sum, at| sum + a[row * k + at] * b[column * k + at]);
        let expected: Vec<f32> = (0..m * n).map(|at| plain(at / n, at % n)).collect();
        assert!(portable == expected, "not one product after another");
        if let Some(wide) = run(crate::Level::Avx2) {
            let fused = |row: usize, column: usize| {
                (0..k).fold(0.0f32, |sum, at| a[row * k + at].mul_add(b[column * k + at], sum))
            };
            let expected: Vec<f32> = (0..m * n).map(|at| fused(at / n, at % n)).collect();
            assert!(wide == expected, "not one fused product after another");
        }
    }

    #[test]
    fn the_pool_gives_the_bytes_of_one_thread() {
        for (set, (m, n, k)) in InstructionSet::all().flat_map(|set| [(set, (130, 77, 300)), (set, (700, 16, 1100))]) {
            let (a, b) = (ramp(m * k, 0.01), ramp(n * k, 0.02));
            let run = |count: usize, threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
                let mut out = vec![0.0; m * n];
                let (left, right) = (Mat::new(&a, m, k), Mat::new(&b, n, k).t());
                pool.install(|| matmul(set, MatMut::new(&mut out, m, n), false, 1.0, left, right, threads));
                out
            };
            let one = run(1, Threads::One);
            for count in [1, 2, 3, 5] {
                assert!(one == run(count, Threads::Pool), "{set:?}, {count} threads");
            }
        }
    }
}
