//! Resolves a recipe into a plan: every file is found and read, every default is filled in. Problems name their field.

use crate::terminal::places::Given;
use crate::{experiments::links, import_checked};
use alidade_data::rows_to_jsonl;
use alidade_domain::{
    AdapterShape, AdapterSource, Dataset, DatasetSource, LocalTime, ModelRef, ModelSource, Plan, Problem, Recipe,
    RewardSource, ScorerSource, Stage, Trainable, Wording, Words, why, wording,
};
use alidade_jobs::kinds::job;
use alidade_jobs::machine::compute;
use alidade_jobs::machine::today::asks_for_date;
use alidade_model::{ModelFolder, SMALL_TEXT, model_sha256, read_text};
use alidade_train::{Method, method, work_facts};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// A resolved recipe.
#[derive(Debug)]
pub struct ResolvedRecipe {
    /// The plan.
    pub plan: Plan,
    /// Where results go.
    pub output: PathBuf,
    /// The rows, one JSON example a line, for the output folder.
    pub rows: String,
    /// All inputs of the run.
    pub given: Vec<Given>,
    /// Remarks on the data.
    pub remarks: Vec<Wording>,
}

/// Reads a recipe.
///
/// # Errors
/// When it cannot be read or is invalid.
pub fn read_recipe(path: &Path) -> Result<Recipe, Problem> {
    let recipe = Recipe::from_toml(&read_file(Words::new("the recipe", "配方"), path)?)?;
    method(&recipe.method)?;
    Ok(recipe)
}

/// Reads a small text file of the person.
pub(crate) fn read_file(what: Words, path: &Path) -> Result<String, Problem> {
    read_text(path, SMALL_TEXT).map_err(|error| {
        let path = path.display();
        Problem::input(match error.kind() {
            std::io::ErrorKind::NotFound => wording!("There is no file {path}.", "没有文件 {path}。"),
            _ => wording!(
                "Reading {what} {path} failed: {why}.",
                "读取{what} {path} 失败：{why}。";
                what, why = why(&error)
            ),
        })
    })
}

/// Resolves the recipe of a file from the terminal; its paths are relative to that file. Writes nothing.
///
/// # Errors
/// When a setting, the model, the adapter or the data set cannot be used.
pub fn resolve_recipe(recipe: &Recipe, file: &Path, threads: usize) -> Result<ResolvedRecipe, Problem> {
    let base = file.parent().unwrap_or(Path::new("."));
    let known = method(&recipe.method)?;
    // As the window and experiment files are checked.
    if let Some(problem) = job("train")?.check(&Stage::Train(recipe.clone())).into_iter().next() {
        return Err(problem);
    }
    let settings = recipe.settings.resolve(&known.fields()).map_err(first)?;
    let output = recipe.output_dir.as_ref().map(|path| base.join(path));
    let output = output.ok_or_else(|| {
        Problem::input(wording!("The recipe has no “output_dir”.", "配方缺少“output_dir”。")).at("output_dir")
    })?;
    let model_dir = model_dir(recipe, base)?;
    let dataset_file = dataset_file(recipe, base)?;
    ModelFolder::open(&model_dir).map_err(|error| Problem::from(error).at("model"))?;
    let training = known.configure(&settings)?;
    let reward = reward_of((recipe, known), base)?;
    let cost = cost_of((recipe, known), base)?;
    let full = links::is_full(recipe, known)?;
    let adapter_dir = recipe.adapter.as_ref().map(|adapter| adapter_dir(adapter, base, "adapter")).transpose()?;
    let dataset = import_checked(&dataset_file)?;
    let rows = rows_to_jsonl(&dataset.rows)?;
    let given = given(file, &model_dir, &dataset_file, adapter_dir.as_ref(), [&reward, &cost]);
    let name = model_dir.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned());
    let sha256 = model_sha256(&model_dir).map_err(|error| Problem::from(error).at("model"))?;
    // A run that is resumed on another day keeps its date.
    let now = asks_for_date(&model_dir).then(|| day_of_work(&output).unwrap_or_else(crate::local_time));
    let trains = match adapter_dir {
        _ if full => Trainable::Full,
        Some(folder) => Trainable::Continued { folder },
        None => Trainable::Fresh(AdapterShape::of(recipe)),
    };
    let plan = Plan {
        run: "terminal".to_owned(),
        method: recipe.method.clone(),
        model: ModelRef { id: name.clone(), name, sha256 },
        model_dir,
        trains,
        reward,
        cost,
        rows_sha256: format!("{:x}", Sha256::digest(&rows)),
        rows: output.join("rows.jsonl"),
        held_out: None,
        oracle: false,
        prompts: None,
        earlier_answers: None,
        adapter_name: recipe.method.as_str().to_owned(),
        checkpoint_every: training.common().save_steps,
        settings,
        seed: recipe.seed,
        device: compute::device()?,
        threads,
        answer_tokens: None,
        now,
    };
    Ok(ResolvedRecipe { plan, output, rows, given, remarks: remarks(&dataset) })
}

fn given(
    recipe: &Path,
    model: &Path,
    dataset: &Path,
    adapter: Option<&PathBuf>,
    scorers: [&Option<RewardSource>; 2],
) -> Vec<Given> {
    let mut given = vec![
        Given { what: Words::new("the recipe", "配方"), path: recipe.to_owned() },
        Given { what: Words::new("the model", "模型"), path: model.to_owned() },
        Given { what: Words::new("the data set", "数据集"), path: dataset.to_owned() },
    ];
    given.extend(adapter.map(|path| Given {
        what: Words::new("the adapter that training starts from", "训练起始的适配器"),
        path: path.clone(),
    }));
    for (what, scorer) in
        [Words::new("the reward model", "奖励模型"), Words::new("the cost model", "代价模型")].into_iter().zip(scorers)
    {
        if let Some(RewardSource::Adapter { folder }) = scorer {
            given.push(Given { what, path: folder.clone() });
        }
    }
    given
}

