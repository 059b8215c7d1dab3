//! Products of pairs against sums written out; tile registers, where the processor has none, under an emulation of their
//! instructions.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::print_stdout, reason = "a test may tell what it ran on")]

mod trap;

use alidade_kernels::{
    Crew, Ground, InstructionSet, Level, Mat, MatMut, Panels, RoundedRows, Source, Term, Threads, pairs_backward,
    pairs_forward, pairs_product, pairs_written,
};
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

/// Rows of `inputs` numbers as panels, pushed in pieces that end within rows.
fn panels(set: InstructionSet, numbers: &[u16], inputs: usize) -> Panels {
    let mut panels = Panels::new(&mut Ground::default(), set, numbers.len(), inputs);
    let wide: Vec<f32> = numbers.iter().map(|bits| half::bf16::from_bits(*bits).to_f32()).collect();
    wide.chunks(77).for_each(|piece| panels.push(piece));
    panels
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
            [(32, 64, 32), (45, 75, 70), (3, 1800, 33), (70, 33, 1700), (1, 1, 1), (2, 70, 3), (33, 96, 64)]
        {
            let (x, dy) = (wave(rows * inputs, 0.37), wave(rows * outputs, 0.23));
            let (w, x_half, dy_half) = (half(&wave(inputs * outputs, 0.71)), half(&x), half(&dy));
            let case = format!("{rows} {inputs} {outputs}");

            let mut out = vec![1.0; rows * outputs];
            let held = panels(set, &w, inputs);
            pairs_forward(set, Mat::new(&x, rows, inputs), &held, MatMut::new(&mut out, rows, outputs), true);
            let gap =
                worst(&out, outputs, inputs, |row, column, at| (x_half[row * inputs + at], w[column * inputs + at]));
            assert!(gap < 1e-6, "forward, {case}: {gap}");

            let mut written = vec![1.0; rows * outputs];
            let target = MatMut::new(&mut written, rows, outputs);
            pairs_written(&Crew::ALONE, set, Mat::new(&x, rows, inputs), &held, target, true);
            assert!(written == out, "writing, {case}");

            let mut back = vec![1.0; rows * inputs];
            pairs_backward(set, Mat::new(&dy, rows, outputs), &held, MatMut::new(&mut back, rows, inputs), true);
            let gap =
                worst(&back, inputs, outputs, |row, column, at| (dy_half[row * outputs + at], w[at * inputs + column]));
            assert!(gap < 1e-6, "backward, {case}: {gap}");
        }
        println!("{} instructions emulated", trap::CARRIED_OUT.load(Ordering::SeqCst) - before);
    }
}

fn view(numbers: &[f32], rows: usize, columns: usize, turned: bool) -> Mat<'_> {
    if turned { Mat::new(numbers, columns, rows).t() } else { Mat::strided(numbers, rows, columns, columns + 3) }
}

#[test]
fn products_of_two_rounded_matrices_agree_with_plain_sums_whichever_way_they_run() {
    for set in sets().iter().copied() {
        // Narrow results, several chunks of rows, sums in several panels, parts of blocks, nothing to add up.
        for (m, k, n) in [(64, 64, 96), (37, 70, 16), (16, 300, 45), (530, 40, 5), (5, 2100, 33), (1, 1, 1), (3, 0, 2)]
        {
            let (a, b) = (wave(m * (k + 3) + 3 * k, 0.37), wave(k * (n + 3) + 3 * n, 0.23));
            for turn in 0..16 {
                let turned = |bit: usize| turn >> bit & 1 == 1;
                let (left, right) = (view(&a, m, k, turned(0)), view(&b, k, n, turned(1)));
                let mut out = vec![2.0; m * (n + 3)];
                let target = match turned(2) {
                    true => MatMut::new(&mut out[..m * n], n, m).t(),
                    false => MatMut::strided(&mut out, m, n, n + 3),
                };
                let threads = if turned(3) { Threads::One } else { Threads::Pool };
                pairs_product(set, target, turned(3), 0.5, left, right, threads);
                let at = |row: usize, column: usize| if turned(2) { column * m + row } else { row * (n + 3) + column };
                // Twice what was found, less what was there: 1 + the sum, as `worst` wants it.
                let before = if turned(3) { 3.0 } else { -1.0 };
                let found: Vec<_> = (0..m * n).map(|index| 2.0 * out[at(index / n, index % n)] - before).collect();
                let bits = |value: f32| half::bf16::from_f32(value).to_bits();
                let left = |row: usize, at: usize| a[if turned(0) { at * m + row } else { row * (k + 3) + at }];
                let right =
                    |at: usize, column: usize| b[if turned(1) { column * k + at } else { at * (n + 3) + column }];
                let gap = worst(&found, n, k, |row, column, at| (bits(left(row, at)), bits(right(at, column))));
                assert!(gap < 2e-6, "{set:?}, {m} {k} {n}, {turn}: {gap}");
                let touched =
                    (0..m * n).map(|index| at(index / n, index % n)).collect::<std::collections::BTreeSet<_>>();
                assert!((0..out.len()).all(|at| touched.contains(&at) || out[at] == 2.0), "{m} {k} {n}, {turn}");
            }
        }
    }
}

