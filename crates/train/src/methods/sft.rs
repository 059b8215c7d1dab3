//! Supervised fine-tuning: the model learns to generate the given answers.
//!
//! L = (1/N)·Σ −ℓ_t over the learned tokens of the whole optimizer batch; N is counted before the first micro-batch, so
//! that accumulation does not change the loss. Dropout is on in training.

use super::watch::LOSS;
use crate::about::{About, Goal, Starter};
use crate::declare::{automatic, choice, flag, number, settings};
use crate::encode::{Encoded, Encoder, Item, Prepared, Row, Skipped, or_left_out};
use crate::error::Result;
use crate::method::{Method, Training};
use crate::packing::{PackingStrategy, pack};
use crate::session::{End, Session};
use crate::settings::{CommonSettings, Defaults, SamplingStrategy, common};
use crate::step::{StepBatch, StepOutcome};
use alidade_domain::{
    At, Chart, DatasetKind, Example, Metric, PreferencePair, Problem, Reading, SettingField,
    SettingValue::{Number, Whole},
    Settings, Sign, Watch, Words, wording,
};
use alidade_model::{Policy, TokenBatch, TokenRow};
use std::collections::BTreeMap;

/// The method.
pub(crate) struct Sft;

const ACCURACY: Metric = Metric::new("mean_token_accuracy", "token accuracy", "词元准确率");
const DEFAULTS: Defaults =
    Defaults { learning_rate: 2e-4, epochs: 3.0, warmup_ratio: 0.03, order: SamplingStrategy::Random };

settings! {
    struct Own {
        completion_only_loss: Option<bool> = automatic(), Advanced,
            "Learn answers only" "只学习回答",
            "Prompts are read but not learned."
            "提问只读入，不学习。";
        assistant_only_loss: bool = flag(false), Advanced,
            "Learn assistant turns only" "只学习助手的发言",
            "In conversations, other speakers' turns are read but not learned."
            "对话中其他人的发言只读入，不学习。";
        packing: bool = flag(false), Advanced,
            "Packing" "打包",
            "Pack several rows into one full row, so that no time is spent on padding; rows do not attend to each other."
            "把多条样本打包成一条长序列，不在填充上浪费时间；各条互不可见。";
        packing_strategy: PackingStrategy = choice(PackingStrategy::Bfd), Advanced,
            "Packing strategy" "打包方式",
            "Best fit with long rows cut, the same with the cut part kept as further rows, or rows joined end to end and cut."
            "最佳适配并截断过长的样本；同上，但截下的部分作为更多的样本保留；或首尾相接后切分。";
        neftune_noise_alpha: f64 = number(0.0, 1000.0, 0.0), Advanced,
            "Embedding noise" "嵌入噪声",
            "Random noise on the embeddings in training (NEFTune). 5 is usual, 0 switches it off."
            "训练时加在嵌入上的随机噪声（NEFTune）。常用 5，0 表示关闭。";
    }
}

/// A run of it.
struct Run {
    common: CommonSettings,
    own: Own,
}

impl Method for Sft {
    fn name(&self) -> &'static str {
        "sft"
    }

    fn about(&self) -> About {
        About {
            label: Words::name("SFT"),
            title: Words::new("Supervised fine-tuning", "监督微调"),
            summary: Words::new(
                "Shows the model good answers, from which it learns to give such answers.",
                "让模型看到好的回答，并学会给出这样的回答。",
            ),
            why: Words::new(
                "shows the model good answers, so that it can give such answers.",
                "让模型见到好的回答，使它能够给出这样的回答。",
            ),
            paper: "Ouyang et al., Training language models to follow instructions with human feedback, 2022",
            learns_from: vec![DatasetKind::Answers, DatasetKind::Texts],
            variants: Vec::new(),
        }
    }

    fn fields(&self) -> Vec<SettingField> {
        [common(&DEFAULTS), Own::fields()].concat()
    }

    fn watch(&self) -> Watch {
        Watch {
            charts: vec![
                Chart::of(LOSS),
                Chart::of(ACCURACY),
                Chart::beside(Metric::new("grad_norm", "gradient norm", "梯度范数")),
                Chart::beside(Metric::new("learning_rate", "learning rate", "学习率")),
            ],
            needs: vec![LOSS.key],
            readings: vec![
                Reading::alarm(
                    "loss_rises",
                    [Sign::above(LOSS.key, 0.0).plus(1.1, LOSS.key, At::First)],
                    "The loss rises. The learning rate is probably too high.",
                    "损失在上升。学习率很可能太高。",
                ),
                Reading::calm(
                    "loss_falls",
                    [Sign::below(LOSS.key, 0.0).plus(0.97, LOSS.key, At::First)],
                    "The loss falls: the model is learning these answers.",
                    "损失在下降：模型正在学会这些回答。",
                ),
                Reading::calm(
                    "loss_flat",
                    [],
                    "The loss hardly moves. If it stays so, the learning rate may be too low, or the model already gives such answers.",
                    "损失几乎不变。若一直如此，可能学习率太低，或者模型本来就会这样回答。",
                ),
            ],
            margin: None,
        }
    }

    fn starter(&self) -> Starter {
        let settings = vec![
            ("learning_rate", Number(2e-3)),
            ("num_train_epochs", Number(3.0)),
            ("per_device_train_batch_size", Whole(16)),
        ];
        let goals = vec![Goal { id: "answers", before: &[], settings: vec![], words: None }];
        Starter { settings, goals }
    }

    fn read(&self, settings: &Settings) -> std::result::Result<Box<dyn Training>, Problem> {
        Ok(Box::new(Run { common: CommonSettings::of(settings)?, own: Own::read(settings)? }))
    }
}

