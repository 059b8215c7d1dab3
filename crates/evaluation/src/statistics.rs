//! Intervals: Wilson for rates, percentile bootstrap for everything else, paired differences by item.
//!
//! The random generator is SplitMix64, so that any language reproduces the same results.

use alidade_domain::Estimate;

/// 97.5 % point of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;
const DRAWS: usize = 1_000;
const SEED: u64 = 42;

/// The random generator of the bootstrap.
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// A generator from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// An integer in 0..bound: the high half of a 128-bit product.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }
}

/// Wilson's 95 % interval for `hits` of `n`; (0, 1) for n = 0.
pub fn wilson(hits: usize, n: usize) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let (k, n) = (hits as f64, n as f64);
    let centre = (k + Z * Z / 2.0) / (n + Z * Z);
    let half = Z / (n + Z * Z) * (k * (n - k) / n + Z * Z / 4.0).sqrt();
    // At the ends the terms cancel exactly in theory, but not in floating point.
    let low = if hits == 0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if k == n { 1.0 } else { (centre + half).min(1.0) };
    (low, high)
}

/// A rate over 0/1 outcomes; `None` outcomes are unreadable and only counted.
pub fn rate(outcomes: &[Option<bool>]) -> Option<Estimate> {
    let readable: Vec<bool> = outcomes.iter().copied().flatten().collect();
    if readable.is_empty() {
        return None;
    }
    let hits = readable.iter().filter(|hit| **hit).count();
    let (low, high) = wilson(hits, readable.len());
    let value = hits as f64 / readable.len() as f64;
    Some(Estimate { value, low, high, n: readable.len(), unreadable: outcomes.len() - readable.len() })
}

/// A mean with a bootstrap interval. Values that are not finite are unreadable: they are counted, never averaged.
pub fn mean(values: &[Option<f64>]) -> Option<Estimate> {
    let readable: Vec<f64> = values.iter().copied().flatten().filter(|value| value.is_finite()).collect();
    if readable.is_empty() {
        return None;
    }
    let (low, high) = bootstrap(&readable, DRAWS, SEED);
    Some(Estimate {
        value: average(&readable),
        low,
        high,
        n: readable.len(),
        unreadable: values.len() - readable.len(),
    })
}

/// After minus before on the items that are readable on both sides.
pub fn paired_change(before: &[Option<f64>], after: &[Option<f64>]) -> Option<Estimate> {
    let difference = |(before, after): (&Option<f64>, &Option<f64>)| Some((*after)? - (*before)?);
    let differences: Vec<Option<f64>> = before.iter().zip(after).map(difference).collect();
    mean(&differences)
}

/// Percentile bootstrap of the mean: 95 %, quantiles by linear interpolation (type 7).
pub fn bootstrap(values: &[f64], draws: usize, seed: u64) -> (f64, f64) {
    let mut generator = SplitMix64::new(seed);
    let mut means: Vec<f64> = (0..draws)
        .map(|_| (0..values.len()).map(|_| values[generator.below(values.len())]).sum::<f64>() / values.len() as f64)
        .collect();
    means.sort_by(f64::total_cmp);
    (quantile(&means, 0.025), quantile(&means, 0.975))
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = last as f64 * share;
    let (low, rest) = (place.floor() as usize, place.fract());
    sorted[low] + rest * (sorted[(low + 1).min(last)] - sorted[low])
}

fn average(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-9, "{left} {right}");
    }

    #[test]
    fn the_generator_is_the_published_one() {
        assert_eq!(SplitMix64::new(0).bits(), 0xe220_a839_7b1d_cdaf);
        let mut generator = SplitMix64::new(42);
        let drawn: Vec<usize> = (0..12).map(|_| generator.below(10)).collect();
        assert_eq!(drawn, [7, 1, 2, 3, 0, 8, 2, 8, 3, 6, 2, 4]);
    }

    #[test]
    fn wilson_gives_the_known_intervals() {
        for (hits, n, low, high) in [
            (41, 80, 0.404933342165, 0.618921204596),
            (0, 10, 0.0, 0.277532799863),
            (10, 10, 0.722467200137, 1.0),
            (5, 10, 0.236593090513, 0.763406909487),
            (70, 100, 0.604151453667, 0.781051147051),
        ] {
            let found = wilson(hits, n);
            close(found.0, low);
            close(found.1, high);
        }
    }

    #[test]
    fn the_bootstrap_gives_the_known_interval() {
        let values: Vec<f64> = [vec![1.0; 41], vec![0.5; 14], vec![0.0; 25]].concat();
        let (low, high) = bootstrap(&values, 1_000, 42);
        close(low, 0.50625);
        close(high, 0.7);
        let (low, high) = bootstrap(&[1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.5, 1.0, 0.0, 1.0], 200, 7);
        close(low, 0.35);
        close(high, 0.9);
    }

    #[test]
    fn unreadable_items_are_counted_and_never_scored() {
        let found = rate(&[Some(true), None, Some(false), None]).unwrap();
        assert_eq!((found.value, found.n, found.unreadable), (0.5, 2, 2));
        assert!(rate(&[None]).is_none());
        let change = paired_change(&[Some(1.0), None, Some(0.0)], &[Some(2.0), Some(9.0), None]).unwrap();
        assert_eq!((change.value, change.n, change.unreadable), (1.0, 1, 2));
        let found = mean(&[Some(1.0), Some(f64::NAN), Some(f64::INFINITY), Some(3.0)]).unwrap();
        assert_eq!((found.value, found.n, found.unreadable), (2.0, 2, 2));
    }
}
