//! The optimizer loop: accumulate, clip, step, schedule, log, report, check for a stop request, checkpoint.

use crate::batches::{Steps, batch_of};
use crate::checkpoint::{Checkpoint, commit};
use crate::encode::Item;
use crate::error::{Result, TrainError};
use crate::log::StepLog;
use crate::optimizer::{AdamW, Moments};
use crate::plan_facts::PlanFacts;
use crate::resume::{self, Resume};
use crate::rollout::Rollouts;
use crate::schedule::Schedule;
use crate::settings::CommonSettings;
use crate::step::{StepBatch, StepContext, StepOutcome};
use alidade_domain::{EventKind, Observer, StopReason, StopSignal, wording};
use alidade_model::Policy;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Options of a session.
pub struct SessionOptions<'a> {
    /// Run folder, which holds `log.jsonl` and `checkpoints/`.
    pub folder: PathBuf,
    /// What determines the results: a checkpoint of another plan is never loaded or overwritten.
    pub plan: PlanFacts,
    /// Seed of order and dropout.
    pub seed: u64,
    /// Steps between checkpoints; 0 saves only at a pause.
    pub checkpoint_every: u64,
    /// Seconds on a monotonic clock.
    pub clock: &'a dyn Fn() -> f64,
    /// Called after a checkpoint, to show sample answers of the model.
    pub sampler: Option<Sampler<'a>>,
    /// What methods with rollouts need to encode and score answers.
    pub rollouts: Option<Rollouts<'a>>,
}

/// Shows sample answers of a policy after a step.
pub type Sampler<'a> = &'a mut dyn FnMut(&Policy, u64, &mut dyn Observer) -> std::result::Result<(), TrainError>;

/// A policy under training.
pub struct Session<'a> {
    /// What is trained.
    pub policy: Policy,
    /// Seconds spent on generating rollouts.
    pub generation_seconds: f64,
    options: SessionOptions<'a>,
    observer: &'a mut dyn Observer,
    stop: &'a dyn StopSignal,
}

/// How training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All steps were taken.
    Complete {
        /// Steps.
        steps: u64,
    },
    /// The user ended it earlier.
    Requested {
        /// What was requested.
        reason: StopReason,
        /// Steps taken.
        step: u64,
    },
}

impl<'a> Session<'a> {
    /// A session over a policy.
    pub fn new(
        policy: Policy,
        options: SessionOptions<'a>,
        observer: &'a mut dyn Observer,
        stop: &'a dyn StopSignal,
    ) -> Self {
        Self { policy, generation_seconds: 0.0, options, observer, stop }
    }

    /// Seed of the run.
    pub fn seed(&self) -> u64 {
        self.options.seed
    }

    /// Runs every step after the newest checkpoint, with one optimizer update each. `step` computes a step's loss and
    /// accumulates its gradients in the policy; `items` must be the same list at every resume.
    ///
    /// # Errors
    /// When the method fails, a value is not finite, or a file cannot be written.
    pub fn optimise(
        &mut self,
        items: &[Item],
        settings: &CommonSettings,
        step: &mut dyn FnMut(&mut Policy, &StepBatch) -> Result<StepOutcome>,
    ) -> Result<End> {
        let steps = settings.steps(items.len());
        self.iterate(items, steps, settings, &mut |context| {
            let outcome = step(context.policy, &context.batch)?;
            context.check_metrics(&outcome)?;
            context.update()?;
            Ok(outcome)
        })
    }

    /// As [`Session::optimise`], for methods with several optimizer updates per step. State that a method carries over goes
    /// into `context.state`; nothing else survives a step, so that a checkpoint between steps is complete.
    ///
    /// # Errors
    /// As [`Session::optimise`].
    pub fn iterate(
        &mut self,
        items: &[Item],
        steps: Steps,
        settings: &CommonSettings,
        step: &mut dyn FnMut(&mut StepContext) -> Result<StepOutcome>,
    ) -> Result<End> {
        settings.moves(steps.total).map_err(TrainError::Refused)?;
        let mut progress = Progress::restore(self, settings, &steps)?;
        progress.begin((self.options.clock)());
        while progress.taken < steps.total {
            if let Some(reason) = self.stop.requested() {
                return self.end_early(&mut progress, reason);
            }
            let micro_batches = batch_of(&steps, self.options.seed, progress.taken);
            let micro_batches =
                micro_batches.iter().map(|batch| batch.iter().map(|index| &items[*index]).collect()).collect();
            let batch = StepBatch { micro_batches, seed: self.options.seed, step: progress.taken };
            self.take_step(&mut progress, batch, step)?;
            let due = self.options.checkpoint_every > 0 && progress.taken.is_multiple_of(self.options.checkpoint_every);
            if due && progress.taken < steps.total {
                self.checkpoint(&mut progress)?;
            }
        }
        self.secure(&mut progress)?;
        Ok(End::Complete { steps: progress.taken })
    }