impl Training for Run {
    fn common(&self) -> &CommonSettings {
        &self.common
    }

    fn prepare(&self, rows: &[Example], encoder: &Encoder) -> Result<Prepared> {
        // Some strategies keep what they cut as further rows, so nothing is truncated before packing.
        let keeps = self.own.packing && self.own.packing_strategy.keeps_all();
        let limit = if keeps { usize::MAX } else { self.common.max_length };
        let mut prepared = Prepared { packed: self.own.packing, ..Prepared::default() };
        for (index, example) in rows.iter().enumerate() {
            let row = index + 1;
            match or_left_out(sequence(example, encoder, &self.own, limit, &mut prepared))? {
                Ok(sequence) => prepared.items.push(Item::new(row, vec![sequence])),
                Err(reason) => prepared.skipped.push(Skipped { row, reason }),
            }
        }
        if self.own.packing {
            let items = std::mem::take(&mut prepared.items);
            prepared.items = packed(items, self.common.max_length, self.own.packing_strategy);
        }
        prepared.or_nothing(rows.len())
    }

    fn train(&self, session: &mut Session, prepared: &Prepared) -> Result<End> {
        let noise = self.own.neftune_noise_alpha;
        session.optimise(&prepared.items, &self.common, &mut |policy, batch| step(policy, batch, noise))
    }
}

/// Items of several documents each, as full as `limit` allows.
fn packed(items: Vec<Item>, limit: usize, strategy: PackingStrategy) -> Vec<Item> {
    let rows = items.into_iter().flat_map(|item| item.sequences.into_iter().map(move |row| (item.row, row))).collect();
    let item = |bin: crate::packing::Bin| {
        let row = bin.first().map_or(0, |(row, _)| *row);
        Item::new(row, bin.into_iter().map(|(_, document)| document).collect())
    };
    let learns = |item: &Item| item.sequences.iter().any(|row| row.scored.iter().skip(1).any(|scored| *scored));
    pack(rows, limit, strategy).into_iter().map(item).filter(learns).collect()
}

/// The token row of an example, or the reason why there is none.
fn sequence(
    example: &Example,
    encoder: &Encoder,
    own: &Own,
    limit: usize,
    prepared: &mut Prepared,
) -> Result<Row<TokenRow>> {
    let answer_only = own.completion_only_loss.unwrap_or(true);
    let encoded = match example {
        Example::Answer { prompt, completion } => encoder.answer(prompt, completion)?,
        Example::Pair(PreferencePair { prompt, chosen, .. }) => encoder.answer(prompt, chosen)?,
        Example::PlainAnswer { prompt, completion } => encoder.plain_answer(prompt, completion)?,
        Example::PlainPair { prompt, chosen, .. } => encoder.plain_answer(prompt, chosen)?,
        Example::Rated { prompt, completion, label: true } => encoder.answer(prompt, completion)?,
        Example::PlainRated { prompt, completion, label: true } => encoder.plain_answer(prompt, completion)?,
        Example::Rated { .. } | Example::PlainRated { .. } => {
            return Ok(Err(wording!("its label is false", "它的标签是 false")));
        }
        Example::Prompt { .. } => return Ok(Err(wording!("it has no answer", "它没有回答"))),
        Example::Conversation { messages } if own.assistant_only_loss => {
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

fn fit(encoded: Encoded, limit: usize, prepared: &mut Prepared) -> Row<TokenRow> {
    let moved = encoded.moved_border;
    let Some((encoded, was_cut)) = encoded.fit(limit) else {
        return Err(wording!("its prompt alone fills max_length", "仅提问就占满了 max_length"));
    };
    prepared.moved_borders += usize::from(moved);
    let row = encoded.row();
    if row.scored_tokens() == 0 {
        return Err(wording!("its answer is empty", "它的回答为空"));
    }
    prepared.truncated += usize::from(was_cut);
    Ok(row)
}

fn cut(mut row: TokenRow, limit: usize, prepared: &mut Prepared) -> Row<TokenRow> {
    let was_cut = row.ids.len() > limit;
    row.ids.truncate(limit);
    row.scored.truncate(limit);
    if row.scored_tokens() == 0 {
        return Err(wording!("it has no tokens to learn", "其中没有可供学习的词元"));
    }
    prepared.truncated += usize::from(was_cut);
    Ok(row)
}

fn step(policy: &mut Policy, batch: &StepBatch, noise: f64) -> Result<StepOutcome> {
    let rows = || batch.micro_batches.iter().flatten().flat_map(|item| &item.sequences);
    // The first token of a document is never predicted, wherever it is in a packed row.
    let learned = rows().map(|row| row.scored.iter().skip(1).filter(|scored| **scored).count()).sum::<usize>() as f64;
    let tokens = rows().map(|row| row.ids.len() as u64).sum();
    let mut totals = Totals::default();
    for (index, micro_batch) in batch.micro_batches.iter().enumerate() {
        let bins: Vec<Vec<TokenRow>> = micro_batch.iter().map(|item| item.sequences.clone()).collect();
        let batch_tokens = match bins.iter().all(|bin| bin.len() == 1) {
            true => TokenBatch::new(&bins.concat())?,
            false => TokenBatch::packed(&bins)?,
        };
        let scores = policy.forward_noisy(&batch_tokens, batch.dropout(index), noise)?;
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
