//! Against plain attention in f64, and against finite differences.

use super::*;
use crate::{SavedRoundedAttention, round_bf16, rounded_attention, rounded_attention_backward, widen_bf16};

const SHAPE: AttentionShape = AttentionShape { heads: 4, kv_heads: 2, head_dim: 6, scale: 0.4, window: None };
const SEGMENTS: &[Segment] =
    &[Segment { start: 0, length: 70 }, Segment { start: 70, length: 1 }, Segment { start: 71, length: 5 }];
const ROWS: usize = 76;

fn wave(count: usize, step: f32) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * step).sin() * 1.5).collect()
}

fn plain(shape: &AttentionShape, qkv: &[f32]) -> Vec<f64> {
    let (dim, width) = (shape.head_dim, shape.row());
    let mut out = vec![0.0; ROWS * shape.queries()];
    for segment in SEGMENTS {
        for (row, head) in (0..segment.length).flat_map(|row| (0..shape.heads).map(move |head| (row, head))) {
            let kv = head / shape.group();
            let element = |row: usize, column: usize| f64::from(qkv[(segment.start + row) * width + column]);
            let first = shape.window.map_or(0, |window| (row + 1).saturating_sub(window));
            let score = |other: usize| {
                let key = |i| element(other, shape.queries() + kv * dim + i);
                (0..dim).map(|i| element(row, head * dim + i) * key(i)).sum::<f64>() * f64::from(shape.scale)
            };
            let weights: Vec<f64> = (first..=row).map(|other| score(other).exp()).collect();
            let mass: f64 = weights.iter().sum();
            for i in 0..dim {
                let value = |other| element(other, shape.queries() + shape.keys() + kv * dim + i);
                let mixed = (first..=row).zip(&weights).map(|(other, weight)| weight * value(other)).sum::<f64>();
                out[(segment.start + row) * shape.queries() + head * dim + i] = mixed / mass;
            }
        }
    }
    out
}

fn run(set: InstructionSet, shape: &AttentionShape, qkv: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (mut out, mut sums) = (vec![9.0; ROWS * shape.queries()], vec![0.0; ROWS * shape.heads]);
    let view = MatMut::new(&mut out, ROWS, shape.queries());
    attention(set, shape, SEGMENTS, Mat::new(qkv, ROWS, shape.row()), view, &mut sums);
    (out, sums)
}

#[test]
fn forward_and_backward_agree_with_plain_f64_and_finite_differences() {
    for window in [None, Some(1), Some(7), Some(65)] {
        let shape = AttentionShape { window, ..SHAPE };
        let qkv = wave(ROWS * shape.row(), 0.37);
        let upstream = wave(ROWS * shape.queries(), 0.19);
        let expected = plain(&shape, &qkv);
        let value = |qkv: &[f32]| plain(&shape, qkv).iter().zip(&upstream).map(|(a, b)| a * f64::from(*b)).sum::<f64>();
        for set in InstructionSet::all() {
            let (out, sums) = run(set, &shape, &qkv);
            let gap = out.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
            assert!(gap < 2e-6, "{set:?} {window:?}: {gap}");
            let mut gradient = vec![5.0; qkv.len()];
            let kept = SavedAttention {
                qkv: Mat::new(&qkv, ROWS, shape.row()),
                out: Mat::new(&out, ROWS, shape.queries()),
                log_sums: &sums,
            };
            let out_gradient = Mat::new(&upstream, ROWS, shape.queries());
            let target = MatMut::new(&mut gradient, ROWS, shape.row());
            attention_backward(set, &shape, SEGMENTS, kept, out_gradient, target);
            for at in (0..qkv.len()).step_by(211) {
                let moved = |step: f32| {
                    let mut qkv = qkv.clone();
                    qkv[at] += step;
                    value(&qkv)
                };
                let numeric = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                let gap = (f64::from(gradient[at]) - numeric).abs();
                assert!(gap < 2e-3, "{set:?} {window:?} {at}: {} against {numeric}", gradient[at]);
            }
        }
    }
}

/// Queries, keys, values and upstream gradients that bf16 represents exactly.
fn rounded(set: InstructionSet, values: &[f32]) -> (Vec<u16>, Vec<f32>) {
    let (mut bits, mut floats) = (vec![0; values.len()], vec![0.0; values.len()]);
    round_bf16(set, values, &mut bits);
    widen_bf16(set, &bits, &mut floats);
    (bits, floats)
}

fn widened(set: InstructionSet, bits: &[u16]) -> Vec<f32> {
    let mut floats = vec![0.0; bits.len()];
    widen_bf16(set, bits, &mut floats);
    floats
}

