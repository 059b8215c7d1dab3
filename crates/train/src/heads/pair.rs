//! Inputs and outputs of losses over pairs of answers to one prompt: log-probabilities in, a loss and its gradients out.
//!
//! c = logπ(chosen) − logref(chosen), r likewise for the rejected answer, both summed over answer tokens; h = β(c − r). Each
//! family of losses has its own file.

/// Log-probabilities of one pair under the policy and its reference.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct PairScores {
    /// Σ logπ over the chosen answer, in nats.
    pub(crate) chosen: f64,
    /// Σ logπ over the rejected answer.
    pub(crate) rejected: f64,
    /// Σ logref over the chosen answer; 0 without a reference.
    pub(crate) reference_chosen: f64,
    /// Σ logref over the rejected answer; 0 without a reference.
    pub(crate) reference_rejected: f64,
    /// Tokens of the chosen answer.
    pub(crate) chosen_tokens: f64,
    /// Tokens of the rejected answer.
    pub(crate) rejected_tokens: f64,
}

impl PairScores {
    /// log π/ref of the chosen answer.
    pub(super) fn c(&self) -> f64 {
        self.chosen - self.reference_chosen
    }

    /// log π/ref of the rejected answer.
    pub(super) fn r(&self) -> f64 {
        self.rejected - self.reference_rejected
    }
}

/// A loss and its gradients with respect to the summed log-probabilities of both answers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct PairHead {
    pub(crate) loss: f64,
    pub(crate) chosen: f64,
    pub(crate) rejected: f64,
}

#[cfg(test)]
pub(super) mod testing {
    //! What the tests of all losses over pairs share.

    use super::{PairHead, PairScores};

    pub(in crate::heads) fn samples() -> Vec<PairScores> {
        let pair = |chosen, rejected, reference_chosen, reference_rejected| PairScores {
            chosen,
            rejected,
            reference_chosen,
            reference_rejected,
            chosen_tokens: 3.0,
            rejected_tokens: 5.0,
        };
        vec![pair(-4.0, -6.0, -4.5, -5.1), pair(-9.0, -3.0, -7.9, -3.3), pair(-2.5, -8.0, -2.4, -7.0)]
    }

    /// A pair that could hardly be further apart.
    pub(in crate::heads) fn far() -> PairScores {
        PairScores { chosen: -900.0, rejected: 0.0, chosen_tokens: 1.0, rejected_tokens: 1.0, ..samples()[0] }
    }

    /// Compares the gradients with central differences of the summed loss.
    pub(in crate::heads) fn check(name: &str, heads: &dyn Fn(&[PairScores]) -> Vec<PairHead>) {
        let (pairs, step) = (samples(), 1e-6);
        let total = |pairs: &[PairScores]| heads(pairs).iter().map(|head| head.loss).sum::<f64>();
        for (index, head) in heads(&pairs).iter().enumerate() {
            let gradient = |change: &dyn Fn(&mut PairScores, f64)| {
                let moved = |by: f64| {
                    let mut pairs = pairs.clone();
                    change(&mut pairs[index], by);
                    total(&pairs)
                };
                (moved(step) - moved(-step)) / (2.0 * step)
            };
            let chosen = gradient(&|pair, by| pair.chosen += by);
            let rejected = gradient(&|pair, by| pair.rejected += by);
            assert!((chosen - head.chosen).abs() < 1e-6 * chosen.abs().max(1.0), "{name}: {chosen} {}", head.chosen);
            assert!((rejected - head.rejected).abs() < 1e-6 * rejected.abs().max(1.0), "{name}: {rejected}");
        }
    }
}
