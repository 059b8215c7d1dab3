//! The matmul of the `gemm` crate with the microkernel of the requested level. The crate itself picks the best that the
//! processor has; a forced level must give the bits of a processor that has nothing better.

use super::{Mat, MatMut};
use crate::Level;
use gemm::Parallelism;
use gemm_common::gemm::gemm_basic_generic;
use gemm_common::simd::{MixedSimd, Scalar, V3};

/// `out` = scale·a·b, or `out` += scale·a·b with `add`, for sizes that match.
pub(super) fn matmul(level: Level, out: MatMut, add: bool, scale: f32, a: Mat, b: Mat, parallelism: Parallelism) {
    // The kernels are column-major: transpose a row-major product.
    let (out, a, b) = if out.column_stride < out.row_stride { (out.t(), b.t(), a.t()) } else { (out, a, b) };
    match level {
        Level::Portable => scalar(out, add, scale, a, b, parallelism),
        _ => fma(out, add, scale, a, b, parallelism),
    }
}

macro_rules! kernel {
    ($name:ident, $simd:ident, $lanes:literal) => {
        fn $name(out: MatMut, add: bool, scale: f32, a: Mat, b: Mat, parallelism: Parallelism) {
            use gemm_f32::microkernel::$name::f32::{H_M, H_N, H_UKR, MR_DIV_N, NR, UKR};
            let simd = <$simd as MixedSimd<f32, f32, f32, f32>>::try_new();
            let Some(simd) = simd else { panic!("a set of this level exists on processors that have it alone") };
            // SAFETY: each view was checked against its slice when it was made, `out` has exclusive access to its elements,
            // and the caller has compared the sizes.
            unsafe {
                gemm_basic_generic::<_, f32, $lanes, { MR_DIV_N * $lanes }, NR, MR_DIV_N, H_M, H_N>(
                    simd,
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
                    |a, b, c| a * b + c,
                    &UKR,
                    &H_UKR,
                    false,
                    parallelism,
                );
            }
        }
    };
}

kernel!(scalar, Scalar, 1);
kernel!(fma, V3, 8);
