//! Against attention written out in f64, and against differences.

use super::*;

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
            let number = |row: usize, column: usize| f64::from(qkv[(segment.start + row) * width + column]);
            let first = shape.window.map_or(0, |window| (row + 1).saturating_sub(window));
            let score = |other: usize| {
                let key = |i| number(other, shape.queries() + kv * dim + i);
                (0..dim).map(|i| number(row, head * dim + i) * key(i)).sum::<f64>() * f64::from(shape.scale)
            };
            let weights: Vec<f64> = (first..=row).map(|other| score(other).exp()).collect();
            let mass: f64 = weights.iter().sum();
            for i in 0..dim {
                let value = |other| number(other, shape.queries() + shape.keys() + kv * dim + i);
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
    attention(set, Operands::Single, shape, SEGMENTS, Mat::new(qkv, ROWS, shape.row()), view, &mut sums);
    (out, sums)
}

#[test]
fn both_ways_agree_with_sums_and_differences_on_every_level() {
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
            let kept = Kept {
                qkv: Mat::new(&qkv, ROWS, shape.row()),
                out: Mat::new(&out, ROWS, shape.queries()),
                log_sums: &sums,
            };
            let pull = Mat::new(&upstream, ROWS, shape.queries());
            let target = MatMut::new(&mut gradient, ROWS, shape.row());
            attention_backward(set, Operands::Single, &shape, SEGMENTS, kept, pull, target);
            for at in (0..qkv.len()).step_by(211) {
                let moved = |step: f32| {
                    let mut qkv = qkv.clone();
                    qkv[at] += step;
                    value(&qkv)
                };
                let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                let gap = (f64::from(gradient[at]) - slope).abs();
                assert!(gap < 2e-3, "{set:?} {window:?} {at}: {} against {slope}", gradient[at]);
            }
        }
    }
}

/// What rounding to bf16 may cost: parts in a thousand of the largest number.
#[test]
fn rounded_operands_stay_near_single_ones() {
    for set in InstructionSet::all().filter(|set| set.takes_pairs()) {
        for window in [None, Some(7)] {
            let shape = AttentionShape { window, ..SHAPE };
            let qkv = wave(ROWS * shape.row(), 0.37);
            let upstream = wave(ROWS * shape.queries(), 0.19);
            let both = [Operands::Single, Operands::Rounded].map(|operands| {
                let (mut out, mut sums) = (vec![9.0; ROWS * shape.queries()], vec![0.0; ROWS * shape.heads]);
                let (view, rows) = (Mat::new(&qkv, ROWS, shape.row()), ROWS);
                let target = MatMut::new(&mut out, rows, shape.queries());
                attention(set, operands, &shape, SEGMENTS, view, target, &mut sums);
                let kept = Kept { qkv: view, out: Mat::new(&out, rows, shape.queries()), log_sums: &sums };
                let mut gradient = vec![5.0; qkv.len()];
                let pull = Mat::new(&upstream, rows, shape.queries());
                let target = MatMut::new(&mut gradient, rows, shape.row());
                attention_backward(set, operands, &shape, SEGMENTS, kept, pull, target);
                [out, sums, gradient]
            });
            let [single, rounded] = both;
            for (single, rounded) in single.iter().zip(&rounded) {
                let size = single.iter().map(|value| value.abs()).fold(0.0, f32::max);
                let gap = single.iter().zip(rounded).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / size;
                assert!(0.0 < gap && gap < 0.01, "{set:?} {window:?}: {gap}");
            }
        }
    }
}
