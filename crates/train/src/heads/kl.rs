//! Estimates of the KL divergence from tokens that the policy wrote (Schulman, "Approximating KL divergence", 2020), and
//! the controller of its weight (Ziegler et al., arXiv 1909.08593).

use super::scalar::ratio;
use crate::declare::options;

options! {
    /// Estimates that a reward may be reduced by.
    pub(crate) enum KlEstimator { K1 = "k1", K3 = "k3" }
}

/// d = logπ − logref of a token: unbiased, noisy, may be negative. What a reward is reduced by.
pub(crate) fn k1(logp: f64, reference: f64) -> f64 {
    logp - reference
}

/// e^(−d) − 1 + d: unbiased and never negative; and its derivative by logπ. What a loss is raised by.
pub(crate) fn k3(logp: f64, reference: f64) -> (f64, f64) {
    let d = logp - reference;
    let r = ratio(-d);
    (r - 1.0 + d, 1.0 - r)
}

/// The weight of the KL penalty, moved towards a target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct AdaptiveKl {
    pub(crate) coefficient: f64,
    /// Nats per sequence that are aimed at; 0 keeps the coefficient.
    pub(crate) target: f64,
    /// Episodes over which the whole error is made up.
    pub(crate) horizon: f64,
}

impl AdaptiveKl {
    /// After a step of `episodes` with a mean of `kl` nats per sequence.
    pub(crate) fn update(&mut self, kl: f64, episodes: f64) {
        if self.target > 0.0 {
            let error = (kl / self.target - 1.0).clamp(-0.2, 0.2);
            // A step that holds more answers than the horizon makes the whole error good, and no more.
            self.coefficient *= 1.0 + error * (episodes / self.horizon).min(1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k3_is_never_negative_and_its_slope_is_right() {
        let step = 1e-6;
        for (logp, reference) in [(-1.0, -1.0), (-0.2, -2.0), (-3.0, -0.1)] {
            let (value, slope) = k3(logp, reference);
            let numeric = (k3(logp + step, reference).0 - k3(logp - step, reference).0) / (2.0 * step);
            assert!(value >= 0.0 && (numeric - slope).abs() < 1e-6);
        }
    }
}
