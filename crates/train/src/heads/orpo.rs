//! The odds ratio of ORPO: a loss over pairs without a reference.

use super::pair::{PairHead, PairScores};
use super::scalar::{LARGEST_LOG_PROBABILITY, log_one_minus_exp, log_sigmoid, sigmoid};

/// ORPO's term (Hong et al., arXiv 2403.07691): −λ·log σ(log-odds of the average chosen over the average rejected
/// probability). Returns the head and the log-odds.
pub(crate) fn odds_head(lambda: f64, pair: &PairScores) -> (PairHead, f64) {
    let (n, m) = (pair.chosen_tokens.max(1.0), pair.rejected_tokens.max(1.0));
    let (a, b) = (pair.chosen / n, pair.rejected / m);
    let odds = |a: f64| a - log_one_minus_exp(a);
    // d(odds)/da = 1 / (1 − e^a); constant where a is clamped.
    let gradient = |a: f64| if a > LARGEST_LOG_PROBABILITY { 1.0 } else { 1.0 / -a.exp_m1() };
    let x = odds(a) - odds(b);
    let outer = -lambda * sigmoid(-x);
    let head = PairHead {
        loss: -lambda * log_sigmoid(x),
        chosen: outer * gradient(a) / n,
        rejected: -outer * gradient(b) / m,
    };
    (head, x)
}

#[cfg(test)]
mod tests {
    use super::super::pair::testing::{check, far};
    use super::*;

    #[test]
    fn derivatives_agree_with_finite_differences() {
        check("odds", &|pairs| pairs.iter().map(|pair| odds_head(0.1, pair).0).collect());
    }

    #[test]
    fn far_away_pairs_stay_finite() {
        let (head, odds) = odds_head(0.1, &far());
        assert!(head.loss.is_finite() && head.rejected.is_finite() && odds.is_finite());
    }
}
