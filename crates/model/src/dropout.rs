//! Random masks and noise of a training pass: functions of (seed, step, micro-batch, index), the same on every back-end.

use crate::decoder::DropoutSeed;
use alidade_domain::{Purpose, Stream};

/// `count` factors: 0 with the given probability, 1/(1 − p) otherwise, for one adapted layer.
pub(crate) fn mask(probability: f64, seed: DropoutSeed, layer: u64, count: usize) -> Vec<f32> {
    let mut stream = Stream::new(seed.seed, Purpose::Dropout, seed.step, (seed.micro_batch << 32) | layer);
    let keep = (1.0 / (1.0 - probability)) as f32;
    // Sixteen bits an element are enough for a mask, and four times cheaper than a draw each.
    let threshold = (probability * 65_536.0) as u64;
    let mut bits = 0;
    let next = |index: usize| {
        bits = if index.is_multiple_of(4) { stream.bits() } else { bits >> 16 };
        if bits & 0xffff < threshold { 0.0 } else { keep }
    };
    (0..count).map(next).collect()
}

/// Noise for the embeddings of one row of `length` tokens: U(−1, 1)·strength/√(T·H) for each element (NEFTune, arXiv
/// 2310.05914, algorithm 1).
pub(crate) fn noise(strength: f64, seed: DropoutSeed, row: usize, length: usize, hidden: usize) -> Vec<f32> {
    let mut stream = Stream::new(seed.seed, Purpose::Noise, seed.step, (seed.micro_batch << 32) | row as u64);
    let bound = strength / ((length * hidden) as f64).sqrt();
    (0..length * hidden).map(|_| ((2.0 * stream.unit() - 1.0) * bound) as f32).collect()
}
