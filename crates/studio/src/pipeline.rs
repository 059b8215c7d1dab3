//! "Can this pipeline run, and what will it cost?" — answered before anything starts, every fault at its field.

use crate::execute::fresh_adapter;
use crate::links::{cost_problem, reward_problem, start_problem};
use crate::pace::Probe;
use crate::studio::{Studio, lock};
use crate::views::{DatasetView, ModelView};
use crate::{evaluate, machine, memory};
use alidade_data::split;
use alidade_domain::{
    CheckedPipeline, Example, LoraSpec, MethodName, Problem, Recipe, Settings, StageEstimate, Tuning,
};
use alidade_model::{AdapterWeights, ModelFolder, NamedTensor, runs_on_slices};
use alidade_train::{Encoder, Prepared, method};
use std::path::Path;

/// Prompts of an evaluation with the oracle, and without it.
pub(crate) const WORLD_PROMPTS: usize = 200;
pub(crate) const OWN_PROMPTS: usize = 40;
/// One row in so many is kept apart, and at most so many.
const HELD_OUT_SHARE: usize = 10;
const HELD_OUT_MOST: usize = 100;
/// Fewer rows are all needed for training.
const SMALLEST_SPLIT: usize = 20;
/// Below this many steps nothing visible will change.
const FEW_STEPS: u64 = 10;
/// Preference rates from here on need a word of warning; the starter model, being tiny, bears more.
const HIGH_DPO_RATE: f64 = 5e-5;
const SMALL_MODEL: u64 = 20_000_000;
const SMALL_KTO_BATCH: i64 = 4;
/// From this share of pairs on, length itself may be learned.
const LONGER_SHARE: f64 = 0.75;

impl Studio {
    /// Checks every stage and estimates what it costs. Nothing is changed.
    ///
    /// # Errors
    /// When the database refuses; faults of the pipeline are part of the answer.
    pub fn check_pipeline(&self, pipeline: &[Recipe]) -> Result<CheckedPipeline, Problem> {
        let mut checked = CheckedPipeline {
            ready: false,
            problems: Vec::new(),
            warnings: Vec::new(),
            stages: Vec::new(),
            free_memory_bytes: machine::free_memory_bytes(),
            free_disk_bytes: machine::free_disk_bytes(&self.configuration.home),
        };
        if pipeline.is_empty() {
            checked.problems.push(Problem::input("The pipeline has no stage.").hint("Choose a goal.").at("pipeline"));
        }
        for (index, recipe) in pipeline.iter().enumerate() {
            match self.check_stage(index, recipe, pipeline) {
                Ok((estimate, warnings)) => {
                    checked.warnings.extend(warnings.into_iter().map(|warning| at_stage(index, warning)));
                    checked.stages.push(estimate);
                }
                Err(problems) => checked.problems.extend(problems.into_iter().map(|problem| at_stage(index, problem))),
            }
        }
        let needed = checked.stages.iter().map(|stage| stage.memory_bytes).max().unwrap_or(0);
        checked.problems.extend(memory::refuse(needed, checked.free_memory_bytes));
        let disk: u64 = checked.stages.iter().map(|stage| stage.disk_bytes).sum();
        if checked.free_disk_bytes > 0 && disk > checked.free_disk_bytes {
            let message = format!(
                "The run needs about {:.1} GB of disk; {:.1} GB are free.",
                gigabytes(disk),
                gigabytes(checked.free_disk_bytes)
            );
            checked.problems.push(Problem::input(message).hint("Free some room, or move the data folder.").at("disk"));
        }
        checked.ready = checked.problems.is_empty();
        Ok(checked)
    }

