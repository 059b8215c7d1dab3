//! The last phase of a run: before against after, or what a scorer is worth. A wish of the person ends it without a comparison,
//! never without an adapter.

use crate::asking::questions::Questions;
use crate::asking::scorer::evaluate_scorer;
use crate::asking::{Come, ask_stacks, concluded, evaluated};
use crate::train::execute::{Clock, Outside, read_rows};
use crate::{Speaker, files::durable, train::memory};
use alidade_data::rows_to_jsonl;
use alidade_domain::{
    AdapterRef, EvaluatedStack, Evaluation, EventKind, Example, Observer, Phase, Plan, Problem, Stack, StopSignal,
    WorkUnit,
};
use alidade_evaluation::{Snapshot, unreadable_scores};
use alidade_train::{makes_scorer, method};
use std::cell::RefCell;
use std::path::Path;

/// What the stack answered that a stage began with.
pub const BEFORE: &str = "before.json";
/// What the stack answered that a stage made.
pub const AFTER: &str = "after.json";
/// Seconds between two words on how far it has come.
const EVERY: f64 = 1.0;
/// Seconds between two looks for a wish of the person, which is a file.
const LOOK: f64 = 0.2;
/// Share of the work before which the time that is left is anybody's guess.
const EARLY: f64 = 0.02;

/// Before and after, kept in the run folder: one evaluation for each suite that asks something.
pub fn compare(plan: &Plan, folder: &Path, adapter_sha256: &str, outside: &mut Outside) -> Result<(), Problem> {
    let clock = Clock::start();
    if makes_scorer(&plan.method) {
        outside.observer.observe(EventKind::Stage { phase: Phase::Evaluating })?;
        let rows = plan.held_out.as_deref().map_or_else(|| Ok(Vec::new()), read_rows)?;
        let measured = evaluate_scorer(plan, &folder.join("adapter"), rows, &clock)?;
        return measured.map_or(Ok(()), |evaluation| tell(evaluation, outside));
    }
    let asked = Questions::of_files(plan.prompts.as_deref(), plan.held_out.as_deref(), plan.oracle)?;
    if asked.is_empty() {
        return Ok(());
    }
    outside.observer.observe(EventKind::Stage { phase: Phase::Evaluating })?;
    let precision = memory::precision(method(&plan.method)?.configure(&plan.settings)?.common());
    let now = plan.now.unwrap_or_else(crate::local_time);
    let adapter = folder.join("adapter");
    let adapters = [plan.adapter_dir.as_deref(), Some(adapter.as_path())];
    let speaker = Speaker::of_stacks(&plan.model_dir, &adapters, precision, now)?;
    let questions = answerable(asked, &speaker, plan)?.by_suite()?;
    let earlier = plan.earlier_answers.as_deref().map(read_snapshot).transpose()?;
    let (stacks, earlier) = stacks(plan, earlier, adapter_sha256)?;
    let mut progress = Progress::new(outside, &clock);
    let found = ask_stacks(&questions, &RefCell::new(speaker), &stacks, earlier, None, &mut |come| progress.hear(come));
    if progress.ended {
        let message = "The run was ended before its evaluation; the adapter is complete.".to_owned();
        return outside.observer.observe(EventKind::Warning { code: "not_evaluated".to_owned(), message });
    }
    if let Some(problem) = progress.failed.take() {
        return Err(problem);
    }
    let snapshots = found?;
    for (name, snapshot) in [BEFORE, AFTER].into_iter().zip(&snapshots) {
        let text = serde_json::to_vec(snapshot).map_err(|error| Problem::internal(error.to_string()))?;
        durable::write_durably(&folder.join(name), &text)?;
    }
    // The time is told once, with the first.
    let mut seconds = clock.seconds();
    for question in &questions {
        tell(concluded(question, &[], &snapshots, std::mem::take(&mut seconds)), outside)?;
    }
    Ok(())
}

