//! Turns a queued training run into the plan that its worker reads: files in place, every default filled in.

use crate::experiments::stages::origin;
use crate::runs::inputs::Inputs;
use crate::studio::Studio;
use crate::{experiments::links, experiments::pipeline};
use alidade_domain::{
    AdapterShape, AdapterSource, Example, Experiment, Plan, Problem, Recipe, RewardSource, ScorerSource, Stage,
    Trainable, Tuning, Words, wording,
};
use alidade_jobs::asking::questions::own_prompts;
use alidade_jobs::asking::world_oracle;
use alidade_jobs::machine::compute;
use alidade_jobs::machine::today::asks_for_date;
use alidade_jobs::train::comparing::AFTER;
use alidade_jobs::train::estimate::WORLD_PROMPTS;
use alidade_store::ModelRecord;
use alidade_store::{RunRecord, sha256};
use alidade_train::method;
use std::path::{Path, PathBuf};

/// Rows to learn from, held-out rows, and prompts of the evaluation.
pub(crate) type Rows = (Vec<Example>, Vec<Example>, Vec<Example>);

impl Studio {
    /// The folder of a run.
    pub(crate) fn run_folder(&self, run: &str) -> PathBuf {
        self.configuration.home.join("runs").join(run)
    }

    /// Rows to learn from, held-out rows, and prompts of the evaluation.
    pub(crate) fn rows_for(&self, run: &RunRecord, experiment: &Experiment) -> Result<Rows, Problem> {
        let Stage::Train(recipe) = &run.work else {
            return Ok((self.stage_rows(run, experiment)?, Vec::new(), Vec::new()));
        };
        let model = self.model_of(recipe)?;
        let dataset = self.dataset_for(&recipe.dataset, &run.experiment).map_err(|problem| problem.at("dataset"))?;
        let (rows, own) = self.split_rows(&dataset, pipeline::split_seed(&experiment.stages))?;
        let most = recipe.compare.unwrap_or(usize::MAX);
        let oracle = self.judged_by_oracle(experiment, &model);
        let mut prompts = self.evaluation_prompts(experiment, oracle)?;
        prompts.truncate(most);
        let held_out = match pipeline::makes_scorer(&run.work) {
            true => own.into_iter().take(most).collect(),
            false => self.compared_rows(own, &experiment.stages, most)?,
        };
        Ok((rows, held_out, prompts))
    }

    /// The held-out rows that every stage of an experiment is compared on: those of all its data sets, so that its first and
    /// its last stack are measured on the same rows. Where an earlier stage makes the rows, only those of the stage itself,
    /// `own`. At most `most` of each set.
    fn compared_rows(&self, own: Vec<Example>, stages: &[Stage], most: usize) -> Result<Vec<Example>, Problem> {
        let Some(sets) = compared_sets(stages) else { return Ok(own.into_iter().take(most).collect()) };
        let mut rows = Vec::new();
        for set in sets {
            let held_out = self.split_rows(&self.dataset(set)?, pipeline::split_seed(stages))?.1;
            rows.extend(held_out.into_iter().take(most));
        }
        Ok(rows)
    }

    /// The plan of a run that trains, whose files are `inputs`, in `folder`.
    pub(crate) fn plan(
        &self,
        run: &RunRecord,
        recipe: &Recipe,
        experiment: &Experiment,
        folder: &Path,
        inputs: &Inputs,
    ) -> Result<Plan, Problem> {
        let model = self.model_of(recipe)?;
        let oracle = self.judged_by_oracle(experiment, &model);
        let [(rows, text), held_out, prompts] = inputs;
        let there = |(name, text): &(&str, String)| (!text.is_empty()).then(|| folder.join(name));
        let start = self.start_of(run, recipe)?;
        let reward = self.rater_of(run, recipe.reward.as_ref(), "reward")?;
        let cost = self.rater_of(run, recipe.cost.as_ref(), "cost")?;
        let settings = recipe.settings.resolve(&method(&recipe.method)?.fields()).map_err(|problems| {
            problems.into_iter().next().unwrap_or_else(|| {
                Problem::internal(wording!(
                    "The settings were refused without a reason.",
                    "设置未被接受，也没有给出原因。"
                ))
            })
        })?;
        Ok(Plan {
            run: run.id.clone(),
            method: recipe.method.clone(),
            model: model.model.clone(),
            model_dir: PathBuf::from(&model.folder),
            trains: match start.as_deref() {
                Some(folder) => Trainable::Continued { folder: folder.join("adapter") },
                None if recipe.tuning == Some(Tuning::Full) => Trainable::Full,
                None => Trainable::Fresh(AdapterShape::of(recipe)),
            },
            reward,
            cost,
            rows_sha256: sha256(text.as_bytes()),
            rows: folder.join(rows),
            held_out: there(held_out),
            oracle,
            prompts: there(prompts),
            earlier_answers: start.as_deref().and_then(|folder| self.answers_of(folder)),
            adapter_name: self.adapter_name(experiment, run.stage),
            checkpoint_every: method(&recipe.method)?.configure(&settings)?.common().save_steps,
            settings,
            answer_tokens: run.estimate.as_ref().map(|estimate| estimate.answer_tokens).filter(|tokens| *tokens > 0),
            seed: recipe.seed,
            device: compute::device()?,
            threads: self.threads(),
            now: asks_for_date(Path::new(&model.folder)).then(crate::local_time),
        })
    }

