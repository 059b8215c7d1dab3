//! "Can this pipeline run?" — answered before anything starts, every fault at its field. What a stage costs is found out in
//! `estimate.rs`, and asked for in `plans.rs`.

use crate::estimate;
use crate::estimate::StageAsk;
use crate::studio::Studio;
use crate::views::{DatasetView, ModelView};
use alidade_domain::{DatasetSource, Example, LoraSpec, ModelSource, Problem, Recipe, Stage, StageEstimate, Tuning};
use alidade_train::{CommonSettings, Method, Outlook, Prepared, Steps, Training, method};

/// Below this many steps nothing visible will change.
const FEW_STEPS: u64 = 10;

impl Studio {
    /// Faults of a stage that its recipe and the lists of models and data show; else what is to be counted and measured.
    pub(crate) fn check_stage(
        &self,
        index: usize,
        recipe: &Recipe,
        pipeline: &[Stage],
    ) -> Result<StageAsk, Vec<Problem>> {
        let known = method(&recipe.method).map_err(|problem| vec![problem])?;
        let settings = recipe.settings.resolve(&known.fields());
        let model = self.model_of(recipe).map_err(|problem| problem.at("model"));
        let dataset =
            self.dataset_of(recipe).and_then(|dataset| fits(known, dataset)).map_err(|problem| problem.at("dataset"));
        let start = self.start_problem(index, recipe, pipeline);
        let full = (recipe.tuning == Some(Tuning::Full)).then(|| {
            let message = "Training every weight makes a new model; experiments train adapters.";
            Problem::input(message).hint("Use alidade train in a terminal, or train an adapter.").at("tuning")
        });
        let oracle = model.as_ref().is_ok_and(|model| model.bundled);
        let reward = self.reward_problem(index, (recipe, known), pipeline, oracle);
        let limit = self.cost_problem(index, (recipe, known), pipeline, oracle);
        let mut problems: Vec<Problem> =
            start.into_iter().chain(reward).chain(limit).chain(full).chain(prefix_problem(recipe)).collect();
        let (settings, model, dataset) = match (settings, model, dataset) {
            (Ok(settings), Ok(model), Ok(dataset)) if problems.is_empty() => (settings, model, dataset),
            (settings, model, dataset) => {
                problems.extend(settings.err().unwrap_or_default());
                problems.extend(model.err());
                problems.extend(dataset.err());
                return Err(problems);
            }
        };
        known.configure(&settings).map_err(|problem| vec![problem])?;
        // What is counted is the adapter that comes out, so its shape stands beside what it goes on with.
        let (lora, prefix) = self.shape_of(recipe, pipeline).map_err(|problem| vec![problem])?;
        Ok(StageAsk {
            stage: index,
            recipe: Recipe { lora, prefix, ..recipe.clone() },
            settings,
            rows: self.rows_path(&dataset.id),
            rows_sha256: dataset.sha256.clone(),
            split: split_seed(pipeline),
            oracle: self.has_oracle(&model, &dataset),
            model,
        })
    }

    /// Training rows and held-out rows of a set.
    pub(crate) fn split_rows(&self, dataset: &DatasetView, seed: u64) -> Result<(Vec<Example>, Vec<Example>), Problem> {
        Ok(estimate::split_rows(self.rows_of(&dataset.id)?, seed))
    }

    /// True when Alder Bay's oracle can judge what comes out.
    pub(crate) fn has_oracle(&self, model: &ModelView, dataset: &DatasetView) -> bool {
        model.bundled && dataset.bundled
    }

    pub(crate) fn model_of(&self, recipe: &Recipe) -> Result<ModelView, Problem> {
        match &recipe.model {
            ModelSource::Stored(id) if !id.is_empty() => self.model(id),
            ModelSource::Path(path) if !path.is_empty() => Err(Problem::input(format!(
                "An experiment uses models that the program knows; “{path}” is a place on the disk."
            ))
            .hint("Add the folder as a model, and name it as in model:ID.")),
            ModelSource::Stored(_) | ModelSource::Path(_) => {
                Err(Problem::input("No model is chosen.").hint("Choose a model."))
            }
            ModelSource::Stage(number) => {
                Err(Problem::input(format!("Stage {number} makes an adapter, not a model to train on."))
                    .hint("Name its base as the model, and the stage as the adapter."))
            }
        }
    }

    pub(crate) fn dataset_of(&self, recipe: &Recipe) -> Result<DatasetView, Problem> {
        match &recipe.dataset {
            DatasetSource::Stored(id) if !id.is_empty() => self.dataset(id),
            DatasetSource::Path(path) if !path.is_empty() => Err(Problem::input(format!(
                "An experiment uses data sets that the program knows; “{path}” is a place on the disk."
            ))
            .hint("Import the file, and name it as in dataset:ID.")),
            DatasetSource::Stored(_) | DatasetSource::Path(_) => {
                Err(Problem::input("No data set is chosen.").hint("Choose one, or drop a file."))
            }
            DatasetSource::Stage(number) => {
                Err(Problem::input(format!("Stage {number} makes no data set."))
                    .hint("Choose a data set, or drop a file."))
            }
        }
    }
}

