//! A stage that asks stacks of one base model the questions of a suite. Every answer is logged, so an evaluation that was
//! killed only generates the missing answers, and its figures are the same to the byte.

use super::cost::{Batch, Measured, estimate_of};
use super::progress::{ProgressReporter, show};
use super::{Ask, Job, foreign, record};
use crate::asking::evaluate::{Comparison, asked, fitting_suite, judge, judges_of};
use crate::asking::logged::BATCH as TOGETHER;
use crate::asking::scorer::evaluate_scorers;
use crate::asking::{Progress, ask_stacks, concluded, evaluated};
use crate::files::durable::write_durably;
use crate::files::item_log::{ItemLog, item_key};
use crate::train::estimate::{Tell, wanted};
use crate::train::execute::{Outside, read_rows};
use crate::train::pace::Gauge;
use crate::{Clock, Speaker, StackSpeaker};
use alidade_domain::{
    Artifact, EvaluatePlan, EvaluatedStack, Evaluation, EventKind, ItemNote, Phase, Planning, Precision, Problem,
    Stack, Stage, StageEstimate, StagePlan, StopReason, Wording, Words, WorkUnit, conversation_text, wording,
};
use alidade_evaluation::{
    HELD_OUT_PAIRS, JudgeCard, JudgeSpec, KEPT, Question, Snapshot, judge_kind, suite, unreadable_scores,
};
use alidade_model::{file_sha256, template_source};
use serde_json::json;
use std::cell::RefCell;
use std::path::Path;

pub(super) struct Evaluate;

/// The file of all answers.
const ANSWERS: &str = "answers.json";

