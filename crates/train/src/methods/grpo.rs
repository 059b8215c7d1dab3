//! GRPO (Shao et al., arXiv 2402.03300), with the normalisers of DAPO (arXiv 2503.14476) and Dr. GRPO (arXiv 2503.20783).
//!
//! Each token is moved by how its answer stands in its group; β·k3 may be added to the loss.

use super::group::{Normaliser, Objective, Shape, check, clip_range, step, steps};
use crate::declare::{choice, flag, number, settings, whole};
use crate::encode::{Encoder, Prepared};
use crate::error::Result;
use crate::heads::advantage::GroupScale;
use crate::method::{Method, Needs, Training};
use crate::order::Steps;
use crate::passes::PassesPerRow;
use crate::rollout::{Drawing, asked, prompts};
use crate::session::{End, Session};
use crate::settings::{CommonSettings, Defaults, SamplingStrategy, common};
use alidade_domain::{Example, MethodCard, MethodName, Problem, Settings};

/// The method.
pub(crate) struct Grpo;

const DEFAULTS: Defaults =
    Defaults { learning_rate: 1e-5, epochs: 1.0, warmup_ratio: 0.0, order: SamplingStrategy::Random };

settings! {
    struct Own {
        num_generations: usize = whole(2, 1024, 8), Simple,
            "Answers to each prompt that are compared with each other.";
        max_completion_length: usize = whole(1, 4096, 256), Simple, "Most tokens of an answer.";
        temperature: f64 = number(0.05, 5.0, 1.0), Advanced,
            "Temperature of the draws; log-probabilities are taken at it too.";
        epsilon: f64 = number(0.0, 10.0, 0.2), Advanced, "How far a probability may fall in one step.";
        epsilon_high: f64 = number(0.0, 10.0, 0.0), Advanced, "How far it may rise; 0 takes epsilon.";
        num_iterations: usize = whole(1, 100, 1), Advanced, "Updates on the answers of a step.";
        beta: f64 = number(0.0, 100.0, 0.0), Simple, "Weight of the KL divergence from the reference in the loss.";
        loss_type: Normaliser = choice(Normaliser::Dapo), Advanced,
            "How token losses are averaged: over the whole batch, per answer, per pass, or by the length limit.";
        scale_rewards: GroupScale = choice(GroupScale::Group), Advanced, "What scores are divided by.";
        mask_truncated_completions: bool = flag(false), Advanced,
            "Learn nothing from answers that ran into the length limit.";
    }
}

/// A run of it.
struct Run {
    common: CommonSettings,
    own: Own,
}

impl Run {
    fn drawing(&self) -> Drawing {
        Drawing {
            temperature: self.own.temperature,
            max_new_tokens: self.own.max_completion_length,
            each: self.own.num_generations,
            rows: self.common.per_device_train_batch_size,
        }
    }
}

impl Method for Grpo {
    fn name(&self) -> MethodName {
        MethodName::Grpo
    }

    fn card(&self) -> MethodCard {
        let settings = [common(&DEFAULTS), Own::fields()].concat();
        MethodCard {
            name: MethodName::Grpo,
            title: "Group relative policy optimisation",
            summary: "Lets the model answer each prompt several times and makes the better answers of a group likelier; no value model.",
            paper: "Shao et al., DeepSeekMath: Pushing the Limits of Mathematical Reasoning, 2024",
            needs: asked(),
            needs_reward: true,
            settings,
        }
    }

    fn needs(&self) -> Needs {
        Needs { reward: true, reference: true, ..Needs::default() }
    }

    fn read(&self, settings: &Settings) -> std::result::Result<Box<dyn Training>, Problem> {
        let (common, own) = (CommonSettings::of(settings)?, Own::read(settings)?);
        check(&common, own.num_generations)?;
        Ok(Box::new(Run { common, own }))
    }
}

impl Training for Run {
    fn common(&self) -> &CommonSettings {
        &self.common
    }

    fn passes(&self) -> PassesPerRow {
        let answers = Some(self.drawing().passes());
        PassesPerRow { trained: self.own.num_iterations as f64, read: 3.0, answers, ..PassesPerRow::ONE }
    }

    fn steps(&self, items: usize) -> Steps {
        steps(&self.common, self.own.num_generations, items)
    }

    fn prepare(&self, rows: &[Example], encoder: &Encoder) -> Result<Prepared> {
        prompts(rows, encoder, self.common.max_length, self.own.max_completion_length)
    }

    fn train(&self, session: &mut Session, prepared: &Prepared) -> Result<End> {
        let own = &self.own;
        let shape = Shape {
            drawing: self.drawing(),
            objective: Objective::Tokens { normaliser: own.loss_type, scale: own.scale_rewards },
            beta: own.beta,
            clip: clip_range(own.epsilon, own.epsilon_high),
            iterations: own.num_iterations,
            mask_truncated: own.mask_truncated_completions,
        };
        let steps = self.steps(prepared.items.len());
        session.iterate(&prepared.items, steps, &self.common, &mut |context| step(context, &shape))
    }
}
