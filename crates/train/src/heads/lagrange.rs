//! The Lagrange multiplier of constrained reinforcement learning (Dai et al., Safe RLHF, arXiv 2310.12773): maximise the
//! reward while the mean cost stays at or below a limit.
//!
//! Not here: how costs are computed. A cost model's decision boundary is at 0 (arXiv 2307.04657), so 0 is the natural limit.

/// Bound on |ln λ|: with λ above 1000 only the cost counts, and it would take λ many steps to fall again.
const BOUND: f64 = 6.907_755_278_982_137;

/// The multiplier λ, stored as its logarithm so that it stays positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Lagrange {
    pub(crate) ln_multiplier: f64,
    /// Step size of the gradient ascent.
    pub(crate) step_size: f64,
    /// Mean cost that is allowed.
    pub(crate) limit: f64,
}

impl Lagrange {
    /// A multiplier that starts at `start`.
    pub(crate) fn new(start: f64, step_size: f64, limit: f64) -> Self {
        Self { ln_multiplier: start.max(1e-4).ln().clamp(-BOUND, BOUND), step_size, limit }
    }

    pub(crate) fn multiplier(&self) -> f64 {
        self.ln_multiplier.exp()
    }

    /// One step of gradient ascent on λ·(mean cost − limit) along ln λ.
    pub(crate) fn update(&mut self, mean_cost: f64) {
        let step = self.step_size * self.multiplier() * (mean_cost - self.limit);
        self.ln_multiplier = (self.ln_multiplier + step).clamp(-BOUND, BOUND);
    }

    /// (R − λ·C) / (1 + λ): the penalised reward of the policy; the division keeps its scale while λ grows.
    pub(crate) fn penalised(&self, reward: f64, cost: f64) -> f64 {
        let multiplier = self.multiplier();
        (reward - multiplier * cost) / (1.0 + multiplier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_multiplier_rises_above_the_limit_and_falls_below_it() {
        let start = Lagrange::new(2.0, 0.1, 0.5);
        let moved = |mean: f64| {
            let mut lagrange = start;
            lagrange.update(mean);
            lagrange.multiplier()
        };
        assert_eq!(moved(0.5), start.multiplier());
        assert!((moved(1.5) - 2.0 * 0.2_f64.exp()).abs() < 1e-12, "ln λ + 0.1·2·(1.5 − 0.5)");
        assert!((moved(-0.5) - 2.0 * (-0.2_f64).exp()).abs() < 1e-12);
    }

    #[test]
    fn the_step_is_the_gradient_of_the_objective() {
        let value = |ln: f64, mean: f64| ln.exp() * (mean - 0.5);
        for (ln, mean) in [(-1.0, 0.2), (0.3, 2.0)] {
            let numeric = (value(ln + 1e-6, mean) - value(ln - 1e-6, mean)) / 2e-6;
            let mut lagrange = Lagrange { ln_multiplier: ln, step_size: 1.0, limit: 0.5 };
            lagrange.update(mean);
            assert!((lagrange.ln_multiplier - ln - numeric).abs() < 1e-6);
        }
    }

    #[test]
    fn it_stays_finite_and_a_large_multiplier_leaves_only_the_cost() {
        let mut lagrange = Lagrange::new(1.0, 1.0, 0.0);
        (0..100).for_each(|_| lagrange.update(50.0));
        assert!(lagrange.multiplier().is_finite());
        assert!((lagrange.penalised(1.0, 0.7) + 0.7).abs() < 2e-3);
        assert_eq!(Lagrange::new(1.0, 0.1, 0.0).penalised(1.0, 0.0), 0.5);
    }
}
