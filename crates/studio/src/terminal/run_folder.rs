//! The folder that a recipe names as its `output_dir`: who owns it, whether a run may write there, and where it resumes.
//!
//! `plan.json`, written first, marks the folder as a run's. Only one program at a time works there. Foreign files under the
//! names of a run are never emptied, overwritten or removed, links are never written through, and the results of an earlier
//! run with other settings stay until the person asks for their removal.

use crate::terminal::made::{self, Made, set_aside};
use crate::terminal::places::{apart, clearable};
use crate::terminal::resolve::ResolvedRecipe;
use alidade_domain::{EventKind, Plan, Problem, ProblemCode, RunEvent, Wording, Words, why, wording};
use alidade_jobs::files::durable::{create_folder, remove_unfinished, write_durably};
use alidade_jobs::files::event_log::each_event;
use alidade_jobs::files::run_lock::RunLock;
use alidade_jobs::train::execute::plan_facts;
use alidade_jobs::train::outcome;
use alidade_jobs::worker::PLAN;
use alidade_model::file_sha256;
use alidade_train::{Difference, PlanFacts, TrainError, resume_step};
use std::path::{Path, PathBuf};

/// A locked folder in which this program may carry out a recipe.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    start: Start,
    _lock: RunLock,
}

/// Where a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the first step.
    Fresh,
    /// After the checkpoint of this step.
    Resume {
        /// Steps that are done.
        step: u64,
    },
    /// After training: only the work after it is missing.
    Finish,
}

impl RunFolder {
    /// Locks and prepares the folder for a resolved recipe. With `overwrite`, the results of earlier runs are removed; `say`
    /// announces what is removed or renamed.
    ///
    /// # Errors
    /// When another program is working there, or when it contains foreign files, results of another run, or inputs of this
    /// run that would be overwritten; at `output_dir`.
    pub fn take(resolved: &ResolvedRecipe, overwrite: bool, say: &mut dyn FnMut(&Wording)) -> Result<Self, Problem> {
        let (path, plan) = (&resolved.output, &resolved.plan);
        let at = |problem: Problem| if problem.field.is_none() { problem.at("output_dir") } else { problem };
        apart(path, &made::names(plan.trains.is_full()), &resolved.given)?;
        if overwrite {
            clearable(path, &resolved.given)?;
        }
        // Nothing is left behind in a foreign folder, not even a lock; a running run is reported before its plan is
        // compared.
        unlinked(path, plan.trains.is_full())?;
        if !alidade_jobs::files::run_lock::is_held(path) {
            Self::refuse_foreign(path, plan.trains.is_full())?;
        }
        create_folder(path).map_err(at)?;
        let lock = RunLock::take(path).map_err(at)?;
        unlinked(path, plan.trains.is_full())?;
        Self::refuse_foreign(path, plan.trains.is_full())?;
        let facts = plan_facts(plan)?;
        let made = Made::find(path);
        if made.as_ref().and_then(|made| made.plan.as_ref()).is_some_and(|old| old.run != plan.run) {
            let message = wording!(
                "{path} is the folder of a run of the app.",
                "{path} 是本应用中一次运行的文件夹。",
                path = path.display()
            );
            return Err(Problem::new(ProblemCode::Conflict, message)
                .hint(wording!("Choose another output_dir.", "请换一个 output_dir。"))
                .at("output_dir"));
        }
        let start = match &made {
            None => Start::Fresh,
            Some(made) if overwrite => {
                made.remove(plan.trains.is_full(), say)?;
                Start::Fresh
            }
            Some(made) => standing(made, path, plan, &facts)?,
        };
        let folder = Self { path: path.clone(), start, _lock: lock };
        let earlier_rows = made.and_then(|made| made.plan).map(|plan| plan.rows_sha256);
        folder.put(resolved, earlier_rows.as_deref(), say).map_err(at)?;
        Ok(folder)
    }

