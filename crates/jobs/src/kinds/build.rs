//! A stage that builds a data set: a builder of the registry turns each row into others. Every row is logged, so a build
//! that was killed continues at the row where it stopped, and its file is the same to the byte.

use super::cost::{Batch, Measured, estimate_of};
use super::progress::{ProgressReporter, show};
use super::{Ask, Job, foreign, record};
use crate::Speaker;
use crate::asking::StackSpeaker;
use crate::asking::scorer::scorer_of;
use crate::files::durable::write_durably;
use crate::files::item_log::{ItemLog, item_key, item_seed};
use crate::train::estimate::{Tell, split_rows, wanted};
use crate::train::execute::{Outside, read_rows};
use crate::train::pace::Gauge;
use alidade_data::{Builder, Made, Workshop, builder, rows_to_jsonl};
use alidade_domain::{
    Artifact, BuildPlan, EventKind, Example, ItemNote, Phase, Planning, Precision, Problem, ScorerSource, Stage,
    StageEstimate, StagePlan, StopReason, Wording, Words, WorkUnit, wording,
};
use alidade_model::{file_sha256, template_source};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

pub(super) struct Build;

/// The file of built rows.
pub const BUILT: &str = "built.jsonl";

impl Job for Build {
    fn kind(&self) -> &'static str {
        "build"
    }

    fn check(&self, stage: &Stage) -> Vec<Problem> {
        let Stage::Build(recipe) = stage else { return vec![foreign(self, stage.kind())] };
        let builder = match builder(&recipe.builder) {
            Ok(builder) => builder,
            Err(problem) => return vec![problem],
        };
        let mut problems = recipe.settings.resolve(&builder.fields()).err().unwrap_or_default();
        let scorer = match &recipe.scorer {
            None if builder.card().needs_scorer => Some(
                Problem::input(Words::new(
                    "This builder chooses among answers, but no scorer is named.",
                    "这种构建方法要从多个回答中挑选，但没有指定由谁打分。",
                ))
                .hint(Words::new(
                    "Name a reward model, or the oracle with the bundled model.",
                    "请指定奖励模型，或对内置模型使用 oracle。",
                )),
            ),
            Some(ScorerSource::Judge(name)) => Some(
                Problem::input(wording!(
                    "The judge “{name}” cannot score answers here; judges are only for evaluations.",
                    "裁判“{name}”在这里不能给回答打分；裁判只用于评测。"
                ))
                .hint(Words::new(
                    "Name a reward model, or the oracle with the bundled model.",
                    "请指定奖励模型，或对内置模型使用 oracle。",
                )),
            ),
            _ => None,
        };
        problems.extend(scorer.map(|problem| problem.at("scorer")));
        if recipe.limit == Some(0) {
            problems.push(
                Problem::input(Words::new(
                    "The limit is 0, so nothing would be built.",
                    "上限是 0，不会构建任何数据。",
                ))
                .hint(Words::new(
                    "Raise it, or leave it out to work on every row.",
                    "请调高上限，或去掉它以处理每一条。",
                ))
                .at("limit"),
            );
        }
        problems
    }

    fn estimate(&self, ask: &Ask, gauge: &mut Gauge, tell: Tell) -> Result<StageEstimate, Problem> {
        let Ask::Build(ask) = ask else { return Err(foreign(self, ask.kind())) };
        wanted(tell(Planning::Preparing))?;
        let mut estimate = estimate_of(self.kind(), ask.stage, Some(&ask.model));
        let measured = Measured::open(&ask.model)?;
        let models = matches!(ask.recipe.scorer, Some(ScorerSource::Model(_)));
        let copies = if models { 2 } else { 1 };
        let (answers, sampling) = builder(&ask.recipe.builder)?.draws(&ask.settings);
        // Until the rows exist, prompts are expected to be as long as the answers.
        let length = sampling.max_new_tokens as u64;
        let unknown = Batch { rows: answers as u64, read: length, generated: length };
        estimate.memory_bytes = measured.memory(copies, 0, unknown)?;
        let Some(rows) = &ask.rows else { return Ok(estimate) };
        let (mut rows, held_out) = split_rows(read_rows(rows)?, ask.split);
        rows.truncate(ask.recipe.limit.unwrap_or(usize::MAX));
        let prompts: Vec<_> = rows.iter().filter_map(Example::prompt).collect();
        if prompts.is_empty() {
            return Err(Problem::input(Words::new(
                "No row of the data set has a prompt, so there is nothing to answer.",
                "数据集中没有任何一条带有提问，没有可回答的内容。",
            ))
            .hint(Words::new("Choose a data set of prompts, answers or pairs.", "请选择提问、回答或偏好对的数据集。"))
            .at("dataset"));
        }
        (estimate.rows, estimate.held_out_rows) = (rows.len(), held_out.len());
        let ids = measured.prompts(&prompts);
        estimate.memory_bytes = measured.memory(copies, 0, Batch::of(answers, &ids, &sampling))?;
        wanted(tell(Planning::Measuring))?;
        let pace = measured.pace(&ask.model, &ids, &sampling, gauge)?;
        estimate.tokens = ids.iter().map(|ids| ids.len() as u64).sum();
        estimate.longest_tokens = ids.iter().map(Vec::len).max().unwrap_or(0);
        estimate.skipped_rows = rows.len() - ids.len();
        let drawn = (ids.len() * answers) as f64;
        let scoring = if models { pace.load + drawn * pace.row * pace.per_token } else { 0.0 };
        estimate.seconds = pace.load + pace.answers(drawn) + scoring;
        // Prompts and answers are stored twice: in the log and in the rows.
        estimate.disk_bytes = (drawn * sampling.max_new_tokens as f64 * 8.0) as u64 + 1_000_000;
        Ok(estimate)
    }

    fn run(&self, plan: &StagePlan, folder: &Path, outside: &mut Outside) -> Result<(), Problem> {
        let StagePlan::Build(own) = plan else { return Err(foreign(self, plan.kind())) };
        let log = ItemLog::open(folder)?;
        record::started(log.len(), outside)?;
        let found = file_sha256(&own.rows)?;
        if found != own.rows_sha256 {
            return Err(Problem::input(Words::new(
                "The rows of the run have changed since it began.",
                "运行的数据在开始之后有改动。",
            ))
            .hint(Words::new("Start a new run with the data set.", "请用该数据集开始一次新的运行。"))
            .at("dataset"));
        }
        let rows = read_rows(&own.rows)?;
        let mut work = Work::open(own, log)?;
        let (reason, done) = work.all(&rows, outside)?;
        match reason {
            Some(StopReason::Pause) => return outside.observer.observe(EventKind::Paused { step: done as u64 }),
            Some(StopReason::Discard) => return outside.observer.observe(EventKind::Discarded),
            Some(StopReason::StopAndSave) | None => {}
        }
        outside.observer.observe(EventKind::Stage { phase: Phase::Saving })?;
        let (made, left_out) = (work.made, work.left_out);
        if made.is_empty() {
            return Err(nothing(&left_out));
        }
        let path = folder.join(BUILT);
        write_durably(&path, rows_to_jsonl(&made)?.as_bytes())?;
        let sha256 = file_sha256(&path)?;
        let dropped = left_out.values().sum();
        let dataset = Artifact::Dataset { file: BUILT.to_owned(), sha256, rows: made.len(), left_out: dropped };
        let artifacts = vec![dataset];
        // The record has each reason in English, as records always had.
        let reasons: BTreeMap<&str, usize> =
            left_out.iter().map(|(reason, rows)| (reason.en.as_str(), *rows)).collect();
        record::write(plan, folder, &artifacts, &json!({"worked_on": done, "made": made.len(), "left_out": reasons}))?;
        let steps = done as u64;
        outside.observer.observe(match reason {
            Some(_) => EventKind::Stopped { step: steps, artifacts },
            None => EventKind::Finished { steps, artifacts },
        })
    }
}

