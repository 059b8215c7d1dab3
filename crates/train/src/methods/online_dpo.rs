//! Online DPO (Guo et al., arXiv 2402.04792): the policy answers each prompt twice, the answer with the higher score is
//! preferred, and a DPO step is taken on the pair. Pairs with equal scores are left out.

use super::advice::high_rate;
use super::dpo::{Losses, PairSettings, step as dpo_step};
use super::watch::{LENGTH, LOSS, MARGIN, SCORE, kl, scored};
use crate::about::{About, Before, Goal, Needs, Outlook, Starter};
use crate::declare::{number, settings, whole};
use crate::encode::{Encoder, Item, Prepared};
use crate::error::Result;
use crate::method::{Method, Training};
use crate::passes::PassesPerRow;
use crate::rollout::{Sampling, generate_rollouts, prompt_kinds, prompts, rollout_metrics, score_tokens};
use crate::session::{End, Session};
use crate::settings::{CommonSettings, Defaults, SamplingStrategy, common};
use crate::step::{StepContext, StepOutcome};
use alidade_domain::{
    Chart, Example, Metric, Problem, SettingField,
    SettingValue::{Number, Whole},
    Settings, Watch, Wording, Words,
};

/// The method.
pub(crate) struct OnlineDpo;

const DEFAULTS: Defaults =
    Defaults { learning_rate: 5e-6, epochs: 1.0, warmup_ratio: 0.1, order: SamplingStrategy::Random };
/// Answers to each prompt.
const ANSWERS: usize = 2;

settings! {
    struct Own {
        max_new_tokens: usize = whole(1, 4096, 64), Simple,
            "Longest answer" "最长回答",
            "In tokens."
            "以词元计。";
        temperature: f64 = number(0.05, 5.0, 0.9), Advanced,
            "Temperature" "温度",
            "Of sampling in training; higher explores more."
            "训练中采样的温度；越高探索越多。";
    }
}

/// A run of it.
struct Run {
    common: CommonSettings,
    own: Own,
    losses: Losses,
}

impl Run {
    fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.own.temperature,
            max_new_tokens: self.own.max_new_tokens,
            each: ANSWERS,
            rows: ANSWERS * self.common.per_device_train_batch_size,
        }
    }
}

impl Method for OnlineDpo {
    fn name(&self) -> &'static str {
        "online_dpo"
    }

    fn about(&self) -> About {
        About {
            label: Words::new("Online DPO", "在线 DPO"),
            title: Words::new("Online DPO", "在线 DPO"),
            summary: Words::new(
                "Lets the model answer twice, has both answers scored, and learns from its own better one.",
                "让模型作答两次，给两个回答评分，并从自己较好的那个中学习。",
            ),
            why: Words::new(
                "answers each question twice and learns from its own better answer.",
                "每个问题回答两次，从自己较好的回答中学习。",
            ),
            paper: "Guo et al., Direct Language Model Alignment from Online AI Feedback, 2024",
            learns_from: prompt_kinds(),
            variants: Vec::new(),
        }
    }

    fn fields(&self) -> Vec<SettingField> {
        [common(&DEFAULTS), PairSettings::fields(), Own::fields()].concat()
    }

    fn watch(&self) -> Watch {
        Watch {
            charts: vec![
                Chart::of(SCORE),
                Chart::of(MARGIN),
                kl(),
                Chart::beside(LENGTH),
                Chart::beside(Metric::new("ties", "share of ties", "平局的比例")).usually(0.0, 0.5),
                Chart::of(LOSS),
            ],
            needs: vec![SCORE.key],
            readings: scored(),
            margin: Some(MARGIN.key),
        }
    }

    fn starter(&self) -> Starter {
        let settings = vec![
            ("learning_rate", Number(1e-3)),
            ("per_device_train_batch_size", Whole(32)),
            ("max_steps", Whole(40)),
            ("beta", Number(0.2)),
            ("max_new_tokens", Whole(40)),
            ("temperature", Number(1.0)),
        ];
        let goals = vec![Goal { id: "own_answers", before: &[Before::Answers], settings: vec![], words: None }];
        Starter { settings, goals }
    }

    fn needs(&self) -> Needs {
        Needs { reward: true, reference: true, ..Needs::default() }
    }

    fn read(&self, settings: &Settings) -> std::result::Result<Box<dyn Training>, Problem> {
        let (common, own) = (CommonSettings::of(settings)?, Own::read(settings)?);
        Ok(Box::new(Run { common, own, losses: Losses::plain(&PairSettings::read(settings)?)? }))
    }
}

impl Training for Run {
    fn common(&self) -> &CommonSettings {
        &self.common
    }

    fn passes(&self) -> PassesPerRow {
        let answers = Some(self.sampling().passes());
        PassesPerRow { trained: 1.0, read: 3.0, answers, ..PassesPerRow::ONE }
    }

    fn advice(&self, outlook: &Outlook) -> Vec<Problem> {
        high_rate(&self.common, outlook).into_iter().collect()
    }

    fn prepare(&self, rows: &[Example], encoder: &Encoder) -> Result<Prepared> {
        prompts(rows, encoder, self.common.max_length, self.own.max_new_tokens)
    }

    fn train(&self, session: &mut Session, prepared: &Prepared) -> Result<End> {
        let (steps, sampling) = (self.steps(prepared.items.len()), self.sampling());
        session.iterate(&prepared.items, steps, &self.common, &mut |context| step(context, sampling, &self.losses))
    }
}

fn step(context: &mut StepContext, sampling: Sampling, losses: &Losses) -> Result<StepOutcome> {
    let mut rollouts = generate_rollouts(context, sampling)?;
    score_tokens(context, &mut rollouts, sampling.temperature, sampling.rows)?;
    let pairs: Vec<Item> = rollouts
        .chunks(2)
        .filter(|pair| pair.len() == 2 && pair[0].prompt == pair[1].prompt && pair[0].score != pair[1].score)
        .enumerate()
        .map(|(index, pair)| {
            let (better, worse) = if pair[0].score > pair[1].score { (0, 1) } else { (1, 0) };
            Item::new(index + 1, vec![pair[better].row.clone(), pair[worse].row.clone()])
        })
        .collect();
    let mut outcome = StepOutcome::default();
    if !pairs.is_empty() {
        let micro_batches = pairs.chunks(sampling.rows / 2).map(|chunk| chunk.iter().collect()).collect();
        outcome = dpo_step(context.policy, &context.batch.with_rows(micro_batches), losses)?;
        context.check_finite(Wording::name("loss"), outcome.loss)?;
        context.update()?;
    }
    outcome.metrics.extend(rollout_metrics(&rollouts));
    let tied = 1.0 - pairs.len() as f64 / (rollouts.len() as f64 / 2.0).max(1.0);
    outcome.metrics.insert("ties".to_owned(), tied);
    outcome.tokens = rollouts.iter().map(|rollout| rollout.row.ids.len() as u64).sum();
    Ok(outcome)
}
