//! Plans a whole pipeline, with progress while a step is measured, and stops when nobody listens any more. Measurements are
//! cached on disk for a week.

use crate::confined::{Limits, Link, Received, Session, request_of};
use crate::experiments::budget;
use crate::studio::{Studio, lock, now_ms};
use crate::{Clock, models::vetting};
use alidade_domain::{
    CheckedPipeline, ModelSource, PlanNews, Planning, Problem, Stage, StageEstimate, Wording, Words, wording,
};
use alidade_jobs::files::durable::write_private;
use alidade_jobs::kinds::{Ask, job};
use alidade_jobs::train::estimate::unwanted;
use alidade_jobs::train::pace::{Gauge, Paces};
use alidade_jobs::train::warnings::warnings;
use alidade_jobs::{machine, train::memory};
use alidade_train::method;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::TryLockError;
use std::time::Duration;

/// Name of the task in the child.
pub(crate) const TASK: &str = "plan_stages";
/// Interval of progress messages.
const TICK: Duration = Duration::from_millis(200);
/// Measurements expire, because the machine may have been busy.
const LASTING_MS: u64 = 7 * 24 * 3600 * 1000;
/// Memory per byte of rows, which exist as text, as examples and as tokens.
const PER_ROW_BYTE: u64 = 16;

type Found = Result<StageEstimate, Problem>;

#[derive(Serialize, Deserialize)]
struct Request {
    stages: Vec<Ask>,
    paces: Paces,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    stages: Vec<Found>,
    paces: Paces,
}

/// Receives progress; returns false when the plan is no longer wanted.
pub type PlanListener<'a> = &'a mut dyn FnMut(PlanNews) -> bool;

impl Studio {
    /// Checks every stage and estimates its cost. Changes nothing.
    ///
    /// # Errors
    /// When the database refuses; faults of the pipeline are part of the result.
    pub fn check_pipeline(&self, stages: &[Stage]) -> Result<CheckedPipeline, Problem> {
        self.plan_pipeline(stages, &mut |_| true)
    }

    /// As [`Studio::check_pipeline`], with progress; ends early when nobody listens any more.
    ///
    /// # Errors
    /// As [`Studio::check_pipeline`], and when the plan was cancelled.
    pub fn plan_pipeline(&self, stages: &[Stage], listener: PlanListener) -> Result<CheckedPipeline, Problem> {
        let mut checked = CheckedPipeline {
            ready: false,
            problems: Vec::new(),
            warnings: Vec::new(),
            stages: Vec::new(),
            compare: None,
            free_memory_bytes: machine::free_memory_bytes(),
            free_disk_bytes: machine::free_disk_bytes(&self.configuration.home),
        };
        if stages.is_empty() {
            checked.problems.push(
                Problem::input(wording!("The pipeline has no stage.", "流程中没有阶段。"))
                    .hint(wording!("Choose a goal.", "请选择目标。"))
                    .at("pipeline"),
            );
        }
        let mut asks = Vec::new();
        for (index, stage) in stages.iter().enumerate() {
            match self.ask_of(index, stages) {
                Ok(Some(ask)) => asks.push(ask),
                Ok(None) => checked.warnings.push(unknown_yet(stage).at_stage(index)),
                Err(problems) => checked.problems.extend(problems.into_iter().map(|problem| problem.at_stage(index))),
            }
        }
        for (ask, found) in asks.iter().zip(self.estimates(&asks, listener)?) {
            match found {
                Some(Ok(estimate)) => {
                    let notes = match ask {
                        Ask::Train(ask) => {
                            let training = method(&ask.recipe.method)?.configure(&ask.settings)?;
                            warnings(training.as_ref(), &estimate)
                        }
                        _ => estimate.advice.clone(),
                    };
                    checked.warnings.extend(notes.into_iter().map(|note| note.at_stage(ask.stage())));
                    checked.stages.push(estimate);
                }
                Some(Err(problem)) => checked.problems.push(problem.at_stage(ask.stage())),
                None => {}
            }
        }
        checked.compare = budget::fit(stages, &mut checked.stages);
        let needed = checked.stages.iter().map(|stage| stage.memory_bytes).max().unwrap_or(0);
        checked.problems.extend(memory::refuse(needed, checked.free_memory_bytes));
        checked.problems.extend(no_room(&checked));
        // Faults are sorted by stage.
        checked.problems.sort_by_key(stage_of);
        checked.ready = checked.problems.is_empty();
        Ok(checked)
    }