/// The problem of a build without any row.
fn nothing(left_out: &BTreeMap<Wording, usize>) -> Problem {
    let reasons: Vec<Wording> = left_out
        .iter()
        .map(|(reason, rows)| wording!("{reason} ({rows} rows)", "{reason}（{rows} 条）"; reason))
        .collect();
    Problem::input(wording!(
        "Nothing could be built: {reasons}.",
        "没有构建出任何数据：{reasons}。";
        reasons = Wording::list(reasons)
    ))
    .hint(Words::new(
        "Draw more answers, raise the temperature, or choose another data set.",
        "请抽取更多回答、调高温度，或选择另一个数据集。",
    ))
    .at("dataset")
}

/// The log entry of a row.
#[derive(Serialize, Deserialize)]
struct Kept {
    rows: Vec<Example>,
    answer: String,
    score: Option<f64>,
    /// Why no row was made.
    nothing: Option<Wording>,
}

struct Work<'p> {
    plan: &'p BuildPlan,
    builder: &'static dyn Builder,
    speaker: RefCell<Speaker>,
    scorer: Option<Box<dyn alidade_domain::Scorer>>,
    log: ItemLog,
    identity: String,
    made: Vec<Example>,
    left_out: BTreeMap<Wording, usize>,
}

impl<'p> Work<'p> {
    fn open(plan: &'p BuildPlan, log: ItemLog) -> Result<Self, Problem> {
        let now = plan.now.unwrap_or_else(crate::local_time);
        let adapter = plan.adapter.as_ref();
        let folder = adapter.map(|adapter| adapter.folder.as_path());
        let speaker = Speaker::of_stacks(&plan.model_dir, &[folder], Precision::F32, now)?;
        let scorer = plan.scorer.as_ref().map(|source| scorer_of(source, &plan.model_dir, now)).transpose()?;
        let scored = crate::train::roles::sha256(plan.scorer.as_ref(), "scorer")?;
        let identity = item_key(&(
            &plan.builder,
            &plan.settings,
            &plan.model.sha256,
            adapter.map(|adapter| &adapter.adapter.sha256),
            scored,
            template_source(&plan.model_dir)?,
            plan.now,
        ))?;
        Ok(Self {
            plan,
            builder: builder(&plan.builder)?,
            speaker: RefCell::new(speaker),
            scorer,
            log,
            identity,
            made: Vec::new(),
            left_out: BTreeMap::new(),
        })
    }

