//! Matrix products on bf16 pairs against plain f64 sums; AMX tile instructions are emulated where the processor has none.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::print_stdout, reason = "a test may tell what it ran on")]

mod trap;

use alidade_kernels::{
    Arena, InstructionSet, Level, Mat, MatMut, Panels, RoundedRows, Source, Term, ThreadPool, Threads, pairs_backward,
    pairs_decode, pairs_forward, pairs_matmul,
};
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

/// Every set that takes bf16 pairs; AMX is emulated where the processor has none.
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

fn bf16(values: &[f32]) -> Vec<u16> {
    values.iter().map(|value| half::bf16::from_f32(*value).to_bits()).collect()
}

/// Rows of `inputs` elements packed into panels, pushed in pieces that end within rows.
fn panels(set: InstructionSet, elements: &[u16], inputs: usize) -> Panels {
    let mut panels = Panels::new(&mut Arena::default(), set, elements.len(), inputs);
    let wide: Vec<f32> = elements.iter().map(|bits| half::bf16::from_bits(*bits).to_f32()).collect();
    wide.chunks(77).for_each(|piece| panels.push(piece));
    panels
}

fn wide(bits: u16) -> f64 {
    f64::from(half::bf16::from_bits(bits).to_f32())
}

/// The largest gap between `found` and the sums of bf16 values, relative to the sum of magnitudes.
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
fn training_and_generation_agree_with_plain_sums() {
    for set in sets().iter().copied() {
        let before = trap::EMULATED.load(Ordering::SeqCst);
        // Whole blocks, partial blocks, odd depths, depths of several panels, one element.
        for (rows, inputs, outputs) in
            [(32, 64, 32), (45, 75, 70), (3, 1800, 33), (70, 33, 1700), (1, 1, 1), (2, 70, 3), (33, 96, 64)]
        {
            let (x, dy) = (wave(rows * inputs, 0.37), wave(rows * outputs, 0.23));
            let (w, x_bf16, dy_bf16) = (bf16(&wave(inputs * outputs, 0.71)), bf16(&x), bf16(&dy));
            let case = format!("{rows} {inputs} {outputs}");

            let mut out = vec![1.0; rows * outputs];
            let packed = panels(set, &w, inputs);
            pairs_forward(set, Mat::new(&x, rows, inputs), &packed, MatMut::new(&mut out, rows, outputs), true);
            let gap =
                worst(&out, outputs, inputs, |row, column, at| (x_bf16[row * inputs + at], w[column * inputs + at]));
            assert!(gap < 1e-6, "forward, {case}: {gap}");

            let mut decoded = vec![1.0; rows * outputs];
            let target = MatMut::new(&mut decoded, rows, outputs);
            pairs_decode(&ThreadPool::CALLER_ONLY, set, Mat::new(&x, rows, inputs), &packed, target, true);
            assert!(decoded == out, "generation, {case}");

            let mut back = vec![1.0; rows * inputs];
            pairs_backward(set, Mat::new(&dy, rows, outputs), &packed, MatMut::new(&mut back, rows, inputs), true);
            let gap =
                worst(&back, inputs, outputs, |row, column, at| (dy_bf16[row * outputs + at], w[at * inputs + column]));
            assert!(gap < 1e-6, "backward, {case}: {gap}");
        }
        println!("{} instructions emulated", trap::EMULATED.load(Ordering::SeqCst) - before);
    }
}

fn view(elements: &[f32], rows: usize, columns: usize, transposed: bool) -> Mat<'_> {
    if transposed { Mat::new(elements, columns, rows).t() } else { Mat::strided(elements, rows, columns, columns + 3) }
}

#[test]
fn products_of_two_rounded_matrices_agree_with_plain_sums_for_every_layout() {
    for set in sets().iter().copied() {
        // Narrow results, several chunks of rows, depths of several panels, partial blocks, depth zero.
        for (m, k, n) in [(64, 64, 96), (37, 70, 16), (16, 300, 45), (530, 40, 5), (5, 2100, 33), (1, 1, 1), (3, 0, 2)]
        {
            let (a, b) = (wave(m * (k + 3) + 3 * k, 0.37), wave(k * (n + 3) + 3 * n, 0.23));
            for flags in 0..16 {
                let flag = |bit: usize| flags >> bit & 1 == 1;
                let (left, right) = (view(&a, m, k, flag(0)), view(&b, k, n, flag(1)));
                let mut out = vec![2.0; m * (n + 3)];
                let target = match flag(2) {
                    true => MatMut::new(&mut out[..m * n], n, m).t(),
                    false => MatMut::strided(&mut out, m, n, n + 3),
                };
                let threads = if flag(3) { Threads::One } else { Threads::Pool };
                pairs_matmul(set, target, flag(3), 0.5, left, right, threads);
                let at = |row: usize, column: usize| if flag(2) { column * m + row } else { row * (n + 3) + column };
                // Twice what was found, less what was there: 1 + the sum, as `worst` wants it.
                let before = if flag(3) { 3.0 } else { -1.0 };
                let found: Vec<_> = (0..m * n).map(|index| 2.0 * out[at(index / n, index % n)] - before).collect();
                let bits = |value: f32| half::bf16::from_f32(value).to_bits();
                let left = |row: usize, at: usize| a[if flag(0) { at * m + row } else { row * (k + 3) + at }];
                let right = |at: usize, column: usize| b[if flag(1) { column * k + at } else { at * (n + 3) + column }];
                let gap = worst(&found, n, k, |row, column, at| (bits(left(row, at)), bits(right(at, column))));
                assert!(gap < 2e-6, "{set:?}, {m} {k} {n}, {flags}: {gap}");
                let touched =
                    (0..m * n).map(|index| at(index / n, index % n)).collect::<std::collections::BTreeSet<_>>();
                assert!((0..out.len()).all(|at| touched.contains(&at) || out[at] == 2.0), "{m} {k} {n}, {flags}");
            }
        }
    }
}

