//! The DPO family: losses over pairs that compare a policy with its reference. The papers are listed at `DpoLoss`.

use super::pair::{PairHead, PairScores};
use super::scalar::{log_sigmoid, sigmoid};
use crate::declare::options;

options! {
    /// Losses that TRL's `dpo` knows by these names: `sigmoid` (Rafailov et al., arXiv 2305.18290), `hinge` (SLiC, Zhao
    /// et al., arXiv 2305.10425), `ipo` (Azar et al., arXiv 2310.12036), `exo_pair` (Ji et al., arXiv 2402.00856),
    /// `nca_pair` (Chen et al., arXiv 2402.05369), `robust` (Chowdhury et al., arXiv 2403.00409), `bco_pair` (Jung et
    /// al., arXiv 2404.04656), `sppo_hard` (Wu et al., arXiv 2405.00675), `aot` and `aot_unpaired` (Melnyk et al.,
    /// arXiv 2406.05882), `apo_zero` and `apo_down` (D'Oosterlinck et al., arXiv 2408.06266), `discopop` (Lu et al.,
    /// arXiv 2406.08414), `sigmoid_norm` (averages per token, as in Tülu 3, arXiv 2411.15124), and `sft`, the
    /// likelihood of chosen answers.
    pub(crate) enum DpoLoss {
        Sigmoid = "sigmoid",
        Hinge = "hinge",
        Ipo = "ipo",
        ExoPair = "exo_pair",
        NcaPair = "nca_pair",
        Robust = "robust",
        BcoPair = "bco_pair",
        SppoHard = "sppo_hard",
        Aot = "aot",
        AotUnpaired = "aot_unpaired",
        ApoZero = "apo_zero",
        ApoDown = "apo_down",
        Discopop = "discopop",
        SigmoidNorm = "sigmoid_norm",
        Sft = "sft",
    }
}

options! {
    /// The f-divergence whose f′ is applied to the log-ratios before their difference is taken (Wang et al., arXiv
    /// 2309.16240).
    pub(crate) enum Divergence {
        ReverseKl = "reverse_kl",
        ForwardKl = "forward_kl",
        JensenShannon = "js_divergence",
        Alpha = "alpha_divergence",
    }
}

impl DpoLoss {
    /// True for losses that may be combined with a divergence other than reverse KL: those that depend only on the
    /// difference of both sides, in which the normaliser of the reference cancels.
    pub(crate) fn allows_divergence(self) -> bool {
        use DpoLoss::{Discopop, ExoPair, Hinge, Ipo, Robust, Sft, Sigmoid, SigmoidNorm};
        matches!(self, Sigmoid | SigmoidNorm | Hinge | Ipo | ExoPair | Robust | Discopop | Sft)
    }

    /// True for losses that read label_smoothing. TRL's sigmoid does not.
    pub(crate) fn smooths(self) -> bool {
        matches!(self, DpoLoss::Robust | DpoLoss::ExoPair | DpoLoss::Aot | DpoLoss::AotUnpaired)
    }
}

/// Parameters of the loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PairOptions {
    pub(crate) beta: f64,
    pub(crate) label_smoothing: f64,
    pub(crate) divergence: Divergence,
    pub(crate) alpha: f64,
    pub(crate) tau: f64,
}

/// The losses of a batch. Only the `aot` losses depend on more than one pair at a time.
pub(crate) fn dpo_heads(loss: DpoLoss, options: &PairOptions, pairs: &[PairScores]) -> Vec<PairHead> {
    match loss {
        DpoLoss::Aot => aot(
            options,
            pairs,
            |p| p.chosen - p.rejected,
            |p| p.reference_chosen - p.reference_rejected,
            [1.0, -1.0],
            [0.0, 0.0],
        ),
        DpoLoss::AotUnpaired => aot(options, pairs, PairScores::c, PairScores::r, [1.0, 0.0], [0.0, 1.0]),
        loss => pairs.iter().map(|pair| dpo_head(loss, options, pair)).collect(),
    }
}

/// Extends a loss of h alone, with its derivative, to both answers.
fn of_difference(options: &PairOptions, pair: &PairScores, loss: impl Fn(f64) -> (f64, f64)) -> PairHead {
    let (c, dc) = f_prime(options, pair.c());
    let (r, dr) = f_prime(options, pair.r());
    let (loss, gradient) = loss(options.beta * (c - r));
    PairHead { loss, chosen: gradient * options.beta * dc, rejected: -gradient * options.beta * dr }
}

/// f′ of a divergence at the ratio e^x, and its derivative with respect to x. All are shifted to 0 at x = 0, which matters
/// where both sides are divided by different lengths.
fn f_prime(options: &PairOptions, x: f64) -> (f64, f64) {
    let exp = |x: f64| x.min(80.0).exp();
    match options.divergence {
        Divergence::ForwardKl => (1.0 - exp(-x), exp(-x)),
        Divergence::JensenShannon => (std::f64::consts::LN_2 + log_sigmoid(x), sigmoid(-x)),
        Divergence::Alpha => {
            let power = options.alpha - 1.0;
            ((exp(power * x) - 1.0) / power, exp(power * x))
        }
        Divergence::ReverseKl => (x, 1.0),
    }
}

