//! Learning-rate schedules as transformers defines them: s is the 0-based step, w the warm-up, S the total.

/// Names that a recipe may use.
pub(crate) const NAMES: &[&str] = &["linear", "cosine", "constant", "constant_with_warmup", "inverse_sqrt"];

/// A learning rate for every step.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    shape: Shape,
    peak: f64,
    warmup: u64,
    total: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Linear,
    Cosine,
    Constant,
    ConstantWithWarmup,
    InverseSquareRoot,
}

impl Schedule {
    /// A schedule by name; an unknown name, which settings do not let through, is cosine.
    pub fn new(name: &str, peak: f64, warmup: u64, total: u64) -> Self {
        let shape = match name {
            "linear" => Shape::Linear,
            "constant" => Shape::Constant,
            "constant_with_warmup" => Shape::ConstantWithWarmup,
            "inverse_sqrt" => Shape::InverseSquareRoot,
            _ => Shape::Cosine,
        };
        Self { shape, peak, warmup, total }
    }

    /// The rate used by step `step`, counted from 0.
    pub fn rate(&self, step: u64) -> f64 {
        let warming = step < self.warmup && self.shape != Shape::Constant;
        if warming {
            return self.peak * step as f64 / self.warmup.max(1) as f64;
        }
        let span = self.total.saturating_sub(self.warmup).max(1) as f64;
        let progress = (step.saturating_sub(self.warmup)) as f64 / span;
        self.peak
            * match self.shape {
                Shape::Linear => (1.0 - progress).max(0.0),
                Shape::Cosine => (0.5 * (1.0 + (std::f64::consts::PI * progress).cos())).max(0.0),
                Shape::Constant | Shape::ConstantWithWarmup => 1.0,
                Shape::InverseSquareRoot => inverse_square_root(step, self.warmup),
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
                "linear",
                [0.0, 1.0 / 3.0, 1.0, 0.941_176_470_588_235_3, 0.588_235_294_117_647_1, 0.058_823_529_411_764_705],
            ),
            (
                "cosine",
                [0.0, 1.0 / 3.0, 1.0, 0.991_486_549_841_951, 0.636_831_495_036_141_5, 0.008_513_450_158_049_107],
            ),
            ("constant", [1.0; 6]),
            ("constant_with_warmup", [0.0, 1.0 / 3.0, 1.0, 1.0, 1.0, 1.0]),
        ];
        for (name, values) in expected {
            let schedule = Schedule::new(name, 1.0, 3, 20);
            for (step, value) in [0, 1, 3, 4, 10, 19].into_iter().zip(values) {
                assert!((schedule.rate(step) - value).abs() < 1e-12, "{name} at {step}: {}", schedule.rate(step));
            }
        }
        assert!((Schedule::new("inverse_sqrt", 1.0, 3, 20).rate(4) - 0.866_025_403_784_438_7).abs() < 1e-12);
    }
}
