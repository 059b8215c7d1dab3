//! The input of an estimate: the recipe of a stage with all of its inputs found.

use crate::train::estimate::{ModelFacts, StageAsk};
use alidade_domain::{BuildRecipe, EvaluateRecipe, ExportRecipe, FetchRecipe, Settings};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A stage whose recipe has no faults and whose inputs were found, by kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ask {
    /// Trains.
    Train(Box<StageAsk>),
    /// Builds a data set.
    Build(BuildAsk),
    /// Evaluates stacks.
    Evaluate(EvaluateAsk),
    /// Fetches a model.
    Fetch(FetchAsk),
    /// Exports an adapter.
    Export(ExportAsk),
}

/// A stage that builds a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildAsk {
    /// Place in the pipeline, from 0.
    pub stage: usize,
    /// The recipe.
    pub recipe: BuildRecipe,
    /// Every setting of the builder.
    pub settings: Settings,
    /// The base model.
    pub model: ModelFacts,
    /// The normalised rows of the data set; absent if an earlier stage makes them.
    pub rows: Option<PathBuf>,
    /// Their SHA-256.
    pub rows_sha256: String,
    /// Seed of the split: rows that are held out for evaluation are not worked on.
    pub split: u64,
}

/// A stage that evaluates stacks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluateAsk {
    /// Place in the pipeline, from 0.
    pub stage: usize,
    /// The recipe.
    pub recipe: EvaluateRecipe,
    /// The base model.
    pub model: ModelFacts,
    /// The normalised rows of the data set; absent if none is named or an earlier stage makes them.
    pub rows: Option<PathBuf>,
    /// Their SHA-256.
    pub rows_sha256: String,
}

/// A stage that fetches a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FetchAsk {
    /// Place in the pipeline, from 0.
    pub stage: usize,
    /// The recipe.
    pub recipe: FetchRecipe,
}

/// A stage that exports an adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExportAsk {
    /// Place in the pipeline, from 0.
    pub stage: usize,
    /// The recipe.
    pub recipe: ExportRecipe,
    /// The base model.
    pub model: ModelFacts,
    /// Bytes of the adapter, if it exists already.
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

    /// The kind, as in files.
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
