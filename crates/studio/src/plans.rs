//! Plans of a whole pipeline, as they are made: what is being done is told while a step is measured, and nobody waits for a
//! plan that is no longer wanted. What was measured is kept on the disk for a week.

use crate::estimate::{StageAsk, estimate, unwanted};
use crate::pace::{Gauge, Paces};
use crate::pipeline::{at_stage, warnings};
use crate::studio::{Studio, lock, now_ms};
use crate::{Clock, files, machine, memory};
use alidade_domain::{CheckedPipeline, PlanNews, Planning, Problem, Recipe, StageEstimate};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How often those who wait are told that it goes on.
const TICK: Duration = Duration::from_millis(200);
/// A machine that was busy when it was measured must not be thought slow for ever.
const LASTING_MS: u64 = 7 * 24 * 3600 * 1000;

/// Listens to a plan as it is made; false when it is no longer wanted.
pub type Hear<'a> = &'a mut dyn FnMut(PlanNews) -> bool;

impl Studio {
    /// Checks every stage and estimates what it costs. Nothing is changed.
    ///
    /// # Errors
    /// When the database refuses; faults of the pipeline are part of the answer.
    pub fn check_pipeline(&self, pipeline: &[Recipe]) -> Result<CheckedPipeline, Problem> {
        self.plan_pipeline(pipeline, &mut |_| true)
    }

    /// As [`Studio::check_pipeline`], told as it goes on; ends early when nobody listens any more.
    ///
    /// # Errors
    /// As [`Studio::check_pipeline`], and when the plan was given up.
    pub fn plan_pipeline(&self, pipeline: &[Recipe], hear: Hear) -> Result<CheckedPipeline, Problem> {
        let mut checked = CheckedPipeline {
            ready: false,
            problems: Vec::new(),
            warnings: Vec::new(),
            stages: Vec::new(),
            free_memory_bytes: machine::free_memory_bytes(),
            free_disk_bytes: machine::free_disk_bytes(&self.configuration.home),
        };
        if pipeline.is_empty() {
            checked.problems.push(Problem::input("The pipeline has no stage.").hint("Choose a goal.").at("pipeline"));
        }
        let mut asks = Vec::new();
        for (index, recipe) in pipeline.iter().enumerate() {
            match self.check_stage(index, recipe, pipeline) {
                Ok(ask) => asks.push(ask),
                Err(problems) => checked.problems.extend(problems.into_iter().map(|problem| at_stage(index, problem))),
            }
        }
        for (ask, found) in asks.iter().zip(self.estimates(&asks, hear)?) {
            match found {
                Ok(estimate) => {
                    let notes = warnings(&ask.recipe, &ask.settings, &estimate);
                    checked.warnings.extend(notes.into_iter().map(|note| at_stage(ask.stage, note)));
                    checked.stages.push(estimate);
                }
                Err(problem) => checked.problems.push(at_stage(ask.stage, problem)),
            }
        }
        let needed = checked.stages.iter().map(|stage| stage.memory_bytes).max().unwrap_or(0);
        checked.problems.extend(memory::refuse(needed, checked.free_memory_bytes));
        checked.problems.extend(no_room(&checked));
        // Faults of one stage stand together, whichever way they were found.
        checked.problems.sort_by_key(|problem| stage_of(problem));
        checked.ready = checked.problems.is_empty();
        Ok(checked)
    }

    /// What each stage costs; only what is not known yet is measured.
    fn estimates(&self, asks: &[StageAsk], hear: Hear) -> Result<Vec<Result<StageEstimate, Problem>>, Problem> {
        let known = |ask: &StageAsk| lock(&self.estimates).get(&key(ask)).cloned();
        let unknown: Vec<StageAsk> = asks.iter().filter(|ask| known(ask).is_none()).cloned().collect();
        let mut faults: BTreeMap<usize, Problem> = BTreeMap::new();
        if !unknown.is_empty() {
            for (ask, found) in unknown.iter().zip(self.measure(&unknown, hear)?) {
                match found {
                    Ok(estimate) => drop(lock(&self.estimates).insert(key(ask), estimate)),
                    Err(problem) => drop(faults.insert(ask.stage, problem)),
                }
            }
        }
        let place = |ask: &StageAsk, estimate: StageEstimate| StageEstimate { stage: ask.stage, ..estimate };
        let found = |ask: &StageAsk| match (faults.get(&ask.stage), known(ask)) {
            (Some(problem), _) => Err(problem.clone()),
            (None, Some(estimate)) => Ok(place(ask, estimate)),
            (None, None) => Err(unwanted()),
        };
        Ok(asks.iter().map(found).collect())
    }

