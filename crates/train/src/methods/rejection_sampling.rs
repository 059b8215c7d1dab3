//! Rejection sampling (Touvron et al., arXiv 2307.09288; RAFT, Dong et al., arXiv 2304.06767): the policy answers each
//! prompt several times and is fine-tuned on the answer with the highest score. An unbiased estimate of the best-of-k score
//! is logged for powers of two k ≤ n.

use super::watch::{ENTROPY, LENGTH, LOSS, SCORE, kl, scored};
use crate::about::{About, Before, Goal, Needs, Starter};
use crate::declare::{number, settings, whole};
use crate::encode::{Encoder, Prepared};
use crate::error::Result;
use crate::heads::advantage::best_of;
use crate::method::{Method, Training};
use crate::passes::{AnswerPasses, PassesPerRow};
use crate::rollout::{
    Rollout, Sampling, batch, generate_rollouts, prompt_kinds, prompts, rollout_metrics, score_tokens,
};
use crate::session::{End, Session};
use crate::settings::{CommonSettings, Defaults, SamplingStrategy, common};
use crate::step::{StepContext, StepOutcome};
use alidade_domain::{
    Chart, Example, Metric, Problem, SettingField,
    SettingValue::{Number, Whole},
    Settings, Tone, Watch, Wording, Words,
};
use std::collections::BTreeMap;

/// The method.
pub(crate) struct RejectionSampling;

const DEFAULTS: Defaults =
    Defaults { learning_rate: 1e-4, epochs: 1.0, warmup_ratio: 0.03, order: SamplingStrategy::Random };

settings! {
    struct Own {
        num_generations: usize = whole(2, 1024, 4), Simple,
            "Answers per question" "每题回答数",
            "Number of answers that are compared with each other."
            "相互比较的回答数。";
        max_completion_length: usize = whole(1, 4096, 256), Simple,
            "Longest answer" "最长回答",
            "In tokens."
            "以词元计。";
        temperature: f64 = number(0.05, 5.0, 1.0), Advanced,
            "Temperature" "温度",
            "Of sampling in training; higher explores more."
            "训练中采样的温度；越高探索越多。";
    }
}

/// A run of it.
struct Run {
    common: CommonSettings,
    own: Own,
}

impl Run {
    fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.own.temperature,
            max_new_tokens: self.own.max_completion_length,
            each: self.own.num_generations,
            rows: self.own.num_generations * self.common.per_device_train_batch_size,
        }
    }
}

impl Method for RejectionSampling {
    fn name(&self) -> &'static str {
        "rejection_sampling"
    }

    fn about(&self) -> About {
        About {
            label: Words::new("Rejection sampling", "拒绝采样"),
            title: Words::new("Rejection sampling", "拒绝采样"),
            summary: Words::new(
                "Lets the model answer each prompt several times and learn its own best answer.",
                "让模型对每个提问多次作答，并学习自己最好的回答。",
            ),
            why: Words::new(
                "answers each question several times and learns its own best answer.",
                "每个问题回答多次，学习自己最好的回答。",
            ),
            paper: "Touvron et al., Llama 2, 2023; Dong et al., RAFT, 2023",
            learns_from: prompt_kinds(),
            variants: Vec::new(),
        }
    }

    fn fields(&self) -> Vec<SettingField> {
        [common(&DEFAULTS), Own::fields()].concat()
    }

    fn watch(&self) -> Watch {
        Watch {
            charts: vec![
                Chart::of(SCORE),
                Chart::several(
                    Words::new("score of the best of several", "多个回答中最好的分数"),
                    [
                        (Metric::new("best_of/4", "of four", "四个"), Tone::Accent),
                        (Metric::new("best_of/2", "of two", "两个"), Tone::Base),
                    ],
                ),
                kl(),
                Chart::beside(LENGTH),
                Chart::beside(ENTROPY),
                Chart::of(LOSS),
            ],
            needs: vec![SCORE.key],
            readings: scored(),
            margin: None,
        }
    }

    fn starter(&self) -> Starter {
        let settings = vec![
            ("learning_rate", Number(1e-3)),
            ("per_device_train_batch_size", Whole(16)),
            ("max_steps", Whole(40)),
            ("num_generations", Whole(4)),
            ("max_completion_length", Whole(40)),
            ("temperature", Number(1.0)),
        ];
        let goals = vec![Goal { id: "best_of_own", before: &[Before::Answers], settings: vec![], words: None }];
        Starter { settings, goals }
    }

    fn needs(&self) -> Needs {
        Needs { reward: true, reference: true, ..Needs::default() }
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
        let answers =
            Some(AnswerPasses { trained_at_once: self.common.per_device_train_batch_size, ..self.sampling().passes() });
        PassesPerRow { trained: 1.0 / self.own.num_generations as f64, read: 2.0, answers, ..PassesPerRow::ONE }
    }

    fn prepare(&self, rows: &[Example], encoder: &Encoder) -> Result<Prepared> {
        prompts(rows, encoder, self.common.max_length, self.own.max_completion_length)
    }

    fn train(&self, session: &mut Session, prepared: &Prepared) -> Result<End> {
        let (steps, sampling) = (self.steps(prepared.items.len()), self.sampling());
        session.iterate(&prepared.items, steps, &self.common, &mut |context| step(context, sampling))
    }
}

fn step(context: &mut StepContext, sampling: Sampling) -> Result<StepOutcome> {
    let mut rollouts = generate_rollouts(context, sampling)?;
    score_tokens(context, &mut rollouts, sampling.temperature, sampling.rows)?;
    let groups: Vec<&[Rollout]> = rollouts.chunks(sampling.each).collect();
    let best = |group: &&[Rollout]| group.iter().max_by(|a, b| a.score.total_cmp(&b.score)).cloned();
    let chosen: Vec<Rollout> = groups.iter().filter_map(best).collect();
    let learned = chosen.iter().map(|rollout| rollout.row.scored_tokens()).sum::<usize>().max(1) as f64;
    let mut nll = 0.0;
    for part in chosen.chunks((sampling.rows / sampling.each).max(1)) {
        let scores = context.policy.forward(&batch(part.iter())?, None)?;
        nll -= scores.logp.iter().sum::<f64>();
        context.policy.backward(&vec![-1.0 / learned; scores.logp.len()])?;
    }
    context.check_finite(Wording::name("loss"), nll / learned)?;
    context.update()?;
    let mut metrics: BTreeMap<String, f64> = rollout_metrics(&rollouts).into_iter().collect();
    let mut k = 2;
    while k <= sampling.each {
        let of_group = |group: &&[Rollout]| best_of(&group.iter().map(|rollout| rollout.score).collect::<Vec<_>>(), k);
        let sum: f64 = groups.iter().map(of_group).sum();
        metrics.insert(format!("best_of/{k}"), sum / groups.len().max(1) as f64);
        k *= 2;
    }
    let tokens = rollouts.iter().map(|rollout| rollout.row.ids.len() as u64).sum();
    Ok(StepOutcome { loss: nll / learned, metrics, tokens })
}