    /// Where the run begins.
    pub fn start(&self) -> Start {
        self.start
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses a folder without our mark that has files under the names that a run writes to.
    fn refuse_foreign(path: &Path, full: bool) -> Result<(), Problem> {
        let found = made::names(full).into_iter().find(|name| path.join(name).exists());
        match found.filter(|_| Made::find(path).is_none()) {
            None => Ok(()),
            Some(name) => {
                let message = wording!(
                    "{path} was not made by this program, and the run would write over it.",
                    "{path} 不是本程序生成的，而运行会覆盖它。",
                    path = path.join(name).display()
                );
                Err(Problem::new(ProblemCode::Conflict, message)
                    .hint(wording!(
                        "Choose another output_dir, or move it elsewhere.",
                        "请换一个 output_dir，或把它移到别处。"
                    ))
                    .at("output_dir"))
            }
        }
    }

    /// Writes the mark first, then the rows; changed files of an earlier start are renamed.
    fn put(
        &self,
        resolved: &ResolvedRecipe,
        earlier_rows: Option<&str>,
        say: &mut dyn FnMut(&Wording),
    ) -> Result<(), Problem> {
        remove_unfinished(&self.path, false);
        let text = serde_json::to_string_pretty(&resolved.plan)
            .map_err(|e| Problem::internal(Wording::name(e.to_string())))?;
        write_durably(&self.path.join(PLAN), text.as_bytes())?;
        let rows = &resolved.plan.rows;
        let found = if rows.exists() { Some(file_sha256(rows)?) } else { None };
        if found.as_deref() != Some(&resolved.plan.rows_sha256) {
            if found.is_some() && found.as_deref() != earlier_rows {
                let aside = set_aside(rows)?;
                say(&wording!(
                    "rows.jsonl is not what the run wrote; it was kept as {aside} and is written again.",
                    "rows.jsonl 不是运行写出的内容，已保留为 {aside} 并重新写出。"
                ));
            }
            write_durably(rows, resolved.rows.as_bytes())?;
        }
        repair_events(&self.path, &resolved.plan.run, say)
    }
}

/// The state that an earlier run left, and whether this one may resume it.
fn standing(made: &Made, path: &Path, plan: &Plan, facts: &PlanFacts) -> Result<Start, Problem> {
    if let Some(result) = made.result(plan.trains.is_full()) {
        if let Some(outcome) = outcome::completed(path, plan, facts.fingerprint())
            && !(outcome::is_recorded(path, &outcome.sha256) && is_finished(path))
        {
            return Ok(Start::Finish);
        }
        return Err(already(made, path, plan, result));
    }
    match resume_step(path, facts) {
        Ok(0) => Ok(Start::Fresh),
        Ok(step) => Ok(Start::Resume { step }),
        // A start without any step has nothing to lose.
        Err(TrainError::OtherRun { step: 0, .. }) if !has_steps(path) => {
            let owner = path.join("checkpoints").join(PLAN);
            std::fs::remove_file(&owner).map_err(|error| {
                Problem::internal(wording!(
                    "Removing {path} failed: {why}.",
                    "删除 {path} 失败：{why}。";
                    why = why(&error); path = owner.display()
                ))
            })?;
            Ok(Start::Fresh)
        }
        Err(TrainError::OtherRun { step, differences, .. }) => Err(other_run(path, step, &differences)),
        Err(error) => Err(error.into()),
    }
}

fn already(made: &Made, path: &Path, plan: &Plan, result: &'static str) -> Problem {
    let (article, noun) = match result {
        "adapter" => ("an", Words::new("adapter", "适配器")),
        "model" => ("a", Words::new("model", "模型")),
        other => ("a", Words { en: other, zh: other }),
    };
    let mut message = wording!(
        "{path} already holds {article} {result}.",
        "{path} 中已有{result}。";
        result = noun; path = path.display()
    );
    let old = made.plan.as_ref().and_then(|old| plan_facts(old).ok());
    if let (Some(old), Ok(new)) = (old, plan_facts(plan)) {
        let changes = told(&new.differences(old.facts()));
        if !changes.is_empty() {
            message = wording!(
                "{path} already holds {article} {result} of other settings: {changes}.",
                "{path} 中已有设置不同的{result}：{changes}。";
                result = noun, changes; path = path.display()
            );
        }
    }
    Problem::new(ProblemCode::Conflict, message)
        .hint(wording!("Add --overwrite, or choose another output_dir.", "加上 --overwrite，或换一个 output_dir。"))
        .at("output_dir")
}

fn other_run(path: &Path, step: u64, differences: &[Difference]) -> Problem {
    let changes = told(differences);
    let kept = if step == 0 {
        wording!("a run", "一次运行")
    } else {
        wording!("a run, kept up to step {step},", "一次保存到第 {step} 步的运行")
    };
    let message = if changes.is_empty() {
        wording!(
            "{path} holds {kept} of an earlier version of this program, which cannot be continued.",
            "{path} 中有本程序更早版本的{kept}，不能继续。";
            kept; path = path.display()
        )
    } else {
        wording!(
            "{path} holds {kept} with other settings: {changes}.",
            "{path} 中有设置不同的{kept}：{changes}。";
            kept, changes; path = path.display()
        )
    };
    let back = match step {
        0 => wording!("Set them back to continue it.", "改回原来的设置即可继续。"),
        step => wording!("Set them back to resume from step {step}.", "改回原来的设置即可从第 {step} 步继续。"),
    };
    let problem = Problem::new(ProblemCode::Conflict, message);
    let problem = if changes.is_empty() { problem } else { problem.hint(back) };
    problem
        .hint(wording!(
            "Add --overwrite to remove what that run kept and start over, or choose another output_dir.",
            "加上 --overwrite 以删除那次运行保留的内容并重新开始，或换一个 output_dir。"
        ))
        .at("output_dir")
}

/// "max_steps 40 → 60", with the names used in recipes.
fn told(differences: &[Difference]) -> Wording {
    let short = |value: &Option<String>| match value {
        None => wording!("not set", "未设置"),
        Some(value) if value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Wording::name(format!("{}…", &value[..8]))
        }
        Some(value) => Wording::name(value),
    };
    let name = |field: &str| field.strip_prefix("settings.").unwrap_or(field).to_owned();
    let each = differences.iter().map(|d| {
        wording!(
            "{name} {earlier} → {now}",
            "{name}：{earlier} → {now}";
            earlier = short(&d.earlier), now = short(&d.now); name = name(&d.field)
        )
    });
    Wording::list(each)
}

