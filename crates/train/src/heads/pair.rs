//! Losses over pairs of answers to one prompt: the DPO family, and its relatives without a reference.
//!
//! c = logπ(chosen) − logref(chosen), r likewise for the rejected answer, both sums over answer tokens; h = β(c − r). The
//! papers stand beside the names. ∂loss/∂logπ of each answer is returned with the loss.

use super::scalar::{LARGEST_LOG_PROBABILITY, log_one_minus_exp, log_sigmoid, sigmoid};

/// What the model and its reference say of one pair.
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
    fn c(&self) -> f64 {
        self.chosen - self.reference_chosen
    }

    fn r(&self) -> f64 {
        self.rejected - self.reference_rejected
    }
}

/// A loss and its derivatives by the summed log-probabilities of both answers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct PairHead {
    pub(crate) loss: f64,
    pub(crate) chosen: f64,
    pub(crate) rejected: f64,
}

/// Losses that TRL's `dpo` knows by these names; `sft` is no loss over pairs and stands in `dpo.rs`.
pub(crate) const DPO_LOSSES: &[&str] = &[
    "sigmoid",      // Rafailov et al., arXiv 2305.18290
    "hinge",        // SLiC, Zhao et al., arXiv 2305.10425
    "ipo",          // Azar et al., arXiv 2310.12036
    "exo_pair",     // Ji et al., arXiv 2402.00856
    "nca_pair",     // Chen et al., arXiv 2402.05369
    "robust",       // Chowdhury et al., arXiv 2403.00409
    "bco_pair",     // Jung et al., arXiv 2404.04656
    "sppo_hard",    // Wu et al., arXiv 2405.00675
    "aot",          // Melnyk et al., arXiv 2406.05882
    "aot_unpaired", // the same
    "apo_zero",     // D'Oosterlinck et al., arXiv 2408.06266
    "apo_down",     // the same
    "discopop",     // Lu et al., arXiv 2406.08414
    "sigmoid_norm", // averages per token, as in Tülu 3, arXiv 2411.15124
    "sft",
];

/// What bends the log-ratios before their difference is taken (Wang et al., arXiv 2309.16240).
pub(crate) const DIVERGENCES: &[&str] = &["reverse_kl", "forward_kl", "js_divergence", "alpha_divergence"];

/// Numbers that shape the loss.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PairOptions {
    pub(crate) beta: f64,
    pub(crate) label_smoothing: f64,
    pub(crate) divergence: String,
    pub(crate) alpha: f64,
    pub(crate) tau: f64,
}

/// The losses of a batch. Only the `aot` losses look at more than one pair at a time.
pub(crate) fn dpo_heads(loss: &str, options: &PairOptions, pairs: &[PairScores]) -> Vec<PairHead> {
    match loss {
        "aot" => aot(
            options,
            pairs,
            |p| p.chosen - p.rejected,
            |p| p.reference_chosen - p.reference_rejected,
            [1.0, -1.0],
            [0.0, 0.0],
        ),
        "aot_unpaired" => aot(options, pairs, PairScores::c, PairScores::r, [1.0, 0.0], [0.0, 1.0]),
        _ => pairs.iter().map(|pair| dpo_head(loss, options, pair)).collect(),
    }
}

/// From a loss of h alone to a loss of both answers.
fn of_difference(options: &PairOptions, pair: &PairScores, loss: impl Fn(f64) -> (f64, f64)) -> PairHead {
    let (c, dc) = bend(options, pair.c());
    let (r, dr) = bend(options, pair.r());
    let (loss, slope) = loss(options.beta * (c - r));
    PairHead { loss, chosen: slope * options.beta * dc, rejected: -slope * options.beta * dr }
}

/// f′ of a divergence at the ratio whose logarithm is x, and its derivative by x. Every one is 0 at x = 0, which matters where
/// both sides are divided by different lengths.
fn bend(options: &PairOptions, x: f64) -> (f64, f64) {
    let exp = |x: f64| x.min(80.0).exp();
    match options.divergence.as_str() {
        "forward_kl" => (1.0 - exp(-x), exp(-x)),
        "js_divergence" => (std::f64::consts::LN_2 + log_sigmoid(x), sigmoid(-x)),
        "alpha_divergence" => {
            let power = options.alpha - 1.0;
            ((exp(power * x) - 1.0) / power, exp(power * x))
        }
        _ => (x, 1.0),
    }
}

