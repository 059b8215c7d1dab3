//! From a queued run to the plan that its worker reads: files in place, every default written out.

use crate::durable::{create_folder, write_private};
use crate::estimate::WORLD_PROMPTS;
use crate::studio::Studio;
use crate::views::ModelView;
use crate::worker::PLAN;
use crate::{Suite, pipeline};
use alidade_data::rows_to_jsonl;
use alidade_domain::{Example, Experiment, Plan, Problem, Recipe, RewardSource, RunState};
use alidade_model::file_sha256;
use alidade_store::RunRecord;
use alidade_train::method;
use std::path::{Path, PathBuf};

impl Studio {
    /// The folder of a run.
    pub(crate) fn run_folder(&self, run: &str) -> PathBuf {
        self.configuration.home.join("runs").join(run)
    }

    /// Writes the plan of a run, unless it has one: a resumed run keeps the plan that it began with.
    pub(crate) fn prepare_run(&self, run: &RunRecord) -> Result<(), Problem> {
        let folder = self.run_folder(&run.id);
        if folder.join(PLAN).is_file() {
            return Ok(());
        }
        create_folder(&folder)?;
        let experiment = self.store.experiment(&run.experiment)?;
        let plan = self.plan(run, &experiment, &folder)?;
        let text = serde_json::to_string_pretty(&plan).map_err(|error| Problem::internal(error.to_string()))?;
        self.store.put_plan(&run.id, &text)?;
        write_private(&folder.join(PLAN), text.as_bytes())
    }

    fn plan(&self, run: &RunRecord, experiment: &Experiment, folder: &Path) -> Result<Plan, Problem> {
        let recipe = &run.recipe;
        let model = self.model_of(recipe)?;
        let dataset = self.dataset_of(recipe)?;
        let (rows, held_out) = self.split_rows(&dataset, pipeline::split_seed(&experiment.pipeline))?;
        let rows_path = folder.join("rows.jsonl");
        write_private(&rows_path, rows_to_jsonl(&rows)?.as_bytes())?;
        let held_path = folder.join("held_out.jsonl");
        write_private(&held_path, rows_to_jsonl(&held_out)?.as_bytes())?;
        let oracle = self.judged_by_oracle(experiment, &model);
        let prompts = self.evaluation_prompts(experiment, oracle)?;
        let prompts_path = folder.join("prompts.jsonl");
        write_private(&prompts_path, rows_to_jsonl(&prompts)?.as_bytes())?;
        let start = self.start_of(run, recipe)?;
        let reward = self.rater_of(run, recipe.reward.as_deref(), "reward")?;
        let cost = self.rater_of(run, recipe.cost.as_deref(), "cost")?;
        let settings = recipe.settings.resolve(&method(recipe.method).card().settings).map_err(|problems| {
            problems
                .into_iter()
                .next()
                .unwrap_or_else(|| Problem::internal("The settings were refused without a reason."))
        })?;
        Ok(Plan {
            run: run.id.clone(),
            method: recipe.method,
            model: model.model.clone(),
            model_dir: PathBuf::from(&model.folder),
            adapter_dir: start.as_ref().map(|folder| folder.join("adapter")),
            lora: pipeline::lora_of(recipe),
            prefix: recipe.prefix.clone(),
            full: false,
            reward,
            cost,
            rows_sha256: file_sha256(&rows_path)?,
            rows: rows_path,
            held_out: (!held_out.is_empty()).then_some(held_path),
            oracle,
            prompts: (!prompts.is_empty()).then_some(prompts_path),
            earlier_answers: start.map(|folder| folder.join("after.json")).filter(|path| path.is_file()),
            adapter_name: adapter_name(experiment, run.stage),
            checkpoint_every: u64::try_from(settings.whole("save_steps")).unwrap_or(50),
            settings,
            answer_tokens: run.estimate.as_ref().map(|estimate| estimate.answer_tokens).filter(|tokens| *tokens > 0),
            seed: recipe.seed,
            threads: self.configuration.threads,
        })
    }

    /// The run folder whose adapter this stage goes on with.
    fn start_of(&self, run: &RunRecord, recipe: &Recipe) -> Result<Option<PathBuf>, Problem> {
        match recipe.adapter.as_deref().and_then(|start| start.strip_prefix("stage:")) {
            Some(stage) => self.folder_of_stage(run, stage, "adapter").map(Some),
            None => Ok(None),
        }
    }

    /// What scores this stage's answers, or says what they cost.
    fn rater_of(&self, run: &RunRecord, named: Option<&str>, field: &str) -> Result<Option<RewardSource>, Problem> {
        match named {
            None => Ok(None),
            Some("oracle") => Ok(Some(RewardSource::Oracle)),
            Some(named) => {
                let stage = named.strip_prefix("stage:").unwrap_or(named);
                let folder = self.folder_of_stage(run, stage, field)?.join("adapter");
                Ok(Some(RewardSource::Adapter { folder }))
            }
        }
    }

    /// The run folder of an earlier stage that is done.
    fn folder_of_stage(&self, run: &RunRecord, stage: &str, field: &str) -> Result<PathBuf, Problem> {
        let stage: usize =
            stage.parse().map_err(|_| Problem::input(format!("There is no stage “{stage}”.")).at(field))?;
        let runs = self.store.runs_of(&run.experiment)?;
        let done = |other: &&RunRecord| {
            other.stage + 1 == stage && matches!(other.state, RunState::Finished | RunState::Stopped)
        };
        let found = runs
            .iter()
            .rev()
            .find(done)
            .ok_or_else(|| Problem::input(format!("Stage {stage} has no adapter yet.")).at(field))?;
        Ok(self.run_folder(&found.id))
    }

    pub(crate) fn judged_by_oracle(&self, experiment: &Experiment, model: &ModelView) -> bool {
        let bundled =
            |recipe: &Recipe| self.dataset_facts(recipe).is_ok_and(|dataset| self.has_oracle(model, &dataset));
        experiment.pipeline.iter().all(bundled)
    }

    fn evaluation_prompts(&self, experiment: &Experiment, oracle: bool) -> Result<Vec<Example>, Problem> {
        if oracle {
            let prompts = Suite::of_world(WORLD_PROMPTS).prompts;
            return Ok(prompts.into_iter().map(|prompt| Example::Prompt { prompt }).collect());
        }
        let held = |recipe: &Recipe| {
            Ok(self.split_rows(&self.dataset_of(recipe)?, pipeline::split_seed(&experiment.pipeline))?.1)
        };
        let held_out = experiment.pipeline.iter().map(held).collect::<Result<Vec<_>, Problem>>()?;
        Ok(pipeline::own_prompts(&held_out))
    }
}

/// "sft", or "sft + dpo" for an adapter that went on.
pub(crate) fn adapter_name(experiment: &Experiment, stage: usize) -> String {
    let Some(recipe) = experiment.pipeline.get(stage) else { return String::new() };
    let earlier = recipe
        .adapter
        .as_deref()
        .and_then(|start| start.strip_prefix("stage:"))
        .and_then(|stage| stage.parse::<usize>().ok());
    match earlier.filter(|earlier| *earlier >= 1 && *earlier <= stage) {
        Some(earlier) => format!("{} + {}", adapter_name(experiment, earlier - 1), recipe.method.as_str()),
        None => recipe.method.as_str().to_owned(),
    }
}
