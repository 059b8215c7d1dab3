//! Provenance of a result: a small file of our own beside PEFT's two or beside a model's. With it, an adapter that merely
//! fits the shapes of another model is refused instead of giving nonsense, and weights that have changed since are noticed.
//! Folders of other programs do not have it and are checked by their shapes only.

use crate::files::durable::write_durably;
use alidade_domain::{MethodName, Plan, Problem, Wording, Words, wording};
use alidade_model::{SMALL_TEXT, ScorerKind, adapter_config_sha256, adapter_sha256, file_sha256, read_bounded};
use alidade_train::method;
use serde::{Deserialize, Serialize};
use std::path::Path;

const FILE: &str = "alidade.json";

/// The provenance of a result.
#[derive(Debug, Serialize, Deserialize)]
struct Provenance {
    /// SHA-256 of the base model.
    base_sha256: String,
    /// SHA-256 of the tokenizer, where the model has one.
    tokenizer_sha256: Option<String>,
    method: MethodName,
    rows_sha256: String,
    /// SHA-256 of the weights, to detect later changes; absent in adapters of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weights_sha256: Option<String>,
    /// SHA-256 of adapter_config.json, if the result is an adapter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config_sha256: Option<String>,
    /// True for a cost model, which scores harm.
    #[serde(default)]
    cost: bool,
    /// Fingerprint of the plan that made it.
    #[serde(default)]
    plan: Option<String>,
    /// Steps that it was trained for.
    #[serde(default)]
    steps: u64,
    /// True if these are all steps of the plan.
    #[serde(default)]
    complete: bool,
    /// All files of the folder, including this one.
    #[serde(default)]
    files: Option<Vec<String>>,
}

/// How a result came about.
pub struct Making<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Fingerprint of the plan.
    pub fingerprint: &'a str,
    /// Steps taken.
    pub steps: u64,
    /// True if these are all steps.
    pub complete: bool,
}

/// Refuses an adapter that was trained with another tokenizer than that of the model's folder.
///
/// # Errors
/// Names both hashes.
pub fn same_tokenizer(folder: &Path, model: &Path) -> Result<(), Problem> {
    let theirs = read(folder).and_then(|made| made.tokenizer_sha256);
    let (Some(theirs), Some(ours)) = (theirs, tokenizer_sha256(model)) else { return Ok(()) };
    if theirs == ours {
        return Ok(());
    }
    let message = wording!(
        "The adapter was trained with another tokenizer ({theirs}) than the model's ({ours}): its tokens mean something else.",
        "适配器训练时所用的分词器（{theirs}）与模型的（{ours}）不同：词元的含义不一样。",
        theirs = short(&theirs),
        ours = short(&ours)
    );
    Err(Problem::input(message)
        .hint(Words::new("Use an adapter that was trained on this model.", "请使用在这个模型上训练的适配器。")))
}

/// True if the folder has our mark.
pub fn is_marked(folder: &Path) -> bool {
    read(folder).is_some()
}

/// The files of a result's folder, as its mark lists them.
pub fn files(folder: &Path) -> Option<Vec<String>> {
    read(folder)?.files
}

/// Steps and weights (SHA-256) of a complete and unchanged result of the plan with this fingerprint.
/// `weights` hashes the weights of the folder.
pub fn completed(folder: &Path, fingerprint: &str, weights: impl Fn(&Path) -> Option<String>) -> Option<(u64, String)> {
    let made = read(folder)?;
    let found = weights(folder)?;
    let own = made.complete && made.plan.as_deref() == Some(fingerprint);
    (own && made.weights_sha256.as_ref() == Some(&found)).then_some((made.steps, found))
}

/// Refuses an adapter whose weights or configuration differ from what was recorded when it was made, in the folder itself or
/// (weights) in the `run.json` beside it.
///
/// # Errors
/// Names both hashes.
pub fn unchanged(folder: &Path) -> Result<(), Problem> {
    let beside = || {
        let record = std::fs::read(folder.parent()?.join("run.json")).ok()?;
        let record: serde_json::Value = serde_json::from_slice(&record).ok()?;
        (folder.file_name()? == "adapter").then(|| record["hashes"]["adapter"].as_str().map(str::to_owned))?
    };
    let made = read(folder);
    let weights = made.as_ref().and_then(|made| made.weights_sha256.clone()).or_else(beside);
    let configuration = made.and_then(|made| made.config_sha256);
    // A missing file is reported by whoever loads the folder.
    same_file(folder, Words::new("weights", "权重"), adapter_sha256(folder).ok(), weights)?;
    same_file(folder, Words::new("configuration", "配置"), adapter_config_sha256(folder).ok(), configuration)
}