/// x·Wᵀ + s·h·Bᵀ for some columns, and its way back dy·W + g·A, as one sweep each.
#[test]
fn several_matrices_side_by_side_are_the_sum_of_their_products() {
    for set in sets().iter().copied() {
        for (rows, inputs, outputs, rank, first, reach) in
            [(40, 70, 100, 5, 33, 40), (33, 1030, 64, 16, 0, 32), (3, 9, 50, 40, 45, 5), (64, 2100, 35, 8, 1, 34)]
        {
            let (x, h) = (wave(rows * inputs, 0.37), wave(rows * rank, 0.19));
            let (w, b) = (half(&wave(inputs * outputs, 0.71)), wave(reach * rank, 0.43));
            let held = panels(set, &w, inputs);
            let run = |threads: Threads| {
                let mut rounded = RoundedRows::new(set, rows, [inputs, rank]);
                let place = rounded.push(Mat::new(&x, rows, inputs), 1.0, threads);
                let narrow = rounded.push(Mat::new(&h, rows, rank), 2.0, threads);
                let b = Source::rounded(Mat::new(&b, reach, rank), 1.0);
                let terms = [Term::held_transposed(place, &held), Term::transposed(narrow, b, first)];
                let mut out = vec![1.0; rows * outputs];
                rounded.times(&terms, MatMut::new(&mut out, rows, outputs), true, 1.0, threads);
                out
            };
            let out = run(Threads::Pool);
            assert!(out == run(Threads::One));
            let (x_half, h_half, b_half) = (half(&x), half(&h.iter().map(|h| 2.0 * h).collect::<Vec<_>>()), half(&b));
            let gap = worst(&out, outputs, inputs + rank, |row, column, at| match at.checked_sub(inputs) {
                None => (x_half[row * inputs + at], w[column * inputs + at]),
                Some(at) if (first..first + reach).contains(&column) => {
                    (h_half[row * rank + at], b_half[(column - first) * rank + at])
                }
                Some(_) => (0, 0),
            });
            assert!(gap < 1e-6, "{set:?}, {rows} {inputs} {outputs}: {gap}");

            // Back: part of dy through B, which gives as many columns as B has.
            let dy = wave(rows * outputs, 0.29);
            let mut rounded = RoundedRows::new(set, rows, [outputs]);
            let place = rounded.push(Mat::new(&dy, rows, outputs), 1.0, Threads::Pool);
            let (part, lead) = place.part(first, reach);
            let mut back = vec![1.0; rows * rank];
            let term = Term::plain(part, Source::rounded(Mat::new(&b, reach, rank), 1.0), lead);
            rounded.times(&[term], MatMut::new(&mut back, rows, rank), true, 1.0, Threads::Pool);
            let dy_half = half(&dy);
            let gap = worst(&back, rank, reach, |row, column, at| {
                (dy_half[row * outputs + first + at], b_half[at * rank + column])
            });
            assert!(gap < 1e-6, "{set:?}, back, {rows} {inputs} {outputs}: {gap}");
        }
    }
}

#[test]
fn neither_threads_nor_other_rows_change_a_byte() {
    for set in sets().iter().copied() {
        let (rows, inputs, outputs) = (40, 100, 150);
        let (x, w) = (wave(rows * inputs, 0.37), half(&wave(inputs * outputs, 0.71)));
        let w = panels(set, &w, inputs);
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
            pairs_written(crew, set, own, &w, MatMut::new(&mut out, count, outputs), false);
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
        let w = panels(set, &w, inputs);
        let mut out = vec![0.0; rows * outputs];
        pairs_forward(set, Mat::new(&x, rows, inputs), &w, MatMut::new(&mut out, rows, outputs), false);
        for (index, value) in out.iter().enumerate() {
            let touched = index / outputs == 1 || index % outputs == 7;
            assert_eq!(!value.is_finite(), touched, "{index}");
        }
    }
}
