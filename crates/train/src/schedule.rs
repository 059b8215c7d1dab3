//! Learning-rate schedules as transformers defines them: s is the 0-based step, w the warm-up, S the total.

use crate::declare::options;

options! {
    /// How the learning rate falls after the warm-up.
    pub enum SchedulerType {
        Linear = "linear",
        Cosine = "cosine",
        Constant = "constant",
        ConstantWithWarmup = "constant_with_warmup",
        InverseSquareRoot = "inverse_sqrt",
    }
}

/// A learning rate for every step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Schedule {
    shape: SchedulerType,
    peak: f64,
    warmup: u64,
    total: u64,
}

impl Schedule {
    /// A schedule that rises to `peak` in `warmup` of `total` steps.
    pub(crate) fn new(shape: SchedulerType, peak: f64, warmup: u64, total: u64) -> Self {
        Self { shape, peak, warmup, total }
    }

    /// The learning rate of step `step`, counted from 0.
    pub(crate) fn rate(&self, step: u64) -> f64 {
        let warming = step < self.warmup && self.shape != SchedulerType::Constant;
        if warming {
            return self.peak * step as f64 / self.warmup.max(1) as f64;
        }
        let span = self.total.saturating_sub(self.warmup).max(1) as f64;
        let progress = (step.saturating_sub(self.warmup)) as f64 / span;
        self.peak
            * match self.shape {
                SchedulerType::Linear => (1.0 - progress).max(0.0),
                SchedulerType::Cosine => (0.5 * (1.0 + (std::f64::consts::PI * progress).cos())).max(0.0),
                SchedulerType::Constant | SchedulerType::ConstantWithWarmup => 1.0,
                SchedulerType::InverseSquareRoot => inverse_square_root(step, self.warmup),
            }
    }
}

/// √(w/s) after the warm-up; transformers takes 10,000 for w when there is none.
fn inverse_square_root(step: u64, warmup: u64) -> f64 {
    let scale = if warmup == 0 { 10_000 } else { warmup } as f64;
    let shift = scale - warmup as f64;
    1.0 / ((step as f64 + shift) / scale).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values by transformers for peak 1, warm-up 3, total 20 at the steps 0, 1, 3, 4, 10, 19.
    #[test]
    fn curves_agree_with_transformers() {
        let expected = [
            (
                SchedulerType::Linear,
                [0.0, 1.0 / 3.0, 1.0, 0.941_176_470_588_235_3, 0.588_235_294_117_647_1, 0.058_823_529_411_764_705],
            ),
            (
                SchedulerType::Cosine,
                [0.0, 1.0 / 3.0, 1.0, 0.991_486_549_841_951, 0.636_831_495_036_141_5, 0.008_513_450_158_049_107],
            ),
            (SchedulerType::Constant, [1.0; 6]),
            (SchedulerType::ConstantWithWarmup, [0.0, 1.0 / 3.0, 1.0, 1.0, 1.0, 1.0]),
        ];
        for (shape, values) in expected {
            let schedule = Schedule::new(shape, 1.0, 3, 20);
            for (step, value) in [0, 1, 3, 4, 10, 19].into_iter().zip(values) {
                assert!((schedule.rate(step) - value).abs() < 1e-12, "{shape:?} at {step}: {}", schedule.rate(step));
            }
        }
        assert!(
            (Schedule::new(SchedulerType::InverseSquareRoot, 1.0, 3, 20).rate(4) - 0.866_025_403_784_438_7).abs()
                < 1e-12
        );
    }
}
