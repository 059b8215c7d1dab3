//! From a recipe to a plan: every file is found and read, every default written out. Problems name their field.

use crate::durable::{create_folder, write_durably};
use crate::{import_file, links, pipeline};
use alidade_data::rows_to_jsonl;
use alidade_domain::{ModelRef, Plan, Problem, Recipe, RewardSource, Tuning};
use alidade_model::{ModelFolder, SMALL_TEXT, file_sha256, model_sha256, read_text};
use alidade_train::method;
use std::path::{Path, PathBuf};

/// A recipe whose model and data exist.
#[derive(Debug)]
pub struct ResolvedRecipe {
    /// What a worker needs.
    pub plan: Plan,
    /// Where results go.
    pub output: PathBuf,
}

/// Reads a recipe.
///
/// # Errors
/// When it cannot be read or says something that no recipe says.
pub fn read_recipe(path: &Path) -> Result<Recipe, Problem> {
    let text = read_text(path, SMALL_TEXT);
    let text =
        text.map_err(|error| Problem::input(format!("Reading the recipe {} failed: {error}.", path.display())))?;
    Recipe::from_toml(&text)
}

/// Resolves a recipe from the terminal; its paths are relative to `base`. Writes the normalised rows into the output
/// folder.
///
/// # Errors
/// When a setting, the model, the adapter or the data set is not usable.
pub fn resolve_recipe(recipe: &Recipe, base: &Path, threads: usize) -> Result<ResolvedRecipe, Problem> {
    let card = method(recipe.method).card();
    let settings = recipe.settings.resolve(&card.settings).map_err(first)?;
    let output = recipe.output_dir.as_ref().map(|path| base.join(path));
    let output = output.ok_or_else(|| Problem::input("The recipe has no “output_dir”.").at("output_dir"))?;
    let model_dir = base.join(&recipe.model);
    ModelFolder::open(&model_dir).map_err(|error| Problem::from(error).at("model"))?;
    method(recipe.method).check(&settings)?;
    if let Some(problem) = pipeline::prefix_problem(recipe) {
        return Err(problem);
    }
    let reward = reward_of(recipe, base)?;
    let cost = cost_of(recipe, base)?;
    let full = recipe.tuning == Some(Tuning::Full);
    if full && (method(recipe.method).needs().reference || recipe.method.makes_scorer()) {
        let message = format!(
            "{} needs an adapter: it compares with the untouched model, or makes one that only scores.",
            recipe.method.as_str()
        );
        return Err(Problem::input(message).hint("Remove tuning, or use sft, orpo or cpo.").at("tuning"));
    }
    let adapter_dir = recipe.adapter.as_ref().map(|path| base.join(path));
    let dataset = import_file(&base.join(&recipe.dataset))?;
    create_folder(&output).map_err(|problem| problem.at("output_dir"))?;
    let rows = output.join("rows.jsonl");
    write_durably(&rows, rows_to_jsonl(&dataset.rows)?.as_bytes())?;
    let name = model_dir.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned());
    let sha256 = model_sha256(&model_dir).map_err(|error| Problem::from(error).at("model"))?;
    let plan = Plan {
        run: "terminal".to_owned(),
        method: recipe.method,
        model: ModelRef { id: name.clone(), name, sha256 },
        model_dir,
        lora: pipeline::lora_of(recipe),
        prefix: recipe.prefix.clone(),
        full,
        reward,
        cost,
        adapter_dir,
        rows_sha256: file_sha256(&rows)?,
        rows,
        held_out: None,
        oracle: false,
        prompts: None,
        earlier_answers: None,
        adapter_name: recipe.method.as_str().to_owned(),
        checkpoint_every: u64::try_from(settings.whole("save_steps")).unwrap_or(50),
        settings,
        seed: recipe.seed,
        threads,
        answer_tokens: None,
    };
    Ok(ResolvedRecipe { plan, output })
}

/// What a recipe of the terminal names as its reward.
fn reward_of(recipe: &Recipe, base: &Path) -> Result<Option<RewardSource>, Problem> {
    match (recipe.reward.as_deref(), method(recipe.method).needs().reward) {
        (None, false) => Ok(None),
        (Some(_), false) => {
            let message =
                format!("{} does not learn from scores; “reward” means nothing to it.", recipe.method.as_str());
            Err(Problem::input(message).hint("Remove the line.").at("reward"))
        }
        (None, true) => {
            let message = format!("{} learns from scores, and the recipe names no “reward”.", recipe.method.as_str());
            let hint = "Name the adapter folder of a reward model, or \"oracle\" for the starter world.";
            Err(Problem::input(message).hint(hint).at("reward"))
        }
        (Some(named), true) => Ok(Some(source(named, base))),
    }
}

/// What a recipe of the terminal names as its cost.
fn cost_of(recipe: &Recipe, base: &Path) -> Result<Option<RewardSource>, Problem> {
    match recipe.cost.as_deref() {
        None => Ok(None),
        Some(_) if !method(recipe.method).needs().cost => Err(links::no_limit(recipe.method)),
        Some(named) => Ok(Some(source(named, base))),
    }
}

fn source(named: &str, base: &Path) -> RewardSource {
    match named {
        "oracle" => RewardSource::Oracle,
        path => RewardSource::Adapter { folder: base.join(path) },
    }
}

/// The first of several problems; the others are found when it is mended.
fn first(problems: Vec<Problem>) -> Problem {
    problems.into_iter().next().unwrap_or_else(|| Problem::internal("The settings were refused without a reason."))
}
