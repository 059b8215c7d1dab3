//! Shared by methods over pairs: rows to sequences, micro-batches of pairs, and the metrics that all of them log.

use crate::encode::{Encoded, Encoder, Item, Prepared, Row, Skipped, or_left_out};
use crate::error::Result;
use alidade_domain::{Example, PreferencePair, wording};
use alidade_model::{TokenBatch, TokenRow, TokenScores};
use std::collections::BTreeMap;
use std::ops::Range;

/// Pairs as items of two sequences of at most `limit` tokens, chosen first; unusable rows are listed.
pub(crate) fn prepare(rows: &[Example], encoder: &Encoder, limit: usize) -> Result<Prepared> {
    let mut prepared = Prepared::default();
    for (index, example) in rows.iter().enumerate() {
        let row = index + 1;
        match or_left_out(pair(example, encoder, limit, &mut prepared))? {
            Ok(sequences) => {
                let given = if let Example::Pair(pair) = example { Some(pair) } else { None };
                let label = given.and_then(|pair| pair.margin).unwrap_or(0.0);
                let harmful = given.and_then(|pair| pair.harmful);
                prepared.items.push(Item { label, harmful, ..Item::new(row, sequences) });
            }
            Err(reason) => prepared.skipped.push(Skipped { row, reason }),
        }
    }
    prepared.or_nothing(rows.len())
}

fn pair(example: &Example, encoder: &Encoder, limit: usize, prepared: &mut Prepared) -> Result<Row<Vec<TokenRow>>> {
    let both: [Encoded; 2] = match example {
        Example::Pair(PreferencePair { prompt, chosen, rejected, .. }) => encoder.pair(prompt, [chosen, rejected])?,
        Example::PlainPair { prompt, chosen, rejected } => encoder.plain_pair(prompt, [chosen, rejected])?,
        _ => return Ok(Err(wording!("it is not a pair of answers", "它不是一对回答"))),
    };
    prepared.moved_borders += usize::from(both.iter().any(|encoded| encoded.moved_border));
    let [Some((chosen, cut)), Some((rejected, other_cut))] = both.map(|encoded| encoded.fit(limit)) else {
        return Ok(Err(wording!("its prompt alone fills max_length", "仅提问就占满了 max_length")));
    };
    let rows = vec![chosen.row(), rejected.row()];
    if rows[0] == rows[1] {
        return Ok(Err(wording!("both answers are the same within max_length", "两个回答在 max_length 之内相同")));
    }
    if rows.iter().any(|row| row.scored_tokens() == 0) {
        return Ok(Err(wording!("one of its answers is empty", "其中一个回答为空")));
    }
    prepared.truncated += usize::from(cut || other_cut);
    Ok(Ok(rows))
}

/// A micro-batch of pairs: all chosen rows, then all rejected ones.
pub(super) struct PairBatch {
    pub(super) tokens: TokenBatch,
    pub(super) real_tokens: u64,
    pub(super) pairs: usize,
    ranges: Vec<Range<usize>>,
}

impl PairBatch {
    pub(super) fn new(items: &[&Item]) -> Result<Self> {
        let side = |side: usize| items.iter().map(move |item| item.sequences[side].clone());
        let rows: Vec<TokenRow> = side(0).chain(side(1)).collect();
        let tokens = TokenBatch::new(&rows)?;
        let real_tokens = rows.iter().map(|row| row.ids.len() as u64).sum();
        Ok(Self { ranges: tokens.target_ranges(), tokens, real_tokens, pairs: items.len() })
    }

    /// Scored tokens of the chosen answer of a pair, as a range of the scores.
    pub(super) fn chosen(&self, pair: usize) -> Range<usize> {
        self.ranges[pair].clone()
    }

    /// The same for its rejected answer.
    pub(super) fn rejected(&self, pair: usize) -> Range<usize> {
        self.ranges[self.pairs + pair].clone()
    }

    /// Where the scores of rejected answers begin.
    pub(super) fn border(&self) -> usize {
        self.ranges[self.pairs - 1].end
    }
}

pub(super) fn sum(values: &[f64], range: Range<usize>) -> f64 {
    values[range].iter().sum()
}

/// Sums over the pairs and over the answer tokens of a step.
#[derive(Default)]
pub(super) struct Totals {
    sums: BTreeMap<&'static str, f64>,
    pub(super) tokens: u64,
    chosen_tokens: f64,
    rejected_tokens: f64,
    chosen_logits: f64,
    rejected_logits: f64,
    chosen_top: f64,
    entropy: f64,
}

impl Totals {
    /// Adds to a metric that is averaged over pairs.
    pub(super) fn add(&mut self, name: &'static str, value: f64) {
        *self.sums.entry(name).or_default() += value;
    }

    /// The rewards of one pair.
    pub(super) fn add_rewards(&mut self, chosen: f64, rejected: f64) {
        self.add("rewards/chosen", chosen);
        self.add("rewards/rejected", rejected);
        self.add("rewards/margins", chosen - rejected);
        self.add("rewards/accuracies", f64::from(u8::from(chosen > rejected)));
    }

    /// `border` is the number of scored tokens that belong to chosen answers, which come first.
    pub(super) fn add_tokens(&mut self, scores: &TokenScores, border: usize) {
        self.chosen_tokens += border as f64;
        self.rejected_tokens += (scores.logp.len() - border) as f64;
        self.chosen_logits += scores.mean_logit[..border].iter().sum::<f64>();
        self.rejected_logits += scores.mean_logit[border..].iter().sum::<f64>();
        self.chosen_top += scores.top[..border].iter().filter(|top| **top).count() as f64;
        self.entropy += scores.entropy.iter().sum::<f64>();
    }

    /// The sum of a metric so far.
    pub(super) fn sum(&self, name: &str) -> f64 {
        self.sums.get(name).copied().unwrap_or(0.0)
    }

    /// Averages over `pairs`, and over tokens for metrics of tokens.
    pub(super) fn metrics(self, pairs: f64) -> BTreeMap<String, f64> {
        let mut metrics: BTreeMap<String, f64> =
            self.sums.into_iter().map(|(name, sum)| (name.to_owned(), sum / pairs)).collect();
        if self.chosen_tokens > 0.0 {
            let per_token = [
                ("logits/chosen", self.chosen_logits / self.chosen_tokens),
                ("logits/rejected", self.rejected_logits / self.rejected_tokens),
                ("mean_token_accuracy", self.chosen_top / self.chosen_tokens),
                ("entropy", self.entropy / (self.chosen_tokens + self.rejected_tokens)),
            ];
            metrics.extend(per_token.map(|(name, value)| (name.to_owned(), value)));
        }
        metrics
    }
}