    /// "sft", or "sft + dpo" for an adapter that continues another.
    pub(crate) fn adapter_name(&self, experiment: &Experiment, stage: usize) -> String {
        let Some(recipe) = experiment.stages.get(stage).and_then(Stage::recipe) else { return String::new() };
        let before = match &recipe.adapter {
            Some(AdapterSource::Stage(earlier)) if *earlier <= stage => {
                Some(self.adapter_name(experiment, earlier - 1))
            }
            Some(AdapterSource::Stored(id)) => self.store.adapter(id).ok().map(|record| record.adapter.name),
            _ => None,
        };
        let own = recipe.method.as_str();
        before.map_or_else(|| own.to_owned(), |before| format!("{before} + {own}"))
    }

    /// The run folder whose adapter this stage continues.
    fn start_of(&self, run: &RunRecord, recipe: &Recipe) -> Result<Option<PathBuf>, Problem> {
        recipe.adapter.as_ref().map(|start| self.folder_of_maker(run, start, "adapter")).transpose()
    }

    /// The answers of an earlier stage's stack, if it was evaluated.
    fn answers_of(&self, folder: &Path) -> Option<PathBuf> {
        let run = folder.file_name()?.to_string_lossy();
        self.result_file(&run, AFTER).is_ok().then(|| folder.join(AFTER))
    }

    /// The scorer of this stage's answers, or of their harm.
    pub(crate) fn rater_of(
        &self,
        run: &RunRecord,
        named: Option<&ScorerSource>,
        field: &str,
    ) -> Result<Option<RewardSource>, Problem> {
        match named {
            None => Ok(None),
            Some(ScorerSource::Oracle) => Ok(Some(RewardSource::Oracle)),
            Some(ScorerSource::Judge(name)) => {
                Err(links::no_judge(name, Words::new("reward model", "奖励模型")).at(field))
            }
            Some(ScorerSource::Model(source)) => {
                let folder = self.folder_of_maker(run, source, field)?.join("adapter");
                Ok(Some(RewardSource::Adapter { folder }))
            }
        }
    }

    /// The run folder whose adapter a stage names.
    fn folder_of_maker(&self, run: &RunRecord, source: &AdapterSource, field: &str) -> Result<PathBuf, Problem> {
        match source {
            AdapterSource::Stage(stage) => self.folder_of_stage(run, *stage, field),
            AdapterSource::Stored(id) => {
                let maker = self.run_of_adapter(id).map_err(|problem| problem.at(field))?;
                Ok(self.run_folder(&maker.id))
            }
            AdapterSource::Path(path) => Err(Problem::input(wording!(
                "“{path}” names nothing that this stage can use.",
                "“{path}”不是这个阶段可用的对象。"
            ))
            .at(field)),
        }
    }

    /// The run folder of an earlier stage that is done.
    fn folder_of_stage(&self, run: &RunRecord, stage: usize, field: &str) -> Result<PathBuf, Problem> {
        let found = self.done_run(&run.experiment, stage).map_err(|problem| problem.at(field))?;
        Ok(self.run_folder(&found.id))
    }

    /// True if the oracle can judge all stages.
    pub(crate) fn judged_by_oracle(&self, experiment: &Experiment, model: &ModelRecord) -> bool {
        let stages = &experiment.stages;
        let bundled = |recipe: &Recipe| {
            let set = origin(&recipe.dataset, stages).map(|id| self.dataset_record(id));
            set.is_some_and(|set| set.is_ok_and(|set| self.has_oracle(model, &set)))
        };
        stages.iter().filter_map(Stage::recipe).all(bundled)
    }

    fn evaluation_prompts(&self, experiment: &Experiment, oracle: bool) -> Result<Vec<Example>, Problem> {
        if oracle {
            let prompts = world_oracle::questions(WORLD_PROMPTS);
            return Ok(prompts.into_iter().map(|prompt| Example::Prompt { prompt }).collect());
        }
        // For rows that an earlier stage builds, the held-out rows are those that it does not build from.
        let held = |recipe: &Recipe| {
            let id = origin(&recipe.dataset, &experiment.stages).unwrap_or_default();
            Ok(self.split_rows(&self.dataset(id)?, pipeline::split_seed(&experiment.stages))?.1)
        };
        let held_out =
            experiment.stages.iter().filter_map(Stage::recipe).map(held).collect::<Result<Vec<_>, Problem>>()?;
        Ok(own_prompts(&held_out))
    }
}

/// The data sets of all stages that train a policy, each once; `None` if an earlier stage makes one of them.
pub(crate) fn compared_sets(stages: &[Stage]) -> Option<Vec<&str>> {
    let mut sets = Vec::new();
    for stage in stages.iter().filter(|stage| !pipeline::makes_scorer(stage)) {
        let Some(recipe) = stage.recipe() else { continue };
        let set = recipe.dataset.stored()?;
        if !sets.contains(&set) {
            sets.push(set);
        }
    }
    Some(sets)
}
