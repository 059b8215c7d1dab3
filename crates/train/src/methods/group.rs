//! Shared by methods without a critic that compare several answers to one prompt with each other (GRPO, RLOO).
//!
//! `per_device_train_batch_size` × `gradient_accumulation_steps` counts answers, as in TRL, and must be a multiple of
//! `num_generations`. What the advantage of a method applies to is its [`Objective`].

use crate::batches::Steps;
use crate::declare::options;
use crate::error::Result;
use crate::heads::advantage::{GroupScale, deviation, group_advantages, leave_one_out, zero_std_groups};
use crate::heads::clip;
use crate::heads::kl::k3;
use crate::rollout::{Rollout, Sampling, batch, generate_rollouts, rollout_metrics, score_tokens};
use crate::settings::{CommonSettings, SamplingStrategy};
use crate::step::{StepContext, StepOutcome};
use alidade_domain::{Problem, Wording, Words, wording};
use std::collections::BTreeMap;
use std::ops::Range;

options! {
    /// How the losses of tokens are averaged.
    pub(super) enum Normaliser { Dapo = "dapo", Grpo = "grpo", Bnpo = "bnpo", DrGrpo = "dr_grpo" }
}

/// What the policy gradient applies to, and with which advantage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Objective {
    /// Each token, with the advantage of its answer within its group; β·k3 is added to the loss.
    Tokens {
        /// How token losses are averaged.
        normaliser: Normaliser,
        /// What scores are divided by.
        scale: GroupScale,
    },
    /// The answer as a whole, with a leave-one-out baseline; β·KL is subtracted from the score.
    Answers,
}

/// Parameters of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shape {
    pub(super) sampling: Sampling,
    pub(super) objective: Objective,
    pub(super) beta: f64,
    /// Clip range downwards and upwards.
    pub(super) clip: [f64; 2],
    pub(super) iterations: usize,
    pub(super) mask_truncated: bool,
}

/// Clip range downwards and upwards; without `epsilon_high` both are `epsilon`.
pub(super) fn clip_range(epsilon: f64, epsilon_high: f64) -> [f64; 2] {
    [epsilon, if epsilon_high > 0.0 { epsilon_high } else { epsilon }]
}

fn answers_per_step(common: &CommonSettings) -> usize {
    common.per_device_train_batch_size * common.gradient_accumulation_steps
}

/// Refuses steps that cannot be divided into groups of `group` answers.
pub(super) fn check(common: &CommonSettings, group: usize) -> std::result::Result<(), Problem> {
    let answers = answers_per_step(common);
    if answers.is_multiple_of(group) {
        return Ok(());
    }
    let message = wording!(
        "A step holds {answers} answers, which cannot be divided into groups of {group}.",
        "一步有 {answers} 个回答，不能分成每组 {group} 个。"
    );
    let hint = Words::new(
        "per_device_train_batch_size times gradient_accumulation_steps counts answers; make it a multiple.",
        "per_device_train_batch_size 乘以 gradient_accumulation_steps 是回答的数量，请使它成为组大小的倍数。",
    );
    Err(Problem::input(message).hint(hint).at("settings.num_generations"))
}

/// Steps over prompts: each step takes one prompt per group of answers.
pub(super) fn steps(common: &CommonSettings, group: usize, items: usize) -> Steps {
    let prompts = (answers_per_step(common) / group).max(1);
    Steps::new(items, prompts, 1, common.num_train_epochs, common.most_steps())
        .in_order(common.train_sampling_strategy == SamplingStrategy::Sequential)
}

