//! The content of a report, before it becomes HTML or Markdown.

use crate::{Evaluation, ImportSummary};
use serde::{Deserialize, Serialize};

/// A labelled value in a table of facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is.
    pub label: String,
    /// Its value as text.
    pub value: String,
}

/// A line to draw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Metric name as TRL logs it.
    pub name: String,
    /// (step, value) in step order.
    pub points: Vec<(f64, f64)>,
}

/// One stage of the pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportStage {
    /// "1 · SFT".
    pub title: String,
    /// Method, model, data, settings, seeds, versions, hashes.
    pub setup: Vec<Fact>,
    /// Remarks of the import on the data.
    pub data: Option<ImportSummary>,
    /// Training curves.
    pub curves: Vec<Curve>,
    /// Before and after of this stage, suite by suite.
    pub evaluations: Vec<Evaluation>,
    /// The recipe as TOML, to run it again.
    pub recipe: String,
}

/// An experiment, ready to be printed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Title of the experiment.
    pub title: String,
    /// Its question.
    pub question: String,
    /// One sentence that answers it, as far as the figures allow.
    pub verdict: String,
    /// First stack against last, suite by suite.
    pub overall: Vec<Evaluation>,
    /// The stages in order.
    pub stages: Vec<ReportStage>,
    /// Limitations of these figures.
    pub limits: Vec<String>,
    /// Licences of model and data.
    pub licences: Vec<Fact>,
    /// Program version and machine.
    pub made_with: Vec<Fact>,
}