/// Losses that may be combined with another divergence than reverse KL: those that only look at a difference of both sides,
/// in which what the reference's normaliser adds to each cancels.
pub(crate) const BENDABLE: &[&str] =
    &["sigmoid", "sigmoid_norm", "hinge", "ipo", "exo_pair", "robust", "discopop", "sft"];

/// Losses that read label_smoothing.
pub(crate) const SMOOTHED: &[&str] = &["robust", "exo_pair", "aot", "aot_unpaired"];

fn dpo_head(loss: &str, options: &PairOptions, pair: &PairScores) -> PairHead {
    let (beta, smoothing) = (options.beta, options.label_smoothing);
    let (c, r) = (pair.c(), pair.r());
    let (n, m) = (pair.chosen_tokens.max(1.0), pair.rejected_tokens.max(1.0));
    let difference = |loss: &dyn Fn(f64) -> (f64, f64)| of_difference(options, pair, loss);
    let head = |loss, chosen, rejected| PairHead { loss, chosen, rejected };
    match loss {
        "hinge" => difference(&|h| ((1.0 - h).max(0.0), if h < 1.0 { -1.0 } else { 0.0 })),
        "ipo" => {
            let ((c, dc), (r, dr)) = (bend(options, c), bend(options, r));
            let gap = c / n - r / m - 0.5 / beta;
            head(gap * gap, 2.0 * gap * dc / n, -2.0 * gap * dr / m)
        }
        "exo_pair" => difference(&|h| {
            let (q, e) = (sigmoid(h), smoothing);
            let (low, high) = (log_sigmoid(h) - (1.0 - e).ln(), log_sigmoid(-h) - e.ln());
            (q * low + (1.0 - q) * high, q * (1.0 - q) * (h - ((1.0 - e) / e).ln()))
        }),
        "nca_pair" => head(
            -log_sigmoid(beta * c) - 0.5 * log_sigmoid(-beta * c) - 0.5 * log_sigmoid(-beta * r),
            beta * (0.5 * sigmoid(beta * c) - sigmoid(-beta * c)),
            0.5 * beta * sigmoid(beta * r),
        ),
        "robust" => difference(&|h| {
            let scale = 1.0 - 2.0 * smoothing;
            let loss = (-(1.0 - smoothing) * log_sigmoid(h) + smoothing * log_sigmoid(-h)) / scale;
            (loss, -sigmoid(-h) - smoothing / scale)
        }),
        "bco_pair" => {
            head(-log_sigmoid(beta * c) - log_sigmoid(-beta * r), -beta * sigmoid(-beta * c), beta * sigmoid(beta * r))
        }
        "sppo_hard" => {
            let (a, b) = (c - 0.5 / beta, r + 0.5 / beta);
            head(a * a + b * b, 2.0 * a, 2.0 * b)
        }
        "apo_zero" => {
            let (p, q) = (sigmoid(beta * c), sigmoid(beta * r));
            head(1.0 - p + q, -beta * p * (1.0 - p), beta * q * (1.0 - q))
        }
        "apo_down" => {
            let (p, q) = (sigmoid(beta * c), sigmoid(beta * (c - r)));
            let slope = beta * q * (1.0 - q);
            head(p + 1.0 - q, beta * p * (1.0 - p) - slope, slope)
        }
        "discopop" => difference(&|h| {
            // Far to the left g vanishes faster than e^(−h) grows; the held exponent keeps 0·∞ out.
            let (g, growth) = (sigmoid(h / options.tau), (-h).min(700.0).exp());
            let loss = (1.0 - g) * -log_sigmoid(h) + g * growth;
            let slope = g * (1.0 - g) / options.tau * (growth + log_sigmoid(h));
            (loss, slope - (1.0 - g) * sigmoid(-h) - g * growth)
        }),
        "sigmoid_norm" => {
            let ((c, dc), (r, dr)) = (bend(options, c), bend(options, r));
            let h = beta * (c / n - r / m);
            head(-log_sigmoid(h), -beta * sigmoid(-h) * dc / n, beta * sigmoid(-h) * dr / m)
        }
        // TRL's sigmoid does not read label_smoothing.
        _ => difference(&|h| (-log_sigmoid(h), -sigmoid(-h))),
    }
}