    fn take_step(
        &mut self,
        progress: &mut Progress,
        batch: StepBatch,
        step: &mut dyn FnMut(&mut StepContext) -> Result<StepOutcome>,
    ) -> Result<()> {
        let rate = progress.schedule.rate(progress.taken);
        let mut context = StepContext {
            policy: &mut self.policy,
            batch,
            state: &mut progress.state,
            rollouts: self.options.rollouts.as_ref(),
            observer: &mut *self.observer,
            clock: self.options.clock,
            generation_seconds: 0.0,
            optimizer: &mut progress.optimizer,
            parameters: &mut progress.parameters,
            rate,
            norm: 0.0,
        };
        let outcome = step(&mut context)?;
        context.check_metrics(&outcome)?;
        let (norm, generation_seconds) = (context.norm, context.generation_seconds);
        progress.taken += 1;
        progress.tokens += outcome.tokens;
        let mut metrics = outcome.metrics;
        metrics.insert("loss".to_owned(), outcome.loss);
        metrics.insert("grad_norm".to_owned(), norm);
        metrics.insert("learning_rate".to_owned(), rate);
        metrics.insert("num_tokens".to_owned(), progress.tokens as f64);
        metrics.insert("epoch".to_owned(), progress.steps.epoch(progress.taken));
        progress.log.write(progress.taken, &metrics)?;
        // Times differ from run to run, so they go into the events and not into the log.
        if generation_seconds > 0.0 {
            self.generation_seconds += generation_seconds;
            metrics.insert(
                "time/generation_share".to_owned(),
                progress.pace.share(generation_seconds, (self.options.clock)()),
            );
        }
        let event = progress.event(metrics, (self.options.clock)(), outcome.tokens);
        self.observer.observe(event).map_err(TrainError::Observer)
    }

    /// Checks the weights before they are saved and syncs the log; reports a log that had to be restored.
    fn secure(&mut self, progress: &mut Progress) -> Result<()> {
        progress.check_weights()?;
        match progress.log.sync()? {
            Some(note) => self.observer.observe(note).map_err(TrainError::Observer),
            None => Ok(()),
        }
    }

    fn checkpoint(&mut self, progress: &mut Progress) -> Result<()> {
        self.secure(progress)?;
        let folder = self.options.folder.join("checkpoints");
        let (name, bytes) = commit(&folder, &self.options.plan, &progress.checkpoint())?;
        let event = EventKind::Checkpoint { step: progress.taken, folder: format!("checkpoints/{name}"), bytes };
        self.observer.observe(event).map_err(TrainError::Observer)?;
        match self.options.sampler.as_deref_mut() {
            Some(sampler) => sampler(&self.policy, progress.taken, self.observer),
            None => Ok(()),
        }
    }

    fn end_early(&mut self, progress: &mut Progress, reason: StopReason) -> Result<End> {
        if reason != StopReason::Discard && progress.taken > 0 {
            self.checkpoint(progress)?;
        }
        Ok(End::Requested { reason, step: progress.taken })
    }
}

/// What changes from step to step.
struct Progress {
    steps: Steps,
    schedule: Schedule,
    optimizer: AdamW,
    parameters: BTreeMap<String, Vec<f32>>,
    state: BTreeMap<String, f64>,
    taken: u64,
    tokens: u64,
    log: StepLog,
    pace: Pace,
}