    /// Estimates of all stages; only unknown figures are measured. A stage has none if a fault of an earlier one ended the
    /// child.
    fn estimates(&self, asks: &[Ask], listener: PlanListener) -> Result<Vec<Option<Found>>, Problem> {
        let known = |ask: &Ask| lock(&self.estimates).get(&key(ask)).cloned();
        let unknown: Vec<Ask> = asks.iter().filter(|ask| known(ask).is_none()).cloned().collect();
        let mut faults: BTreeMap<usize, Problem> = BTreeMap::new();
        let found = if unknown.is_empty() { Ok(Vec::new()) } else { self.measure(&unknown, listener) };
        match found {
            // The files of a stage killed the child.
            Err(problem) if stage_of(&problem) < usize::MAX => {
                drop(faults.insert(stage_of(&problem), without_stage(problem)));
            }
            found => {
                for (ask, found) in unknown.iter().zip(found?) {
                    match found {
                        Ok(estimate) => drop(lock(&self.estimates).insert(key(ask), estimate)),
                        Err(problem) => drop(faults.insert(ask.stage(), problem)),
                    }
                }
            }
        }
        let place = |ask: &Ask, estimate: StageEstimate| StageEstimate { stage: ask.stage(), ..estimate };
        let found = |ask: &Ask| match faults.get(&ask.stage()) {
            Some(problem) => Some(Err(problem.clone())),
            None => known(ask).map(|estimate| Ok(place(ask, estimate))),
        };
        Ok(asks.iter().map(found).collect())
    }

    /// Counts and measures. Bundled models are trusted; others are read and run in a child, which ends with its plan.
    fn measure(&self, asks: &[Ask], listener: PlanListener) -> Result<Vec<Found>, Problem> {
        let clock = Clock::start();
        let mut report = |doing, stage| listener(PlanNews::Working { doing, stage, seconds: clock.seconds() });
        let alone = loop {
            match self.measuring.try_lock() {
                Ok(alone) => break alone,
                Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
                Err(TryLockError::WouldBlock) if report(Planning::Waiting, asks[0].stage()) => std::thread::sleep(TICK),
                Err(TryLockError::WouldBlock) => return Err(unwanted()),
            }
        };
        let request = Request { stages: asks.to_vec(), paces: self.paces() };
        let answer = match asks.iter().all(|ask| ask.model().is_none_or(|model| model.bundled)) {
            true => plan_stages(request, &mut |_, stage, doing| Ok(report(doing, stage)))?,
            false => self.in_child(&request, &mut report)?,
        };
        self.keep_paces(answer.paces)?;
        drop(alone);
        Ok(answer.stages)
    }

    fn in_child(&self, request: &Request, report: &mut dyn FnMut(Planning, usize) -> bool) -> Result<Answer, Problem> {
        let limits = limits(&request.stages);
        let value =
            serde_json::to_value(request).map_err(|error| Problem::internal(Wording::name(error.to_string())))?;
        let what = (wording!("Planning the run", "规划运行"), "pipeline");
        let mut child = Session::start(&self.configuration.program, TASK, what, limits, value)?;
        let (clock, mut now) = (Clock::start(), (Planning::Preparing, request.stages[0].stage()));
        loop {
            match child.receive(TICK)? {
                Received::Message(told) => now = request_of(told)?,
                Received::Done(answer) => return request_of(answer),
                Received::Idle | Received::Nothing => {}
            }
            if !report(now.0, now.1) {
                return Err(unwanted());
            }
            if clock.seconds() > limits.seconds as f64 {
                return Err(child.too_slow(limits));
            }
        }
    }

    fn paces_path(&self) -> PathBuf {
        self.configuration.home.join("paces.json")
    }

    /// Cached measurements. An unreadable cache counts as empty.
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
        let text = serde_json::to_string(&kept).map_err(|error| Problem::internal(Wording::name(error.to_string())))?;
        write_private(&self.paces_path(), text.as_bytes())
    }
}

/// The task in the child.
pub(crate) fn task(request: Value, link: &mut Link) -> Result<Value, Problem> {
    let answer = plan_stages(request_of(request)?, &mut |ask, stage, doing| {
        let (name, field) = (ask.model().map_or("", |model| &model.model.name), format!("stage.{stage}.model"));
        let what = match doing {
            Planning::Measuring => wording!("Measuring a step of the model “{name}”", "测量模型“{name}”的一步"),
            _ => wording!(
                "Reading the rows with the tokenizer and the chat template of “{name}”",
                "用“{name}”的分词器和对话模板读取数据"
            ),
        };
        link.at(what, &field)?;
        link.send(&(doing, stage))?;
        Ok(true)
    })?;
    serde_json::to_value(answer).map_err(|error| Problem::internal(Wording::name(error.to_string())))
}

fn plan_stages(
    request: Request,
    report: &mut dyn FnMut(&Ask, usize, Planning) -> Result<bool, Problem>,
) -> Result<Answer, Problem> {
    let mut gauge = Gauge::knowing(request.paces);
    let mut stages = Vec::with_capacity(request.stages.len());
    for ask in &request.stages {
        let (mut failed, mut cancelled) = (None, false);
        let found = job(ask.kind())?.estimate(ask, &mut gauge, &mut |doing| match report(ask, ask.stage(), doing) {
            Ok(wanted) => {
                cancelled = !wanted;
                wanted
            }
            Err(problem) => {
                failed = Some(problem);
                false
            }
        });
        if let Some(problem) = failed {
            return Err(problem);
        }
        if cancelled {
            return Err(unwanted());
        }
        stages.push(found);
    }
    Ok(Answer { stages, paces: gauge.into_paces() })
}

