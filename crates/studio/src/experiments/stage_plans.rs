//! Turns a queued run into the plan that its worker reads: every input becomes a folder or a file with its hash. Training
//! runs are in `planning.rs`.

use crate::experiments::stages::adapter_of;
use crate::runs::inputs::Inputs;
use crate::studio::Studio;
use alidade_data::builder;
use alidade_domain::{
    AdapterRef, AdapterSource, Artifact, BuildPlan, BuildRecipe, DatasetSource, EvaluatePlan, EvaluateRecipe,
    EvaluatedAdapter, Example, Experiment, ExportPlan, ExportRecipe, FetchPlan, FetchRecipe, ModelSource, Problem,
    RunState, Stage, StagePlan, wording,
};
use alidade_jobs::asking::evaluate::fitting_suite;
use alidade_jobs::machine::today::asks_for_date;
use alidade_store::DatasetRecord;
use alidade_store::{RunRecord, sha256};
use std::path::{Path, PathBuf};

impl Studio {
    /// The plan of a run of any kind, whose files are `inputs`, in `folder`.
    ///
    /// # Errors
    /// When an input is missing, at its field.
    pub(crate) fn stage_plan(
        &self,
        run: &RunRecord,
        experiment: &Experiment,
        folder: &Path,
        inputs: &Inputs,
    ) -> Result<StagePlan, Problem> {
        Ok(match &run.work {
            Stage::Train(recipe) => StagePlan::Train(Box::new(self.plan(run, recipe, experiment, folder, inputs)?)),
            Stage::Build(recipe) => StagePlan::Build(self.build_plan(run, recipe, folder, inputs)?),
            Stage::Evaluate(recipe) => StagePlan::Evaluate(self.evaluate_plan(run, recipe, folder, inputs)?),
            Stage::Export(recipe) => StagePlan::Export(self.export_plan(run, recipe)?),
            Stage::Fetch(recipe) => StagePlan::Fetch(fetch_plan(run, recipe)),
        })
    }