/// Alignment by optimal transport: two quantities are sorted within the batch and compared slot by slot with the smoothed
/// sigmoid loss. `left` and `right` are their derivatives by (logπ chosen, logπ rejected).
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
        let slope = beta * (-(1.0 - smoothing) * sigmoid(-h) + smoothing * sigmoid(h));
        heads[slot].loss += -(1.0 - smoothing) * log_sigmoid(h) - smoothing * log_sigmoid(-h);
        heads[a].chosen += slope * left[0];
        heads[a].rejected += slope * left[1];
        heads[b].chosen -= slope * right[0];
        heads[b].rejected -= slope * right[1];
    }
    heads
}

/// Losses that TRL's `cpo` knows (Xu et al., arXiv 2401.08417; SimPO: Meng et al., arXiv 2405.14734). No reference.
pub(crate) const CPO_LOSSES: &[&str] = &["sigmoid", "hinge", "ipo", "simpo"];

/// Those of them that read label_smoothing.
pub(crate) const CPO_SMOOTHED: &[&str] = &["sigmoid", "simpo"];

/// True when the loss looks at averages per token.
pub(crate) fn cpo_averages(loss: &str) -> bool {
    matches!(loss, "ipo" | "simpo")
}

/// One pair under `cpo`; `gamma` is SimPO's margin after scaling by β.
pub(crate) fn cpo_head(loss: &str, options: &PairOptions, gamma: f64, pair: &PairScores) -> PairHead {
    let (beta, smoothing) = (options.beta, options.label_smoothing);
    let (n, m) =
        if cpo_averages(loss) { (pair.chosen_tokens.max(1.0), pair.rejected_tokens.max(1.0)) } else { (1.0, 1.0) };
    let x = pair.chosen / n - pair.rejected / m;
    let soft = |h: f64| {
        let loss = -(1.0 - smoothing) * log_sigmoid(h) - smoothing * log_sigmoid(-h);
        (loss, beta * (smoothing * sigmoid(h) - (1.0 - smoothing) * sigmoid(-h)))
    };
    let (loss, slope) = match loss {
        "hinge" => ((1.0 - beta * x).max(0.0), if beta * x < 1.0 { -beta } else { 0.0 }),
        "ipo" => {
            let gap = x - 0.5 / beta;
            (gap * gap, 2.0 * gap)
        }
        "simpo" => soft(beta * x - gamma),
        _ => soft(beta * x),
    };
    PairHead { loss, chosen: slope / n, rejected: -slope / m }
}

