//! RLOO (Ahmadian et al., arXiv 2402.14740): REINFORCE with a leave-one-out baseline.
//!
//! A whole answer is moved by its score above the mean of the others; β·KL is taken off the score.

use super::group::{Objective, Shape, check, clip_range, step, steps};
use crate::declare::{number, settings, whole};
use crate::encode::{Encoder, Prepared};
use crate::error::Result;
use crate::method::{Method, Needs, Training};
use crate::order::Steps;
use crate::passes::PassesPerRow;
use crate::rollout::{Drawing, asked, prompts};
use crate::session::{End, Session};
use crate::settings::{CommonSettings, Defaults, SamplingStrategy, common};
use alidade_domain::{Example, MethodCard, MethodName, Problem, Settings};

/// The method.
pub(crate) struct Rloo;

const DEFAULTS: Defaults =
    Defaults { learning_rate: 1e-5, epochs: 1.0, warmup_ratio: 0.0, order: SamplingStrategy::Random };

settings! {
    struct Own {
        num_generations: usize = whole(2, 1024, 4), Simple,
            "Answers to each prompt that are compared with each other.";
        max_completion_length: usize = whole(1, 4096, 256), Simple, "Most tokens of an answer.";
        temperature: f64 = number(0.05, 5.0, 1.0), Advanced,
            "Temperature of the draws; log-probabilities are taken at it too.";
        epsilon: f64 = number(0.0, 10.0, 0.2), Advanced, "How far a probability may fall in one step.";
        epsilon_high: f64 = number(0.0, 10.0, 0.0), Advanced, "How far it may rise; 0 takes epsilon.";
        num_iterations: usize = whole(1, 100, 1), Advanced, "Updates on the answers of a step.";
        beta: f64 = number(0.0, 100.0, 0.05), Simple,
            "Price of moving away from the reference, per nat, taken off the score.";
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

impl Method for Rloo {
    fn name(&self) -> MethodName {
        MethodName::Rloo
    }

    fn card(&self) -> MethodCard {
        let settings = [common(&DEFAULTS), Own::fields()].concat();
        MethodCard {
            name: MethodName::Rloo,
            title: "REINFORCE leave-one-out",
            summary: "Lets the model answer each prompt several times and makes answers likelier that beat the average of the others.",
            paper: "Ahmadian et al., Back to Basics: Revisiting REINFORCE Style Optimization, 2024",
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
            objective: Objective::Answers,
            beta: own.beta,
            clip: clip_range(own.epsilon, own.epsilon_high),
            iterations: own.num_iterations,
            mask_truncated: false,
        };
        let steps = self.steps(prepared.items.len());
        session.iterate(&prepared.items, steps, &self.common, &mut |context| step(context, &shape))
    }
}