fn same_file(folder: &Path, what: Words, found: Option<String>, recorded: Option<String>) -> Result<(), Problem> {
    let (Some(found), Some(recorded)) = (found, recorded) else { return Ok(()) };
    if found == recorded {
        return Ok(());
    }
    let message = wording!(
        "The {what} of the adapter in {path} changed after training: the SHA-256 is {found}… and was {recorded}….",
        "{path} 中适配器的{what}在训练后被改动：SHA-256 是 {found}…，原为 {recorded}…。";
        what; path = folder.display(), found = short(&found), recorded = short(&recorded)
    );
    let hint = wording!(
        "Use an undamaged copy, or train it again. If you changed it on purpose, remove {FILE} beside it.",
        "请使用未损坏的副本，或重新训练。如果是有意改动的，请删除旁边的 {FILE}。"
    );
    Err(Problem::input(message).hint(hint))
}

/// The provenance of an adapter; a damaged file counts as absent, as in adapters of other programs.
fn read(folder: &Path) -> Option<Provenance> {
    serde_json::from_slice(&read_bounded(&folder.join(FILE), SMALL_TEXT).ok()?).ok()
}

/// What kind of scorer the adapter is, as recorded; `None` when nothing is recorded.
pub fn scores(folder: &Path) -> Option<ScorerKind> {
    let made = read(folder)?;
    Some(if made.cost { ScorerKind::Cost } else { ScorerKind::Reward })
}

fn tokenizer_sha256(model: &Path) -> Option<String> {
    file_sha256(&model.join("tokenizer.json")).ok()
}

/// Writes the provenance of the result in `folder`, which must be complete otherwise.
///
/// # Errors
/// When the file cannot be written.
pub fn record(folder: &Path, making: &Making, weights_sha256: &str) -> Result<(), Problem> {
    let plan = making.plan;
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    files.push(FILE.to_owned());
    files.sort();
    let provenance = Provenance {
        base_sha256: plan.model.sha256.clone(),
        tokenizer_sha256: tokenizer_sha256(&plan.model_dir),
        method: plan.method.clone(),
        rows_sha256: plan.rows_sha256.clone(),
        config_sha256: adapter_config_sha256(folder).ok(),
        cost: method(&plan.method)?.configure(&plan.settings)?.scorer_kind() == Some(ScorerKind::Cost),
        plan: Some(making.fingerprint.to_owned()),
        steps: making.steps,
        complete: making.complete,
        weights_sha256: Some(weights_sha256.to_owned()),
        files: Some(files),
    };
    let text = serde_json::to_string_pretty(&provenance)
        .map_err(|error| Problem::internal(Wording::name(error.to_string())))?;
    write_durably(&folder.join(FILE), (text + "\n").as_bytes())
}

/// Refuses an adapter whose provenance names another base or tokenizer than the plan's, or that has changed.
///
/// # Errors
/// Names what differs or has changed. A damaged file counts as absent: shapes are checked in any case.
pub fn check(folder: &Path, plan: &Plan) -> Result<(), Problem> {
    unchanged(folder)?;
    same_tokenizer(folder, &plan.model_dir)?;
    let Some(made) = read(folder) else { return Ok(()) };
    if made.base_sha256 != plan.model.sha256 {
        let message = wording!(
            "The adapter was trained on another base model ({theirs}) than {name} ({ours}).",
            "适配器是在另一个基座模型（{theirs}）上训练的，而不是 {name}（{ours}）。",
            theirs = short(&made.base_sha256),
            name = plan.model.name,
            ours = short(&plan.model.sha256)
        );
        return Err(Problem::input(message).hint(Words::new(
            "Use the base model that it was trained on, or train a new adapter.",
            "请使用训练时的基座模型，或训练一个新的适配器。",
        )));
    }
    Ok(())
}

/// The first digits of a hash, for messages.
pub fn short(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
}
