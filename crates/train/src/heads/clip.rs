//! The clipped objectives of PPO (Schulman et al., arXiv 1707.06347) for one token: losses and their gradients with
//! respect to the new log-probability or value. The caller normalises over tokens.

use super::scalar::ratio;

/// What one token contributes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct TokenHead {
    pub(crate) loss: f64,
    pub(crate) gradient: f64,
    /// e^(new − old).
    pub(crate) ratio: f64,
    /// True where the clipped branch decides.
    pub(crate) clipped: bool,
}

/// max(−A·ρ, −A·clip(ρ, 1 − low, 1 + high)).
pub(crate) fn policy(new: f64, old: f64, advantage: f64, low: f64, high: f64) -> TokenHead {
    let rho = ratio(new - old);
    let (free, held) = (-advantage * rho, -advantage * rho.clamp(1.0 - low, 1.0 + high));
    let clipped = held > free;
    TokenHead { loss: free.max(held), gradient: if clipped { 0.0 } else { free }, ratio: rho, clipped }
}

/// ½·max((V − R)², (clip(V, V_old ± range) − R)²).
pub(crate) fn value(new: f64, old: f64, target: f64, range: f64) -> TokenHead {
    // `clamp` panics at a bound that is NaN; here NaN propagates into the loss, which is checked.
    let held = if new > old + range {
        old + range
    } else if new < old - range {
        old - range
    } else {
        new
    };
    let (free_loss, held_loss) = ((new - target).powi(2), (held - target).powi(2));
    let clipped = held_loss > free_loss;
    let gradient = match clipped {
        false => new - target,
        true if held == new => held - target,
        true => 0.0,
    };
    TokenHead { loss: 0.5 * free_loss.max(held_loss), gradient, ratio: 1.0, clipped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_agree_with_finite_differences() {
        let step = 1e-7;
        for (new, old, advantage) in [(-1.0, -1.1, 0.7), (-0.4, -1.0, 0.7), (-0.4, -1.0, -0.7), (-2.0, -1.0, -0.3)] {
            let at = |new: f64| policy(new, old, advantage, 0.2, 0.2);
            let gradient = (at(new + step).loss - at(new - step).loss) / (2.0 * step);
            assert!((gradient - at(new).gradient).abs() < 1e-6, "{new} {old} {advantage}");
        }
        for (new, old, target) in [(0.3, 0.25, 1.0), (0.9, 0.2, 0.1), (-0.5, 0.2, 1.0), (0.1, 0.5, 0.45)] {
            let at = |new: f64| value(new, old, target, 0.2);
            let gradient = (at(new + step).loss - at(new - step).loss) / (2.0 * step);
            assert!((gradient - at(new).gradient).abs() < 1e-6, "{new} {old} {target}");
        }
    }

    #[test]
    fn nan_propagates() {
        let nan = f64::NAN;
        for (new, old, third) in [(nan, 0.0, 1.0), (0.0, nan, 1.0), (0.0, 0.0, nan)] {
            assert!(policy(new, old, third, 0.2, 0.2).loss.is_nan());
        }
        assert!(value(nan, 0.0, 1.0, 0.2).loss.is_nan() && value(0.0, 0.0, nan, 0.2).loss.is_nan());
        assert!(value(0.0, nan, 1.0, 0.2).loss.is_finite(), "an old value only holds the new one");
    }

    #[test]
    fn the_first_look_at_fresh_answers_clips_nothing() {
        let head = policy(-1.5, -1.5, 2.0, 0.2, 0.2);
        assert_eq!((head.ratio, head.clipped, head.gradient), (1.0, false, -2.0));
    }
}
