//! A resolved stage: a worker reads it from `plan.json` and needs nothing else. For training this is [`Plan`].

use crate::{AdapterRef, ExportForm, LocalTime, ModelRef, Plan, RewardSource, Settings};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The plan of a run, by kind. A plan without a kind, from an earlier version, trains.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StagePlan {
    /// Trains.
    Train(Box<Plan>),
    /// Builds a data set.
    Build(BuildPlan),
    /// Evaluates stacks.
    Evaluate(EvaluatePlan),
    /// Fetches a model.
    Fetch(FetchPlan),
    /// Exports an adapter.
    Export(ExportPlan),
}

/// An adapter that a stage evaluates or exports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluatedAdapter {
    /// By name and content.
    pub adapter: AdapterRef,
    /// Its folder.
    pub folder: PathBuf,
}

/// The plan of a build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildPlan {
    /// The run that carries it out.
    pub run: String,
    /// Name of the builder.
    pub builder: String,
    /// The base model, by name and content.
    pub model: ModelRef,
    /// Its folder.
    pub model_dir: PathBuf,
    /// The adapter that generates answers.
    pub adapter: Option<EvaluatedAdapter>,
    /// The scorer of answers.
    pub scorer: Option<RewardSource>,
    /// The rows that are worked on, one JSON [`crate::Example`] a line.
    pub rows: PathBuf,
    /// SHA-256 of that file.
    pub rows_sha256: String,
    /// Every setting of the builder.
    pub settings: Settings,
    /// Random seed.
    pub seed: u64,
    /// The date for the chat template; absent if it does not use one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<LocalTime>,
}

/// The plan of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluatePlan {
    /// The run that carries it out.
    pub run: String,
    /// The base model, by name and content.
    pub model: ModelRef,
    /// Its folder.
    pub model_dir: PathBuf,
    /// The adapters that are asked after the bare base.
    pub adapters: Vec<EvaluatedAdapter>,
    /// Name of the suite.
    pub suite: String,
    /// Judges that label the answers in addition to the suite.
    pub judges: Vec<String>,
    /// The rows for the suite, one JSON [`crate::Example`] a line; absent for a suite with its own questions.
    pub rows: Option<PathBuf>,
    /// SHA-256 of that file.
    pub rows_sha256: Option<String>,
    /// Maximum number of prompts or rows.
    pub limit: usize,
    /// The date for the chat template; absent if it does not use one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<LocalTime>,
}

/// The plan of a fetch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchPlan {
    /// The run that carries it out.
    pub run: String,
    /// The folder to copy from.
    pub source: PathBuf,
    /// Name for people.
    pub name: String,
    /// SHA-256 that the weights must have.
    pub sha256: Option<String>,
}

/// The plan of an export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExportPlan {
    /// The run that carries it out.
    pub run: String,
    /// The base model, by name and content.
    pub model: ModelRef,
    /// Its folder.
    pub model_dir: PathBuf,
    /// The adapter.
    pub adapter: EvaluatedAdapter,
    /// The format.
    pub form: ExportForm,
}

impl StagePlan {
    /// The run that carries it out.
    pub fn run(&self) -> &str {
        match self {
            StagePlan::Train(plan) => &plan.run,
            StagePlan::Build(plan) => &plan.run,
            StagePlan::Evaluate(plan) => &plan.run,
            StagePlan::Fetch(plan) => &plan.run,
            StagePlan::Export(plan) => &plan.run,
        }
    }

    /// The kind of stage, as in files.
    pub fn kind(&self) -> &'static str {
        match self {
            StagePlan::Train(_) => "train",
            StagePlan::Build(_) => "build",
            StagePlan::Evaluate(_) => "evaluate",
            StagePlan::Fetch(_) => "fetch",
            StagePlan::Export(_) => "export",
        }
    }

    /// The plan of a run that trains.
    pub fn training(&self) -> Option<&Plan> {
        match self {
            StagePlan::Train(plan) => Some(plan),
            _ => None,
        }
    }

    /// The base model and its folder.
    pub fn model(&self) -> Option<(&ModelRef, &Path)> {
        match self {
            StagePlan::Train(plan) => Some((&plan.model, &plan.model_dir)),
            StagePlan::Build(plan) => Some((&plan.model, &plan.model_dir)),
            StagePlan::Evaluate(plan) => Some((&plan.model, &plan.model_dir)),
            StagePlan::Export(plan) => Some((&plan.model, &plan.model_dir)),
            StagePlan::Fetch(_) => None,
        }
    }

    /// The folders of adapters that it uses, with the field that names each.
    pub fn adapters(&self) -> Vec<(&'static str, &Path)> {
        let named: Vec<(&'static str, Option<&Path>)> = match self {
            StagePlan::Train(plan) => vec![
                ("adapter", plan.trains.continued()),
                ("reward", scorer(&plan.reward)),
                ("cost", scorer(&plan.cost)),
            ],
            StagePlan::Build(plan) => vec![
                ("adapter", plan.adapter.as_ref().map(|adapter| adapter.folder.as_path())),
                ("scorer", scorer(&plan.scorer)),
            ],
            StagePlan::Evaluate(plan) => {
                plan.adapters.iter().map(|adapter| ("stacks", Some(adapter.folder.as_path()))).collect()
            }
            StagePlan::Export(plan) => vec![("adapter", Some(plan.adapter.folder.as_path()))],
            StagePlan::Fetch(_) => Vec::new(),
        };
        named.into_iter().filter_map(|(field, folder)| Some((field, folder?))).collect()
    }

    /// SHA-256 of its rows.
    pub fn rows_sha256(&self) -> Option<&str> {
        match self {
            StagePlan::Train(plan) => Some(&plan.rows_sha256),
            StagePlan::Build(plan) => Some(&plan.rows_sha256),
            StagePlan::Evaluate(plan) => plan.rows_sha256.as_deref(),
            StagePlan::Fetch(_) | StagePlan::Export(_) => None,
        }
    }
}

/// The folder of a model that scores.
fn scorer(source: &Option<RewardSource>) -> Option<&Path> {
    match source {
        Some(RewardSource::Adapter { folder }) => Some(folder),
        Some(RewardSource::Oracle) | None => None,
    }
}

impl<'de> Deserialize<'de> for StagePlan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Map::deserialize(deserializer)?;
        let kind = fields.remove("kind").unwrap_or_else(|| Value::from("train"));
        let fields = Value::Object(fields);
        let plan = match kind.as_str() {
            Some("train") => Plan::deserialize(fields).map(|plan| StagePlan::Train(Box::new(plan))),
            Some("build") => BuildPlan::deserialize(fields).map(StagePlan::Build),
            Some("evaluate") => EvaluatePlan::deserialize(fields).map(StagePlan::Evaluate),
            Some("fetch") => FetchPlan::deserialize(fields).map(StagePlan::Fetch),
            Some("export") => ExportPlan::deserialize(fields).map(StagePlan::Export),
            _ => return Err(D::Error::custom(format_args!("there is no kind of plan {kind}"))),
        };
        plan.map_err(D::Error::custom)
    }
}
