//! Products of pairs against sums written out; tile registers, where the processor has none, under an emulation of their
//! instructions.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::print_stdout, reason = "a test may tell what it ran on")]

mod trap;

use alidade_kernels::{Crew, InstructionSet, Level, Mat, MatMut, Rows, pairs_backward, pairs_forward, rows_times};
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

/// Every set that takes pairs; tiles by emulation where the processor has none.
fn sets() -> &'static [InstructionSet] {
    static SETS: OnceLock<Vec<InstructionSet>> = OnceLock::new();
    SETS.get_or_init(|| {
        let own = InstructionSet::forced(Level::Amx).is_some();
        if !own {
            trap::install();
        }
        let found: Vec<_> = [Level::Avx512Bf16, Level::Amx].into_iter().filter_map(InstructionSet::forced).collect();
        println!("{found:?}, tiles {}", if own { "of this processor" } else { "by emulation if AVX-512 is here" });
        found
    })
}

fn wave(count: usize, step: f32) -> Vec<f32> {
    (0..count).map(|index| (index as f32 * step).sin()).collect()
}

fn half(values: &[f32]) -> Vec<u16> {
    values.iter().map(|value| half::bf16::from_f32(*value).to_bits()).collect()
}

fn wide(bits: u16) -> f64 {
    f64::from(half::bf16::from_bits(bits).to_f32())
}

/// The largest gap between `found` and the sums of bf16 numbers, in parts of the sum of sizes.
fn worst(found: &[f32], columns: usize, depth: usize, term: impl Fn(usize, usize, usize) -> (u16, u16)) -> f64 {
    let gap = |(index, found): (usize, &f32)| {
        let terms = (0..depth).map(|at| {
            let (a, b) = term(index / columns, index % columns, at);
            wide(a) * wide(b)
        });
        let (sum, size) = terms.fold((1.0, 1.0), |(sum, size), term| (sum + term, size + term.abs()));
        (f64::from(*found) - sum).abs() / size
    };
    found.iter().enumerate().map(gap).fold(0.0, f64::max)
}

#[test]
fn both_ways_of_training_and_writing_agree_with_plain_sums() {
    for set in sets().iter().copied() {
        let before = trap::CARRIED_OUT.load(Ordering::SeqCst);
        // Whole blocks, parts of blocks, odd sums, sums in several panels, one number.
        for (rows, inputs, outputs) in
            [(32, 64, 32), (45, 75, 70), (3, 800, 33), (70, 33, 1700), (1, 1, 1), (2, 0, 3), (33, 96, 64)]
        {
            let (x, dy) = (wave(rows * inputs, 0.37), wave(rows * outputs, 0.23));
            let (w, x_half, dy_half) = (half(&wave(inputs * outputs, 0.71)), half(&x), half(&dy));
            let case = format!("{rows} {inputs} {outputs}");

            let mut out = vec![1.0; rows * outputs];
            pairs_forward(set, Mat::new(&x, rows, inputs), &w, MatMut::new(&mut out, rows, outputs), true);
            let gap =
                worst(&out, outputs, inputs, |row, column, at| (x_half[row * inputs + at], w[column * inputs + at]));
            assert!(gap < 1e-6, "forward, {case}: {gap}");

            if inputs > 0 {
                let mut written = vec![1.0; rows * outputs];
                let target = MatMut::new(&mut written, rows, outputs);
                rows_times(&Crew::ALONE, set, Mat::new(&x, rows, inputs), Rows::Half(&w), target, true, 1.0);
                let gap = worst(&written, outputs, inputs, |row, column, at| {
                    (x_half[row * inputs + at], w[column * inputs + at])
                });
                assert!(gap < 1e-6, "writing, {case}: {gap}");
            }

            let mut back = vec![1.0; rows * inputs];
            pairs_backward(set, Mat::new(&dy, rows, outputs), &w, MatMut::new(&mut back, rows, inputs), true);
            let gap =
                worst(&back, inputs, outputs, |row, column, at| (dy_half[row * outputs + at], w[at * inputs + column]));
            assert!(gap < 1e-6, "backward, {case}: {gap}");
        }
        println!("{} instructions emulated", trap::CARRIED_OUT.load(Ordering::SeqCst) - before);
    }
}

#[test]
fn neither_threads_nor_other_rows_change_a_byte() {
    for set in sets().iter().copied() {
        let (rows, inputs, outputs) = (40, 100, 150);
        let (x, w) = (wave(rows * inputs, 0.37), half(&wave(inputs * outputs, 0.71)));
        let train = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut out = vec![0.0; rows * outputs];
            pool.install(|| {
                pairs_forward(set, Mat::new(&x, rows, inputs), &w, MatMut::new(&mut out, rows, outputs), false);
            });
            out
        };
        let expected = train(1);
        assert!([2, 3].into_iter().all(|threads| train(threads) == expected));

        let write = |crew: &Crew, first: usize, count: usize| {
            let mut out = vec![0.0; count * outputs];
            let own = Mat::new(&x[first * inputs..(first + count) * inputs], count, inputs);
            rows_times(crew, set, own, Rows::Half(&w), MatMut::new(&mut out, count, outputs), false, 1.0);
            out
        };
        let together = Crew::gather(|crew| write(crew, 0, rows));
        for row in 0..rows {
            assert!(write(&Crew::ALONE, row, 1) == together[row * outputs..(row + 1) * outputs], "row {row}");
        }
    }
}

#[test]
fn numbers_that_are_none_stay_in_their_rows_and_columns() {
    for set in sets().iter().copied() {
        let (rows, inputs, outputs) = (3, 40, 35);
        let mut x = wave(rows * inputs, 0.37);
        x[inputs + 3] = f32::NAN;
        let mut w = half(&wave(inputs * outputs, 0.71));
        w[7 * inputs + 39] = half::bf16::INFINITY.to_bits();
        let mut out = vec![0.0; rows * outputs];
        pairs_forward(set, Mat::new(&x, rows, inputs), &w, MatMut::new(&mut out, rows, outputs), false);
        for (index, value) in out.iter().enumerate() {
            let touched = index / outputs == 1 || index % outputs == 7;
            assert_eq!(!value.is_finite(), touched, "{index}");
        }
    }
}
