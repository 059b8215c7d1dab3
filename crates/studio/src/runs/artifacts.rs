//! Stores the results of runs that do not train: a built data set is added to the list of data sets, a model to the list of
//! models. Adapters and small files are in `results.rs`.

use crate::datasets::ROWS;
use crate::experiments::stages::origin;
use crate::home::restrict;
use crate::models::vetting::{self, Depth};
use crate::studio::{Studio, now_ms};
use alidade_data::builder;
use alidade_domain::{Artifact, DatasetSource, ImportSummary, Problem, ReasonCount, Stage, Wording, wording};
use alidade_jobs::files::durable::{READING, REPLACING, file_problem, remove_folder, write_folder, write_private};
use alidade_jobs::kinds::BUILT;
use alidade_store::DatasetRecord;
use alidade_store::{RunRecord, sha256};
use std::path::Path;

impl Studio {
    /// Stores the artifacts of a settled run; with `refresh`, when the worker has just reported them, also those that are
    /// stored already.
    ///
    /// # Errors
    /// When something cannot be read or written; it is tried again later.
    pub(crate) fn keep_artifacts(&self, run: &RunRecord, refresh: bool) -> Result<(), Problem> {
        self.keep_made(run, &run.artifacts, refresh)
    }

    pub(crate) fn keep_made(&self, run: &RunRecord, artifacts: &[Artifact], refresh: bool) -> Result<(), Problem> {
        for artifact in artifacts {
            match artifact {
                Artifact::Dataset { file, sha256, rows, left_out } => {
                    if refresh || self.dataset_record(&run.id).is_err() {
                        self.keep_dataset(run, (file, sha256), (*rows, *left_out))?;
                    }
                }
                Artifact::Model { folder, name, sha256 } => {
                    // The same weights are only listed once.
                    let known = self.list_models()?.iter().any(|known| known.model.sha256 == *sha256);
                    if !known && self.model_record(&run.id).is_err() {
                        self.keep_model(run, folder, name.as_deref())?;
                    }
                }
                Artifact::Adapter { .. }
                | Artifact::Evaluation { .. }
                | Artifact::Report { .. }
                | Artifact::File { .. } => {}
            }
        }
        Ok(())
    }

    /// Copies a built data set out of the run's folder, so that it outlives its experiment.
    fn keep_dataset(
        &self,
        run: &RunRecord,
        (file, hash): (&str, &str),
        (rows, left_out): (usize, usize),
    ) -> Result<(), Problem> {
        let Stage::Build(recipe) = &run.work else { return Ok(()) };
        let experiment = self.store.experiment(&run.experiment)?;
        let path = self.run_folder(&run.id).join(if file.is_empty() { BUILT } else { file });
        let bytes = std::fs::read(&path).map_err(|error| file_problem(READING, &path, &error))?;
        if sha256(&bytes) != hash {
            return Err(Problem::internal(wording!(
                "The built rows have changed since the run wrote them.",
                "构建的数据在运行写出之后有改动。"
            ))
            .hint(wording!("Run the stage again.", "请重新运行该阶段。"))
            .at("dataset"));
        }
        let folder = self.dataset_folder(&run.id);
        remove_folder(&folder).map_err(|error| file_problem(REPLACING, &folder, &error))?;
        write_folder(&folder, |temporary| {
            write_private(&temporary.join("issues.json"), b"[]")?;
            write_private(&temporary.join(ROWS), &bytes)
        })?;
        restrict(&folder, false);
        let card = builder(&recipe.builder)?.card();
        let source = origin(&recipe.dataset, &experiment.stages).and_then(|id| self.dataset_record(id).ok());
        let from =
            source.as_ref().map(|set| wording!(" from “{set}”", "从“{set}”"; set = crate::datasets::title_of(set)));
        let title = wording!(
            "{experiment}: {builder}",
            "{experiment}：{builder}";
            builder = Wording { en: card.title.en.to_lowercase(), zh: card.title.zh.to_owned() }; experiment = experiment.title
        );
        let dropped = match left_out {
            0 => Vec::new(),
            rows => vec![ReasonCount { reason: wording!("nothing could be made", "没有构建出数据"), rows }],
        };
        let view = DatasetRecord {
            id: run.id.clone(),
            name: title.en.clone(),
            title: Some(title),
            kind: card.makes,
            summary: ImportSummary { format: card.title.into(), read: rows + left_out, kept: rows, dropped },
            remarks: vec![wording!(
                "Built{from} by “{builder}” in stage {stage} of “{experiment}”.",
                "由“{experiment}”的阶段 {stage} 以“{builder}”{from}构建。";
                from = from.unwrap_or_default(); builder = card.name, stage = run.stage + 1, experiment = experiment.title
            )],
            sha256: hash.to_owned(),
            bundled: false,
            // Generated answers may be as harmful as their prompts.
            flagged: source.as_ref().is_some_and(|set| set.flagged),
            licence: source.and_then(|set| set.licence),
            imported_ms: now_ms(),
            removed: false,
        };
        Ok(self.store.put_document(&view, view.imported_ms)?)
    }

    /// Lists a model in the run's folder, after an inspection like for any other model.
    fn keep_model(&self, run: &RunRecord, folder: &str, name: Option<&str>) -> Result<(), Problem> {
        let folder = self.run_folder(&run.id).join(folder);
        let view = vetting::inspect(&self.configuration.program, &folder, Depth::Everything, &[])?;
        let mut view = view.ok_or_else(|| {
            Problem::internal(wording!("Inspecting the model returned no result.", "检查模型没有返回结果。"))
        })?;
        view.model.id.clone_from(&run.id);
        if let Some(name) = name {
            view.model.name = name.to_owned();
        }
        Ok(self.store.put_document(&view, now_ms())?)
    }

    /// Removes models in the folders of deleted runs from the list; experiments that used them keep their facts.
    pub(crate) fn forget_models_of(&self, runs: &[RunRecord]) -> Result<(), Problem> {
        for run in runs {
            let below = |folder: &str| Path::new(folder).starts_with(self.run_folder(&run.id));
            if self.model(&run.id).is_ok_and(|model| below(&model.folder)) {
                self.remove_model(&run.id)?;
            }
        }
        Ok(())
    }

    /// True if the rows of a run may contain harmful text.
    pub(crate) fn is_flagged(&self, run: &RunRecord) -> bool {
        // The questions about the town include harmful ones.
        let Some(source) = run.work.dataset() else { return matches!(run.work, Stage::Evaluate(_)) };
        let set = match source {
            DatasetSource::Stored(id) => self.dataset_record(id),
            source => {
                let stages = self.store.experiment(&run.experiment).map(|experiment| experiment.stages);
                let stages = stages.unwrap_or_default();
                self.dataset_record(origin(source, &stages).unwrap_or_default())
            }
        };
        set.is_ok_and(|set| set.flagged)
    }
}