/// Remarks from reading the data set.
fn remarks(dataset: &Dataset) -> Vec<Wording> {
    let mut remarks = dataset.remarks.clone();
    if let Some(first) = dataset.issues.first() {
        let summary = &dataset.summary;
        remarks.push(wording!(
            "{bad} of {read} rows of the data set cannot be used; row {row}: {reason}. alidade import lists them.",
            "数据集的 {read} 条中有 {bad} 条不能使用；第 {row} 条：{reason}。用 alidade import 查看全部。";
            reason = first.reason; bad = summary.read.saturating_sub(summary.kept), read = summary.read, row = first.row
        ));
    }
    remarks
}

/// The date in the plan of unfinished work in a folder.
fn day_of_work(output: &Path) -> Option<LocalTime> {
    serde_json::from_value(work_facts(output)?.get("now")?.clone()).ok()
}

/// The reward of a recipe in the terminal.
fn reward_of((recipe, method): (&Recipe, &dyn Method), base: &Path) -> Result<Option<RewardSource>, Problem> {
    match (&recipe.reward, method.needs().reward) {
        (None, false) => Ok(None),
        (Some(_), false) => {
            let message = wording!(
                "{method} does not learn from scores, so it cannot use “reward”.",
                "{method} 不从得分中学习，因此不能使用“reward”。",
                method = recipe.method.as_str()
            );
            Err(Problem::input(message).hint(wording!("Remove the line.", "删除这一行。")).at("reward"))
        }
        (None, true) => {
            let message = wording!(
                "{method} learns from scores, but the recipe names no “reward”.",
                "{method} 从得分中学习，但配方没有指定“reward”。",
                method = recipe.method.as_str()
            );
            let hint = wording!(
                "Name the adapter folder of a reward model, or \"oracle\" for the starter world.",
                "请指定奖励模型的适配器文件夹，或用 \"oracle\" 表示入门世界。"
            );
            Err(Problem::input(message).hint(hint).at("reward"))
        }
        (Some(named), true) => source(named, base, "reward").map(Some),
    }
}

/// The cost of a recipe in the terminal.
fn cost_of((recipe, method): (&Recipe, &dyn Method), base: &Path) -> Result<Option<RewardSource>, Problem> {
    match &recipe.cost {
        None => Ok(None),
        Some(_) if !method.needs().cost => Err(links::no_limit(method)),
        Some(named) => source(named, base, "cost").map(Some),
    }
}

fn source(named: &ScorerSource, base: &Path, field: &str) -> Result<RewardSource, Problem> {
    match named {
        ScorerSource::Oracle => Ok(RewardSource::Oracle),
        ScorerSource::Judge(name) => Err(links::no_judge(name, Words::new("reward model", "奖励模型")).at(field)),
        ScorerSource::Model(adapter) => {
            adapter_dir(adapter, base, field).map(|folder| RewardSource::Adapter { folder })
        }
    }
}

/// The folder of a recipe's model.
///
/// # Errors
/// When the recipe names it in a form that only experiments allow.
pub fn model_dir(recipe: &Recipe, base: &Path) -> Result<PathBuf, Problem> {
    match &recipe.model {
        ModelSource::Path(path) => Ok(base.join(path)),
        ModelSource::Stored(_) | ModelSource::Stage(_) => {
            Err(elsewhere(&recipe.model, Words::new("the model's folder", "模型的文件夹"), "model"))
        }
    }
}

fn dataset_file(recipe: &Recipe, base: &Path) -> Result<PathBuf, Problem> {
    match &recipe.dataset {
        DatasetSource::Path(path) => Ok(base.join(path)),
        DatasetSource::Stored(_) | DatasetSource::Stage(_) => {
            Err(elsewhere(&recipe.dataset, Words::new("the file", "文件"), "dataset"))
        }
    }
}

fn adapter_dir(adapter: &AdapterSource, base: &Path, field: &str) -> Result<PathBuf, Problem> {
    match adapter {
        AdapterSource::Path(path) => Ok(base.join(path)),
        AdapterSource::Stored(_) | AdapterSource::Stage(_) => {
            Err(elsewhere(adapter, Words::new("the adapter's folder", "适配器的文件夹"), field))
        }
    }
}

/// The problem of an identifier or stage in a recipe, which may only name files.
fn elsewhere(named: &impl std::fmt::Display, instead: Words, field: &str) -> Problem {
    Problem::input(wording!(
        "“{named}” can only be used in an experiment file; a recipe names {instead}.",
        "“{named}”只能用于实验文件；配方中应指定{instead}。";
        instead
    ))
    .hint(wording!(
        "Name {instead}, or make it a stage of an experiment file and use alidade run.",
        "请指定{instead}，或把它写成实验文件的一个阶段并使用 alidade run。";
        instead
    ))
    .at(field)
}

/// The first of several problems; the others are reported once it is fixed.
fn first(problems: Vec<Problem>) -> Problem {
    problems.into_iter().next().unwrap_or_else(|| {
        Problem::internal(wording!("The settings were refused without a reason.", "设置未被接受，也没有给出原因。"))
    })
}