impl Progress {
    /// From the newest checkpoint, or from the beginning.
    fn restore(session: &mut Session, settings: &CommonSettings, steps: &Steps) -> Result<Self> {
        let folder = session.options.folder.clone();
        let Resume { checkpoint, own_log, notes } = resume::prepare(&folder, &session.options.plan)?;
        let (log, note) = StepLog::open(&folder, checkpoint.log.clone(), own_log)?;
        for note in notes.into_iter().chain(note) {
            session.observer.observe(note).map_err(TrainError::Observer)?;
        }
        let mut optimizer = AdamW::new(settings);
        let mut parameters = session.policy.parameters()?;
        if checkpoint.step > 0 {
            if checkpoint.values.keys().ne(parameters.keys()) {
                return Err(TrainError::Checkpoint {
                    path: folder,
                    reason: wording!("it holds other tensors than the model", "其中的张量与模型不同"),
                });
            }
            for (name, values) in &checkpoint.values {
                session.policy.set_parameter(name, values)?;
            }
            parameters.clone_from(&checkpoint.values);
            optimizer.taken = checkpoint.updates;
            let mut second = checkpoint.second;
            optimizer.moments = checkpoint
                .first
                .into_iter()
                .map(|(name, first)| {
                    let second = second.remove(&name).unwrap_or_default();
                    (name, Moments { first, second })
                })
                .collect();
        }
        let schedule = settings.schedule(steps.total);
        let (taken, tokens, pace) = (checkpoint.step, checkpoint.tokens, Pace::default());
        let state = checkpoint.state;
        Ok(Self { steps: *steps, schedule, optimizer, parameters, state, taken, tokens, log, pace })
    }

    /// An update may leave weights that are not finite, which only the next step would notice; they are never saved.
    fn check_weights(&self) -> Result<()> {
        let wrong = |values: &[f32]| values.iter().copied().find(|value| !value.is_finite());
        match self.parameters.iter().find_map(|(name, values)| Some((name, wrong(values)?))) {
            Some((name, value)) => Err(TrainError::NotFinite {
                step: self.taken,
                what: wording!("weight {name}", "权重 {name}"),
                value: f64::from(value),
                learning_rate: self.schedule.rate(self.taken.saturating_sub(1)),
                rows: Vec::new(),
            }),
            None => Ok(()),
        }
    }

    fn begin(&mut self, now: f64) {
        self.pace = Pace { last: now, ..Pace::default() };
    }

    fn checkpoint(&self) -> Checkpoint {
        let moments = |pick: fn(&Moments) -> &Vec<f32>| {
            self.optimizer.moments.iter().map(|(name, moments)| (name.clone(), pick(moments).clone())).collect()
        };
        Checkpoint {
            step: self.taken,
            updates: self.optimizer.taken,
            tokens: self.tokens,
            state: self.state.clone(),
            values: self.parameters.clone(),
            first: moments(|moments| &moments.first),
            second: moments(|moments| &moments.second),
            log: self.log.text().to_vec(),
        }
    }

    fn event(&mut self, metrics: BTreeMap<String, f64>, now: f64, tokens: u64) -> EventKind {
        let seconds = self.pace.observe(now, tokens);
        EventKind::Step {
            step: self.taken,
            total: self.steps.total,
            metrics,
            tokens_per_second: self.pace.tokens_per_second(),
            seconds_left: seconds * (self.steps.total - self.taken) as f64,
        }
    }
}

/// Moving averages of time and tokens per step.
#[derive(Default)]
struct Pace {
    last: f64,
    seconds: f64,
    tokens: f64,
}

impl Pace {
    fn observe(&mut self, now: f64, tokens: u64) -> f64 {
        let passed = (now - self.last).max(1e-9);
        let blend = |old: f64, new: f64| if old == 0.0 { new } else { 0.9 * old + 0.1 * new };
        self.seconds = blend(self.seconds, passed);
        self.tokens = blend(self.tokens, tokens as f64);
        self.last = now;
        self.seconds
    }

    /// Share of the time since the last step that `seconds` are.
    fn share(&self, seconds: f64, now: f64) -> f64 {
        (seconds / (now - self.last).max(1e-9)).min(1.0)
    }

    fn tokens_per_second(&self) -> f64 {
        self.tokens / self.seconds.max(1e-9)
    }
}