fn has_steps(path: &Path) -> bool {
    std::fs::metadata(path.join("log.jsonl")).is_ok_and(|log| log.len() > 0) || path.join("run.json").exists()
}

/// True if the last event says that everything is done.
fn is_finished(path: &Path) -> bool {
    let mut done = false;
    let mut look =
        |event: RunEvent| done = matches!(event.kind, EventKind::Finished { .. } | EventKind::Stopped { .. });
    each_event(path, 0, &mut look).is_ok() && done
}

/// Refuses to write through a link.
fn unlinked(path: &Path, full: bool) -> Result<(), Problem> {
    match made::names(full).into_iter().find(|name| path.join(name).is_symlink()) {
        None => Ok(()),
        Some(name) => {
            let message = wording!(
                "{path} is a link; a run does not write through links.",
                "{path} 是链接；运行不通过链接写入。",
                path = path.join(name).display()
            );
            Err(Problem::new(ProblemCode::Conflict, message)
                .hint(wording!("Remove the link, or choose another output_dir.", "请删除该链接，或换一个 output_dir。"))
                .at("output_dir"))
        }
    }
}

/// Keeps the complete events before the first damaged one; the damaged file is renamed.
fn repair_events(path: &Path, run: &str, say: &mut dyn FnMut(&Wording)) -> Result<(), Problem> {
    let events = path.join("events.jsonl");
    let Ok(bytes) = std::fs::read(&events) else { return Ok(()) };
    let mut good = 0;
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let event = serde_json::from_slice::<alidade_domain::RunEvent>(line);
        // An incomplete last line was left by a kill; the log repairs it itself.
        let whole = line.ends_with(b"\n");
        if whole && event.is_ok_and(|event| event.run == run && event.sequence == index as u64 + 1) {
            good += line.len();
        } else if whole {
            let aside = set_aside(&events)?;
            say(&wording!(
                "events.jsonl is damaged in line {line}; it was renamed to {aside}, and its lines before the damage are used.",
                "events.jsonl 在第 {line} 行损坏，已改名为 {aside}，损坏之前的各行照常使用。",
                line = index + 1
            ));
            return write_durably(&events, &bytes[..good]);
        }
    }
    Ok(())
}
