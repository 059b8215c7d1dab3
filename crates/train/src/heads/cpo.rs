//! CPO and SimPO: losses over pairs without a reference.

use super::pair::{PairHead, PairScores};
use super::scalar::{log_sigmoid, sigmoid};
use crate::declare::options;

options! {
    /// Losses that TRL's `cpo` knows (Xu et al., arXiv 2401.08417; SimPO: Meng et al., arXiv 2405.14734).
    pub(crate) enum CpoLoss { Sigmoid = "sigmoid", Hinge = "hinge", Ipo = "ipo", Simpo = "simpo" }
}

impl CpoLoss {
    /// True for losses that read label_smoothing.
    pub(crate) fn smooths(self) -> bool {
        matches!(self, CpoLoss::Sigmoid | CpoLoss::Simpo)
    }

    /// True for losses over averages per token.
    pub(crate) fn averages(self) -> bool {
        matches!(self, CpoLoss::Ipo | CpoLoss::Simpo)
    }
}

/// Parameters of the loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CpoOptions {
    pub(crate) beta: f64,
    pub(crate) label_smoothing: f64,
    /// SimPO's margin after scaling by β.
    pub(crate) gamma: f64,
}

/// One pair.
pub(crate) fn cpo_head(loss: CpoLoss, options: &CpoOptions, pair: &PairScores) -> PairHead {
    let (beta, smoothing) = (options.beta, options.label_smoothing);
    let (n, m) =
        if loss.averages() { (pair.chosen_tokens.max(1.0), pair.rejected_tokens.max(1.0)) } else { (1.0, 1.0) };
    let x = pair.chosen / n - pair.rejected / m;
    let soft = |h: f64| {
        let loss = -(1.0 - smoothing) * log_sigmoid(h) - smoothing * log_sigmoid(-h);
        (loss, beta * (smoothing * sigmoid(h) - (1.0 - smoothing) * sigmoid(-h)))
    };
    let (loss, gradient) = match loss {
        CpoLoss::Sigmoid => soft(beta * x),
        CpoLoss::Hinge => ((1.0 - beta * x).max(0.0), if beta * x < 1.0 { -beta } else { 0.0 }),
        CpoLoss::Ipo => {
            let gap = x - 0.5 / beta;
            (gap * gap, 2.0 * gap)
        }
        CpoLoss::Simpo => soft(beta * x - options.gamma),
    };
    PairHead { loss, chosen: gradient / n, rejected: -gradient / m }
}

#[cfg(test)]
mod tests {
    use super::super::pair::testing::{check, samples};
    use super::*;
    use crate::declare::Choice;

    const OPTIONS: CpoOptions = CpoOptions { beta: 0.4, label_smoothing: 0.1, gamma: 0.3 };

    #[test]
    fn derivatives_agree_with_finite_differences() {
        for loss in CpoLoss::ALL {
            check(loss.name(), &|pairs| pairs.iter().map(|pair| cpo_head(*loss, &OPTIONS, pair)).collect());
        }
    }

    /// Exactly the losses for which `smooths` holds depend on label_smoothing.
    #[test]
    fn label_smoothing_is_read_where_it_is_said_to_be() {
        for loss in CpoLoss::ALL {
            let head = |label_smoothing| cpo_head(*loss, &CpoOptions { label_smoothing, ..OPTIONS }, &samples()[0]);
            assert_eq!(head(0.1) != head(0.2), loss.smooths(), "{loss:?}");
        }
    }
}
