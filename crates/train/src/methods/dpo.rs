//! Direct preference optimisation (Rafailov et al., arXiv 2305.18290): of two answers to one prompt, the preferred one
//! becomes likelier relative to the reference, the other one less likely.
//!
//! c = logπ(chosen) − logref(chosen), r likewise; h = β(c − r); loss = −log σ(h); ∂loss/∂c = −βσ(−h), ∂loss/∂r = +βσ(−h).
//! Log-probabilities are sums over the answer. Dropout is off, so that the policy starts exactly at its reference.

use crate::encode::{Encoded, Encoder, Item, Prepared, Skipped};
use crate::error::{Result, TrainError};
use crate::method::Method;
use crate::session::{End, Session, StepBatch, StepOutcome};
use crate::settings::{Defaults, choice, common, number};
use alidade_domain::{DatasetKind, Example, MethodCard, MethodName, PreferencePair, SettingLevel, Settings};
use alidade_model::{Policy, TokenBatch, TokenRow, TokenScores};
use std::collections::BTreeMap;
use std::ops::Range;

/// The method.
pub(crate) struct Dpo;

const DEFAULTS: Defaults = Defaults { learning_rate: 5e-6, epochs: 1.0, warmup_ratio: 0.1 };

impl Method for Dpo {
    fn name(&self) -> MethodName {
        MethodName::Dpo
    }

    fn card(&self) -> MethodCard {
        let mut settings = common(&DEFAULTS);
        let beta = "How firmly the policy is held to its reference: smaller moves further.";
        settings.push(number("beta", (1e-6, 1000.0), 0.1, SettingLevel::Simple, beta));
        settings.push(choice(
            "loss_type",
            &["sigmoid"],
            "sigmoid",
            SettingLevel::Advanced,
            "Which loss of the family.",
        ));
        let smoothing = "Share of labels taken to be wrong; the sigmoid loss, as in TRL, does not read it.";
        settings.push(number("label_smoothing", (0.0, 0.5), 0.0, SettingLevel::Advanced, smoothing));
        MethodCard {
            name: MethodName::Dpo,
            title: "Direct preference optimisation",
            summary: "Shows the model pairs of answers and moves it towards the preferred ones.",
            paper: "Rafailov et al., Direct Preference Optimization: Your Language Model is Secretly a Reward Model, 2023",
            needs: vec![DatasetKind::Pairs],
            settings,
        }
    }

    fn prepare(&self, rows: &[Example], encoder: &Encoder, settings: &Settings) -> Result<Prepared> {
        let limit = settings.whole("max_length").max(1) as usize;
        let mut prepared = Prepared::default();
        for (index, example) in rows.iter().enumerate() {
            let row = index + 1;
            match pair(example, encoder, limit, &mut prepared)? {
                Ok(sequences) => prepared.items.push(Item { row, sequences }),
                Err(reason) => prepared.skipped.push(Skipped { row, reason }),
            }
        }
        if prepared.items.is_empty() {
            let reason = prepared.skipped.first().map_or("the data set is empty", |skipped| skipped.reason);
            return Err(TrainError::NoRows { given: rows.len(), reason: reason.to_owned() });
        }
        Ok(prepared)
    }

    fn train(&self, session: &mut Session, prepared: &Prepared, settings: &Settings) -> Result<End> {
        let beta = settings.number("beta");
        session.optimise(&prepared.items, settings, &mut |policy, batch| step(policy, batch, beta))
    }
}

type Sequences = std::result::Result<Vec<TokenRow>, &'static str>;

fn pair(example: &Example, encoder: &Encoder, limit: usize, prepared: &mut Prepared) -> Result<Sequences> {
    let both: [Encoded; 2] = match example {
        Example::Pair(PreferencePair { prompt, chosen, rejected, .. }) => {
            [encoder.answer(prompt, chosen)?, encoder.answer(prompt, rejected)?]
        }
        Example::PlainPair { prompt, chosen, rejected } => {
            [encoder.plain_answer(prompt, chosen)?, encoder.plain_answer(prompt, rejected)?]
        }
        _ => return Ok(Err("it is no pair of answers")),
    };
    prepared.moved_borders += usize::from(both.iter().any(|encoded| encoded.moved_border));
    let [Some((chosen, cut)), Some((rejected, other_cut))] = both.map(|encoded| encoded.fit(limit)) else {
        return Ok(Err("its prompt alone fills max_length"));
    };
    let rows = vec![chosen.row(), rejected.row()];
    if rows[0] == rows[1] {
        return Ok(Err("both answers are the same within max_length"));
    }
    if rows.iter().any(|row| row.scored_tokens() == 0) {
        return Ok(Err("one of its answers is empty"));
    }
    prepared.truncated += usize::from(cut || other_cut);
    Ok(Ok(rows))
}

/// Loss of one pair and its coefficients.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Head {
    loss: f64,
    chosen_gradient: f64,
    rejected_gradient: f64,
}

/// −log σ(β(c − r)) and its derivatives by c and r.
fn sigmoid_head(beta: f64, c: f64, r: f64) -> Head {
    let h = beta * (c - r);
    let slope = beta / (1.0 + h.exp());
    Head { loss: (-h.abs()).exp().ln_1p() - h.min(0.0), chosen_gradient: -slope, rejected_gradient: slope }
}

