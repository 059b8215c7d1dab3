//! Random numbers that need no state in a checkpoint: every stream is a function of (seed, purpose, epoch, step).
//!
//! A resumed run therefore only needs its step to continue with the same numbers, and no draw depends on the order in which
//! threads or batches happen to run.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

/// The purpose of a stream; two purposes never share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Fresh adapter or model weights.
    Initialise,
    /// The order of rows in an epoch.
    Shuffle,
    /// Dropout masks.
    Dropout,
    /// Sampling of tokens.
    Generate,
    /// Splits into training and held-out rows.
    Split,
    /// Facts of the starter world.
    World,
    /// Documents and data sets of the starter world.
    Corpus,
    /// Noise on embeddings (NEFTune).
    Noise,
    /// Order of minibatches within a step.
    Minibatch,
}

/// A stream of random numbers with a name.
#[derive(Debug, Clone)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream for `purpose`, numbered by two counters of the caller (epoch and step, row and draw, …).
    pub fn new(seed: u64, purpose: Purpose, major: u64, minor: u64) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"alidade stream 1");
        hasher.update(seed.to_le_bytes());
        hasher.update([purpose as u8]);
        hasher.update(major.to_le_bytes());
        hasher.update(minor.to_le_bytes());
        Self(ChaCha8Rng::from_seed(hasher.finalize().into()))
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A uniform number in [0, 1) with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A uniform integer in 0..bound without modulo bias (Lemire's multiplication with rejection); `bound` 0 gives 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u64;
        if bound == 0 {
            return 0;
        }
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.bits()) * u128::from(bound);
            if product as u64 >= threshold {
                return (product >> 64) as usize;
            }
        }
    }

    /// A draw from N(0, 1) by the polar method.
    pub fn normal(&mut self) -> f64 {
        loop {
            let (x, y) = (2.0 * self.unit() - 1.0, 2.0 * self.unit() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                return x * (-2.0 * square.ln() / square).sqrt();
            }
        }
    }

    /// A random item; `None` for an empty list.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }

    /// Shuffles in place (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }
}

/// Seed of a row of a batch; multiplication by bits of the golden ratio separates neighbouring rows and seeds.
pub fn row_seed(seed: u64, row: usize) -> u64 {
    seed.wrapping_add((row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let draw = |seed, purpose, major| Stream::new(seed, purpose, major, 0).bits();
        assert_eq!(draw(1, Purpose::Shuffle, 0), draw(1, Purpose::Shuffle, 0));
        assert_ne!(draw(1, Purpose::Shuffle, 0), draw(2, Purpose::Shuffle, 0));
        assert_ne!(draw(1, Purpose::Shuffle, 0), draw(1, Purpose::Dropout, 0));
        assert_ne!(draw(1, Purpose::Shuffle, 0), draw(1, Purpose::Shuffle, 1));
    }

    #[test]
    fn draws_have_the_moments_they_promise() {
        let mut stream = Stream::new(7, Purpose::Initialise, 0, 0);
        let normals: Vec<f64> = (0..20_000).map(|_| stream.normal()).collect();
        let mean = normals.iter().sum::<f64>() / 20_000.0;
        let variance = normals.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.04, "mean {mean}, variance {variance}");
        let mut seen = [0usize; 5];
        (0..5_000).for_each(|_| seen[stream.below(5)] += 1);
        assert!(seen.iter().all(|&count| (850..1_150).contains(&count)), "{seen:?}");
    }

    #[test]
    fn shuffling_keeps_every_item() {
        let mut items: Vec<usize> = (0..100).collect();
        Stream::new(3, Purpose::Shuffle, 0, 0).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
