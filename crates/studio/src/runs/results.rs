//! Stores the results of a training run: the record of its adapter, and the small files that later stages and reports read.
//! The database keeps copies of those files, so that a damaged or missing one is restored.

use crate::experiments::links::recipe_of;
use crate::read_snapshot;
use crate::studio::Studio;
use alidade_domain::{AdapterRef, Problem, RunState, Wording, Words, why, wording};
use alidade_evaluation::Snapshot;
use alidade_jobs::files::durable::write_private;
use alidade_jobs::train::comparing::{AFTER, BEFORE};
use alidade_store::{AdapterRecord, RunRecord, sha256};
use std::path::Path;

const RECORD: &str = "run.json";
/// Larger files are not copied into the database.
const LARGEST: usize = 32 << 20;

impl Studio {
    /// Stores the results of a run; with `refresh`, when the worker has just reported them, also those that are stored already.
    ///
    /// # Errors
    /// When something cannot be read or written; it is tried again later.
    pub(crate) fn keep_results(&self, run: &RunRecord, refresh: bool) -> Result<(), Problem> {
        if let Some(sha256) = &run.adapter_sha256
            && (refresh || !self.store.adapter(&run.id).is_ok_and(|known| known.adapter.sha256 == *sha256))
        {
            self.keep_adapter(run, sha256)?;
        }
        self.keep_artifacts(run, refresh)?;
        if !run.evaluations.is_empty()
            && run.work.recipe().is_some()
            && !crate::experiments::pipeline::makes_scorer(&run.work)
        {
            for name in [BEFORE, AFTER] {
                self.keep_file(run, name, refresh)?;
            }
        }
        if matches!(run.state, RunState::Finished | RunState::Stopped) {
            self.keep_file(run, RECORD, refresh)?;
        }
        Ok(())
    }

    fn keep_file(&self, run: &RunRecord, name: &str, refresh: bool) -> Result<(), Problem> {
        if !refresh && self.store.file(&run.id, name)?.is_some() {
            return self.result_file(&run.id, name).map(drop);
        }
        let bytes = self.result_file_as_it_is(&run.id, name)?;
        Ok(self.store.put_file(&run.id, name, &bytes, bytes.len() <= LARGEST)?)
    }

    /// A result file of a run; a damaged or missing one is restored from the database.
    ///
    /// # Errors
    /// When neither the disk nor the database has it intact.
    pub(crate) fn result_file(&self, run: &str, name: &str) -> Result<Vec<u8>, Problem> {
        let found = self.result_file_as_it_is(run, name);
        let Some(record) = self.store.file(run, name)? else { return found };
        match (found, record.body) {
            (Ok(bytes), _) if sha256(&bytes) == record.sha256 => Ok(bytes),
            (_, Some(body)) => {
                crate::create_folder(&self.run_folder(run))?;
                write_private(&self.run_folder(run).join(name), &body)?;
                Ok(body)
            }
            (Ok(_), None) => Err(lost(name, Words::new("it was changed", "它被改动"))),
            (Err(problem), None) => Err(problem),
        }
    }

    fn result_file_as_it_is(&self, run: &str, name: &str) -> Result<Vec<u8>, Problem> {
        match std::fs::read(self.run_folder(run).join(name)) {
            Ok(bytes) if bytes.is_empty() => Err(lost(name, Words::new("it is empty", "它是空的"))),
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(lost(name, why(&error))),
        }
    }

    /// The answers of a stack in a run: `before.json` or `after.json`.
    ///
    /// # Errors
    /// When they are missing.
    pub(crate) fn snapshot_of(&self, run: &str, name: &str) -> Result<Snapshot, Problem> {
        self.result_file(run, name)?;
        read_snapshot(&self.run_folder(run).join(name))
    }

    pub(crate) fn keep_adapter(&self, run: &RunRecord, sha256: &str) -> Result<(), Problem> {
        let recipe = recipe_of(run)?;
        let experiment = self.store.experiment(&run.experiment)?;
        let name = self.adapter_name(&experiment, run.stage);
        let record = AdapterRecord {
            adapter: AdapterRef { id: run.id.clone(), name, sha256: sha256.to_owned() },
            run: Some(run.id.clone()),
            model: self.model_facts(&recipe)?.model,
            folder: self.run_folder(&run.id).join("adapter").display().to_string(),
        };
        // A run that was repeated has another adapter under the same name: the old one must be unloaded.
        self.unload(&run.id);
        Ok(self.store.put_adapter(&record)?)
    }

    /// The problem of a settled run with missing files; `None` if all are there.
    pub(crate) fn missing_results(&self, run: &RunRecord) -> Option<Problem> {
        if let Err(problem) = self.keep_results(run, false) {
            return Some(problem);
        }
        let folder = self.run_folder(&run.id);
        let adapter = Path::new("adapter").join("adapter_model.safetensors");
        if run.adapter_sha256.is_some() && std::fs::metadata(folder.join(&adapter)).map_or(0, |data| data.len()) == 0 {
            return Some(lost(&adapter.display().to_string(), Words::new("it is gone or empty", "它已消失或是空的")));
        }
        None
    }
}

fn lost(name: &str, found: impl Into<Wording>) -> Problem {
    Problem::internal(
        wording!("The run's {name} cannot be read: {found}.", "无法读取运行的 {name}：{found}。"; found = found.into()),
    )
    .hint(wording!(
        "The figures and curves of the run are complete; run it again if you need the file.",
        "运行的数值和曲线是完整的；如果需要该文件，请重新运行。"
    ))
}