/// What rounding attention weights and gradients to bf16 may cost: parts in a thousand of the largest value. The inputs are
/// rounded on both sides.
#[test]
fn attention_in_bf16_stays_near_the_f32_arithmetic() {
    for set in InstructionSet::all().filter(|set| set.takes_pairs()) {
        for (window, dim, kv_heads) in
            [(None, 6, 2), (Some(7), 6, 2), (None, 64, 4), (Some(40), 80, 1), (Some(1), 32, 2)]
        {
            let scale = (dim as f32).sqrt().recip();
            let shape = AttentionShape { window, head_dim: dim, kv_heads, scale, ..SHAPE };
            let (bits, floats) = rounded(set, &wave(ROWS * shape.row(), 0.37));
            let (upstream_bits, upstream_floats) = rounded(set, &wave(ROWS * shape.queries(), 0.19));
            let (expected, sums) = run(set, &shape, &floats);
            let kept = SavedAttention {
                qkv: Mat::new(&floats, ROWS, shape.row()),
                out: Mat::new(&expected, ROWS, shape.queries()),
                log_sums: &sums,
            };
            let mut gradients = vec![5.0; floats.len()];
            let out_gradient = Mat::new(&upstream_floats, ROWS, shape.queries());
            attention_backward(
                set,
                &shape,
                SEGMENTS,
                kept,
                out_gradient,
                MatMut::new(&mut gradients, ROWS, shape.row()),
            );

            let (mut out, mut log_sums) = (vec![9; ROWS * shape.queries()], vec![7.0; sums.len()]);
            let target = MatMut::new(&mut out, ROWS, shape.queries());
            rounded_attention(set, &shape, SEGMENTS, &bits, target, &mut log_sums);
            let kept = SavedRoundedAttention { qkv: &bits, out: &out, log_sums: &log_sums };
            let mut found = vec![5.0; floats.len()];
            let target = MatMut::new(&mut found, ROWS, shape.row());
            rounded_attention_backward(set, &shape, SEGMENTS, kept, &upstream_bits, target);
            for (ours, theirs) in [(&widened(set, &out), &expected), (&log_sums, &sums), (&found, &gradients)] {
                let size = theirs.iter().map(|value| value.abs()).fold(0.0, f32::max);
                let gap = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / size;
                assert!(gap < 0.01, "{set:?} {window:?} {dim}: {gap}");
            }
            assert!(found != gradients, "nothing was rounded");
        }
    }
}

/// The result of a document is bit-identical whatever is packed beside it and for any number of threads.
#[test]
fn documents_in_bf16_are_independent() {
    for set in InstructionSet::all().filter(|set| set.takes_pairs()) {
        let (bits, _) = rounded(set, &wave(ROWS * SHAPE.row(), 0.37));
        let (out_gradient, _) = rounded(set, &wave(ROWS * SHAPE.queries(), 0.19));
        let run = |threads: usize, segments: &[Segment], rows: std::ops::Range<usize>| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let qkv = &bits[rows.start * SHAPE.row()..rows.end * SHAPE.row()];
            let out_gradient = &out_gradient[rows.start * SHAPE.queries()..rows.end * SHAPE.queries()];
            let (mut out, mut log_sums) = (vec![0; out_gradient.len()], vec![0.0; rows.len() * SHAPE.heads]);
            let mut gradients = vec![0.0; qkv.len()];
            pool.install(|| {
                let target = MatMut::new(&mut out, rows.len(), SHAPE.queries());
                rounded_attention(set, &SHAPE, segments, qkv, target, &mut log_sums);
                let kept = SavedRoundedAttention { qkv, out: &out, log_sums: &log_sums };
                let target = MatMut::new(&mut gradients, rows.len(), SHAPE.row());
                rounded_attention_backward(set, &SHAPE, segments, kept, out_gradient, target);
            });
            (out, gradients)
        };
        let whole = run(3, SEGMENTS, 0..ROWS);
        assert!(whole == run(1, SEGMENTS, 0..ROWS));
        let [first, .., last] = SEGMENTS else { panic!("three documents") };
        let alone = run(2, &[*first], 0..first.length);
        assert!(alone.0[..] == whole.0[..alone.0.len()] && alone.1[..] == whole.1[..alone.1.len()]);
        let alone = run(2, &[Segment { start: 0, ..*last }], last.start..ROWS);
        assert!(alone.0[..] == whole.0[last.start * SHAPE.queries()..]);
        assert!(alone.1[..] == whole.1[last.start * SHAPE.row()..]);
    }
}