/// One pair under a loss that depends on no other pair; zero for those that do, and for `sft`, which is no loss over pairs.
fn dpo_head(loss: DpoLoss, options: &PairOptions, pair: &PairScores) -> PairHead {
    let (beta, smoothing) = (options.beta, options.label_smoothing);
    let (c, r) = (pair.c(), pair.r());
    let (n, m) = (pair.chosen_tokens.max(1.0), pair.rejected_tokens.max(1.0));
    let difference = |loss: &dyn Fn(f64) -> (f64, f64)| of_difference(options, pair, loss);
    let head = |loss, chosen, rejected| PairHead { loss, chosen, rejected };
    match loss {
        DpoLoss::Hinge => difference(&|h| ((1.0 - h).max(0.0), if h < 1.0 { -1.0 } else { 0.0 })),
        DpoLoss::Ipo => {
            let ((c, dc), (r, dr)) = (f_prime(options, c), f_prime(options, r));
            let gap = c / n - r / m - 0.5 / beta;
            head(gap * gap, 2.0 * gap * dc / n, -2.0 * gap * dr / m)
        }
        DpoLoss::ExoPair => difference(&|h| {
            let (q, e) = (sigmoid(h), smoothing);
            let (low, high) = (log_sigmoid(h) - (1.0 - e).ln(), log_sigmoid(-h) - e.ln());
            (q * low + (1.0 - q) * high, q * (1.0 - q) * (h - ((1.0 - e) / e).ln()))
        }),
        DpoLoss::NcaPair => head(
            -log_sigmoid(beta * c) - 0.5 * log_sigmoid(-beta * c) - 0.5 * log_sigmoid(-beta * r),
            beta * (0.5 * sigmoid(beta * c) - sigmoid(-beta * c)),
            0.5 * beta * sigmoid(beta * r),
        ),
        DpoLoss::Robust => difference(&|h| {
            let scale = 1.0 - 2.0 * smoothing;
            let loss = (-(1.0 - smoothing) * log_sigmoid(h) + smoothing * log_sigmoid(-h)) / scale;
            (loss, -sigmoid(-h) - smoothing / scale)
        }),
        DpoLoss::BcoPair => {
            head(-log_sigmoid(beta * c) - log_sigmoid(-beta * r), -beta * sigmoid(-beta * c), beta * sigmoid(beta * r))
        }
        DpoLoss::SppoHard => {
            let (a, b) = (c - 0.5 / beta, r + 0.5 / beta);
            head(a * a + b * b, 2.0 * a, 2.0 * b)
        }
        DpoLoss::ApoZero => {
            let (p, q) = (sigmoid(beta * c), sigmoid(beta * r));
            head(1.0 - p + q, -beta * p * (1.0 - p), beta * q * (1.0 - q))
        }
        DpoLoss::ApoDown => {
            let (p, q) = (sigmoid(beta * c), sigmoid(beta * (c - r)));
            let gradient = beta * q * (1.0 - q);
            head(p + 1.0 - q, beta * p * (1.0 - p) - gradient, gradient)
        }
        DpoLoss::Discopop => difference(&|h| {
            // For very negative h, g vanishes faster than e^(−h) grows; clamping the exponent avoids 0·∞.
            let (g, growth) = (sigmoid(h / options.tau), (-h).min(700.0).exp());
            let loss = (1.0 - g) * -log_sigmoid(h) + g * growth;
            let gradient = g * (1.0 - g) / options.tau * (growth + log_sigmoid(h));
            (loss, gradient - (1.0 - g) * sigmoid(-h) - g * growth)
        }),
        DpoLoss::SigmoidNorm => {
            let ((c, dc), (r, dr)) = (f_prime(options, c), f_prime(options, r));
            let h = beta * (c / n - r / m);
            head(-log_sigmoid(h), -beta * sigmoid(-h) * dc / n, beta * sigmoid(-h) * dr / m)
        }
        DpoLoss::Sigmoid => difference(&|h| (-log_sigmoid(h), -sigmoid(-h))),
        DpoLoss::Aot | DpoLoss::AotUnpaired | DpoLoss::Sft => PairHead::default(),
    }
}

