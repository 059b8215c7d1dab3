//! Reward models (Ouyang et al., arXiv 2203.02155): the score at the last token of an answer is trained to be higher for the
//! preferred one. The result is an adapter with a trained score head (PEFT's SEQ_CLS).
//!
//! loss = mean −log σ(r_chosen − r_rejected − margin) + c·mean (r_chosen + r_rejected)². Margins come from the rows
//! when `use_margins` is on. With `loss_type = "cost"` it becomes a cost model (Dai et al., arXiv
//! 2310.12773), whose zero separates harmless from harmful answers; rows must say which of their answers are harmful.

use super::advice::longer;
use super::pairs::{Totals, prepare};
use super::watch::{LOSS, both};
use crate::about::{About, Outlook, Starter};
use crate::declare::{Choice, choice, flag, number, settings};
use crate::encode::{Encoder, Item, Prepared, Skipped};
use crate::error::Result;
use crate::heads::reward::{RewardLoss, ScoreHead, bradley_terry, cost};
use crate::method::{Method, Training};
use crate::passes::PassesPerRow;
use crate::session::{End, Session};
use crate::settings::{CommonSettings, Defaults, SamplingStrategy, common};
use crate::step::{StepBatch, StepOutcome};
use alidade_domain::{
    Chart, DatasetKind, Example, Metric, Problem, Reading, SettingField,
    SettingValue::{Number, Whole},
    Settings, Sign, Tone, Variant, Watch, Words, wording,
};
use alidade_model::{Policy, ScorerKind, TokenRow};

/// The method.
pub(crate) struct RewardModelling;

const ACCURACY: Metric = Metric::new("accuracy", "pairs ranked right", "排序正确的对");
const DEFAULTS: Defaults =
    Defaults { learning_rate: 1e-4, epochs: 1.0, warmup_ratio: 0.03, order: SamplingStrategy::Random };

settings! {
    struct Own {
        loss_type: RewardLoss = choice(RewardLoss::BradleyTerry), Advanced,
            "What is scored" "打分内容",
            "How good an answer is, or a cost above 0 for harmful answers."
            "回答有多好，或对有害回答给出大于 0 的代价。";
        center_rewards_coefficient: f64 = number(0.0, 10.0, 0.0), Advanced,
            "Centring" "居中",
            "Keeps the scores of a pair around 0; 0.01 is usual."
            "使一对分数保持在 0 附近；常用 0.01。";
        use_margins: bool = flag(false), Advanced,
            "Use margins" "使用间隔",
            "Require at least the margin that a row gives."
            "至少要求数据中给出的间隔。";
    }
}

/// A run of it.
struct Run {
    common: CommonSettings,
    own: Own,
}

impl Method for RewardModelling {
    fn name(&self) -> &'static str {
        "reward_model"
    }

    fn about(&self) -> About {
        About {
            label: Words::new("Reward model", "奖励模型"),
            title: Words::new("Reward model", "奖励模型"),
            summary: Words::new(
                "Learns to score answers as the pairs rank them; PPO and GRPO can then learn from its scores.",
                "学会按偏好对的排序给回答打分，PPO 和 GRPO 便能从这些分数中学习。",
            ),
            why: Words::new(
                "learns to score answers as the pairs rank them. It generates no answers itself.",
                "学会按偏好对的排序给回答打分，自己并不生成回答。",
            ),
            paper: "Ouyang et al., Training language models to follow instructions with human feedback, 2022",
            learns_from: vec![DatasetKind::Pairs],
            variants: vec![Variant {
                key: "loss_type",
                value: RewardLoss::Cost.name(),
                label: Words::new("Cost model", "代价模型"),
                why: Words::new(
                    "learns to tell harmful answers from harmless ones, so that a policy can be kept below a limit of harm.",
                    "学会区分有害与无害的回答，使策略的有害程度能够保持在限度之内。",
                ),
            }],
        }
    }

    fn fields(&self) -> Vec<SettingField> {
        [common(&DEFAULTS), Own::fields()].concat()
    }

    fn watch(&self) -> Watch {
        Watch {
            charts: vec![
                Chart::of(ACCURACY).usually(0.6, 0.95),
                Chart::of(Metric::new("margin", "score margin", "分数间隔")),
                both(Words::new("scores", "分数"), ["reward_chosen", "reward_rejected"]),
                Chart::of(LOSS),
                Chart::several(
                    Words::new("highest, mean and lowest score", "最高、平均和最低分"),
                    [
                        (Metric::new("max_reward", "highest", "最高"), Tone::Accent),
                        (Metric::new("mean_reward", "mean", "平均"), Tone::Base),
                        (Metric::new("min_reward", "lowest", "最低"), Tone::Dashed),
                    ],
                ),
            ],
            needs: vec![ACCURACY.key],
            readings: vec![
                Reading::calm(
                    "ranks_perfectly",
                    [Sign::above(ACCURACY.key, 0.98)],
                    "The model ranks nearly every pair right. Check on held-out pairs that it has not found a shortcut, such as length.",
                    "模型几乎把每一对都排对了。请在留出集的偏好对上检查它是否找到了捷径，例如长度。",
                ),
                Reading::calm(
                    "ranks_well",
                    [Sign::above(ACCURACY.key, 0.65)],
                    "The model ranks most pairs as your data do.",
                    "模型对大多数数据对的排序与数据一致。",
                ),
                Reading::calm(
                    "ranks_weakly",
                    [],
                    "The model ranks hardly better than chance. It may need more pairs, more steps or a higher learning rate.",
                    "模型的排序几乎与猜测无异。可能需要更多数据对、更多步数或更高的学习率。",
                ),
            ],
            margin: Some("margin"),
        }
    }

    fn starter(&self) -> Starter {
        let settings = vec![
            ("learning_rate", Number(1e-3)),
            ("num_train_epochs", Number(1.0)),
            ("per_device_train_batch_size", Whole(16)),
        ];
        let goals = Vec::new();
        Starter { settings, goals }
    }

    fn makes_scorer(&self) -> bool {
        true
    }

    fn read(&self, settings: &Settings) -> std::result::Result<Box<dyn Training>, Problem> {
        Ok(Box::new(Run { common: CommonSettings::of(settings)?, own: Own::read(settings)? }))
    }
}