    fn check_stage(
        &self,
        index: usize,
        recipe: &Recipe,
        pipeline: &[Recipe],
    ) -> Result<(StageEstimate, Vec<Problem>), Vec<Problem>> {
        let settings = recipe.settings.resolve(&method(recipe.method).card().settings);
        let model = self.model_of(recipe).map_err(|problem| problem.at("model"));
        let dataset = self
            .dataset_of(recipe)
            .and_then(|dataset| fits(recipe.method, dataset))
            .map_err(|problem| problem.at("dataset"));
        let start = start_problem(index, recipe, pipeline);
        let full = (recipe.tuning == Some(Tuning::Full)).then(|| {
            let message = "Training every weight makes a new model; experiments train adapters.";
            Problem::input(message).hint("Use alidade train in a terminal, or train an adapter.").at("tuning")
        });
        let oracle = model.as_ref().is_ok_and(|model| model.bundled);
        let reward = reward_problem(index, recipe, pipeline, oracle);
        let limit = cost_problem(index, recipe, pipeline, oracle);
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
        method(recipe.method).check(&settings).map_err(|problem| vec![problem])?;
        let estimate = self
            .estimate(recipe, &settings, &model, &dataset, split_seed(pipeline))
            .map_err(|problem| vec![problem])?;
        let warnings = warnings(recipe, &settings, &estimate);
        Ok((estimate, warnings))
    }

    fn estimate(
        &self,
        recipe: &Recipe,
        settings: &Settings,
        model: &ModelView,
        dataset: &DatasetView,
        split: u64,
    ) -> Result<StageEstimate, Problem> {
        let key = serde_json::json!([model.model.sha256, dataset.sha256, recipe, split]).to_string();
        let known = lock(&self.estimates).get(&key).cloned();
        if let Some(estimate) = known {
            return Ok(estimate);
        }
        let (rows, held_out) = self.split_rows(dataset, split)?;
        let folder = ModelFolder::open(Path::new(&model.folder)).map_err(|error| Problem::from(error).at("model"))?;
        let tokenizer = folder.tokenizer().map_err(|error| Problem::from(error).at("model"))?;
        let template = folder.chat_template(&tokenizer).map_err(|error| Problem::from(error).at("model"))?;
        let encoder = Encoder { tokenizer: &tokenizer, template: template.as_ref() };
        let prepared = method(recipe.method)
            .prepare(&rows, &encoder, settings)
            .map_err(|error| Problem::from(error).at("dataset"))?;
        if prepared.longest() > model.context_tokens {
            let (longest, most) = (prepared.longest(), model.context_tokens);
            let message = format!("The longest row has {longest} tokens; this model reads at most {most}.");
            return Err(Problem::input(message).hint(format!("Set max_length to {most}.")).at("settings.max_length"));
        }
        let adapter = sketch(&folder, recipe)?;
        let trainable = adapter.tensors.values().map(|tensor| tensor.values.len() as u64).sum();
        let mut estimate = cost(recipe.method, settings, &prepared, model, trainable);
        let steps = method(recipe.method).steps(settings, prepared.items.len());
        let [tokens, longest] = memory::largest_pass(recipe.method, settings, &prepared, &steps, recipe.seed);
        let need = memory::Need {
            spec: &folder.spec,
            precision: memory::precision(settings),
            trained: trainable,
            inner: recipe.lora.as_ref().map_or(0, |lora| 7 * lora.r as u64),
            tokens,
            longest,
            slices: runs_on_slices(&folder.spec, Some(&adapter)),
            dropout: adapter.config.lora_dropout > 0.0,
            full: false,
        };
        let keep = memory::keep(settings, &need, machine::free_memory_bytes());
        estimate.memory_bytes = need.bytes(keep);
        let probe = Probe::of_run(recipe.method, settings, &prepared, need.precision, keep);
        let pace = self.pace(model, &probe)?;
        let work = work(recipe.method, settings, &prepared, estimate.optimizer_steps, pace.answer_tokens);
        let prompts = if self.has_oracle(model, dataset) { WORLD_PROMPTS } else { OWN_PROMPTS.min(held_out.len()) };
        let answers = 2.0 * prompts as f64 * 30.0 * pace.write_seconds_per_token;
        let writing = work.written_tokens * pace.write_seconds_per_token;
        estimate.seconds =
            3.0 * pace.load_seconds + work.trained_tokens * pace.train_seconds_per_token + writing + answers;
        estimate.held_out_rows = held_out.len();
        lock(&self.estimates).insert(key, estimate.clone());
        Ok(estimate)
    }

