//! What a stage asks of the planner: its recipe, with everything that it names found.

use crate::train::estimate::{ModelFacts, StageAsk};
use alidade_domain::{BuildRecipe, EvaluateRecipe, ExportRecipe, FetchRecipe, Settings};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A stage without a fault that can be seen from its recipe, by its kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ask {
    /// Trains.
    Train(Box<StageAsk>),
    /// Builds a data set.
    Build(BuildAsk),
    /// Asks stacks.
    Evaluate(EvaluateAsk),
    /// Brings a model.
    Fetch(FetchAsk),
    /// Writes an adapter for other programs.
    Export(ExportAsk),
}

/// What building asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildAsk {
    /// Place in the pipeline, from 0.
    pub stage: usize,
    /// What the person said.
    pub recipe: BuildRecipe,
    /// Every setting of the builder.
    pub settings: Settings,
    /// The base model.
    pub model: ModelFacts,
    /// The normalised rows of the data set; absent where an earlier stage makes them.
    pub rows: Option<PathBuf>,
    /// Their SHA-256.
    pub rows_sha256: String,
    /// Seed of the split: rows that are kept apart for evaluation are not worked on.
    pub split: u64,
}

/// What an evaluation asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluateAsk {
    /// Place in the pipeline, from 0.
    pub stage: usize,
    /// What the person said.
    pub recipe: EvaluateRecipe,
    /// The base model.
    pub model: ModelFacts,
    /// The normalised rows of the data set; absent where none is named or an earlier stage makes them.
    pub rows: Option<PathBuf>,
    /// Their SHA-256.
    pub rows_sha256: String,
}

/// What bringing a model asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FetchAsk {
    /// Place in the pipeline, from 0.
    pub stage: usize,
    /// What the person said.
    pub recipe: FetchRecipe,
}

/// What an export asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExportAsk {
    /// Place in the pipeline, from 0.
    pub stage: usize,
    /// What the person said.
    pub recipe: ExportRecipe,
    /// The base model.
    pub model: ModelFacts,
    /// Parameters of the adapter, where it is there already.
    pub adapter_bytes: u64,
}

impl Ask {
    /// Place in the pipeline, from 0.
    pub fn stage(&self) -> usize {
        match self {
            Ask::Train(ask) => ask.stage,
            Ask::Build(ask) => ask.stage,
            Ask::Evaluate(ask) => ask.stage,
            Ask::Fetch(ask) => ask.stage,
            Ask::Export(ask) => ask.stage,
        }
    }

    /// The kind, as it stands in files.
    pub fn kind(&self) -> &'static str {
        match self {
            Ask::Train(_) => "train",
            Ask::Build(_) => "build",
            Ask::Evaluate(_) => "evaluate",
            Ask::Fetch(_) => "fetch",
            Ask::Export(_) => "export",
        }
    }

    /// The model whose files are read.
    pub fn model(&self) -> Option<&ModelFacts> {
        match self {
            Ask::Train(ask) => Some(&ask.model),
            Ask::Build(ask) => Some(&ask.model),
            Ask::Evaluate(ask) => Some(&ask.model),
            Ask::Export(ask) => Some(&ask.model),
            Ask::Fetch(_) => None,
        }
    }

    /// The rows that are read.
    pub fn rows(&self) -> Option<&Path> {
        match self {
            Ask::Train(ask) => Some(&ask.rows),
            Ask::Build(ask) => ask.rows.as_deref(),
            Ask::Evaluate(ask) => ask.rows.as_deref(),
            Ask::Fetch(_) | Ask::Export(_) => None,
        }
    }
}
