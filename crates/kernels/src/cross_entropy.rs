//! From logits to log-probabilities of target tokens, row by row, and the gradient of the logits.
//!
//! ∂logp/∂z = onehot − softmax z. The coefficient of a row is a scalar that the loss supplies later, so the softmax can be
//! multiplied with the LM head in the forward pass already, and no logits are saved.
//!
//! A row is reduced in blocks: f32 within one, f64 over them. A single long f32 accumulator would round small terms next to
//! a large one, alike in every row, and bias all log-probabilities by some 1e-6 nats.

use crate::InstructionSet;
use crate::instruction_set::dispatch;
use crate::lanes::{LANES, exp, largest, madd, sum};
use rayon::prelude::*;

/// Statistics of a row of logits and its target.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RowScore {
    /// Log-probability of the target, in nats.
    pub logp: f64,
    /// Entropy, in nats.
    pub entropy: f64,
    /// Mean of the logits.
    pub mean: f32,
    /// True when no logit is larger than the target's.
    pub top: bool,
    /// 1 / Σ exp(z − max z), which scales the row that [`score_rows`] leaves to a softmax.
    pub normaliser: f32,
}

/// Scores rows of `logits` `[n, V]` multiplied by `scale`, and overwrites them with exp(z − max z).
///
/// # Panics
/// When the lengths do not match or a target is outside the vocabulary.
pub fn score_rows(set: InstructionSet, logits: &mut [f32], targets: &[u32], scale: f32, scores: &mut [RowScore]) {
    let width = logits.len() / targets.len().max(1);
    assert!(logits.len() == width * targets.len() && scores.len() == targets.len(), "lengths do not match");
    let rows = logits.par_chunks_mut(width.max(1)).zip(targets).zip(scores);
    rows.for_each(|((row, target), score)| *score = score_row(set, row, *target as usize, scale));
}

/// Replaces what [`score_rows`] left by ∂/∂z: coefficient·(onehot − softmax)·`scale`, row by row.
///
/// # Panics
/// When the lengths do not match.
pub fn logit_gradients(
    set: InstructionSet,
    rows: &mut [f32],
    targets: &[u32],
    scores: &[RowScore],
    coefficients: &[f32],
    scale: f32,
) {
    let width = rows.len() / targets.len().max(1);
    assert!(rows.len() == width * targets.len() && scores.len() == targets.len(), "lengths do not match");
    let rows = rows.par_chunks_mut(width.max(1)).zip(targets).zip(scores).zip(coefficients);
    rows.for_each(|(((row, target), score), coefficient)| {
        let factor = coefficient * scale;
        multiply(set, row, -factor * score.normaliser);
        row[*target as usize] += factor;
    });
}

dispatch!(fn score_row(row: &mut [f32], target: usize, scale: f32) -> RowScore = score_body);
dispatch!(fn multiply(row: &mut [f32], factor: f32) = multiply_body);

#[inline(always)]
fn multiply_body<const FMA: bool>(row: &mut [f32], factor: f32) {
    row.iter_mut().for_each(|value| *value *= factor);
}

/// Logits that are accumulated in f32 before they are added in f64.
const BLOCK: usize = 8 * LANES;

#[inline(always)]
fn score_body<const FMA: bool>(row: &mut [f32], target: usize, scale: f32) -> RowScore {
    multiply_body::<FMA>(row, scale);
    let (width, peak, wanted) = (row.len() as f32, largest(row), row[target]);
    let mean = sum(row.len(), |i, so_far| so_far + row[i]) / width;
    let (mut mass, mut moment) = ([0.0f64; LANES], [0.0f64; LANES]);
    for block in row.chunks_mut(BLOCK) {
        let (masses, moments) = weigh::<FMA>(block, peak);
        mass.iter_mut().zip(masses).for_each(|(sum, value)| *sum += f64::from(value));
        moment.iter_mut().zip(moments).for_each(|(sum, value)| *sum += f64::from(value));
    }
    let (mass, moment) = (mass.iter().sum::<f64>(), moment.iter().sum::<f64>());
    let log_mass = mass.ln();
    RowScore {
        logp: f64::from(wanted) - f64::from(peak) - log_mass,
        entropy: log_mass - moment / mass,
        mean,
        top: wanted >= peak,
        normaliser: (1.0 / mass) as f32,
    }
}

