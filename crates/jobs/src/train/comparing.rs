//! The last phase of a training run: the comparison of before and after, or the evaluation of a scorer. A request of the
//! person ends it without a comparison, never without an adapter.

use crate::asking::questions::Questions;
use crate::asking::scorer::evaluate_scorer;
use crate::asking::{Progress, ask_stacks, concluded, evaluated};
use crate::train::execute::{Clock, Outside, read_rows};
use crate::train::outcome::{self, MODEL};
use crate::{Speaker, files::durable, train::memory};
use alidade_data::rows_to_jsonl;
use alidade_domain::{
    AdapterRef, EvaluatedStack, Evaluation, EventKind, Example, ModelRef, Observer, Phase, Plan, Problem, Stack,
    StopSignal, Wording, WorkUnit, why, wording,
};
use alidade_evaluation::{KEPT, Question, Snapshot, unreadable_scores};
use alidade_train::{makes_scorer, method};
use std::cell::RefCell;
use std::path::Path;

/// Answers of the stack that the stage started from.
pub const BEFORE: &str = "before.json";
/// Answers of the stack that the stage made.
pub const AFTER: &str = "after.json";
/// Seconds between two progress events.
const EVERY: f64 = 1.0;
/// Seconds between two checks for a request, which is a file.
const CHECK: f64 = 0.2;
/// Share of the work before which the remaining time cannot be estimated.
const EARLY: f64 = 0.02;

/// Compares before and after, and keeps the answers in the run folder: one evaluation for each suite with questions.
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
    let asked = asked.with_general_text(plan.oracle);
    outside.observer.observe(EventKind::Stage { phase: Phase::Evaluating })?;
    let precision = memory::precision(method(&plan.method)?.configure(&plan.settings)?.common());
    let now = plan.now.unwrap_or_else(crate::local_time);
    let adapter = folder.join("adapter");
    let adapters = [plan.trains.continued(), Some(adapter.as_path())];
    // A model whose every weight was trained is loaded after the one before it has answered.
    let adapters = if plan.trains.is_full() { &adapters[..1] } else { &adapters[..] };
    let speaker = Speaker::of_stacks(&plan.model_dir, adapters, precision, now)?;
    let questions = answerable(asked, &speaker, plan)?.by_suite()?;
    let earlier = plan.earlier_answers.as_deref().map(read_snapshot).transpose()?;
    let (stacks, earlier) = stacks(plan, earlier, adapter_sha256)?;
    let mut reporter = Reporter::new(outside, &clock);
    let after = || Speaker::of_stacks(&folder.join(MODEL), &[None], precision, now);
    let after = plan.trains.is_full().then_some(&after as &dyn Fn() -> _);
    let found = ask(&questions, speaker, after, (&stacks, earlier), &mut reporter);
    if reporter.ended {
        let message = wording!(
            "The run was ended before its evaluation; the adapter is complete.",
            "运行在评测之前结束；适配器是完整的。"
        );
        return outside.observer.observe(EventKind::Warning { code: "not_evaluated".to_owned(), message });
    }
    if let Some(problem) = reporter.failed.take() {
        return Err(problem);
    }
    let snapshots = found?;
    for (name, snapshot) in [BEFORE, AFTER].into_iter().zip(&snapshots) {
        let text = serde_json::to_vec(snapshot).map_err(|error| Problem::internal(Wording::name(error.to_string())))?;
        durable::write_durably(&folder.join(name), &text)?;
    }
    // The first evaluation carries the time of all.
    let mut seconds = clock.seconds();
    for question in &questions {
        tell(concluded(question, &[], &snapshots, (KEPT, std::mem::take(&mut seconds))), outside)?;
    }
    Ok(())
}