    /// Works on every row; returns the request that ended it, if one did, and the rows that are done.
    fn all(&mut self, rows: &[Example], outside: &mut Outside) -> Result<(Option<StopReason>, usize), Problem> {
        let begun = self.log.len() as u64;
        let mut reporter = ProgressReporter::begin(Phase::Building, WorkUnit::Items, begun, outside)?;
        for (place, row) in rows.iter().enumerate() {
            if let Some(reason) = reporter.request(outside) {
                return Ok((Some(reason), place));
            }
            let seed = item_seed(self.plan.seed, place);
            let key = item_key(&(&self.identity, row, seed))?;
            let kept = match self.log.result(&key) {
                Some(kept) => kept,
                None => self.one(row, seed, &key, place, outside)?,
            };
            match kept.nothing {
                Some(reason) => *self.left_out.entry(reason).or_default() += 1,
                None => self.made.extend(kept.rows),
            }
            reporter.progress(place as u64 + 1, rows.len() as u64, outside)?;
        }
        Ok((None, rows.len()))
    }

    fn one(
        &mut self,
        row: &Example,
        seed: u64,
        key: &str,
        place: usize,
        outside: &mut Outside,
    ) -> Result<Kept, Problem> {
        let stack = StackSpeaker { speaker: &self.speaker, place: 0 };
        let workshop = Workshop { generator: &stack, scorer: self.scorer.as_deref() };
        let fits = |prompt: Vec<_>| {
            let speaker = self.speaker.borrow();
            Ok::<_, Problem>(speaker.prompt(&prompt)?.len() < speaker.context())
        };
        let made = match row.prompt().map(fits).transpose()? {
            Some(false) => Made::Nothing {
                reason: Words::new("prompt longer than the model reads", "提问超出模型的上下文"),
            },
            _ => self.builder.build(row, &workshop, &self.plan.settings, seed)?,
        };
        let (kept, failed) = match made {
            Made::Rows { rows, answer, score } => (Kept { rows, answer, score, nothing: None }, false),
            Made::Nothing { reason } => {
                let nothing = Some(reason.into());
                (Kept { rows: Vec::new(), answer: reason.en.to_owned(), score: None, nothing }, true)
            }
        };
        self.log.put(key, &kept)?;
        let (number, prompt, result) = (place as u64 + 1, row.prompt_text(), kept.answer.clone());
        show(ItemNote { number, prompt, result, score: kept.score, failed }, outside)?;
        Ok(kept)
    }
}
