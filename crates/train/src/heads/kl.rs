//! Estimates of the KL divergence from tokens that the policy sampled (Schulman, "Approximating KL divergence", 2020), and
//! the controller of its weight (Ziegler et al., arXiv 1909.08593).

use super::scalar::ratio;
use crate::declare::options;

options! {
    /// KL estimators for the penalty on the reward.
    pub(crate) enum KlEstimator { K1 = "k1", K3 = "k3" }
}

/// d = logπ − logref of a token: unbiased, noisy, may be negative. Used as a penalty on the reward.
pub(crate) fn k1(logp: f64, reference: f64) -> f64 {
    logp - reference
}

/// e^(−d) − 1 + d: unbiased and never negative; and its gradient with respect to logπ. Used as a term of the loss.
pub(crate) fn k3(logp: f64, reference: f64) -> (f64, f64) {
    let d = logp - reference;
    let r = ratio(-d);
    (r - 1.0 + d, 1.0 - r)
}

/// The adaptive KL coefficient, controlled towards a target KL.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct AdaptiveKl {
    pub(crate) coefficient: f64,
    /// Target KL in nats per sequence; 0 keeps the coefficient fixed.
    pub(crate) target: f64,
    /// Episodes over which the whole error is corrected.
    pub(crate) horizon: f64,
}

impl AdaptiveKl {
    /// Updates after a step of `episodes` with a mean KL of `kl` nats per sequence.
    pub(crate) fn update(&mut self, kl: f64, episodes: f64) {
        if self.target > 0.0 {
            let error = (kl / self.target - 1.0).clamp(-0.2, 0.2);
            // A step with more answers than the horizon corrects the whole error, and no more.
            self.coefficient *= 1.0 + error * (episodes / self.horizon).min(1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k3_is_never_negative_and_its_gradient_is_right() {
        let step = 1e-6;
        for (logp, reference) in [(-1.0, -1.0), (-0.2, -2.0), (-3.0, -0.1)] {
            let (value, gradient) = k3(logp, reference);
            let numeric = (k3(logp + step, reference).0 - k3(logp - step, reference).0) / (2.0 * step);
            assert!(value >= 0.0 && (numeric - gradient).abs() < 1e-6);
        }
    }
}