/// Asks both stacks: with one speaker that has both adapters, or with one after the other.
fn ask(
    questions: &[Question],
    before: Speaker,
    after: Option<&dyn Fn() -> Result<Speaker, Problem>>,
    (stacks, earlier): (&[EvaluatedStack; 2], Option<Snapshot>),
    reporter: &mut Reporter,
) -> Result<Vec<Snapshot>, Problem> {
    let before = RefCell::new(before);
    let Some(after) = after else {
        return ask_stacks(questions, &before, stacks, earlier, None, &mut |progress| reporter.report(progress));
    };
    let mut half = |place: usize, progress: Progress| {
        let done = place * progress.total + progress.done;
        let share = (place as f64 + progress.share) / stacks.len() as f64;
        reporter.report(Progress { done, total: stacks.len() * progress.total, share })
    };
    let mut snapshots = ask_stacks(questions, &before, &stacks[..1], earlier, None, &mut |told| half(0, told))?;
    drop(before);
    let after = RefCell::new(after()?);
    snapshots.extend(ask_stacks(questions, &after, &stacks[1..], None, None, &mut |told| half(1, told))?);
    Ok(snapshots)
}

/// Reports an evaluation, with warnings for scores that could not be read.
fn tell(evaluation: Evaluation, outside: &mut Outside) -> Result<(), Problem> {
    for message in unreadable_scores(&evaluation) {
        outside.observer.observe(EventKind::Warning { code: "unreadable_scores".to_owned(), message })?;
    }
    outside.observer.observe(EventKind::Evaluated { evaluation: Box::new(evaluation) })
}

/// Leaves out prompts that no stage can answer, also from the file of prompts that later stages use.
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

/// The stack before and the stack after, and earlier answers of the first of them. Answers of a stack with other weights are
/// not reused. Snapshots of earlier versions do not name their stack and are trusted.
fn stacks(
    plan: &Plan,
    earlier: Option<Snapshot>,
    adapter_sha256: &str,
) -> Result<([EvaluatedStack; 2], Option<Snapshot>), Problem> {
    let before = match plan.trains.continued() {
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
    let (id, sha256) = (plan.run.clone(), adapter_sha256.to_owned());
    let after = match plan.trains.is_full() {
        true => Stack::base(ModelRef { id, name: outcome::model_name(plan), sha256 }),
        false => Stack::with_adapter(plan.model.clone(), AdapterRef { id, name: plan.adapter_name.clone(), sha256 }),
    };
    Ok(([before, evaluated(&after)], earlier))
}

/// Reports progress about once a second, and checks for a request of the person.
struct Reporter<'a> {
    observer: &'a mut dyn Observer,
    stop: &'a dyn StopSignal,
    clock: &'a Clock,
    begun: f64,
    reported: f64,
    checked: f64,
    ended: bool,
    failed: Option<Problem>,
}

impl<'a> Reporter<'a> {
    fn new(outside: &'a mut Outside, clock: &'a Clock) -> Self {
        let begun = clock.seconds();
        let (reported, checked) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        Self {
            observer: &mut *outside.observer,
            stop: outside.stop,
            clock,
            begun,
            reported,
            checked,
            ended: false,
            failed: None,
        }
    }

    fn report(&mut self, progress: Progress) -> bool {
        let now = self.clock.seconds();
        if now - self.checked >= CHECK {
            self.checked = now;
            self.ended = self.stop.requested().is_some();
        }
        if now - self.reported >= EVERY && !self.ended {
            self.reported = now;
            self.failed = self.observer.observe(self.event(progress, now)).err();
        }
        !self.ended && self.failed.is_none()
    }

    fn event(&self, progress: Progress, now: f64) -> EventKind {
        let left = (now - self.begun) * (1.0 - progress.share) / progress.share;
        let seconds_left = (progress.share > EARLY).then_some(left);
        let (done, total) = (progress.done as u64, progress.total as u64);
        EventKind::Progress { phase: Phase::Evaluating, done, total, unit: WorkUnit::Answers, seconds_left }
    }
}

/// Answers of a stack in an earlier stage.
///
/// # Errors
/// When the file is missing or damaged.
pub fn read_snapshot(path: &Path) -> Result<Snapshot, Problem> {
    let failed = |found: Wording| {
        Problem::internal(wording!(
            "Reading the answers in {path} failed: {found}.",
            "读取 {path} 中的回答失败：{found}。";
            found; path = path.display()
        ))
    };
    let text = std::fs::read(path).map_err(|error| failed(why(&error)))?;
    serde_json::from_slice(&text).map_err(|error| failed(Wording::name(error.to_string())))
}