/// Replaces the logits of a block by exp(z − peak); returns their sums and those of exp(z − peak)·(z − peak), in lanes.
#[inline(always)]
fn weigh<const FMA: bool>(block: &mut [f32], peak: f32) -> ([f32; LANES], [f32; LANES]) {
    let (mut masses, mut moments) = ([0.0f32; LANES], [0.0f32; LANES]);
    let mut take = |values: &mut [f32]| {
        for ((value, mass), moment) in values.iter_mut().zip(&mut masses).zip(&mut moments) {
            let shifted = *value - peak;
            let weight = exp::<FMA>(shifted);
            *mass += weight;
            *moment = madd::<FMA>(weight, shifted, *moment);
            *value = weight;
        }
    };
    let (chunks, rest) = block.as_chunks_mut::<LANES>();
    chunks.iter_mut().for_each(|chunk| take(chunk));
    take(rest);
    (masses, moments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_and_gradients_agree_with_plain_sums_on_every_level() {
        let (rows, width, scale) = (3, 77, 0.8f32);
        let logits: Vec<f32> = (0..rows * width).map(|i| (i as f32 * 0.91).sin() * 4.0).collect();
        let targets = [5u32, 76, 0];
        for set in InstructionSet::all() {
            let (mut left, mut scores) = (logits.clone(), [RowScore::default(); 3]);
            score_rows(set, &mut left, &targets, scale, &mut scores);
            let coefficients = [0.5, -1.0, 2.0];
            let mut gradient = left.clone();
            logit_gradients(set, &mut gradient, &targets, &scores, &coefficients, scale);
            for row in 0..rows {
                let z: Vec<f64> = logits[row * width..][..width].iter().map(|z| f64::from(z * scale)).collect();
                let mass: f64 = z.iter().map(|z| z.exp()).sum();
                let p: Vec<f64> = z.iter().map(|z| z.exp() / mass).collect();
                let target = targets[row] as usize;
                let entropy: f64 = -p.iter().map(|p| p * p.ln()).sum::<f64>();
                assert!((scores[row].logp - p[target].ln()).abs() < 1e-6, "{set:?}");
                assert!((scores[row].entropy - entropy).abs() < 1e-6, "{set:?}");
                assert!((f64::from(scores[row].mean) - z.iter().sum::<f64>() / width as f64).abs() < 1e-5);
                assert_eq!(scores[row].top, z.iter().all(|other| *other <= z[target]));
                for (column, p) in p.iter().enumerate() {
                    let onehot = if column == target { 1.0 } else { 0.0 };
                    let expected = f64::from(coefficients[row] * scale) * (onehot - p);
                    assert!((f64::from(gradient[row * width + column]) - expected).abs() < 1e-6, "{set:?}");
                }
            }
        }
    }

    /// Rows as wide as real vocabularies, one token well ahead of all others: the mean error of a log-probability must be
    /// no more than the rounding of a logit, and unbiased.
    #[test]
    fn wide_rows_are_scored_without_a_bias() {
        let (rows, width) = (24, 49_152);
        for set in InstructionSet::all() {
            for ahead in [6.0f32, 9.0, 12.0] {
                let noise = |i: usize| ((i as f32 * 12.9898).sin() * 43_758.547).fract() * 3.0;
                let mut logits: Vec<f32> = (0..rows * width).map(noise).collect();
                let targets: Vec<u32> = (0..rows as u32).map(|row| row * 1999).collect();
                for row in 0..rows {
                    logits[row * width + targets[row] as usize] = ahead;
                }
                let mut scores = vec![RowScore::default(); rows];
                score_rows(set, &mut logits.clone(), &targets, 1.0, &mut scores);
                let (mut bias, mut entropy_bias) = (0.0, 0.0);
                for (row, score) in scores.iter().enumerate() {
                    let z = || logits[row * width..][..width].iter().map(|z| f64::from(*z) - f64::from(ahead));
                    let mass: f64 = z().map(f64::exp).sum();
                    let entropy = mass.ln() - z().map(|z| z * z.exp()).sum::<f64>() / mass;
                    bias += (score.logp + mass.ln()) / rows as f64;
                    entropy_bias += (score.entropy - entropy) / rows as f64;
                }
                assert!(bias.abs() < 1e-7, "{set:?}, {ahead}: log-probabilities are off by {bias:e}");
                assert!(entropy_bias.abs() < 1e-6, "{set:?}, {ahead}: entropies are off by {entropy_bias:e}");
            }
        }
    }
}
