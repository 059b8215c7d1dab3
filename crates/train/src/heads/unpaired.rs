//! Losses over single answers with a binary label: KTO (Ethayarajh et al., arXiv 2402.01306).

use super::scalar::sigmoid;
use crate::declare::options;

options! {
    /// Losses that TRL's `kto` knows.
    pub(crate) enum KtoLoss { Kto = "kto", ApoZeroUnpaired = "apo_zero_unpaired" }
}

impl KtoLoss {
    /// True where the loss uses an estimate of the KL divergence between policy and reference.
    pub(crate) fn estimates_drift(self) -> bool {
        match self {
            KtoLoss::Kto => true,
            KtoLoss::ApoZeroUnpaired => false,
        }
    }
}

/// One answer: its loss and ∂loss/∂logπ. `ratio` is Σ logπ − Σ logref; `drift` is z, the estimate of the KL
/// divergence from the reference, a constant in the gradient.
pub(crate) fn kto_head(loss: KtoLoss, beta: f64, weight: f64, wanted: bool, ratio: f64, drift: f64) -> (f64, f64) {
    let z = if loss.estimates_drift() { drift } else { 0.0 };
    let x = if wanted { ratio - z } else { z - ratio };
    let p = sigmoid(beta * x);
    let gradient = weight * beta * p * (1.0 - p);
    (weight * (1.0 - p), if wanted { -gradient } else { gradient })
}

/// z = max(0, mean log-ratio of mismatched answers).
pub(crate) fn drift(ratios: &[f64]) -> f64 {
    if ratios.is_empty() {
        return 0.0;
    }
    let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
    // `max` would turn NaN into 0.
    if mean < 0.0 { 0.0 } else { mean }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declare::Choice;

    #[test]
    fn derivatives_agree_with_finite_differences() {
        let step = 1e-6;
        for loss in KtoLoss::ALL {
            for (wanted, ratio, drift) in [(true, 0.7, 0.2), (false, -1.3, 0.4), (true, -30.0, 0.0), (false, 12.0, 3.0)]
            {
                let at = |ratio: f64| kto_head(*loss, 0.3, 1.5, wanted, ratio, drift);
                let gradient = (at(ratio + step).0 - at(ratio - step).0) / (2.0 * step);
                assert!((gradient - at(ratio).1).abs() < 1e-7, "{loss:?} {wanted} {ratio}");
            }
        }
        assert_eq!(kto_head(KtoLoss::Kto, 0.1, 1.0, true, 0.0, 0.0).0, 0.5);
        assert_eq!((drift(&[-1.0, 0.5]), drift(&[1.0, 3.0]), drift(&[])), (0.0, 2.0, 0.0));
        assert!(drift(&[f64::NAN, 1.0]).is_nan());
    }
}