/// x·Wᵀ + s·h·Bᵀ for some columns, and its backward pass dy·W + g·A, as one sweep each.
#[test]
fn concatenated_matrices_are_the_sum_of_their_products() {
    for set in sets().iter().copied() {
        for (rows, inputs, outputs, rank, first, reach) in
            [(40, 70, 100, 5, 33, 40), (33, 1030, 64, 16, 0, 32), (3, 9, 50, 40, 45, 5), (64, 2100, 35, 8, 1, 34)]
        {
            let (x, h) = (wave(rows * inputs, 0.37), wave(rows * rank, 0.19));
            let (w, b) = (bf16(&wave(inputs * outputs, 0.71)), wave(reach * rank, 0.43));
            let packed = panels(set, &w, inputs);
            let run = |threads: Threads| {
                let mut rounded = RoundedRows::new(set, rows, [inputs, rank]);
                let place = rounded.push(Mat::new(&x, rows, inputs), 1.0, threads);
                let narrow = rounded.push(Mat::new(&h, rows, rank), 2.0, threads);
                let b = Source::rounded(Mat::new(&b, reach, rank), 1.0);
                let terms = [Term::packed_transposed(place, &packed), Term::transposed(narrow, b, first)];
                let mut out = vec![1.0; rows * outputs];
                rounded.times(&terms, MatMut::new(&mut out, rows, outputs), true, 1.0, threads);
                out
            };
            let out = run(Threads::Pool);
            assert!(out == run(Threads::One));
            let (x_bf16, h_bf16, b_bf16) = (bf16(&x), bf16(&h.iter().map(|h| 2.0 * h).collect::<Vec<_>>()), bf16(&b));
            let gap = worst(&out, outputs, inputs + rank, |row, column, at| match at.checked_sub(inputs) {
                None => (x_bf16[row * inputs + at], w[column * inputs + at]),
                Some(at) if (first..first + reach).contains(&column) => {
                    (h_bf16[row * rank + at], b_bf16[(column - first) * rank + at])
                }
                Some(_) => (0, 0),
            });
            assert!(gap < 1e-6, "{set:?}, {rows} {inputs} {outputs}: {gap}");

            // Backward: part of dy through B, which gives as many columns as B has.
            let dy = wave(rows * outputs, 0.29);
            let mut rounded = RoundedRows::new(set, rows, [outputs]);
            let place = rounded.push(Mat::new(&dy, rows, outputs), 1.0, Threads::Pool);
            let (part, lead) = place.part(first, reach);
            let mut back = vec![1.0; rows * rank];
            let term = Term::plain(part, Source::rounded(Mat::new(&b, reach, rank), 1.0), lead);
            rounded.times(&[term], MatMut::new(&mut back, rows, rank), true, 1.0, Threads::Pool);
            let dy_bf16 = bf16(&dy);
            let gap = worst(&back, rank, reach, |row, column, at| {
                (dy_bf16[row * outputs + first + at], b_bf16[at * rank + column])
            });
            assert!(gap < 1e-6, "{set:?}, backward, {rows} {inputs} {outputs}: {gap}");
        }
    }
}

#[test]
fn results_do_not_depend_on_threads_or_other_rows() {
    for set in sets().iter().copied() {
        let (rows, inputs, outputs) = (40, 100, 150);
        let (x, w) = (wave(rows * inputs, 0.37), bf16(&wave(inputs * outputs, 0.71)));
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

        let decode = |workers: &ThreadPool, first: usize, count: usize| {
            let mut out = vec![0.0; count * outputs];
            let own = Mat::new(&x[first * inputs..(first + count) * inputs], count, inputs);
            pairs_decode(workers, set, own, &w, MatMut::new(&mut out, count, outputs), false);
            out
        };
        let together = ThreadPool::scope(|workers| decode(workers, 0, rows));
        for row in 0..rows {
            assert!(
                decode(&ThreadPool::CALLER_ONLY, row, 1) == together[row * outputs..(row + 1) * outputs],
                "row {row}"
            );
        }
    }
}

#[test]
fn non_finite_values_stay_in_their_rows_and_columns() {
    for set in sets().iter().copied() {
        let (rows, inputs, outputs) = (3, 40, 35);
        let mut x = wave(rows * inputs, 0.37);
        x[inputs + 3] = f32::NAN;
        let mut w = bf16(&wave(inputs * outputs, 0.71));
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