impl Job for Evaluate {
    fn kind(&self) -> &'static str {
        "evaluate"
    }

    fn check(&self, stage: &Stage) -> Vec<Problem> {
        let Stage::Evaluate(recipe) = stage else { return vec![foreign(self, stage.kind())] };
        let mut problems = Vec::new();
        let mut fault = |message: Wording, hint: Words, field: &str| {
            problems.push(Problem::input(message).hint(hint).at(field));
        };
        let name = fitting_suite(recipe.suite.as_deref(), recipe.dataset.is_some());
        match (suite(name).is_ok(), suite(name).is_ok_and(|suite| suite.brings_its_own()), recipe.dataset.is_some()) {
            (true, true, true) => fault(
                wording!(
                    "The suite “{name}” brings its own questions and reads no data.",
                    "评测“{name}”自带提问，不读取数据。"
                ),
                Words::new("Leave the data set out.", "去掉数据集。"),
                "dataset",
            ),
            (true, false, false) => fault(
                wording!(
                    "The suite “{name}” asks about rows, but no data set is named.",
                    "评测“{name}”的提问来自数据，但没有指定数据集。"
                ),
                Words::new("Name a data set.", "请指定数据集。"),
                "dataset",
            ),
            _ => {}
        }
        if recipe.limit == 0 {
            fault(
                wording!("The limit is 0, so nothing would be asked.", "上限是 0，不会提问。"),
                Words::new("Raise it.", "请调高上限。"),
                "limit",
            );
        }
        if name == HELD_OUT_PAIRS && recipe.stacks.is_empty() {
            let message = wording!(
                "The suite “{name}” asks models that score, but none is named.",
                "评测“{name}”针对打分模型，但没有指定任何一个。"
            );
            fault(message, Words::new("Name a reward model under stacks.", "请在 stacks 中指定奖励模型。"), "stacks");
        }
        if name == HELD_OUT_PAIRS && !recipe.judges.is_empty() {
            let message = wording!(
                "Judges read answers, but models that score generate none.",
                "裁判要读取回答，而打分模型不生成回答。"
            );
            fault(message, Words::new("Leave the judges out.", "去掉裁判。"), "judges");
        }
        problems.extend(suite(name).err().map(|problem| problem.at("suite")));
        for spec in &recipe.judges {
            problems.extend(judge_kind(&JudgeSpec::from(spec.as_str()).name, &[]).err().map(|p| p.at("judges")));
        }
        problems
    }

    fn estimate(&self, ask: &Ask, gauge: &mut Gauge, tell: Tell) -> Result<StageEstimate, Problem> {
        let Ask::Evaluate(ask) = ask else { return Err(foreign(self, ask.kind())) };
        wanted(tell(Planning::Preparing))?;
        let mut estimate = estimate_of(self.kind(), ask.stage, Some(&ask.model));
        let measured = Measured::open(&ask.model)?;
        estimate.disk_bytes = 1_000_000;
        if ask.rows.is_none() && ask.recipe.dataset.is_some() {
            // An earlier stage makes the rows; a batch is then counted at its bound.
            let bound = Batch { rows: TOGETHER as u64, read: 1 << 20, generated: 0 };
            estimate.memory_bytes = measured.memory(1, 0, bound)?;
            return Ok(estimate);
        }
        let comparison = Comparison {
            model: ask.model.folder.clone(),
            adapters: Vec::new(),
            rows: ask.rows.as_deref().map(read_rows).transpose()?,
            suite: ask.recipe.suite.clone(),
            judges: Vec::new(),
            judge_model: None,
            limit: ask.recipe.limit,
        };
        let asked = asked(&comparison)?;
        let prompts = measured.prompts(&asked.prompts());
        estimate.memory_bytes = measured.memory(1, 0, Batch::of(TOGETHER, &prompts, &asked.sampling()))?;
        wanted(tell(Planning::Measuring))?;
        let pace = measured.pace(&ask.model, &prompts, &asked.sampling(), gauge)?;
        let stacks = (ask.recipe.stacks.len() + 1) as f64;
        (estimate.rows, estimate.held_out_rows) = (prompts.len(), asked.rows());
        estimate.tokens = prompts.iter().map(|ids| ids.len() as u64).sum();
        let scored = asked.rows() as f64 * 2.0 * pace.row * pace.per_token;
        estimate.seconds = pace.load + stacks * (pace.answers(prompts.len() as f64) + scored);
        Ok(estimate)
    }

    fn run(&self, plan: &StagePlan, folder: &Path, outside: &mut Outside) -> Result<(), Problem> {
        let StagePlan::Evaluate(own) = plan else { return Err(foreign(self, plan.kind())) };
        let log = RefCell::new(ItemLog::open(folder)?);
        let done = log.borrow().len();
        record::started(done, outside)?;
        let clock = Clock::start();
        let comparison = comparison(own)?;
        let found = if own.suite == HELD_OUT_PAIRS {
            outside.observer.observe(EventKind::Stage { phase: Phase::Evaluating })?;
            let asked = asked(&comparison)?;
            Ok(evaluate_scorers(&comparison, &asked, &stacks(own)[1..], &clock)?)
        } else {
            ask(own, &comparison, &log, folder, outside, &clock)?
        };
        let evaluations = match found {
            Ok(evaluations) => evaluations,
            Err(StopReason::Discard) => return outside.observer.observe(EventKind::Discarded),
            // A part of an evaluation yields no figures: the answers are kept, and it continues from there.
            Err(StopReason::Pause | StopReason::StopAndSave) => {
                let step = log.borrow().len() as u64;
                return outside.observer.observe(EventKind::Paused { step });
            }
        };
        let mut artifacts = Vec::new();
        for evaluation in evaluations {
            artifacts.push(Artifact::Evaluation { suite: evaluation.suite.clone() });
            for message in unreadable_scores(&evaluation) {
                outside.observer.observe(EventKind::Warning { code: "unreadable_scores".to_owned(), message })?;
            }
            outside.observer.observe(EventKind::Evaluated { evaluation: Box::new(evaluation) })?;
        }
        let steps = log.borrow().len() as u64;
        record::write(plan, folder, &artifacts, &json!({"answers": steps}))?;
        outside.observer.observe(EventKind::Finished { steps, artifacts })
    }
}

