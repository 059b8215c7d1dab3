//! Supervised fine-tuning: the model learns to write the given answers.
//!
//! L = (1/N)·Σ −ℓ_t over the learned tokens of the whole optimizer batch; N is counted before the first micro-batch, so
//! that accumulation does not change the loss. Dropout is on in training.

use crate::encode::{Encoded, Encoder, Item, Prepared, Skipped};
use crate::error::{Result, TrainError};
use crate::method::Method;
use crate::session::{End, Session, StepBatch, StepOutcome};
use crate::settings::{Defaults, common};
use alidade_domain::{
    DatasetKind, Example, MethodCard, MethodName, PreferencePair, SettingField, SettingKind, SettingLevel,
    SettingValue, Settings,
};
use alidade_model::{Policy, TokenBatch, TokenRow};
use std::collections::BTreeMap;

/// The method.
pub(crate) struct Sft;

const DEFAULTS: Defaults = Defaults { learning_rate: 2e-4, epochs: 3.0, warmup_ratio: 0.03 };

impl Method for Sft {
    fn name(&self) -> MethodName {
        MethodName::Sft
    }

    fn card(&self) -> MethodCard {
        let flag = |key, automatic, default, help| SettingField {
            key,
            kind: SettingKind::Flag { automatic },
            default,
            level: SettingLevel::Advanced,
            help,
        };
        let mut settings = common(&DEFAULTS);
        let completion = "Learn the answer only, not the prompt; by itself for rows with a marked prompt.";
        settings.push(flag("completion_only_loss", true, SettingValue::Automatic, completion));
        let assistant = "Learn only the assistant's turns of whole conversations.";
        settings.push(flag("assistant_only_loss", false, SettingValue::Flag(false), assistant));
        MethodCard {
            name: MethodName::Sft,
            title: "Supervised fine-tuning",
            summary: "Shows the model good answers and lets it learn to write them.",
            paper: "Ouyang et al., Training language models to follow instructions with human feedback, 2022",
            needs: vec![DatasetKind::Answers, DatasetKind::Texts],
            settings,
        }
    }

    fn prepare(&self, rows: &[Example], encoder: &Encoder, settings: &Settings) -> Result<Prepared> {
        let mut prepared = Prepared::default();
        for (index, example) in rows.iter().enumerate() {
            let row = index + 1;
            match sequence(example, encoder, settings, &mut prepared)? {
                Ok(sequence) => prepared.items.push(Item { row, sequences: vec![sequence] }),
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
        session.optimise(&prepared.items, settings, &mut step)
    }
}

type Sequence = std::result::Result<TokenRow, &'static str>;

/// The token row of an example, or the reason why there is none.
fn sequence(example: &Example, encoder: &Encoder, settings: &Settings, prepared: &mut Prepared) -> Result<Sequence> {
    let limit = settings.whole("max_length").max(1) as usize;
    let answer_only = settings.flag("completion_only_loss").unwrap_or(true);
    let encoded = match example {
        Example::Answer { prompt, completion } => encoder.answer(prompt, completion)?,
        Example::Pair(PreferencePair { prompt, chosen, .. }) => encoder.answer(prompt, chosen)?,
        Example::PlainAnswer { prompt, completion } => encoder.plain_answer(prompt, completion)?,
        Example::PlainPair { prompt, chosen, .. } => encoder.plain_answer(prompt, chosen)?,
        Example::Rated { prompt, completion, label: true } => encoder.answer(prompt, completion)?,
        Example::Rated { .. } => return Ok(Err("its label is false")),
        Example::Prompt { .. } => return Ok(Err("it has no answer")),
        Example::Conversation { messages } if settings.flag("assistant_only_loss") == Some(true) => {
            return Ok(cut(encoder.assistant_turns(messages)?, limit, prepared));
        }
        Example::Conversation { messages } => {
            let ids = encoder.conversation(messages, alidade_model::Rendering::Whole)?;
            return Ok(cut(TokenRow::all_scored(ids), limit, prepared));
        }
        Example::Text { text } => return Ok(cut(TokenRow::all_scored(encoder.text(text)?), limit, prepared)),
    };
    if answer_only {
        Ok(fit(encoded, limit, prepared))
    } else {
        Ok(cut(TokenRow::all_scored(encoded.ids), limit, prepared))
    }
}

fn fit(encoded: Encoded, limit: usize, prepared: &mut Prepared) -> Sequence {
    let moved = encoded.moved_border;
    let Some((encoded, was_cut)) = encoded.fit(limit) else { return Err("its prompt alone fills max_length") };
    prepared.moved_borders += usize::from(moved);
    let row = encoded.row();
    if row.scored_tokens() == 0 {
        return Err("its answer is empty");
    }
    prepared.truncated += usize::from(was_cut);
    Ok(row)
}

fn cut(mut row: TokenRow, limit: usize, prepared: &mut Prepared) -> Sequence {
    let was_cut = row.ids.len() > limit;
    row.ids.truncate(limit);
    row.scored.truncate(limit);
    if row.scored_tokens() == 0 {
        return Err("nothing in it is learned");
    }
    prepared.truncated += usize::from(was_cut);
    Ok(row)
}

fn step(policy: &mut Policy, batch: &StepBatch) -> Result<StepOutcome> {
    let rows = || batch.micro_batches.iter().flatten().flat_map(|item| &item.sequences);
    let learned = rows().map(TokenRow::scored_tokens).sum::<usize>() as f64;
    let tokens = rows().map(|row| row.ids.len() as u64).sum();
    let mut totals = Totals::default();
    for (index, micro_batch) in batch.micro_batches.iter().enumerate() {
        let rows: Vec<TokenRow> = micro_batch.iter().flat_map(|item| item.sequences.iter().cloned()).collect();
        let scores = policy.forward(&TokenBatch::new(&rows)?, Some(batch.dropout(index)))?;
        totals.add(&scores);
        policy.backward(&vec![-1.0 / learned; scores.logp.len()])?;
    }
    Ok(StepOutcome { loss: totals.nll / learned, metrics: totals.metrics(learned), tokens })
}

/// Sums over the learned tokens of a step.
#[derive(Default)]
struct Totals {
    nll: f64,
    entropy: f64,
    top: f64,
}

impl Totals {
    fn add(&mut self, scores: &alidade_model::TokenScores) {
        self.nll -= scores.logp.iter().sum::<f64>();
        self.entropy += scores.entropy.iter().sum::<f64>();
        self.top += scores.top.iter().filter(|top| **top).count() as f64;
    }

    fn metrics(&self, learned: f64) -> BTreeMap<String, f64> {
        let named = [("entropy", self.entropy), ("mean_token_accuracy", self.top)];
        named.into_iter().map(|(name, sum)| (name.to_owned(), sum / learned)).collect()
    }
}
