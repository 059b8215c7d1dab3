//! A resolved recipe for training: every file exists and every default is filled in. A worker needs nothing else; running
//! the same plan again gives the same bytes.

use crate::{Device, LocalTime, MethodName, ModelRef, Problem, Settings, Trainable};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use ts_rs::TS;

/// A reward or cost model, or the oracle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RewardSource {
    /// The starter world's oracle.
    Oracle,
    /// The PEFT folder of a reward or cost model, on the same base.
    Adapter {
        /// The folder.
        folder: PathBuf,
    },
}

/// Everything a worker needs to carry out one stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The run that carries it out.
    pub run: String,
    /// The method.
    pub method: MethodName,
    /// The base model, by name and content.
    pub model: ModelRef,
    /// Its folder.
    pub model_dir: PathBuf,
    /// What is trained.
    #[serde(flatten)]
    pub trains: Trainable,
    /// What scores answers, for methods that learn from scores.
    #[serde(default)]
    pub reward: Option<RewardSource>,
    /// The scorer of harm; above 0 is harmful.
    #[serde(default)]
    pub cost: Option<RewardSource>,
    /// The rows to learn from, one JSON [`crate::Example`] a line.
    pub rows: PathBuf,
    /// SHA-256 of that file.
    pub rows_sha256: String,
    /// Held-out rows for evaluation, in the same format.
    pub held_out: Option<PathBuf>,
    /// True if the starter world's oracle can judge the answers.
    pub oracle: bool,
    /// Prompts that the evaluation answers, the same for every stage of an experiment; absent when there are none.
    pub prompts: Option<PathBuf>,
    /// Answers to the same prompts from an earlier stage, by the stack that this stage starts from.
    pub earlier_answers: Option<PathBuf>,
    /// Name of the new adapter, for people.
    pub adapter_name: String,
    /// Every setting of the method.
    pub settings: Settings,
    /// Random seed.
    pub seed: u64,
    /// Longest expected answer in tokens, as estimated when the run was planned.
    #[serde(default)]
    pub answer_tokens: Option<u64>,
    /// What it computes on.
    #[serde(default)]
    pub device: Device,
    /// Number of threads; the result does not depend on it.
    pub threads: usize,
    /// Optimizer steps between checkpoints.
    pub checkpoint_every: u64,
    /// The date for the chat template; absent if it does not use one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<LocalTime>,
}

/// What a stage will do and cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct StageEstimate {
    /// Index of the stage in the pipeline, from 0; stages with a fault have no estimate.
    #[serde(default)]
    pub stage: usize,
    /// The kind of stage.
    #[serde(default = "train")]
    pub kind: String,
    /// The method, where it trains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub method: Option<MethodName>,
    /// Optimizer steps.
    pub optimizer_steps: u64,
    /// Rows that will be learned from or worked on.
    pub rows: usize,
    /// Held-out rows for evaluation.
    pub held_out_rows: usize,
    /// Rows left out because the prompt alone fills `max_length`, so nothing is left to learn.
    pub skipped_rows: usize,
    /// Rows whose answer is cut at `max_length`.
    pub truncated_rows: usize,
    /// Tokens, without padding, in one epoch.
    pub tokens: u64,
    /// Tokens that are learned or scored in one epoch.
    pub learned_tokens: u64,
    /// Tokens of the longest row.
    pub longest_tokens: usize,
    /// Share of pairs whose chosen answer is clearly longer.
    #[serde(default)]
    pub chosen_longer: f64,
    /// Advice about the rows under these settings, each at its setting.
    #[serde(default)]
    pub advice: Vec<Problem>,
    /// Trainable parameters.
    pub trainable_parameters: u64,
    /// Parameters of the base model.
    pub model_parameters: u64,
    /// Expected peak memory.
    pub memory_bytes: u64,
    /// Expected disk use.
    pub disk_bytes: u64,
    /// Longest expected answer in tokens, for methods that generate answers while they train; else 0.
    #[serde(default)]
    pub answer_tokens: u64,
    /// Expected time of comparing before and after, on this machine.
    #[serde(default)]
    pub comparing_seconds: f64,
    /// Prompts that before and after are compared on.
    #[serde(default)]
    pub comparing_prompts: usize,
    /// Held-out rows that before and after are compared on.
    #[serde(default)]
    pub comparing_rows: usize,
    /// The part of `comparing_seconds` that one prompt takes.
    #[serde(default)]
    pub seconds_per_prompt: f64,
    /// The part of `comparing_seconds` that one held-out row takes.
    #[serde(default)]
    pub seconds_per_row: f64,
    /// Expected time in all, on this machine.
    pub seconds: f64,
}

fn train() -> String {
    "train".to_owned()
}

/// The answer to "can this pipeline run?".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct CheckedPipeline {
    /// True if the pipeline can run.
    pub ready: bool,
    /// Why it cannot run, each problem at its field.
    pub problems: Vec<Problem>,
    /// Warnings before the start.
    pub warnings: Vec<Problem>,
    /// An estimate for each stage without a fault, in order.
    pub stages: Vec<StageEstimate>,
    /// The largest number of prompts and rows that stages are compared on, where the plan had to choose one so that comparing
    /// takes no longer than training.
    #[serde(default)]
    pub compare: Option<usize>,
    /// Free memory of this machine.
    pub free_memory_bytes: u64,
    /// Free disk space.
    pub free_disk_bytes: u64,
}

/// What is being done while a plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Planning {
    /// Another plan is being measured; two at once would slow each other down.
    Waiting,
    /// Rows are turned into tokens and counted.
    Preparing,
    /// The model is loaded and a step is measured.
    Measuring,
}

/// Sent while a plan is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PlanNews {
    /// Progress.
    Working {
        /// What is being done.
        doing: Planning,
        /// For which stage, from 0.
        stage: usize,
        /// Seconds since the plan was asked for.
        seconds: f64,
    },
    /// The plan is complete.
    Checked {
        /// The plan.
        checked: Box<CheckedPipeline>,
    },
}