/// The note on a stage whose rows are made by an earlier one.
fn unknown_yet(stage: &Stage) -> Problem {
    let kind = stage.kind();
    let (what, field) = match stage.model() {
        Some(ModelSource::Stage(_)) => (Words::new("model", "模型"), "model"),
        _ => (Words::new("rows", "数据"), "dataset"),
    };
    let message = wording!(
        "An earlier stage makes the {what} of this one ({kind}): its cost is known once that exists.",
        "前面的阶段产生这个阶段（{kind}）的{what}：在那之后才知道它的开销。";
        what
    );
    Problem::input(message).at(field)
}

/// Limits of the child for these stages: their models one after another, and the rows of the largest data set.
fn limits(stages: &[Ask]) -> Limits {
    let mut limits = Limits { memory_bytes: 0, seconds: 0 };
    for ask in stages {
        let Some(model) = ask.model() else { continue };
        let rows = ask.rows().and_then(|rows| std::fs::metadata(rows).ok()).map_or(0, |data| data.len());
        let own = vetting::limits_for(&model.folder, true).plus(rows, PER_ROW_BYTE);
        limits.memory_bytes = limits.memory_bytes.max(own.memory_bytes);
        limits.seconds += own.seconds;
    }
    limits
}

/// Everything that an estimate depends on except the machine.
fn key(ask: &Ask) -> String {
    match ask {
        Ask::Train(ask) => serde_json::json!([
            ask.model.model.sha256,
            ask.rows_sha256,
            ask.recipe,
            ask.settings,
            ask.split,
            ask.others
        ])
        .to_string(),
        other => serde_json::json!(other).to_string(),
    }
}

/// The stage of a problem, for sorting; problems of the whole pipeline come last.
fn stage_of(problem: &Problem) -> usize {
    let stage =
        problem.field.as_deref().and_then(|field| field.strip_prefix("stage.")?.split('.').next()?.parse().ok());
    stage.unwrap_or(usize::MAX)
}

/// The same problem, with its field prefixed by its stage.
fn without_stage(mut problem: Problem) -> Problem {
    let within = problem.field.as_deref().and_then(|field| field.strip_prefix("stage.")?.split_once('.'));
    problem.field = within.map(|(_, field)| field.to_owned());
    problem
}

fn no_room(checked: &CheckedPipeline) -> Option<Problem> {
    let needed: u64 = checked.stages.iter().map(|stage| stage.disk_bytes).sum();
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    (checked.free_disk_bytes > 0 && needed > checked.free_disk_bytes).then(|| {
        let (needed, free) = (gigabytes(needed), gigabytes(checked.free_disk_bytes));
        Problem::input(wording!(
            "The run needs about {needed:.1} GB of disk; {free:.1} GB are free.",
            "运行约需 {needed:.1} GB 磁盘空间，可用 {free:.1} GB。"
        ))
        .hint(wording!("Free some disk space, or move the data folder.", "请腾出一些磁盘空间，或移动数据目录。"))
        .at("disk")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, import, recipe};

    #[test]
    fn a_plan_counts_every_stage_measures_once_and_ends_when_nobody_listens() {
        let house = House::new();
        let studio = house.open();
        let set = import(&studio);
        let stages = [Stage::Train(recipe(&set.id))];
        let told = |stages: &[Stage]| {
            let mut doing = Vec::new();
            let checked = studio.plan_pipeline(stages, &mut |news| {
                if let PlanNews::Working { doing: now, .. } = news {
                    doing.push(now);
                }
                true
            });
            (checked.unwrap(), doing)
        };
        let given_up = studio.plan_pipeline(&stages, &mut |_| false).unwrap_err();
        assert!(given_up.message.en.contains("given up"), "{given_up:?}");
        let (checked, doing) = told(&stages);
        assert!(checked.ready && doing.contains(&Planning::Measuring), "{checked:?}");
        let estimate = &checked.stages[0];
        // Four of forty rows are kept apart.
        assert_eq!((estimate.rows, estimate.held_out_rows, estimate.optimizer_steps), (36, 4, 3));
        assert!(estimate.seconds > 0.0 && estimate.memory_bytes > 0 && estimate.trainable_parameters > 0);
        assert_eq!(checked.warnings[0].field.as_deref(), Some("stage.0.settings.max_steps"));
        let (again, doing) = told(&stages);
        assert_eq!((again.stages, doing), (checked.stages, Vec::new()));
    }

    #[test]
    fn faults_stand_at_their_stage_and_keep_no_other_stage_from_being_counted() {
        let house = House::new();
        let studio = house.open();
        let set = import(&studio);
        let stages = [Stage::Train(recipe("gone")), Stage::Train(recipe(&set.id))];
        let checked = studio.check_pipeline(&stages).unwrap();
        assert!(!checked.ready);
        let fields: Vec<_> = checked.problems.iter().filter_map(|problem| problem.field.as_deref()).collect();
        assert_eq!(fields, ["stage.0.dataset"]);
        assert_eq!(checked.stages.iter().map(|stage| stage.stage).collect::<Vec<_>>(), [1]);
        assert_eq!(studio.check_pipeline(&[]).unwrap().problems[0].field.as_deref(), Some("pipeline"));
    }
}
