//! Methods without a critic, which compare several answers to one prompt with each other: GRPO (Shao et al., arXiv
//! 2402.03300; with the normalisers of DAPO, arXiv 2503.14476, and Dr. GRPO, arXiv 2503.20783) and RLOO (Ahmadian et al.,
//! arXiv 2402.14740).
//!
//! `per_device_train_batch_size` × `gradient_accumulation_steps` counts answers, as in TRL, and must be a multiple of
//! `num_generations`. GRPO may add β·k3 to the loss; RLOO takes β·KL off the score and moves whole answers.

use crate::encode::{Encoder, Prepared};
use crate::error::{Result, TrainError};
use crate::heads::advantage::{GROUP_SCALES, deviation, flat_groups, group_advantages, leave_one_out};
use crate::heads::clip;
use crate::heads::kl::k3;
use crate::method::{Method, Needs};
use crate::order::Steps;
use crate::rollout::{Drawing, Rollout, asked, batch, figures, measure, prompts, write};
use crate::session::{End, Session};
use crate::settings::{Defaults, choice, common, flag, number, whole};
use crate::step::{StepContext, StepOutcome};
use alidade_domain::{
    Example, MethodCard, MethodName, Problem, SettingField,
    SettingLevel::{Advanced, Simple},
    Settings,
};
use std::collections::BTreeMap;
use std::ops::Range;

/// Group relative policy optimisation.
pub(crate) struct Grpo;
/// REINFORCE with a leave-one-out baseline.
pub(crate) struct Rloo;

const GRPO: Defaults = Defaults { learning_rate: 1e-5, epochs: 1.0, warmup_ratio: 0.0 };
const RLOO: Defaults = Defaults { learning_rate: 1e-5, epochs: 1.0, warmup_ratio: 0.0 };
/// How the losses of tokens are averaged.
const NORMALISERS: &[&str] = &["dapo", "grpo", "bnpo", "dr_grpo"];

fn shared(answers: i64, temperature: f64) -> Vec<SettingField> {
    vec![
        whole("num_generations", 2, 1024, answers, Simple, "Answers to each prompt that are compared with each other."),
        whole("max_completion_length", 1, 4096, 256, Simple, "Most tokens of an answer."),
        number(
            "temperature",
            (0.05, 5.0),
            temperature,
            Advanced,
            "Temperature of the draws; log-probabilities are taken at it too.",
        ),
        number("epsilon", (0.0, 10.0), 0.2, Advanced, "How far a probability may fall in one step."),
        number("epsilon_high", (0.0, 10.0), 0.0, Advanced, "How far it may rise; 0 takes epsilon."),
        whole("num_iterations", 1, 100, 1, Advanced, "Updates on the answers of a step."),
    ]
}

impl Method for Grpo {
    fn name(&self) -> MethodName {
        MethodName::Grpo
    }

    fn card(&self) -> MethodCard {
        let mut settings = common(&GRPO);
        settings.extend(shared(8, 1.0));
        settings.push(number(
            "beta",
            (0.0, 100.0),
            0.0,
            Simple,
            "Weight of the KL divergence from the reference in the loss.",
        ));
        let average =
            "How token losses are averaged: over the whole batch, per answer, per pass, or by the length limit.";
        settings.push(choice("loss_type", NORMALISERS, "dapo", Advanced, average));
        settings.push(choice("scale_rewards", GROUP_SCALES, "group", Advanced, "What scores are divided by."));
        let masked = "Learn nothing from answers that ran into the length limit.";
        settings.push(flag("mask_truncated_completions", false, Advanced, masked));
        card(MethodName::Grpo, "Group relative policy optimisation", settings)
    }

    fn needs(&self) -> Needs {
        Needs { reward: true, reference: true, ..Needs::default() }
    }

    fn rules(&self, settings: &Settings) -> std::result::Result<(), Problem> {
        check(settings)
    }

    fn steps(&self, settings: &Settings, items: usize) -> Steps {
        group_steps(settings, items)
    }

    fn prepare(&self, rows: &[Example], encoder: &Encoder, settings: &Settings) -> Result<Prepared> {
        prompts(rows, encoder, settings, settings.whole("max_completion_length").max(1) as usize)
    }

    fn train(&self, session: &mut Session, prepared: &Prepared, settings: &Settings) -> Result<End> {
        let shape = Shape::of(settings, false);
        run(session, prepared, settings, &shape)
    }
}

impl Method for Rloo {
    fn name(&self) -> MethodName {
        MethodName::Rloo
    }

    fn card(&self) -> MethodCard {
        let mut settings = common(&RLOO);
        settings.extend(shared(4, 1.0));
        settings.push(number(
            "beta",
            (0.0, 100.0),
            0.05,
            Simple,
            "Price of moving away from the reference, per nat, taken off the score.",
        ));
        card(MethodName::Rloo, "REINFORCE leave-one-out", settings)
    }

    fn needs(&self) -> Needs {
        Needs { reward: true, reference: true, ..Needs::default() }
    }

    fn rules(&self, settings: &Settings) -> std::result::Result<(), Problem> {
        check(settings)
    }

    fn steps(&self, settings: &Settings, items: usize) -> Steps {
        group_steps(settings, items)
    }

    fn prepare(&self, rows: &[Example], encoder: &Encoder, settings: &Settings) -> Result<Prepared> {
        prompts(rows, encoder, settings, settings.whole("max_completion_length").max(1) as usize)
    }