    /// Training rows and held-out rows of a set.
    pub(crate) fn split_rows(&self, dataset: &DatasetView, seed: u64) -> Result<(Vec<Example>, Vec<Example>), Problem> {
        let rows = self.rows_of(&dataset.id)?;
        let held = if rows.len() < SMALLEST_SPLIT { 0 } else { (rows.len() / HELD_OUT_SHARE).min(HELD_OUT_MOST) };
        let (train, held) = split(rows.len(), held, seed);
        let take = |indices: Vec<usize>| indices.into_iter().map(|index| rows[index].clone()).collect();
        Ok((take(train), take(held)))
    }

    /// True when Alder Bay's oracle can judge what comes out.
    pub(crate) fn has_oracle(&self, model: &ModelView, dataset: &DatasetView) -> bool {
        model.bundled && dataset.bundled
    }

    pub(crate) fn model_of(&self, recipe: &Recipe) -> Result<ModelView, Problem> {
        let id = recipe.model.strip_prefix("model:").unwrap_or_default();
        if id.is_empty() {
            return Err(Problem::input("No model is chosen.").hint("Choose a model."));
        }
        self.model(id)
    }

    pub(crate) fn dataset_of(&self, recipe: &Recipe) -> Result<DatasetView, Problem> {
        let id = recipe.dataset.strip_prefix("dataset:").unwrap_or_default();
        if id.is_empty() {
            return Err(Problem::input("No data set is chosen.").hint("Choose one, or drop a file."));
        }
        self.dataset(id)
    }
}

/// An adapter of the right size, to be counted.
fn sketch(folder: &ModelFolder, recipe: &Recipe) -> Result<AdapterWeights, Problem> {
    let blank = |path: &str| {
        let (outputs, inputs) = folder.spec.linear_shape(path).unwrap_or((0, 0));
        Ok(NamedTensor { shape: vec![outputs, inputs], values: vec![1.0; outputs * inputs] })
    };
    fresh_adapter(&folder.spec, recipe.lora.as_ref(), recipe.prefix.as_ref(), "estimate", 0, &blank)
}

/// One split for all stages: what one keeps apart for evaluation, no other trains on.
pub(crate) fn split_seed(pipeline: &[Recipe]) -> u64 {
    pipeline.first().map_or(0, |recipe| recipe.seed)
}

/// A prefix has no place for a score head in PEFT's form of it.
pub(crate) fn prefix_problem(recipe: &Recipe) -> Option<Problem> {
    let both = recipe.prefix.is_some() && recipe.method.makes_scorer();
    both.then(|| {
        Problem::input("A reward model needs an adapter on the layers, not a prefix.").hint("Use [lora].").at("prefix")
    })
}

fn at_stage(index: usize, mut problem: Problem) -> Problem {
    problem.field = Some(match problem.field {
        Some(field) => format!("stage.{index}.{field}"),
        None => format!("stage.{index}"),
    });
    problem
}

fn fits(name: MethodName, dataset: DatasetView) -> Result<DatasetView, Problem> {
    let card = method(name).card();
    if card.needs.contains(&dataset.kind) {
        return Ok(dataset);
    }
    let message =
        format!("{} cannot learn from “{}”: its rows are {:?}.", card.title, dataset.name, dataset.kind).to_lowercase();
    let message = message[..1].to_uppercase() + &message[1..];
    Err(Problem::input(message).hint("Choose another data set, or the method that fits this one."))
}

fn cost(
    name: MethodName,
    settings: &Settings,
    prepared: &Prepared,
    model: &ModelView,
    trainable: u64,
) -> StageEstimate {
    let pairs = matches!(name, MethodName::Dpo | MethodName::Orpo | MethodName::Cpo | MethodName::RewardModel);
    StageEstimate {
        method: name,
        optimizer_steps: method(name).steps(settings, prepared.items.len()).total,
        rows: prepared.items.len(),
        held_out_rows: 0,
        skipped_rows: prepared.skipped.len(),
        truncated_rows: prepared.truncated,
        tokens: prepared.tokens(),
        learned_tokens: prepared.learned_tokens(),
        longest_tokens: prepared.longest(),
        chosen_longer: if pairs { prepared.chosen_longer() } else { 0.0 },
        trainable_parameters: trainable,
        model_parameters: model.parameters,
        memory_bytes: 0,
        disk_bytes: trainable * 4 * (1 + 2 * 3) + 2_000_000,
        seconds: 0.0,
    }
}