/// ORPO's term (Hong et al., arXiv 2403.07691): −λ·log σ(log-odds of the average chosen over the average rejected
/// probability). Returns the head and the log-odds.
pub(crate) fn odds_head(lambda: f64, pair: &PairScores) -> (PairHead, f64) {
    let (n, m) = (pair.chosen_tokens.max(1.0), pair.rejected_tokens.max(1.0));
    let (a, b) = (pair.chosen / n, pair.rejected / m);
    let odds = |a: f64| a - log_one_minus_exp(a);
    // d(odds)/da = 1 / (1 − e^a); flat where a is held.
    let slope = |a: f64| if a > LARGEST_LOG_PROBABILITY { 1.0 } else { 1.0 / -a.exp_m1() };
    let x = odds(a) - odds(b);
    let outer = -lambda * sigmoid(-x);
    let head =
        PairHead { loss: -lambda * log_sigmoid(x), chosen: outer * slope(a) / n, rejected: -outer * slope(b) / m };
    (head, x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(divergence: &str) -> PairOptions {
        PairOptions { beta: 0.4, label_smoothing: 0.1, divergence: divergence.to_owned(), alpha: 0.5, tau: 0.05 }
    }

    fn samples() -> Vec<PairScores> {
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

    /// Central differences of the summed loss by each log-probability.
    fn check(name: &str, heads: &dyn Fn(&[PairScores]) -> Vec<PairHead>) {
        let (pairs, step) = (samples(), 1e-6);
        let total = |pairs: &[PairScores]| heads(pairs).iter().map(|head| head.loss).sum::<f64>();
        for (index, head) in heads(&pairs).iter().enumerate() {
            let slope = |change: &dyn Fn(&mut PairScores, f64)| {
                let moved = |by: f64| {
                    let mut pairs = pairs.clone();
                    change(&mut pairs[index], by);
                    total(&pairs)
                };
                (moved(step) - moved(-step)) / (2.0 * step)
            };
            let chosen = slope(&|pair, by| pair.chosen += by);
            let rejected = slope(&|pair, by| pair.rejected += by);
            assert!((chosen - head.chosen).abs() < 1e-6 * chosen.abs().max(1.0), "{name}: {chosen} {}", head.chosen);
            assert!((rejected - head.rejected).abs() < 1e-6 * rejected.abs().max(1.0), "{name}: {rejected}");
        }
    }

    #[test]
    fn derivatives_agree_with_finite_differences() {
        for loss in DPO_LOSSES.iter().filter(|loss| **loss != "sft") {
            check(loss, &|pairs| dpo_heads(loss, &options("reverse_kl"), pairs));
        }
        for divergence in DIVERGENCES {
            for loss in BENDABLE.iter().filter(|loss| **loss != "sft") {
                check(&format!("{loss}, {divergence}"), &|pairs| dpo_heads(loss, &options(divergence), pairs));
            }
        }
        for loss in CPO_LOSSES {
            let heads = |pairs: &[PairScores]| -> Vec<PairHead> {
                pairs.iter().map(|pair| cpo_head(loss, &options("reverse_kl"), 0.3, pair)).collect()
            };
            check(loss, &heads);
        }
        check("orpo", &|pairs| pairs.iter().map(|pair| odds_head(0.1, pair).0).collect());
    }

    #[test]
    fn a_policy_at_its_reference_starts_where_arithmetic_says() {
        let ln2 = std::f64::consts::LN_2;
        let start = PairScores { chosen_tokens: 4.0, rejected_tokens: 4.0, ..PairScores::default() };
        let options = PairOptions { beta: 0.1, label_smoothing: 0.0, ..options("reverse_kl") };
        let expected = [
            ("sigmoid", ln2),
            ("hinge", 1.0),
            ("ipo", 25.0),
            ("nca_pair", 2.0 * ln2),
            ("robust", ln2),
            ("bco_pair", 2.0 * ln2),
            ("sppo_hard", 50.0),
            ("apo_zero", 1.0),
            ("apo_down", 1.0),
            ("discopop", 0.5 * ln2 + 0.5),
            ("sigmoid_norm", ln2),
            ("aot", ln2),
        ];
        for (loss, value) in expected {
            let found = dpo_heads(loss, &options, &[start])[0].loss;
            assert!((found - value).abs() < 1e-12, "{loss}: {found}");
            for divergence in DIVERGENCES.iter().filter(|_| BENDABLE.contains(&loss)) {
                let uneven = PairScores { rejected_tokens: 9.0, ..start };
                let options = PairOptions { divergence: (*divergence).to_owned(), ..options.clone() };
                let bent = dpo_heads(loss, &options, &[uneven])[0].loss;
                assert!((bent - value).abs() < 1e-12, "{loss}, {divergence}: {bent}");
            }
        }
    }

    /// The losses that read the share of wrong labels are exactly those that are said to.
    #[test]
    fn label_smoothing_is_read_where_it_is_said_to_be() {
        for loss in DPO_LOSSES.iter().filter(|loss| **loss != "sft") {
            let with = |label_smoothing| PairOptions { label_smoothing, ..options("reverse_kl") };
            let differs = dpo_heads(loss, &with(0.1), &samples()) != dpo_heads(loss, &with(0.2), &samples());
            assert_eq!(differs, SMOOTHED.contains(loss), "{loss}");
        }
        for loss in CPO_LOSSES {
            let with = |label_smoothing| PairOptions { label_smoothing, ..options("reverse_kl") };
            let differs =
                cpo_head(loss, &with(0.1), 0.3, &samples()[0]) != cpo_head(loss, &with(0.2), 0.3, &samples()[0]);
            assert_eq!(differs, CPO_SMOOTHED.contains(loss), "{loss}");
        }
    }

    #[test]
    fn far_away_pairs_stay_finite() {
        let far =
            PairScores { chosen: -900.0, rejected: 0.0, chosen_tokens: 1.0, rejected_tokens: 1.0, ..samples()[0] };
        for loss in DPO_LOSSES.iter().filter(|loss| **loss != "sft") {
            let head = dpo_heads(loss, &options("reverse_kl"), &[far])[0];
            assert!(head.loss.is_finite() && head.chosen.is_finite() && head.rejected.is_finite(), "{loss}");
        }
        let bent = dpo_heads("discopop", &options("forward_kl"), &[PairScores { chosen: -30.0, ..far }])[0];
        assert!(bent.loss.is_finite() && bent.chosen.is_finite());
        let (head, odds) = odds_head(0.1, &far);
        assert!(head.loss.is_finite() && head.rejected.is_finite() && odds.is_finite());
    }
}
