//! "Can this pipeline run?" — checked before anything starts, every fault at its field. The cost of a stage is estimated in
//! `jobs` and requested in `plans.rs`.

use crate::experiments::links;
use crate::experiments::planning::compared_sets;
use crate::experiments::stages::Rows;
use crate::studio::Studio;
use alidade_domain::{Example, Problem, Recipe, Stage, Wording, wording};
use alidade_jobs::kinds::job;
use alidade_jobs::train::estimate;
use alidade_jobs::train::estimate::ModelFacts;
use alidade_jobs::train::estimate::StageAsk;
use alidade_store::{DatasetRecord, ModelRecord};
use alidade_train::{Method, method};
use std::path::PathBuf;

/// Models between a bundled one and one that was made out of it, at most.
const LONGEST_DESCENT: usize = 8;

impl Studio {
    /// Faults of a training stage; else the input of its estimate.
    pub(crate) fn check_stage(
        &self,
        index: usize,
        recipe: &Recipe,
        pipeline: &[Stage],
    ) -> Result<Option<StageAsk>, Vec<Problem>> {
        let known = method(&recipe.method).map_err(|problem| vec![problem])?;
        // What is wrong with the recipe by itself is told by the job, for the terminal and the window alike.
        let mut problems = job("train").map_err(|problem| vec![problem])?.check(&pipeline[index]);
        let model = self.base_of(&recipe.model, index, pipeline).map_err(|problem| problem.at("model"));
        let dataset = self
            .rows_named(&recipe.dataset, index, pipeline)
            .and_then(|rows| fits(known, rows))
            .map_err(|problem| problem.at("dataset"));
        let start = self.start_problem(index, recipe, pipeline);
        let full = links::is_full(recipe, known).err();
        let oracle = model.as_ref().is_ok_and(|model| model.as_ref().is_some_and(|model| model.bundled));
        let reward = self.reward_problem(index, (recipe, known), pipeline, oracle);
        let limit = self.cost_problem(index, (recipe, known), pipeline, oracle);
        problems.extend([start, reward, limit, full].into_iter().flatten());
        let (model, dataset) = match (model, dataset) {
            (Ok(model), Ok(dataset)) if problems.is_empty() => (model, dataset),
            (model, dataset) => {
                problems.extend(model.err());
                problems.extend(dataset.err());
                return Err(problems);
            }
        };
        let settings = recipe.settings.resolve(&known.fields())?;
        // The estimate counts the resulting adapter, so it needs its shape even if an adapter is continued.
        let (lora, prefix) = self.shape_of(recipe, pipeline).map_err(|problem| vec![problem])?;
        // Rows that an earlier stage makes can only be counted once they exist.
        let (Rows::There(dataset), Some(model)) = (dataset, model) else { return Ok(None) };
        Ok(Some(StageAsk {
            stage: index,
            recipe: Recipe { lora, prefix, ..recipe.clone() },
            settings,
            rows: self.rows_path(&dataset.id),
            rows_sha256: dataset.sha256.clone(),
            split: split_seed(pipeline),
            holds_out: true,
            others: self.others(&dataset.id, index, pipeline),
            oracle: self.has_oracle(&model, &dataset),
            model: facts_of(&model),
        }))
    }

    /// Rows of the other data sets that this stage is compared on.
    fn others(&self, own: &str, index: usize, pipeline: &[Stage]) -> Vec<PathBuf> {
        if makes_scorer(&pipeline[index]) {
            return Vec::new();
        }
        let sets = compared_sets(pipeline).unwrap_or_default();
        // A set that is missing is a fault of its own stage.
        let there = sets.into_iter().filter(|id| *id != own && self.dataset(id).is_ok());
        there.map(|id| self.rows_path(id)).collect()
    }

    /// Training rows and held-out rows of a data set.
    pub(crate) fn split_rows(
        &self,
        dataset: &DatasetRecord,
        seed: u64,
    ) -> Result<(Vec<Example>, Vec<Example>), Problem> {
        Ok(estimate::split_rows(self.rows_of(&dataset.id)?, seed))
    }

    /// True if Alder Bay's oracle can judge the resulting model.
    pub(crate) fn has_oracle(&self, model: &ModelRecord, dataset: &DatasetRecord) -> bool {
        dataset.bundled && self.knows_the_town(model)
    }

    /// True for the bundled models, and for those that runs here made out of them.
    fn knows_the_town(&self, model: &ModelRecord) -> bool {
        let mut model = model.clone();
        for _ in 0..LONGEST_DESCENT {
            if model.bundled {
                return true;
            }
            // A model that a run made has the run's identifier.
            let Ok(run) = self.store.run(&model.model.id) else { return false };
            let base = run.work.model().and_then(|source| source.stored().map(str::to_owned));
            let Some(Ok(base)) = base.map(|id| self.model_record(&id)) else { return false };
            model = base;
        }
        false
    }

    pub(crate) fn model_of(&self, recipe: &Recipe) -> Result<ModelRecord, Problem> {
        self.model_named(&recipe.model)
    }
}

/// One split for all stages: no stage trains on rows that another holds out for evaluation.
pub(crate) fn split_seed(pipeline: &[Stage]) -> u64 {
    pipeline.iter().find_map(Stage::recipe).map_or(0, |recipe| recipe.seed)
}

/// True if a stage makes a scorer, which generates no answers.
pub(crate) fn makes_scorer(stage: &Stage) -> bool {
    stage.method().is_some_and(alidade_train::makes_scorer)
}

/// The facts about a model that an estimate needs.
pub(crate) fn facts_of(model: &ModelRecord) -> ModelFacts {
    ModelFacts {
        model: model.model.clone(),
        folder: PathBuf::from(&model.folder),
        parameters: model.parameters,
        context_tokens: model.context_tokens,
        bundled: model.bundled,
    }
}

fn fits(method: &dyn Method, rows: Rows) -> Result<Rows, Problem> {
    let about = method.about();
    let (kind, name) = match &rows {
        Rows::There(set) => (set.kind, Wording::name(format!("“{}”", set.name))),
        Rows::Made { stage, kind } => (*kind, wording!("what stage {stage} builds", "阶段 {stage} 构建的数据")),
    };
    if about.learns_from.contains(&kind) {
        return Ok(rows);
    }
    let title = about.title.en.to_lowercase();
    let (first, rest) = title.split_at(title.chars().next().map_or(0, char::len_utf8));
    let title = Wording { en: first.to_uppercase() + rest, zh: about.title.zh.to_owned() };
    let message = wording!(
        "{title} cannot learn from {name}: its rows are {rows}.",
        "{title}不能从{name}中学习：其中是{rows}。";
        title = title, name = name, rows = kind.words()
    );
    Err(Problem::input(message).hint(wording!(
        "Choose another data set, or the method that fits this one.",
        "请选择另一个数据集，或适合这个数据集的方法。"
    )))
}
