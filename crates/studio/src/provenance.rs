//! Where an adapter comes from: a small file of our own beside PEFT's two, so that an adapter that merely happens to fit
//! the shapes of another model is refused instead of giving nonsense. Folders without it, from other programs, are judged
//! by their shapes alone.

use crate::durable::write_durably;
use alidade_domain::{MethodName, Plan, Problem};
use alidade_model::{Rater, SMALL_TEXT, adapter_config_sha256, adapter_sha256, file_sha256, read_bounded};
use serde::{Deserialize, Serialize};
use std::path::Path;

const FILE: &str = "alidade.json";

/// What an adapter was made of.
#[derive(Debug, Serialize, Deserialize)]
struct Provenance {
    /// SHA-256 of the base model.
    base_sha256: String,
    /// SHA-256 of the tokenizer, where the model has one.
    tokenizer_sha256: Option<String>,
    method: MethodName,
    rows_sha256: String,
    /// SHA-256 of adapter_model.safetensors; adapters of earlier versions do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weights_sha256: Option<String>,
    /// SHA-256 of adapter_config.json.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config_sha256: Option<String>,
    /// True when it scores harm instead of goodness.
    #[serde(default)]
    cost: bool,
}

/// What an adapter says of itself; a damaged file counts as absent, as one from elsewhere has none.
fn read(folder: &Path) -> Option<Provenance> {
    serde_json::from_slice(&read_bounded(&folder.join(FILE), SMALL_TEXT).ok()?).ok()
}

/// Refuses an adapter whose files are not those that were saved: a changed number is still a number, and nothing else
/// would tell.
///
/// # Errors
/// Names the file that changed. An adapter that says nothing of its files passes.
pub(crate) fn intact(folder: &Path) -> Result<(), Problem> {
    let Some(made) = read(folder) else { return Ok(()) };
    for (file, said) in
        [("adapter_model.safetensors", &made.weights_sha256), ("adapter_config.json", &made.config_sha256)]
    {
        let Some(said) = said else { continue };
        let found = file_sha256(&folder.join(file))?;
        if found != *said {
            let message = format!(
                "{} is not the file that was saved: its SHA-256 is {}, and {FILE} says {}.",
                folder.join(file).display(),
                short(&found),
                short(said)
            );
            let hint = format!("Use an undamaged copy. If you changed it on purpose, remove {FILE} beside it.");
            return Err(Problem::input(message).hint(hint));
        }
    }
    Ok(())
}

/// What the adapter scores, by its own word; `None` when it says nothing, as one from elsewhere does.
pub(crate) fn scores(folder: &Path) -> Option<Rater> {
    let made = read(folder)?;
    Some(if made.cost { Rater::Cost } else { Rater::Reward })
}

fn tokenizer_sha256(model: &Path) -> Option<String> {
    file_sha256(&model.join("tokenizer.json")).ok()
}

/// Writes what the adapter in `folder`, whose own files are there already, was made of.
///
/// # Errors
/// When its files cannot be read, or this one cannot be written.
pub(crate) fn record(folder: &Path, plan: &Plan) -> Result<(), Problem> {
    let provenance = Provenance {
        base_sha256: plan.model.sha256.clone(),
        tokenizer_sha256: tokenizer_sha256(&plan.model_dir),
        method: plan.method,
        rows_sha256: plan.rows_sha256.clone(),
        weights_sha256: Some(adapter_sha256(folder)?),
        config_sha256: Some(adapter_config_sha256(folder)?),
        cost: plan.method.makes_scorer() && plan.settings.text("loss_type") == "cost",
    };
    let text = serde_json::to_string_pretty(&provenance).map_err(|error| Problem::internal(error.to_string()))?;
    write_durably(&folder.join(FILE), (text + "\n").as_bytes())
}

/// Refuses an adapter that says of itself that it belongs to another base or tokenizer than the plan's, or that was changed.
///
/// # Errors
/// Names what differs. A damaged file counts as absent: shapes are checked in any case.
pub(crate) fn check(folder: &Path, plan: &Plan) -> Result<(), Problem> {
    let Some(made) = read(folder) else { return Ok(()) };
    intact(folder)?;
    let ours = tokenizer_sha256(&plan.model_dir);
    if let (Some(theirs), Some(ours)) = (&made.tokenizer_sha256, &ours)
        && theirs != ours
    {
        let message = format!(
            "The adapter was trained with another tokenizer ({}) than the model's ({}): its tokens mean something else.",
            short(theirs),
            short(ours)
        );
        return Err(Problem::input(message).hint("Use an adapter that was trained on this model."));
    }
    if made.base_sha256 != plan.model.sha256 {
        let message = format!(
            "The adapter was trained on another base model ({}) than {} ({}).",
            short(&made.base_sha256),
            plan.model.name,
            short(&plan.model.sha256)
        );
        return Err(Problem::input(message).hint("Use the base that it was trained on, or train it anew."));
    }
    Ok(())
}

fn short(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
}