/// The plan as a comparison, the form that the terminal uses too.
fn comparison(plan: &EvaluatePlan) -> Result<Comparison, Problem> {
    let changed = || {
        Problem::input(Words::new("The rows of the run have changed since it began.", "运行的数据在开始之后有改动。"))
            .hint(Words::new("Start a new run with the data set.", "请用该数据集开始一次新的运行。"))
            .at("dataset")
    };
    if let (Some(path), Some(recorded)) = (&plan.rows, &plan.rows_sha256)
        && file_sha256(path)? != *recorded
    {
        return Err(changed());
    }
    Ok(Comparison {
        model: plan.model_dir.clone(),
        adapters: plan.adapters.iter().map(|adapter| adapter.folder.clone()).collect(),
        rows: plan.rows.as_deref().map(read_rows).transpose()?,
        suite: Some(plan.suite.clone()),
        judges: plan.judges.clone(),
        judge_model: None,
        limit: plan.limit,
    })
}

/// The bare model, then one stack for each adapter.
fn stacks(plan: &EvaluatePlan) -> Vec<EvaluatedStack> {
    let with = |adapter: &alidade_domain::EvaluatedAdapter| {
        evaluated(&Stack::with_adapter(plan.model.clone(), adapter.adapter.clone()))
    };
    [evaluated(&Stack::base(plan.model.clone()))].into_iter().chain(plan.adapters.iter().map(with)).collect()
}

/// Asks every stack; a request of the person ends it.
fn ask(
    plan: &EvaluatePlan,
    comparison: &Comparison,
    log: &RefCell<ItemLog>,
    folder: &Path,
    outside: &mut Outside,
    clock: &Clock,
) -> Result<Result<Vec<Evaluation>, StopReason>, Problem> {
    let now = plan.now.unwrap_or_else(crate::local_time);
    let paths: Vec<Option<&Path>> =
        [None].into_iter().chain(comparison.adapters.iter().map(|path| Some(path.as_path()))).collect();
    let speaker = Speaker::of_stacks(&plan.model_dir, &paths, Precision::F32, now)?;
    let asked = asked(comparison)?.answerable(&speaker)?;
    let questions = asked.by_suite()?;
    let speaker = RefCell::new(speaker);
    let bare = StackSpeaker { speaker: &speaker, place: 0 };
    let judges = judges_of(comparison, &bare)?;
    let stacks = stacks(plan);
    let identity = item_key(&(template_source(&plan.model_dir)?, plan.now))?;
    let begun = log.borrow().len() as u64;
    let mut reporter = ProgressReporter::begin(Phase::Evaluating, WorkUnit::Answers, begun, outside)?;
    let (mut request, mut fault) = (None, None);
    let mut watch = |progress: Progress| {
        request = reporter.request(outside);
        fault = fault.take().or(reporter.progress(progress.done as u64, progress.total as u64, outside).err());
        request.is_none() && fault.is_none()
    };
    let found = ask_stacks(&questions, &speaker, &stacks, None, Some((log, &identity)), &mut watch);
    if let Some(problem) = fault {
        return Err(problem);
    }
    if let Some(reason) = request {
        return Ok(Err(reason));
    }
    let mut snapshots = found?;
    judge(&questions, &judges, &mut snapshots)?;
    let text = serde_json::to_vec(&snapshots).map_err(|error| Problem::internal(Wording::name(error.to_string())))?;
    write_durably(&folder.join(ANSWERS), &text)?;
    show_answers(&questions, &snapshots, outside)?;
    let cards: Vec<&'static JudgeCard> = judges.iter().map(|named| named.card).collect();
    // The first evaluation carries the time of all.
    let mut seconds = clock.seconds();
    let conclude = |question: &Question| concluded(question, &cards, &snapshots, (KEPT, std::mem::take(&mut seconds)));
    Ok(Ok(questions.iter().map(conclude).collect()))
}

/// Shows the answers of the last stack as items.
fn show_answers(questions: &[Question], snapshots: &[Snapshot], outside: &mut Outside) -> Result<(), Problem> {
    let Some(last) = snapshots.last() else { return Ok(()) };
    let mut number = 0;
    for (question, part) in questions.iter().zip(&last.parts) {
        for (place, (item, answer)) in question.prompts().iter().zip(&part.answers).enumerate() {
            number += 1;
            let label = part.labels.get(place).cloned().flatten();
            let result = label.map_or_else(|| answer.clone(), |label| format!("[{label}] {answer}"));
            let prompt = conversation_text(&item.prompt.messages);
            show(ItemNote { number, prompt, result, score: None, failed: false }, outside)?;
        }
    }
    Ok(())
}