    fn train(&self, session: &mut Session, prepared: &Prepared, settings: &Settings) -> Result<End> {
        let shape = Shape::of(settings, true);
        run(session, prepared, settings, &shape)
    }
}

fn card(name: MethodName, title: &'static str, settings: Vec<SettingField>) -> MethodCard {
    let (summary, paper) = match name {
        MethodName::Rloo => (
            "Lets the model answer each prompt several times and makes answers likelier that beat the average of the others.",
            "Ahmadian et al., Back to Basics: Revisiting REINFORCE Style Optimization, 2024",
        ),
        _ => (
            "Lets the model answer each prompt several times and makes the better answers of a group likelier; no value model.",
            "Shao et al., DeepSeekMath: Pushing the Limits of Mathematical Reasoning, 2024",
        ),
    };
    let needs = asked();
    MethodCard { name, title, summary, paper, needs, needs_reward: true, settings }
}

fn answers_per_step(settings: &Settings) -> usize {
    (settings.whole("per_device_train_batch_size").max(1) * settings.whole("gradient_accumulation_steps").max(1))
        as usize
}

fn check(settings: &Settings) -> std::result::Result<(), Problem> {
    let (answers, group) = (answers_per_step(settings), settings.whole("num_generations").max(1) as usize);
    if answers.is_multiple_of(group) {
        return Ok(());
    }
    let message = format!("A step holds {answers} answers, which cannot be parted into groups of {group}.");
    let hint = "per_device_train_batch_size times gradient_accumulation_steps counts answers; make it a multiple.";
    Err(Problem::input(message).hint(hint).at("settings.num_generations"))
}

/// Steps over prompts: each step takes as many as its answers make groups.
fn group_steps(settings: &Settings, items: usize) -> Steps {
    let group = settings.whole("num_generations").max(1) as usize;
    let most = u64::try_from(settings.whole("max_steps")).ok().filter(|steps| *steps > 0);
    Steps::new(items, (answers_per_step(settings) / group).max(1), 1, settings.number("num_train_epochs"), most)
}

struct Shape {
    drawing: Drawing,
    /// RLOO moves whole answers; GRPO moves tokens.
    whole_answers: bool,
    beta: f64,
    low: f64,
    high: f64,
    iterations: usize,
    normaliser: String,
    scale: String,
    mask_truncated: bool,
}

impl Shape {
    fn of(settings: &Settings, whole_answers: bool) -> Self {
        let count = |key: &str| settings.whole(key).max(1) as usize;
        let (low, high) = (settings.number("epsilon"), settings.number("epsilon_high"));
        Self {
            drawing: Drawing {
                temperature: settings.number("temperature"),
                max_new_tokens: count("max_completion_length"),
                each: count("num_generations"),
                rows: count("per_device_train_batch_size"),
            },
            whole_answers,
            beta: settings.number("beta"),
            low,
            high: if high > 0.0 { high } else { low },
            iterations: count("num_iterations"),
            normaliser: settings.text("loss_type").to_owned(),
            scale: settings.text("scale_rewards").to_owned(),
            mask_truncated: settings.flag("mask_truncated_completions") == Some(true),
        }
    }
}

fn run(session: &mut Session, prepared: &Prepared, settings: &Settings, shape: &Shape) -> Result<End> {
    check(settings).map_err(TrainError::Observer)?;
    let steps = group_steps(settings, prepared.items.len());
    session.iterate(&prepared.items, steps, settings, &mut |context| step(context, shape))
}

fn step(context: &mut StepContext, shape: &Shape) -> Result<StepOutcome> {
    let size = shape.drawing.each;
    let mut rollouts = write(context, shape.drawing)?;
    measure(context, &mut rollouts, shape.drawing.temperature, shape.drawing.rows)?;
    let scores: Vec<f64> = rollouts.iter().map(|rollout| rollout.score).collect();
    let advantages = if shape.whole_answers {
        let paid: Vec<f64> = rollouts.iter().map(|rollout| rollout.score - shape.beta * rollout.kl()).collect();
        leave_one_out(&paid, size)
    } else {
        group_advantages(&scores, size, &shape.scale)
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
        if shape.whole_answers {
            let (sum, old): (f64, f64) = (new.iter().sum(), rollout.old.iter().sum());
            let head = clip::policy(sum, old, advantage, shape.low, shape.high);
            coefficients[range.clone()].fill(weight * head.slope);
            learned.loss += weight * head.loss;
            learned.clipped += f64::from(u8::from(head.clipped)) * new.len() as f64;
            learned.ratio += head.ratio * new.len() as f64;
        } else {
            for (place, at) in range.clone().enumerate() {
                let head = clip::policy(new[place], rollout.old[place], advantage, shape.low, shape.high);
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
    if shape.whole_answers {
        return 1.0 / answers;
    }
    match shape.normaliser.as_str() {
        "grpo" => 1.0 / (answers * rollouts[index].old.len() as f64),
        // Per pass, then averaged over the passes by their share of answers.
        "bnpo" => part.len() as f64 / answers / tokens(&rollouts[part]),
        "dr_grpo" => 1.0 / (answers * shape.drawing.max_new_tokens as f64),
        _ => 1.0 / tokens(rollouts),
    }
}
