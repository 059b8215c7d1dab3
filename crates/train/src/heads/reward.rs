//! Losses over scores: reward models (Bradley and Terry; Ouyang et al., arXiv 2203.02155) and cost models (Dai et al.,
//! Safe RLHF, arXiv 2310.12773).

use super::scalar::{log_sigmoid, sigmoid};
use crate::declare::options;

options! {
    /// What a score means: how good an answer is, or, above 0, that it is harmful.
    pub(crate) enum RewardLoss { BradleyTerry = "bradley_terry", Cost = "cost" }
}

/// A loss and its gradients with respect to both scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ScoreHead {
    pub(crate) loss: f64,
    pub(crate) chosen: f64,
    pub(crate) rejected: f64,
}

/// −log σ(chosen − rejected − margin) + centre·(chosen + rejected)².
pub(crate) fn bradley_terry(chosen: f64, rejected: f64, margin: f64, centre: f64) -> ScoreHead {
    let (x, sum) = (chosen - rejected - margin, chosen + rejected);
    let (gradient, pull) = (-sigmoid(-x), 2.0 * centre * sum);
    ScoreHead { loss: -log_sigmoid(x) + centre * sum * sum, chosen: gradient + pull, rejected: -gradient + pull }
}

/// −log σ(C_worse − C_safer) − log σ(s_safer·C_safer) − log σ(s_worse·C_worse), with s = +1 for an unsafe answer and −1
/// for a safe one; `chosen` of the result belongs to the safer answer.
pub(crate) fn cost(safer: f64, worse: f64, safer_is_unsafe: bool, worse_is_unsafe: bool) -> ScoreHead {
    let sign = |is_unsafe: bool| if is_unsafe { 1.0 } else { -1.0 };
    let (a, b) = (sign(safer_is_unsafe), sign(worse_is_unsafe));
    let order = sigmoid(safer - worse);
    ScoreHead {
        loss: -log_sigmoid(worse - safer) - log_sigmoid(a * safer) - log_sigmoid(b * worse),
        chosen: order - a * sigmoid(-a * safer),
        rejected: -order - b * sigmoid(-b * worse),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_agree_with_finite_differences() {
        let step = 1e-6;
        let check = |head: &dyn Fn(f64, f64) -> ScoreHead| {
            for (a, b) in [(0.3, -0.9), (-2.0, 1.5), (8.0, -7.0)] {
                let first = (head(a + step, b).loss - head(a - step, b).loss) / (2.0 * step);
                let second = (head(a, b + step).loss - head(a, b - step).loss) / (2.0 * step);
                assert!((first - head(a, b).chosen).abs() < 1e-6 && (second - head(a, b).rejected).abs() < 1e-6);
            }
        };
        check(&|a, b| bradley_terry(a, b, 0.4, 0.01));
        for signs in [(true, true), (false, true), (false, false)] {
            check(&|a, b| cost(a, b, signs.0, signs.1));
        }
        assert!((bradley_terry(0.0, 0.0, 0.0, 0.0).loss - std::f64::consts::LN_2).abs() < 1e-15);
    }
}