    /// The rows of a run that does not train.
    ///
    /// # Errors
    /// When they are missing or changed, at `dataset`.
    pub(crate) fn stage_rows(&self, run: &RunRecord, experiment: &Experiment) -> Result<Vec<Example>, Problem> {
        let at = |problem: Problem| problem.at("dataset");
        match &run.work {
            Stage::Build(recipe) => {
                let set = self.dataset_for(&recipe.dataset, &run.experiment).map_err(at)?;
                // Rows that are held out for the experiment's evaluation are not used.
                let (mut rows, _) =
                    self.split_rows(&set, crate::experiments::pipeline::split_seed(&experiment.stages))?;
                rows.truncate(recipe.limit.unwrap_or(usize::MAX));
                Ok(rows)
            }
            Stage::Evaluate(EvaluateRecipe { dataset: Some(dataset), limit, .. }) => {
                let set = self.dataset_for(dataset, &run.experiment).map_err(at)?;
                Ok(self.rows_of(&set.id)?.into_iter().take(*limit).collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The data set of a stage, with its rows.
    ///
    /// # Errors
    /// When it is missing, or the stage that makes it is not done.
    pub(crate) fn dataset_for(&self, source: &DatasetSource, experiment: &str) -> Result<DatasetRecord, Problem> {
        match source {
            DatasetSource::Stored(id) => self.dataset(id),
            DatasetSource::Stage(stage) => self.dataset(&self.done_run(experiment, *stage)?.id),
            DatasetSource::Path(path) => Err(Problem::input(wording!(
                "“{path}” is not a data set of the program.",
                "“{path}”不是本程序中的数据集。"
            ))),
        }
    }

    /// The facts about the data set of a run, whether its rows still exist or not.
    ///
    /// # Errors
    /// When nothing is known about it.
    pub(crate) fn dataset_of_run(&self, source: &DatasetSource, run: &RunRecord) -> Result<DatasetRecord, Problem> {
        match source {
            DatasetSource::Stage(stage) => self.dataset_record(&self.done_run(&run.experiment, *stage)?.id),
            source => self.dataset_record(source.stored().unwrap_or_default()),
        }
    }

    /// The run with the model that an earlier stage made in place of that stage's number: once it starts, a run names what it
    /// really works on.
    ///
    /// # Errors
    /// When that model is not there, at `model`.
    pub(crate) fn with_model(&self, run: &RunRecord) -> Result<RunRecord, Problem> {
        let Some(ModelSource::Stage(stage)) = run.work.model() else { return Ok(run.clone()) };
        let at = |problem: Problem| problem.at("model");
        let maker = self.done_run(&run.experiment, *stage).map_err(at)?;
        let made = maker.artifacts.iter().find_map(|artifact| match artifact {
            Artifact::Model { sha256, .. } => Some(sha256),
            _ => None,
        });
        let known = self.model_records()?.into_iter().find(|model| Some(&model.model.sha256) == made);
        let known = known.ok_or_else(|| {
            let message = wording!(
                "The model that stage {stage} made is not in the list of models.",
                "阶段 {stage} 产生的模型不在模型列表中。"
            );
            at(Problem::input(message).hint(wording!("Run that stage again.", "请重新运行该阶段。")))
        })?;
        let mut run = run.clone();
        let source = ModelSource::Stored(known.model.id).to_string();
        run.work.map_sources(&mut |field, text| Ok(if field == "model" { source.clone() } else { text.to_owned() }))?;
        self.store.put_run(&run)?;
        Ok(run)
    }

    /// The run of a stage that is done.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn done_run(&self, experiment: &str, stage: usize) -> Result<RunRecord, Problem> {
        let done =
            |run: &RunRecord| run.stage + 1 == stage && matches!(run.state, RunState::Finished | RunState::Stopped);
        let runs = self.store.runs_of(experiment)?;
        runs.into_iter().rev().find(done).ok_or_else(|| {
            Problem::input(wording!("Stage {stage} has no result yet.", "阶段 {stage} 还没有结果。"))
                .hint(wording!("Run that stage first.", "请先运行该阶段。"))
        })
    }

    /// The adapter of a run, by name, hash and folder.
    fn adapter_for(&self, run: &RunRecord, source: &AdapterSource) -> Result<EvaluatedAdapter, Problem> {
        let id = match source {
            AdapterSource::Stored(id) => id.clone(),
            AdapterSource::Stage(stage) => self.done_run(&run.experiment, *stage)?.id,
            AdapterSource::Path(path) => {
                return Err(Problem::input(wording!(
                    "“{path}” names nothing that this stage can use.",
                    "“{path}”不是这个阶段可用的对象。"
                )));
            }
        };
        let record = self.store.adapter(&id)?;
        let AdapterRef { id, name, sha256 } = record.adapter;
        Ok(EvaluatedAdapter { adapter: AdapterRef { id, name, sha256 }, folder: PathBuf::from(record.folder) })
    }

    fn build_plan(
        &self,
        run: &RunRecord,
        recipe: &BuildRecipe,
        folder: &Path,
        [(rows, text), ..]: &Inputs,
    ) -> Result<BuildPlan, Problem> {
        let model = self.model_named(&recipe.model).map_err(|problem| problem.at("model"))?;
        let adapter = recipe.adapter.as_ref().map(|source| self.adapter_for(run, source)).transpose();
        let settings = recipe.settings.resolve(&builder(&recipe.builder)?.fields());
        let settings = settings.map_err(|mut problems| problems.swap_remove(0))?;
        Ok(BuildPlan {
            run: run.id.clone(),
            builder: recipe.builder.clone(),
            now: asks_for_date(Path::new(&model.folder)).then(crate::local_time),
            model_dir: PathBuf::from(&model.folder),
            model: model.model,
            adapter: adapter.map_err(|problem| problem.at("adapter"))?,
            scorer: self.rater_of(run, recipe.scorer.as_ref(), "scorer")?,
            rows: folder.join(rows),
            rows_sha256: sha256(text.as_bytes()),
            settings,
            seed: recipe.seed,
        })
    }

    fn evaluate_plan(
        &self,
        run: &RunRecord,
        recipe: &EvaluateRecipe,
        folder: &Path,
        [(rows, text), ..]: &Inputs,
    ) -> Result<EvaluatePlan, Problem> {
        let model = self.model_named(&recipe.model).map_err(|problem| problem.at("model"))?;
        let sources = recipe.stacks.iter().filter_map(adapter_of);
        let adapters = sources.map(|source| self.adapter_for(run, &source)).collect::<Result<Vec<_>, _>>();
        let reads = recipe.dataset.is_some();
        Ok(EvaluatePlan {
            run: run.id.clone(),
            now: asks_for_date(Path::new(&model.folder)).then(crate::local_time),
            model_dir: PathBuf::from(&model.folder),
            model: model.model,
            adapters: adapters.map_err(|problem| problem.at("stacks"))?,
            suite: fitting_suite(recipe.suite.as_deref(), reads).to_owned(),
            judges: recipe.judges.clone(),
            rows: reads.then(|| folder.join(rows)),
            rows_sha256: reads.then(|| sha256(text.as_bytes())),
            limit: recipe.limit,
        })
    }

    fn export_plan(&self, run: &RunRecord, recipe: &ExportRecipe) -> Result<ExportPlan, Problem> {
        let model = self.model_named(&recipe.model).map_err(|problem| problem.at("model"))?;
        Ok(ExportPlan {
            run: run.id.clone(),
            model_dir: PathBuf::from(&model.folder),
            model: model.model,
            adapter: self.adapter_for(run, &recipe.adapter).map_err(|problem| problem.at("adapter"))?,
            form: recipe.form,
        })
    }
}

fn fetch_plan(run: &RunRecord, recipe: &FetchRecipe) -> FetchPlan {
    let source = PathBuf::from(&recipe.source);
    let stem = source.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned());
    FetchPlan { run: run.id.clone(), name: recipe.name.clone().unwrap_or(stem), source, sha256: recipe.sha256.clone() }
}