    fn measure(&self, asks: &[StageAsk], hear: Hear) -> Result<Vec<Result<StageEstimate, Problem>>, Problem> {
        let clock = Clock::start();
        let mut say = |doing, stage| hear(PlanNews::Working { doing, stage, seconds: clock.seconds() });
        let alone = loop {
            match self.measuring.try_lock() {
                Ok(alone) => break alone,
                Err(std::sync::TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
                Err(std::sync::TryLockError::WouldBlock) if say(Planning::Waiting, asks[0].stage) => {
                    std::thread::sleep(TICK)
                }
                Err(std::sync::TryLockError::WouldBlock) => return Err(unwanted()),
            }
        };
        let mut gauge = Gauge::knowing(self.paces());
        let listening = AtomicBool::new(true);
        let (sender, receiver) = channel();
        let found = std::thread::scope(|scope| {
            let gauge = &mut gauge;
            let (listening, stages) = (&listening, asks);
            let worker = scope.spawn(move || {
                let mut one = |ask: &StageAsk| {
                    estimate(ask, gauge, &mut |doing| {
                        sender.send((doing, ask.stage)).is_ok() && listening.load(Ordering::Relaxed)
                    })
                };
                stages.iter().map(&mut one).collect::<Vec<_>>()
            });
            let mut now = (Planning::Preparing, asks[0].stage);
            loop {
                match receiver.recv_timeout(TICK) {
                    Ok(next) => now = next,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                if !say(now.0, now.1) {
                    listening.store(false, Ordering::Relaxed);
                }
            }
            worker.join().map_err(|_| Problem::internal("Making the plan broke off."))
        })?;
        self.keep_paces(gauge.into_paces())?;
        drop(alone);
        if listening.load(Ordering::Relaxed) { Ok(found) } else { Err(unwanted()) }
    }

    fn paces_path(&self) -> PathBuf {
        self.configuration.home.join("paces.json")
    }

    /// What was measured in the last days. A file that cannot be read is as good as none: it is measured again.
    fn paces(&self) -> Paces {
        let text = std::fs::read(self.paces_path()).unwrap_or_default();
        let kept: BTreeMap<String, (u64, [f64; 2])> = serde_json::from_slice(&text).unwrap_or_default();
        let fresh = kept.into_iter().filter(|(_, (at, _))| now_ms().saturating_sub(*at) < LASTING_MS);
        fresh.map(|(key, (_, figures))| (key, figures)).collect()
    }

    fn keep_paces(&self, paces: Paces) -> Result<(), Problem> {
        let text = std::fs::read(self.paces_path()).unwrap_or_default();
        let mut kept: BTreeMap<String, (u64, [f64; 2])> = serde_json::from_slice(&text).unwrap_or_default();
        kept.retain(|key, _| paces.contains_key(key));
        for (key, figures) in paces {
            kept.entry(key).or_insert((now_ms(), figures));
        }
        let text = serde_json::to_string(&kept).map_err(|error| Problem::internal(error.to_string()))?;
        files::write(&self.paces_path(), &text)
    }
}

/// Everything that an estimate depends on but the machine.
fn key(ask: &StageAsk) -> String {
    serde_json::json!([ask.model.model.sha256, ask.rows_sha256, ask.recipe, ask.settings, ask.split]).to_string()
}

/// The stage that a problem stands at; those of the whole pipeline come last.
fn stage_of(problem: &Problem) -> usize {
    let stage =
        problem.field.as_deref().and_then(|field| field.strip_prefix("stage.")?.split('.').next()?.parse().ok());
    stage.unwrap_or(usize::MAX)
}

fn no_room(checked: &CheckedPipeline) -> Option<Problem> {
    let needed: u64 = checked.stages.iter().map(|stage| stage.disk_bytes).sum();
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    (checked.free_disk_bytes > 0 && needed > checked.free_disk_bytes).then(|| {
        let (needed, free) = (gigabytes(needed), gigabytes(checked.free_disk_bytes));
        Problem::input(format!("The run needs about {needed:.1} GB of disk; {free:.1} GB are free."))
            .hint("Free some room, or move the data folder.")
            .at("disk")
    })
}