impl Training for Run {
    fn common(&self) -> &CommonSettings {
        &self.common
    }

    fn passes(&self) -> PassesPerRow {
        PassesPerRow { scores_tokens: false, ..PassesPerRow::ONE }
    }

    fn advice(&self, outlook: &Outlook) -> Vec<Problem> {
        let hint = Words::new(
            "look for pairs in which the better answer is not the longer one.",
            "请寻找较好的回答并不更长的偏好对。",
        );
        longer(outlook, hint, "dataset").into_iter().collect()
    }

    fn scorer_kind(&self) -> Option<ScorerKind> {
        Some(match self.own.loss_type {
            RewardLoss::BradleyTerry => ScorerKind::Reward,
            RewardLoss::Cost => ScorerKind::Cost,
        })
    }

    fn prepare(&self, rows: &[Example], encoder: &Encoder) -> Result<Prepared> {
        let mut prepared = prepare(rows, encoder, self.common.max_length)?;
        if self.own.loss_type == RewardLoss::Cost {
            let (labelled, unlabelled) = prepared.items.into_iter().partition(|item| item.harmful.is_some());
            prepared.items = labelled;
            let reason = wording!("it does not say which of its answers are harmful", "它没有说明哪个回答有害");
            let unlabelled: Vec<Item> = unlabelled;
            prepared.skipped.extend(unlabelled.iter().map(|item| Skipped { row: item.row, reason: reason.clone() }));
            prepared = prepared.or_nothing(rows.len())?;
        }
        if !self.own.use_margins {
            prepared.items.iter_mut().for_each(|item| item.label = 0.0);
        }
        Ok(prepared)
    }

    fn train(&self, session: &mut Session, prepared: &Prepared) -> Result<End> {
        session.policy.ensure_score_head(session.seed());
        session.optimise(&prepared.items, &self.common, &mut |policy, batch| step(policy, batch, &self.own))
    }
}

fn step(policy: &mut Policy, batch: &StepBatch, own: &Own) -> Result<StepOutcome> {
    let costs = own.loss_type == RewardLoss::Cost;
    let pairs = batch.items() as f64;
    let mut totals = Totals::default();
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (index, micro_batch) in batch.micro_batches.iter().enumerate() {
        let side = |side: usize| micro_batch.iter().map(move |item| item.sequences[side].clone());
        let rows: Vec<TokenRow> = side(0).chain(side(1)).collect();
        totals.tokens += rows.iter().map(|row| row.ids.len() as u64).sum::<u64>();
        let scores = policy.forward_ends(&rows, Some(batch.dropout(index)))?;
        let mut coefficients = vec![0.0; scores.len()];
        for (pair, item) in micro_batch.iter().enumerate() {
            let (chosen, rejected) = (scores[pair], scores[micro_batch.len() + pair]);
            let [chosen_harmful, rejected_harmful] = item.harmful.unwrap_or_default();
            // Preferred for another reason than safety: the order of costs is reversed.
            let swapped = costs && chosen_harmful && !rejected_harmful;
            let head = match (costs, swapped) {
                (false, _) => bradley_terry(chosen, rejected, item.label, own.center_rewards_coefficient),
                (true, false) => cost(chosen, rejected, chosen_harmful, rejected_harmful),
                (true, true) => {
                    let head = cost(rejected, chosen, rejected_harmful, chosen_harmful);
                    ScoreHead { chosen: head.rejected, rejected: head.chosen, ..head }
                }
            };
            // A cost is lower for the better answer.
            let sign = if costs && !swapped { -1.0 } else { 1.0 };
            coefficients[pair] = head.chosen / pairs;
            coefficients[micro_batch.len() + pair] = head.rejected / pairs;
            totals.add("loss", head.loss);
            totals.add("margin", sign * (chosen - rejected));
            totals.add("accuracy", f64::from(u8::from(sign * chosen > sign * rejected)));
            if costs {
                let right = |score: f64, harmful: bool| f64::from(u8::from((score > 0.0) == harmful));
                totals.add("accuracy_sign", 0.5 * (right(chosen, chosen_harmful) + right(rejected, rejected_harmful)));
            }
            totals.add("mean_reward", 0.5 * (chosen + rejected));
            totals.add("reward_chosen", chosen);
            totals.add("reward_rejected", rejected);
            low = low.min(chosen.min(rejected));
            high = high.max(chosen.max(rejected));
        }
        policy.backward_ends(&coefficients)?;
    }
    let (loss, tokens) = (totals.sum("loss") / pairs, totals.tokens);
    let mut metrics = totals.metrics(pairs);
    metrics.extend([("min_reward".to_owned(), low), ("max_reward".to_owned(), high)]);
    Ok(StepOutcome { loss, metrics, tokens })
}