/// Alignment by optimal transport: two quantities are sorted within the batch and compared rank by rank with the smoothed
/// sigmoid loss. `left` and `right` are their derivatives with respect to (logπ chosen, logπ rejected).
fn aot(
    options: &PairOptions,
    pairs: &[PairScores],
    first: impl Fn(&PairScores) -> f64,
    second: impl Fn(&PairScores) -> f64,
    left: [f64; 2],
    right: [f64; 2],
) -> Vec<PairHead> {
    let sorted = |value: &dyn Fn(&PairScores) -> f64| {
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_by(|a, b| value(&pairs[*a]).total_cmp(&value(&pairs[*b])));
        order
    };
    let (firsts, seconds) = (sorted(&first), sorted(&second));
    let (beta, smoothing) = (options.beta, options.label_smoothing);
    let mut heads = vec![PairHead::default(); pairs.len()];
    for (slot, (a, b)) in firsts.into_iter().zip(seconds).enumerate() {
        let h = beta * (first(&pairs[a]) - second(&pairs[b]));
        let gradient = beta * (-(1.0 - smoothing) * sigmoid(-h) + smoothing * sigmoid(h));
        heads[slot].loss += -(1.0 - smoothing) * log_sigmoid(h) - smoothing * log_sigmoid(-h);
        heads[a].chosen += gradient * left[0];
        heads[a].rejected += gradient * left[1];
        heads[b].chosen -= gradient * right[0];
        heads[b].rejected -= gradient * right[1];
    }
    heads
}

#[cfg(test)]
mod tests {
    use super::super::pair::testing::{check, far, samples};
    use super::*;
    use crate::declare::Choice;

    fn options(divergence: Divergence) -> PairOptions {
        PairOptions { beta: 0.4, label_smoothing: 0.1, divergence, alpha: 0.5, tau: 0.05 }
    }

    /// Losses over pairs; `sft` is none.
    fn losses() -> impl Iterator<Item = DpoLoss> {
        DpoLoss::ALL.iter().copied().filter(|loss| *loss != DpoLoss::Sft)
    }

    #[test]
    fn derivatives_agree_with_finite_differences() {
        for loss in losses() {
            check(loss.name(), &|pairs| dpo_heads(loss, &options(Divergence::ReverseKl), pairs));
        }
        for divergence in Divergence::ALL {
            for loss in losses().filter(|loss| loss.allows_divergence()) {
                check(&format!("{loss:?}, {divergence:?}"), &|pairs| dpo_heads(loss, &options(*divergence), pairs));
            }
        }
    }

    #[test]
    fn a_policy_at_its_reference_starts_where_arithmetic_says() {
        let ln2 = std::f64::consts::LN_2;
        let start = PairScores { chosen_tokens: 4.0, rejected_tokens: 4.0, ..PairScores::default() };
        let options = PairOptions { beta: 0.1, label_smoothing: 0.0, ..options(Divergence::ReverseKl) };
        let expected = [
            (DpoLoss::Sigmoid, ln2),
            (DpoLoss::Hinge, 1.0),
            (DpoLoss::Ipo, 25.0),
            (DpoLoss::NcaPair, 2.0 * ln2),
            (DpoLoss::Robust, ln2),
            (DpoLoss::BcoPair, 2.0 * ln2),
            (DpoLoss::SppoHard, 50.0),
            (DpoLoss::ApoZero, 1.0),
            (DpoLoss::ApoDown, 1.0),
            (DpoLoss::Discopop, 0.5 * ln2 + 0.5),
            (DpoLoss::SigmoidNorm, ln2),
            (DpoLoss::Aot, ln2),
        ];
        for (loss, value) in expected {
            let found = dpo_heads(loss, &options, &[start])[0].loss;
            assert!((found - value).abs() < 1e-12, "{loss:?}: {found}");
            for divergence in Divergence::ALL.iter().filter(|_| loss.allows_divergence()) {
                let uneven = PairScores { rejected_tokens: 9.0, ..start };
                let bent = dpo_heads(loss, &PairOptions { divergence: *divergence, ..options }, &[uneven])[0].loss;
                assert!((bent - value).abs() < 1e-12, "{loss:?}, {divergence:?}: {bent}");
            }
        }
    }

    /// Exactly the losses for which `smooths` holds depend on label_smoothing.
    #[test]
    fn label_smoothing_is_read_where_it_is_said_to_be() {
        for loss in losses() {
            let with = |label_smoothing| PairOptions { label_smoothing, ..options(Divergence::ReverseKl) };
            let differs = dpo_heads(loss, &with(0.1), &samples()) != dpo_heads(loss, &with(0.2), &samples());
            assert_eq!(differs, loss.smooths(), "{loss:?}");
        }
    }

    #[test]
    fn far_away_pairs_stay_finite() {
        for loss in losses() {
            let head = dpo_heads(loss, &options(Divergence::ReverseKl), &[far()])[0];
            assert!(head.loss.is_finite() && head.chosen.is_finite() && head.rejected.is_finite(), "{loss:?}");
        }
        let pair = PairScores { chosen: -30.0, ..far() };
        let bent = dpo_heads(DpoLoss::Discopop, &options(Divergence::ForwardKl), &[pair])[0];
        assert!(bent.loss.is_finite() && bent.chosen.is_finite());
    }
}
