//! Prepares and verifies the inputs of a worker: plan, rows, prompts, base model, the adapters and answers of earlier
//! stages. The plan in the database is authoritative; a file that differs is restored with a warning, and one that cannot be
//! restored is a problem at its field.

use crate::home::restrict;
use crate::studio::Studio;
use alidade_data::{rows_from_jsonl, rows_to_jsonl};
use alidade_domain::{Experiment, Problem, ProblemCode, StagePlan, Wording, Words, wording};
use alidade_jobs::files::durable::{create_folder, write_private};
use alidade_jobs::files::event_log::EVENTS;
use alidade_jobs::train::comparing::AFTER;
use alidade_jobs::worker::PLAN;
use alidade_store::{RunRecord, sha256};
use std::path::Path;

/// Rows to learn from.
pub(crate) const ROWS: &str = "rows.jsonl";
/// Held-out rows.
pub(crate) const HELD_OUT: &str = "held_out.jsonl";
/// Prompts of the evaluation.
pub(crate) const PROMPTS: &str = "prompts.jsonl";

/// The files of a run as JSON lines, by name.
pub(crate) type Inputs = [(&'static str, String); 3];

impl Studio {
    /// Prepares everything that the worker reads; a resumed run keeps its original plan. Returns messages about restored
    /// files.
    ///
    /// # Errors
    /// When something is missing or has changed, at its field.
    pub(crate) fn prepare_run(&self, run: &RunRecord) -> Result<Vec<Wording>, Problem> {
        let folder = self.run_folder(&run.id);
        create_folder(&folder)?;
        restrict(&folder, false);
        let path = folder.join(PLAN);
        let found = std::fs::read(&path).unwrap_or_default();
        let Some(text) = self.known_plan(run, &found)? else {
            self.first_plan(run, &folder)?;
            return Ok(Vec::new());
        };
        let failed = |error| {
            Problem::internal(wording!(
                "The stored plan of the run cannot be read: {error}.",
                "无法读取已存的运行计划：{error}。"
            ))
        };
        let plan: StagePlan = serde_json::from_str(&text).map_err(failed)?;
        let mut told = self.check_inputs(run, &plan, &folder)?;
        self.check_sources(&plan)?;
        if found != text.as_bytes() {
            write_private(&path, text.as_bytes())?;
            let what = if found.is_empty() {
                Words::new("was missing", "缺失")
            } else {
                Words::new("had been changed", "被改动")
            };
            told.push(wording!(
                "The run's plan.json {what}; it was restored as it was when the run began.",
                "运行的 plan.json {what}，已恢复为运行开始时的内容。";
                what
            ));
        }
        Ok(told)
    }

    fn first_plan(&self, run: &RunRecord, folder: &Path) -> Result<(), Problem> {
        let experiment = self.store.experiment(&run.experiment)?;
        let inputs = self.inputs(run, &experiment)?;
        for (name, text) in &inputs {
            write_private(&folder.join(name), text.as_bytes())?;
            self.store.put_file(&run.id, name, text.as_bytes(), false)?;
        }
        let plan = self.stage_plan(run, &experiment, folder, &inputs)?;
        self.check_sources(&plan)?;
        let text =
            serde_json::to_string_pretty(&plan).map_err(|error| Problem::internal(Wording::name(error.to_string())))?;
        self.store.put_plan(&run.id, &text)?;
        write_private(&folder.join(PLAN), text.as_bytes())
    }

    /// The plan in the database; a plan of an earlier version, which only has a file, is copied from it.
    fn known_plan(&self, run: &RunRecord, found: &[u8]) -> Result<Option<String>, Problem> {
        if let Some(text) = self.store.plan(&run.id)? {
            return Ok(Some(text));
        }
        let Ok(text) = std::str::from_utf8(found) else { return Ok(None) };
        if serde_json::from_str::<StagePlan>(text).is_err() {
            return Ok(None);
        }
        self.store.put_plan(&run.id, text)?;
        Ok(Some(text.to_owned()))
    }

    fn inputs(&self, run: &RunRecord, experiment: &Experiment) -> Result<Inputs, Problem> {
        let (rows, held_out, prompts) = self.rows_for(run, experiment)?;
        Ok([(ROWS, rows_to_jsonl(&rows)?), (HELD_OUT, rows_to_jsonl(&held_out)?), (PROMPTS, rows_to_jsonl(&prompts)?)])
    }

    /// Verifies rows and prompts; a file that differs is recreated from the data set, if the hash then matches.
    fn check_inputs(&self, run: &RunRecord, plan: &StagePlan, folder: &Path) -> Result<Vec<Wording>, Problem> {
        let mut wrong = Vec::new();
        for name in [ROWS, HELD_OUT, PROMPTS] {
            let recorded = match self.store.file(&run.id, name)? {
                _ if name == ROWS && plan.rows_sha256().is_some() => plan.rows_sha256().map(str::to_owned),
                record => record.map(|record| record.sha256),
            };
            let found = std::fs::read(folder.join(name)).ok();
            let right = match (&found, &recorded) {
                (Some(bytes), Some(recorded)) => sha256(bytes) == *recorded,
                // Not recorded by an earlier version: it only has to be readable.
                (Some(bytes), None) => {
                    let needed = plan.training().is_some_and(|plan| match name {
                        HELD_OUT => plan.held_out.is_some(),
                        _ => plan.prompts.is_some(),
                    });
                    std::str::from_utf8(bytes).is_ok_and(|text| rows_from_jsonl(text).is_ok())
                        && (!needed || !bytes.is_empty())
                }
                (None, _) => false,
            };
            if !right {
                wrong.push((name, recorded));
            }
        }
        if wrong.is_empty() {
            return Ok(Vec::new());
        }
        let experiment = self.store.experiment(&run.experiment)?;
        let inputs = self.inputs(run, &experiment).map_err(|problem| changed(wrong[0].0).hint(problem.message))?;
        let mut told = Vec::new();
        for (name, recorded) in wrong {
            let Some((_, text)) = inputs.iter().find(|(known, _)| *known == name) else { continue };
            if recorded.is_some_and(|recorded| recorded != sha256(text.as_bytes())) {
                return Err(changed(name));
            }
            write_private(&folder.join(name), text.as_bytes())?;
            told.push(wording!(
                "The run's {name} was missing or had been changed; it was recreated from the data set.",
                "运行的 {name} 缺失或被改动，已根据数据集重新生成。"
            ));
        }
        Ok(told)
    }

    /// Verifies base model, adapters and answers that the plan uses.
    fn check_sources(&self, plan: &StagePlan) -> Result<(), Problem> {
        if let Some((model, folder)) = plan.model() {
            self.verify_model(model, folder)?;
        }
        for (field, folder) in plan.adapters() {
            if let Some(run) = run_of(folder)
                && let Ok(record) = self.store.adapter(&run)
            {
                self.verify_adapter(folder, &record.adapter.sha256, field)?;
            }
        }
        match plan.training().and_then(|plan| plan.earlier_answers.as_deref()).and_then(run_of) {
            Some(run) => self.result_file(&run, AFTER).map(drop),
            None => Ok(()),
        }
    }
}

/// True if the folder of a running run was removed, whatever was put there since.
pub(crate) fn has_lost_files(folder: &Path) -> bool {
    !folder.join(PLAN).exists() && !folder.join(EVENTS).exists()
}

/// The run whose folder holds `path`.
fn run_of(path: &Path) -> Option<String> {
    Some(path.parent()?.file_name()?.to_string_lossy().into_owned())
}

fn changed(name: &str) -> Problem {
    let message = wording!(
        "The run's {name} has changed since the run began and cannot be recreated.",
        "运行的 {name} 在开始之后有改动，且无法重新生成。"
    );
    Problem::new(ProblemCode::Conflict, message)
        .hint(wording!(
            "Restore the file, or discard this run and start the experiment again.",
            "请恢复该文件，或丢弃这次运行并重新开始实验。"
        ))
        .at("dataset")
}
