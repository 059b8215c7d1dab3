//! Recipes of stages that do not train; experiment files, the wire and the database use the same keys. The recipe for
//! training is in `recipe.rs`.

use crate::{
    AdapterSource, DatasetSource, ModelSource, Problem, ScorerSource, Settings, StackSource, Wording, nearest_name,
    wording,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Builds a data set: a builder of the registry turns rows into others, with a model that answers and, for some, a scorer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct BuildRecipe {
    /// Name of the builder.
    pub builder: String,
    /// The base model that generates answers.
    pub model: ModelSource,
    /// The adapter on it; absent for the untouched base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub adapter: Option<AdapterSource>,
    /// The rows whose prompts are answered.
    pub dataset: DatasetSource,
    /// The scorer, for builders that choose among answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub scorer: Option<ScorerSource>,
    /// Random seed.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Maximum number of prompts; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub limit: Option<usize>,
    /// Settings of the builder; absent keys have their defaults.
    #[serde(default)]
    pub settings: Settings,
}

/// Evaluates stacks of one base model with a suite. The untouched base is always the first stack and the baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct EvaluateRecipe {
    /// The base model.
    pub model: ModelSource,
    /// The stacks to compare with it: adapters on the same base.
    #[serde(default)]
    pub stacks: Vec<StackSource>,
    /// Name of the suite; the one that fits the data when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub suite: Option<String>,
    /// Judges that label the answers in addition to the suite: "refusal", "contains=blue".
    #[serde(default)]
    pub judges: Vec<String>,
    /// Rows for the suite; absent for a suite with its own questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub dataset: Option<DatasetSource>,
    /// Maximum number of prompts or rows.
    #[serde(default = "default_limit")]
    pub limit: usize,
}

/// Copies a model into the data folder and checks its hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct FetchRecipe {
    /// The folder to copy from (only in the terminal).
    pub source: String,
    /// Name for people; by default that of the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub name: Option<String>,
    /// SHA-256 that the weights must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sha256: Option<String>,
}

/// Exports an adapter for other programs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct ExportRecipe {
    /// The base model.
    pub model: ModelSource,
    /// The adapter.
    pub adapter: AdapterSource,
    /// The format.
    #[serde(default)]
    pub form: ExportForm,
}

/// The format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ExportForm {
    /// PEFT's adapter folder.
    #[default]
    Peft,
    /// A whole model with the adapter merged in, as safetensors in the number format of the base.
    Merged,
}

fn default_seed() -> u64 {
    42
}

fn default_limit() -> usize {
    200
}

/// A recipe as a table of an experiment file.
pub(crate) trait StageTable: DeserializeOwned {
    /// Allowed keys.
    const KEYS: &'static [&'static str];
    /// Required keys.
    const NEEDED: &'static [&'static str];

    /// Reads the table.
    ///
    /// # Errors
    /// When a key is missing, unknown or has an invalid value; names the key.
    fn read(table: toml::Table) -> Result<Self, Problem> {
        if let Some(key) = table.keys().find(|key| !Self::KEYS.contains(&key.as_str())) {
            let problem =
                Problem::input(wording!("The stage has an unknown key “{key}”.", "阶段中有未知的键“{key}”。"))
                    .at(key.clone());
            return Err(match nearest_name(key, Self::KEYS.iter().copied()) {
                Some(near) => problem.hint(wording!("Did you mean {near}?", "是否想写 {near}？")),
                None => {
                    problem.hint(wording!("Known: {known}.", "可用：{known}。"; known = Wording::names(Self::KEYS)))
                }
            });
        }
        if let Some(key) = Self::NEEDED.iter().find(|key| !table.contains_key(**key)) {
            return Err(Problem::input(wording!("The stage has no “{key}”.", "阶段缺少“{key}”。")).at(*key));
        }
        // The message of the parser does not name the wrong key, so each optional key is left out in turn.
        let keys: Vec<String> = table.keys().filter(|key| !Self::NEEDED.contains(&key.as_str())).cloned().collect();
        Self::deserialize(table.clone()).map_err(|error| {
            let culprit = keys.into_iter().find(|key| {
                let mut rest = table.clone();
                rest.remove(key);
                Self::deserialize(rest).is_ok()
            });
            let problem = Problem::input(wording!(
                "The stage cannot be read: {reason}",
                "无法读取阶段：{reason}",
                reason = error.message()
            ));
            match culprit {
                Some(key) => problem.at(key),
                None => problem,
            }
        })
    }
}

impl StageTable for BuildRecipe {
    const KEYS: &'static [&'static str] =
        &["builder", "model", "adapter", "dataset", "scorer", "seed", "limit", "settings"];
    const NEEDED: &'static [&'static str] = &["builder", "model", "dataset"];
}

impl StageTable for EvaluateRecipe {
    const KEYS: &'static [&'static str] = &["model", "stacks", "suite", "judges", "dataset", "limit"];
    const NEEDED: &'static [&'static str] = &["model"];
}

impl StageTable for FetchRecipe {
    const KEYS: &'static [&'static str] = &["source", "name", "sha256"];
    const NEEDED: &'static [&'static str] = &["source"];
}

impl StageTable for ExportRecipe {
    const KEYS: &'static [&'static str] = &["model", "adapter", "form"];
    const NEEDED: &'static [&'static str] = &["model", "adapter"];
}
