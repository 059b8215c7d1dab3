//! One step as a method sees it: its rows, the policy, the state carried over, and the optimizer update. Every loss,
//! metric and gradient norm is checked here: a value that is not finite ends the run with an error that names it.

use crate::encode::Item;
use crate::error::{Result, TrainError};
use crate::optimizer::AdamW;
use crate::rollout::{Rollout, Rollouts};
use alidade_domain::{Observer, Wording, Words};
use alidade_model::{DropoutSeed, Policy};
use std::collections::BTreeMap;

/// The rows of one optimizer step.
pub struct StepBatch<'a> {
    /// Micro-batches, to be run one after the other.
    pub micro_batches: Vec<Vec<&'a Item>>,
    pub(crate) seed: u64,
    pub(crate) step: u64,
}

impl StepBatch<'_> {
    /// Rows in all micro-batches.
    pub fn items(&self) -> usize {
        self.micro_batches.iter().map(Vec::len).sum()
    }

    /// Number of the step, from 0.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Seed of the run.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The same step with other rows.
    pub(crate) fn with_rows<'b>(&self, micro_batches: Vec<Vec<&'b Item>>) -> StepBatch<'b> {
        StepBatch { micro_batches, seed: self.seed, step: self.step }
    }

    /// Seed of the dropout masks of a micro-batch.
    pub fn dropout(&self, micro_batch: usize) -> DropoutSeed {
        DropoutSeed { seed: self.seed, step: self.step, micro_batch: micro_batch as u64 }
    }
}

/// What a method works with in one step of its outer loop.
pub struct StepContext<'s, 'i> {
    /// What is trained.
    pub policy: &'s mut Policy,
    /// The rows of this step.
    pub batch: StepBatch<'i>,
    /// State that the method carries from step to step; it is part of every checkpoint.
    pub state: &'s mut BTreeMap<String, f64>,
    /// How answers are encoded and scored.
    pub rollouts: Option<&'s Rollouts<'s>>,
    /// Receives events.
    pub observer: &'s mut dyn Observer,
    /// Seconds on a monotonic clock.
    pub(crate) clock: &'s dyn Fn() -> f64,
    /// Seconds of this step spent on generating rollouts.
    pub(crate) generation_seconds: f64,
    pub(crate) optimizer: &'s mut AdamW,
    pub(crate) parameters: &'s mut BTreeMap<String, Vec<f32>>,
    /// Learning rate of the step.
    pub(crate) rate: f64,
    /// Norm of the last update's gradients, before clipping.
    pub(crate) norm: f64,
}

impl StepContext<'_, '_> {
    /// Takes the accumulated gradients, clips them and takes one optimizer step.
    ///
    /// # Errors
    /// When a gradient is no longer finite.
    pub fn update(&mut self) -> Result<()> {
        let gradients = self.policy.take_gradients()?;
        self.norm = AdamW::norm(&gradients);
        self.check_finite(Words::new("gradient norm", "梯度范数"), self.norm)?;
        self.optimizer.step(self.parameters, &gradients, self.norm, self.rate);
        for (name, values) in self.parameters.iter() {
            self.policy.set_parameter(name, values)?;
        }
        Ok(())
    }

    /// As [`StepContext::check_finite`] for values of single answers: names the row of the first that is not finite.
    pub(crate) fn check_answers<'r>(
        &self,
        what: impl Into<Wording>,
        numbers: impl Iterator<Item = (&'r Rollout, f64)>,
    ) -> Result<()> {
        let mut numbers = numbers;
        match numbers.find(|(_, value)| !value.is_finite()) {
            Some((rollout, value)) => Err(self.not_finite(what, value, vec![rollout.source])),
            None => Ok(()),
        }
    }

    pub(crate) fn not_finite(&self, what: impl Into<Wording>, value: f64, rows: Vec<usize>) -> TrainError {
        let (step, learning_rate) = (self.batch.step + 1, self.rate);
        TrainError::NotFinite { step, what: what.into(), value, learning_rate, rows }
    }

    /// Fails when the loss or a metric is not finite.
    pub(crate) fn check_metrics(&self, outcome: &StepOutcome) -> Result<()> {
        self.check_finite(Wording::name("loss"), outcome.loss)?;
        outcome.metrics.iter().try_for_each(|(name, value)| self.check_finite(Wording::name(name.as_str()), *value))
    }

    /// Fails when the value is not finite.
    ///
    /// # Errors
    /// Names the step, the rows and the learning rate.
    pub fn check_finite(&self, what: impl Into<Wording>, value: f64) -> Result<()> {
        if value.is_finite() {
            return Ok(());
        }
        Err(self.not_finite(what, value, self.batch.micro_batches.iter().flatten().map(|item| item.row).collect()))
    }
}

/// Loss and metrics of one step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepOutcome {
    /// The loss.
    pub loss: f64,
    /// Further metrics under TRL's names.
    pub metrics: BTreeMap<String, f64>,
    /// Real tokens of the step.
    pub tokens: u64,
}