fn step(policy: &mut Policy, batch: &StepBatch, beta: f64) -> Result<StepOutcome> {
    let pairs = batch.items() as f64;
    let mut totals = Totals::default();
    for micro_batch in &batch.micro_batches {
        let chosen = micro_batch.iter().map(|item| item.sequences[0].clone());
        let rejected = micro_batch.iter().map(|item| item.sequences[1].clone());
        let rows: Vec<TokenRow> = chosen.chain(rejected).collect();
        totals.tokens += rows.iter().map(|row| row.ids.len() as u64).sum::<u64>();
        let tokens = TokenBatch::new(&rows)?;
        let (ranges, half) = (tokens.target_ranges(), micro_batch.len());
        let reference = policy.reference_scores(&tokens)?;
        let scores = policy.forward(&tokens, None)?;
        let mut coefficients = vec![0.0; scores.logp.len()];
        for pair in 0..half {
            let (chosen, rejected) = (&ranges[pair], &ranges[half + pair]);
            let log_ratio = |range: &Range<usize>| sum(&scores.logp, range) - sum(&reference.logp, range);
            let (c, r) = (log_ratio(chosen), log_ratio(rejected));
            let head = sigmoid_head(beta, c, r);
            coefficients[chosen.clone()].fill(head.chosen_gradient / pairs);
            coefficients[rejected.clone()].fill(head.rejected_gradient / pairs);
            totals.add_pair(beta, c, r, head.loss, sum(&scores.logp, chosen), sum(&scores.logp, rejected));
        }
        totals.add_tokens(&scores, ranges[half - 1].end);
        policy.backward(&coefficients)?;
    }
    Ok(StepOutcome {
        loss: totals.sums.remove("loss").unwrap_or(0.0) / pairs,
        tokens: totals.tokens,
        metrics: totals.metrics(pairs),
    })
}

fn sum(values: &[f64], range: &Range<usize>) -> f64 {
    values[range.clone()].iter().sum()
}

/// Sums over the pairs and over the answer tokens of a step.
#[derive(Default)]
struct Totals {
    sums: BTreeMap<&'static str, f64>,
    tokens: u64,
    chosen_tokens: f64,
    rejected_tokens: f64,
    chosen_logits: f64,
    rejected_logits: f64,
    chosen_top: f64,
    entropy: f64,
}

impl Totals {
    fn add_pair(&mut self, beta: f64, c: f64, r: f64, loss: f64, chosen_logp: f64, rejected_logp: f64) {
        let figures = [
            ("loss", loss),
            ("rewards/chosen", beta * c),
            ("rewards/rejected", beta * r),
            ("rewards/margins", beta * (c - r)),
            ("rewards/accuracies", f64::from(u8::from(c > r))),
            ("logps/chosen", chosen_logp),
            ("logps/rejected", rejected_logp),
        ];
        figures.into_iter().for_each(|(name, value)| *self.sums.entry(name).or_default() += value);
    }

    /// `border` is the number of scored tokens that belong to chosen answers; they stand first.
    fn add_tokens(&mut self, scores: &TokenScores, border: usize) {
        self.chosen_tokens += border as f64;
        self.rejected_tokens += (scores.logp.len() - border) as f64;
        self.chosen_logits += scores.mean_logit[..border].iter().sum::<f64>();
        self.rejected_logits += scores.mean_logit[border..].iter().sum::<f64>();
        self.chosen_top += scores.top[..border].iter().filter(|top| **top).count() as f64;
        self.entropy += scores.entropy.iter().sum::<f64>();
    }

    fn metrics(self, pairs: f64) -> BTreeMap<String, f64> {
        let mut metrics: BTreeMap<String, f64> =
            self.sums.into_iter().map(|(name, sum)| (name.to_owned(), sum / pairs)).collect();
        let per_token = [
            ("logits/chosen", self.chosen_logits / self.chosen_tokens),
            ("logits/rejected", self.rejected_logits / self.rejected_tokens),
            ("mean_token_accuracy", self.chosen_top / self.chosen_tokens),
            ("entropy", self.entropy / (self.chosen_tokens + self.rejected_tokens)),
        ];
        metrics.extend(per_token.map(|(name, value)| (name.to_owned(), value)));
        metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_policy_starts_at_ln_2() {
        let head = sigmoid_head(0.1, 0.0, 0.0);
        assert!((head.loss - std::f64::consts::LN_2).abs() < 1e-15);
        assert!((head.chosen_gradient + 0.05).abs() < 1e-15);
    }

    #[test]
    fn coefficients_agree_with_finite_differences() {
        let step = 1e-6;
        for (c, r) in [(0.3, -0.4), (-2.0, 5.0), (60.0, -60.0), (-500.0, 900.0)] {
            let head = sigmoid_head(0.7, c, r);
            let slope = |dc: f64, dr: f64| {
                (sigmoid_head(0.7, c + dc, r + dr).loss - sigmoid_head(0.7, c - dc, r - dr).loss) / (2.0 * step)
            };
            assert!((slope(step, 0.0) - head.chosen_gradient).abs() < 1e-6, "c at ({c}, {r})");
            assert!((slope(0.0, step) - head.rejected_gradient).abs() < 1e-6, "r at ({c}, {r})");
            assert!(head.loss.is_finite());
        }
    }
}