/// Tells of an evaluation, and of figures that rest on numbers that could not be read.
fn tell(evaluation: Evaluation, outside: &mut Outside) -> Result<(), Problem> {
    for message in unreadable_scores(&evaluation) {
        outside.observer.observe(EventKind::Warning { code: "unreadable_scores".to_owned(), message })?;
    }
    outside.observer.observe(EventKind::Evaluated { evaluation: Box::new(evaluation) })
}

/// Leaves out prompts that no stage can answer, also from the file that the experiment compares by.
fn answerable(asked: Questions, speaker: &Speaker, plan: &Plan) -> Result<Questions, Problem> {
    let given = asked.prompts().len();
    let asked = asked.answerable(speaker)?;
    let fitting = asked.prompts();
    if let Some(path) = plan.prompts.as_deref().filter(|_| fitting.len() < given) {
        let prompts: Vec<Example> = fitting.into_iter().map(|prompt| Example::Prompt { prompt }).collect();
        durable::write_private(path, rows_to_jsonl(&prompts)?.as_bytes())?;
    }
    Ok(asked)
}

/// The stack before and the stack after, and what the first of them answered earlier: answers of a stack with other weights are
/// not its own. Snapshots of earlier versions do not say whose they are and are believed.
fn stacks(
    plan: &Plan,
    earlier: Option<Snapshot>,
    adapter_sha256: &str,
) -> Result<([EvaluatedStack; 2], Option<Snapshot>), Problem> {
    let before = match &plan.adapter_dir {
        None => Stack::base(plan.model.clone()),
        Some(folder) => {
            let (name, sha256) = ("earlier stage".to_owned(), alidade_model::adapter_sha256(folder)?);
            Stack::with_adapter(plan.model.clone(), AdapterRef { id: String::new(), name, sha256 })
        }
    };
    let mut before = evaluated(&before);
    let earlier = earlier.filter(|known| known.stack.key.is_empty() || known.stack.key == before.key);
    if let Some(known) = &earlier {
        before.label.clone_from(&known.stack.label);
    }
    let adapter =
        AdapterRef { id: plan.run.clone(), name: plan.adapter_name.clone(), sha256: adapter_sha256.to_owned() };
    Ok(([before, evaluated(&Stack::with_adapter(plan.model.clone(), adapter))], earlier))
}

/// Tells about once a second how far comparing has come, and hears the person's wish.
struct Progress<'a> {
    observer: &'a mut dyn Observer,
    stop: &'a dyn StopSignal,
    clock: &'a Clock,
    begun: f64,
    told: f64,
    looked: f64,
    ended: bool,
    failed: Option<Problem>,
}

impl<'a> Progress<'a> {
    fn new(outside: &'a mut Outside, clock: &'a Clock) -> Self {
        let begun = clock.seconds();
        let (told, looked) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        Self {
            observer: &mut *outside.observer,
            stop: outside.stop,
            clock,
            begun,
            told,
            looked,
            ended: false,
            failed: None,
        }
    }

    fn hear(&mut self, come: Come) -> bool {
        let now = self.clock.seconds();
        if now - self.looked >= LOOK {
            self.looked = now;
            self.ended = self.stop.requested().is_some();
        }
        if now - self.told >= EVERY && !self.ended {
            self.told = now;
            self.failed = self.observer.observe(self.word(come, now)).err();
        }
        !self.ended && self.failed.is_none()
    }

    fn word(&self, come: Come, now: f64) -> EventKind {
        let left = (now - self.begun) * (1.0 - come.share) / come.share;
        let seconds_left = (come.share > EARLY).then_some(left);
        let (done, total) = (come.done as u64, come.total as u64);
        EventKind::Progress { phase: Phase::Evaluating, done, total, unit: WorkUnit::Answers, seconds_left }
    }
}

/// What a stack answered in an earlier stage.
///
/// # Errors
/// When the file is missing or damaged.
pub fn read_snapshot(path: &Path) -> Result<Snapshot, Problem> {
    let failed =
        |found: String| Problem::internal(format!("Reading the answers in {} failed: {found}.", path.display()));
    let text = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))
}
