//! Scalar functions in forms that neither overflow nor cancel.

/// σ(x) = 1 / (1 + e^(−x)).
pub(crate) fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// log σ(x) = min(x, 0) − ln(1 + e^(−|x|)).
pub(crate) fn log_sigmoid(x: f64) -> f64 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

/// ln(1 − e^a) for a < 0; values above −1e-6 count as −1e-6.
pub(crate) fn log_one_minus_exp(a: f64) -> f64 {
    let a = a.min(LARGEST_LOG_PROBABILITY);
    if a > -std::f64::consts::LN_2 { (-a.exp_m1()).ln() } else { (-a.exp()).ln_1p() }
}

/// Log-probabilities are clamped to this: the odds of certainty are infinite.
pub(crate) const LARGEST_LOG_PROBABILITY: f64 = -1e-6;

/// e^d with d clamped to ±20: with a larger ratio two policies have nothing in common.
pub(crate) fn ratio(d: f64) -> f64 {
    d.clamp(-20.0, 20.0).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extreme_arguments_stay_finite() {
        for x in [-1e4, -700.0, -1.0, 0.0, 1.0, 700.0, 1e4] {
            assert!(sigmoid(x).is_finite() && log_sigmoid(x).is_finite());
            assert!((sigmoid(x) + sigmoid(-x) - 1.0).abs() < 1e-15);
        }
        assert!((log_sigmoid(0.0) + std::f64::consts::LN_2).abs() < 1e-15);
        assert!((log_one_minus_exp(-1.0) - (1.0 - (-1.0f64).exp()).ln()).abs() < 1e-15);
        assert!(log_one_minus_exp(0.0).is_finite() && log_one_minus_exp(-1e-9).is_finite());
        assert!(ratio(1e9).is_finite());
    }
}