/// One split for all stages: what one keeps apart for evaluation, no other trains on.
pub(crate) fn split_seed(pipeline: &[Stage]) -> u64 {
    pipeline.iter().find_map(Stage::recipe).map_or(0, |recipe| recipe.seed)
}

/// True when what a stage makes scores answers instead of writing them.
pub(crate) fn makes_scorer(stage: &Stage) -> bool {
    stage.method().is_some_and(alidade_train::makes_scorer)
}

/// A prefix has no place for a score head in PEFT's form of it.
pub(crate) fn prefix_problem(recipe: &Recipe) -> Option<Problem> {
    let both = recipe.prefix.is_some() && alidade_train::makes_scorer(&recipe.method);
    both.then(|| {
        Problem::input("A reward model needs an adapter on the layers, not a prefix.").hint("Use [lora].").at("prefix")
    })
}

fn fits(method: &dyn Method, dataset: DatasetView) -> Result<DatasetView, Problem> {
    let about = method.about();
    if about.learns_from.contains(&dataset.kind) {
        return Ok(dataset);
    }
    let message = format!("{} cannot learn from “{}”: its rows are {:?}.", about.title.en, dataset.name, dataset.kind)
        .to_lowercase();
    let message = message[..1].to_uppercase() + &message[1..];
    Err(Problem::input(message).hint("Choose another data set, or the method that fits this one."))
}

/// A row that the model cannot read whole.
pub(crate) fn too_long(prepared: &Prepared, most: usize) -> Option<Problem> {
    let longest = prepared.longest();
    (longest > most).then(|| {
        let message = format!("The longest row has {longest} tokens; this model reads at most {most}.");
        Problem::input(message).hint(format!("Set max_length to {most}.")).at("settings.max_length")
    })
}

/// A run that would take no step.
pub(crate) fn no_step(settings: &CommonSettings, steps: &Steps) -> Option<Problem> {
    (steps.total == 0).then(|| {
        let epochs = settings.num_train_epochs;
        Problem::input(format!("num_train_epochs is {epochs}, so no step would be taken."))
            .hint("Set num_train_epochs to 1 or more, or max_steps to the steps that you want.")
            .at("settings.num_train_epochs")
    })
}

pub(crate) fn warnings(training: &dyn Training, estimate: &StageEstimate) -> Vec<Problem> {
    let outlook = Outlook { model_parameters: estimate.model_parameters, chosen_longer: estimate.chosen_longer };
    let mut found = estimate.advice.clone();
    found.extend(training.advice(&outlook));
    let mut warn = |message: String, hint: &str, field: &str| found.push(Problem::input(message).hint(hint).at(field));
    let few = estimate.optimizer_steps < FEW_STEPS;
    match training.common().most_steps().filter(|_| few) {
        Some(most) => {
            warn(format!("max_steps is {most}: hardly anything will change."), "Raise it.", "settings.max_steps");
        }
        None if few => warn(
            format!("Only {} optimizer steps: hardly anything will change.", estimate.optimizer_steps),
            "Use more rows or epochs, or a smaller batch.",
            "settings.num_train_epochs",
        ),
        None => {}
    }
    if estimate.truncated_rows > 0 {
        warn(
            format!("{} answers are longer than max_length and will be cut.", estimate.truncated_rows),
            "Raise max_length if memory allows.",
            "settings.max_length",
        );
    }
    if estimate.skipped_rows > 0 {
        warn(
            format!("{} rows leave nothing to learn within max_length and are left out.", estimate.skipped_rows),
            "Raise max_length, or shorten the prompts.",
            "settings.max_length",
        );
    }
    found
}

/// The prompts of an experiment's evaluation, the same for all of its stages.
pub(crate) fn own_prompts(held_out: &[Vec<Example>]) -> Vec<Example> {
    let mut prompts: Vec<Example> = Vec::new();
    for example in held_out.iter().flatten() {
        let Some(prompt) = example.prompt() else { continue };
        let prompt = Example::Prompt { prompt };
        if prompts.len() < estimate::OWN_PROMPTS && !prompts.contains(&prompt) {
            prompts.push(prompt);
        }
    }
    prompts
}

/// The shape of an adapter when the recipe says nothing.
pub(crate) fn lora_of(recipe: &Recipe) -> Option<LoraSpec> {
    (recipe.adapter.is_none() && recipe.prefix.is_none()).then(|| recipe.lora.clone().unwrap_or_default())
}