/// One step of the outer loop.
pub(super) fn step(context: &mut StepContext, shape: &Shape) -> Result<StepOutcome> {
    let size = shape.sampling.each;
    let mut rollouts = generate_rollouts(context, shape.sampling)?;
    score_tokens(context, &mut rollouts, shape.sampling.temperature, shape.sampling.rows)?;
    let scores: Vec<f64> = rollouts.iter().map(|rollout| rollout.score).collect();
    let advantages = match shape.objective {
        Objective::Answers => {
            let penalised: Vec<f64> =
                rollouts.iter().map(|rollout| rollout.score - shape.beta * rollout.kl()).collect();
            leave_one_out(&penalised, size)
        }
        Objective::Tokens { scale, .. } => group_advantages(&scores, size, scale),
    };
    let mut totals = Totals::default();
    for _ in 0..shape.iterations {
        for start in (0..rollouts.len()).step_by(shape.sampling.rows) {
            let part = start..(start + shape.sampling.rows).min(rollouts.len());
            pass(context, &rollouts, &advantages, part, shape, &mut totals)?;
        }
        context.check_finite(Wording::name("loss"), totals.loss)?;
        context.update()?;
    }
    let mut metrics: BTreeMap<String, f64> = rollout_metrics(&rollouts).into_iter().collect();
    let n = totals.tokens.max(1.0);
    let named = [
        ("reward", scores.iter().sum::<f64>() / scores.len().max(1) as f64),
        ("reward_std", deviation(&scores)),
        ("frac_reward_zero_std", zero_std_groups(&scores, size)),
        ("kl", totals.kl / n),
        ("entropy", totals.entropy / n),
        ("clip_ratio/region_mean", totals.clipped / n),
        ("val/ratio", totals.ratio / n),
    ];
    metrics.extend(named.map(|(name, value)| (name.to_owned(), value)));
    let tokens = rollouts.iter().map(|rollout| rollout.row.ids.len() as u64).sum();
    Ok(StepOutcome { loss: totals.loss / shape.iterations as f64, metrics, tokens })
}

#[derive(Default)]
struct Totals {
    loss: f64,
    tokens: f64,
    kl: f64,
    entropy: f64,
    clipped: f64,
    ratio: f64,
}

/// Forward and backward pass over a part of the answers.
fn pass(
    context: &mut StepContext,
    rollouts: &[Rollout],
    advantages: &[f64],
    part: Range<usize>,
    shape: &Shape,
    totals: &mut Totals,
) -> Result<()> {
    let rows = batch(rollouts[part.clone()].iter())?;
    let scores = context.policy.forward_at(&rows, shape.sampling.temperature)?;
    let mut coefficients = vec![0.0; scores.logp.len()];
    for (index, range) in part.clone().zip(rows.target_ranges()) {
        let (rollout, advantage) = (&rollouts[index], advantages[index]);
        if shape.mask_truncated && !rollout.ended {
            continue;
        }
        let weight = weight(rollouts, part.clone(), index, shape);
        let new = &scores.logp[range.clone()];
        if shape.objective == Objective::Answers {
            let (sum, old): (f64, f64) = (new.iter().sum(), rollout.old.iter().sum());
            let head = clip::policy(sum, old, advantage, shape.clip[0], shape.clip[1]);
            coefficients[range.clone()].fill(weight * head.gradient);
            totals.loss += weight * head.loss;
            totals.clipped += f64::from(u8::from(head.clipped)) * new.len() as f64;
            totals.ratio += head.ratio * new.len() as f64;
        } else {
            for (place, at) in range.clone().enumerate() {
                let head = clip::policy(new[place], rollout.old[place], advantage, shape.clip[0], shape.clip[1]);
                let (kl, kl_gradient) = k3(new[place], rollout.reference[place]);
                coefficients[at] = weight * (head.gradient + shape.beta * kl_gradient);
                totals.loss += weight * (head.loss + shape.beta * kl);
                totals.clipped += f64::from(u8::from(head.clipped));
                totals.ratio += head.ratio;
            }
        }
        let kl = |(new, reference): (&f64, &f64)| k3(*new, *reference).0;
        totals.kl += new.iter().zip(&rollout.reference).map(kl).sum::<f64>();
        totals.entropy += scores.entropy[range.clone()].iter().sum::<f64>();
        totals.tokens += range.len() as f64;
    }
    context.policy.backward(&coefficients)?;
    Ok(())
}

/// Weight of a token's loss (of an answer's, for RLOO) in the loss of the step.
fn weight(rollouts: &[Rollout], part: Range<usize>, index: usize, shape: &Shape) -> f64 {
    let counted = |rollout: &&Rollout| !shape.mask_truncated || rollout.ended;
    let tokens =
        |rollouts: &[Rollout]| rollouts.iter().filter(counted).map(|r| r.old.len() as f64).sum::<f64>().max(1.0);
    let answers = rollouts.len() as f64;
    match shape.objective {
        Objective::Answers => 1.0 / answers,
        Objective::Tokens { normaliser, .. } => match normaliser {
            Normaliser::Dapo => 1.0 / tokens(rollouts),
            Normaliser::Grpo => 1.0 / (answers * rollouts[index].old.len() as f64),
            // Per pass, then averaged over the passes by their share of answers.
            Normaliser::Bnpo => part.len() as f64 / answers / tokens(&rollouts[part]),
            Normaliser::DrGrpo => 1.0 / (answers * shape.sampling.max_new_tokens as f64),
        },
    }
}
