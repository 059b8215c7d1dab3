//! The content of a report, before it becomes HTML or Markdown: facts and figures without a language, so that the same report
//! can be written in each of them. The words are in the report crate.

use crate::{Artifact, Evaluation, ImportSummary, LocalTime, RunState, SettingValue, Wording};

/// A line to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// What it is.
    pub label: Wording,
    /// True for the second of two, which is dashed.
    pub dashed: bool,
    /// (step, value) in step order.
    pub points: Vec<(f64, f64)>,
}

/// Curves that are drawn together.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportChart {
    /// What it shows, with its unit.
    pub title: Wording,
    /// The curves.
    pub curves: Vec<Curve>,
    /// The range in which they usually stay.
    pub usual: Option<[f64; 2]>,
}

/// A base model as it was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedModel {
    /// Its name.
    pub name: String,
    /// Number of its parameters, if known.
    pub parameters: Option<u64>,
    /// SHA-256 over its weights.
    pub sha256: String,
}

/// A data set as it was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedData {
    /// Its name; empty if it is not known any more.
    pub name: String,
    /// SHA-256 of its rows; empty if it is not known.
    pub sha256: String,
    /// Rows that were learned from or worked on.
    pub rows: Option<usize>,
    /// Rows that were held out.
    pub held_out: usize,
    /// Summary of the import.
    pub summary: Option<ImportSummary>,
}

/// A setting as it was used.
#[derive(Debug, Clone, PartialEq)]
pub struct UsedSetting {
    /// Its key, as TRL spells it.
    pub key: String,
    /// Its readable name.
    pub label: Wording,
    /// Its value.
    pub value: SettingValue,
    /// The value that it has when nothing is said; absent if the setting is not known any more.
    pub default: Option<SettingValue>,
}

/// One stage of the pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportStage {
    /// Its place, from 1.
    pub number: usize,
    /// The kind of stage, as in files.
    pub kind: String,
    /// The name of its method, where it trains; else of its suite or builder.
    pub method: Option<Wording>,
    /// The full name of the method.
    pub method_title: Option<Wording>,
    /// How it ended.
    pub state: RunState,
    /// Its base model.
    pub model: Option<UsedModel>,
    /// Its rows.
    pub data: Option<UsedData>,
    /// Its seed, where chance has a part in it.
    pub seed: Option<u64>,
    /// Optimizer steps that were taken.
    pub steps: u64,
    /// Seconds of its own work.
    pub working_seconds: f64,
    /// Seconds of comparing before and after.
    pub comparing_seconds: f64,
    /// What it made.
    pub made: Vec<Artifact>,
    /// Its settings.
    pub settings: Vec<UsedSetting>,
    /// Training curves.
    pub charts: Vec<ReportChart>,
    /// Before and after of this stage, suite by suite.
    pub evaluations: Vec<Evaluation>,
}

/// The licence of a model or data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Licence {
    /// What it is for.
    pub name: String,
    /// The licence, if one is stated.
    pub licence: Option<String>,
}

/// The machine and the program that made the figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeWith {
    /// Version of the program.
    pub version: String,
    /// Operating system and processor ("linux, x86_64").
    pub machine: String,
    /// Threads that runs compute with.
    pub threads: usize,
}

/// An experiment, ready to be printed.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Title of the experiment.
    pub title: String,
    /// Its question.
    pub question: String,
    /// When its last run ended, or when it was made if nothing ran yet.
    pub date: LocalTime,
    /// First stack against last, suite by suite.
    pub overall: Vec<Evaluation>,
    /// The stages in order.
    pub stages: Vec<ReportStage>,
    /// Licences of models and data.
    pub licences: Vec<Licence>,
    /// Program and machine.
    pub made_with: MadeWith,
    /// The experiment as a file that can be run again; absent if it cannot be written any more.
    pub file: Option<String>,
}
