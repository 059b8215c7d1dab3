//! What methods without a critic share, which compare several answers to one prompt with each other.
//!
//! `per_device_train_batch_size` × `gradient_accumulation_steps` counts answers, as in TRL, and must be a multiple of
//! `num_generations`. Not here: what a method moves and by how much it is paid; that is its [`Objective`].

use crate::declare::options;
use crate::error::Result;
use crate::heads::advantage::{GroupScale, deviation, flat_groups, group_advantages, leave_one_out};
use crate::heads::clip;
use crate::heads::kl::k3;
use crate::order::Steps;
use crate::rollout::{Drawing, Rollout, batch, figures, measure, write};
use crate::settings::{CommonSettings, SamplingStrategy};
use crate::step::{StepContext, StepOutcome};
use alidade_domain::Problem;
use std::collections::BTreeMap;
use std::ops::Range;

options! {
    /// How the losses of tokens are averaged.
    pub(super) enum Normaliser { Dapo = "dapo", Grpo = "grpo", Bnpo = "bnpo", DrGrpo = "dr_grpo" }
}

/// What is moved, and by which advantage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Objective {
    /// Each token, by how its answer stands in its group; β·k3 is added to the loss.
    Tokens {
        /// How token losses are averaged.
        normaliser: Normaliser,
        /// What scores are divided by.
        scale: GroupScale,
    },
    /// The answer as a whole, by its score above the others'; β·KL is taken off the score.
    Answers,
}

/// What shapes a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shape {
    pub(super) drawing: Drawing,
    pub(super) objective: Objective,
    pub(super) beta: f64,
    /// How far a probability may fall and rise.
    pub(super) clip: [f64; 2],
    pub(super) iterations: usize,
    pub(super) mask_truncated: bool,
}

/// How far a probability may fall and rise; without a number of its own it may rise as far as it may fall.
pub(super) fn clip_range(epsilon: f64, epsilon_high: f64) -> [f64; 2] {
    [epsilon, if epsilon_high > 0.0 { epsilon_high } else { epsilon }]
}

fn answers_per_step(common: &CommonSettings) -> usize {
    common.per_device_train_batch_size * common.gradient_accumulation_steps
}

/// Refuses steps that cannot be parted into groups of `group` answers.
pub(super) fn check(common: &CommonSettings, group: usize) -> std::result::Result<(), Problem> {
    let answers = answers_per_step(common);
    if answers.is_multiple_of(group) {
        return Ok(());
    }
    let message = format!("A step holds {answers} answers, which cannot be parted into groups of {group}.");
    let hint = "per_device_train_batch_size times gradient_accumulation_steps counts answers; make it a multiple.";
    Err(Problem::input(message).hint(hint).at("settings.num_generations"))
}

/// Steps over prompts: each step takes as many as its answers make groups.
pub(super) fn steps(common: &CommonSettings, group: usize, items: usize) -> Steps {
    let prompts = (answers_per_step(common) / group).max(1);
    Steps::new(items, prompts, 1, common.num_train_epochs, common.most_steps())
        .in_order(common.train_sampling_strategy == SamplingStrategy::Sequential)
}

/// One step of the outer loop.
pub(super) fn step(context: &mut StepContext, shape: &Shape) -> Result<StepOutcome> {
    let size = shape.drawing.each;
    let mut rollouts = write(context, shape.drawing)?;
    measure(context, &mut rollouts, shape.drawing.temperature, shape.drawing.rows)?;
    let scores: Vec<f64> = rollouts.iter().map(|rollout| rollout.score).collect();
    let advantages = match shape.objective {
        Objective::Answers => {
            let paid: Vec<f64> = rollouts.iter().map(|rollout| rollout.score - shape.beta * rollout.kl()).collect();
            leave_one_out(&paid, size)
        }
        Objective::Tokens { scale, .. } => group_advantages(&scores, size, scale),
    };
    let mut learned = Learned::default();
    for _ in 0..shape.iterations {
        for start in (0..rollouts.len()).step_by(shape.drawing.rows) {
            let part = start..(start + shape.drawing.rows).min(rollouts.len());
            pass(context, &rollouts, &advantages, part, shape, &mut learned)?;
        }
        context.check_finite("loss", learned.loss)?;
        context.update()?;
    }
    let mut metrics: BTreeMap<String, f64> = figures(&rollouts).into_iter().collect();
    let n = learned.tokens.max(1.0);
    let named = [
        ("reward", scores.iter().sum::<f64>() / scores.len().max(1) as f64),
        ("reward_std", deviation(&scores)),
        ("frac_reward_zero_std", flat_groups(&scores, size)),
        ("kl", learned.kl / n),
        ("entropy", learned.entropy / n),
        ("clip_ratio/region_mean", learned.clipped / n),
        ("val/ratio", learned.ratio / n),
    ];
    metrics.extend(named.map(|(name, value)| (name.to_owned(), value)));
    let tokens = rollouts.iter().map(|rollout| rollout.row.ids.len() as u64).sum();
    Ok(StepOutcome { loss: learned.loss / shape.iterations as f64, metrics, tokens })
}

#[derive(Default)]
struct Learned {
    loss: f64,
    tokens: f64,
    kl: f64,
    entropy: f64,
    clipped: f64,
    ratio: f64,
}

/// One taped pass over a part of the answers.
fn pass(
    context: &mut StepContext,
    rollouts: &[Rollout],
    advantages: &[f64],
    part: Range<usize>,
    shape: &Shape,
    learned: &mut Learned,
) -> Result<()> {
    let rows = batch(rollouts[part.clone()].iter())?;
    let scores = context.policy.forward_at(&rows, shape.drawing.temperature)?;
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
            coefficients[range.clone()].fill(weight * head.slope);
            learned.loss += weight * head.loss;
            learned.clipped += f64::from(u8::from(head.clipped)) * new.len() as f64;
            learned.ratio += head.ratio * new.len() as f64;
        } else {
            for (place, at) in range.clone().enumerate() {
                let head = clip::policy(new[place], rollout.old[place], advantage, shape.clip[0], shape.clip[1]);
                let (kl, kl_slope) = k3(new[place], rollout.reference[place]);
                coefficients[at] = weight * (head.slope + shape.beta * kl_slope);
                learned.loss += weight * (head.loss + shape.beta * kl);
                learned.clipped += f64::from(u8::from(head.clipped));
                learned.ratio += head.ratio;
            }
        }
        let kl = |(new, reference): (&f64, &f64)| k3(*new, *reference).0;
        learned.kl += new.iter().zip(&rollout.reference).map(kl).sum::<f64>();
        learned.entropy += scores.entropy[range.clone()].iter().sum::<f64>();
        learned.tokens += range.len() as f64;
    }
    context.policy.backward(&coefficients)?;
    Ok(())
}

/// What the loss of a token (of a whole answer, for RLOO) counts in the loss of the step.
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
            Normaliser::DrGrpo => 1.0 / (answers * shape.drawing.max_new_tokens as f64),
        },
    }
}