/// Tokens that go through the model in training, as if each were trained once, and tokens that it writes.
pub(crate) struct Work {
    pub(crate) trained_tokens: f64,
    pub(crate) written_tokens: f64,
}

/// A pass without gradients costs about a third of a pass with them.
const UNTAPED: f64 = 1.0 / 3.0;

/// Work of so many steps, with answers of `length` tokens where the model writes.
pub(crate) fn work(name: MethodName, settings: &Settings, prepared: &Prepared, steps: u64, length: f64) -> Work {
    let count = |key: &str| settings.whole(key).max(1) as f64;
    let per_step = count("per_device_train_batch_size") * count("gradient_accumulation_steps");
    let rows = steps as f64 * per_step;
    let per_row = prepared.tokens() as f64 / prepared.items.len().max(1) as f64;
    let (answers, updates, untaped) = match name {
        MethodName::Ppo => (rows, count("num_ppo_epochs"), 4.0),
        MethodName::Grpo | MethodName::Rloo => (rows, count("num_iterations"), 3.0),
        MethodName::RejectionSampling => {
            let each = count("num_generations");
            (each * rows, 1.0 / each, 2.0)
        }
        MethodName::OnlineDpo => (2.0 * rows, 1.0, 3.0),
        MethodName::Dpo => (rows, 1.0, 1.0),
        MethodName::Kto => (rows, 0.5, 1.5),
        _ => (rows, 1.0, 0.0),
    };
    let trained_tokens = answers * (per_row + length) * (updates + untaped * UNTAPED);
    Work { trained_tokens, written_tokens: answers * length }
}

fn warnings(recipe: &Recipe, settings: &Settings, estimate: &StageEstimate) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut warn = |message: String, hint: &str, field: &str| found.push(Problem::input(message).hint(hint).at(field));
    if estimate.optimizer_steps < FEW_STEPS {
        warn(
            format!("Only {} optimizer steps: hardly anything will change.", estimate.optimizer_steps),
            "Use more rows or epochs, or a smaller batch.",
            "settings.num_train_epochs",
        );
    }
    let rate = settings.number("learning_rate");
    let preference =
        matches!(recipe.method, MethodName::Dpo | MethodName::Kto | MethodName::Cpo | MethodName::OnlineDpo);
    if preference && rate >= HIGH_DPO_RATE && estimate.model_parameters > SMALL_MODEL {
        warn(
            format!("A learning rate of {rate:e} is high for preference training and may spoil the model."),
            "5e-6 is a good start.",
            "settings.learning_rate",
        );
    }
    if recipe.method == MethodName::Kto && settings.whole("per_device_train_batch_size") < SMALL_KTO_BATCH {
        warn(
            "A batch below 4 leaves KTO without a usable estimate of how far the model has moved.".to_owned(),
            "Use a batch of 4 or more.",
            "settings.per_device_train_batch_size",
        );
    }
    if estimate.chosen_longer > LONGER_SHARE {
        warn(
            format!("In {:.0} % of the pairs the chosen answer is clearly longer.", 100.0 * estimate.chosen_longer),
            "The model may learn length instead of quality; sigmoid_norm and simpo compare averages per token.",
            "settings.loss_type",
        );
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
        let Some(prompt) = evaluate::prompt_of(example) else { continue };
        let prompt = Example::Prompt { prompt };
        if prompts.len() < OWN_PROMPTS && !prompts.contains(&prompt) {
            prompts.push(prompt);
        }
    }
    prompts
}

/// The shape of an adapter when the recipe says nothing.
pub(crate) fn lora_of(recipe: &Recipe) -> Option<LoraSpec> {
    (recipe.adapter.is_none() && recipe.prefix.is_none()).then(|| recipe.lora.clone().unwrap_or_default())
}

fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}
