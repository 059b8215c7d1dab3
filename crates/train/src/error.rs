//! Errors that stop a training run, with the facts that the user needs to continue.

use crate::plan_facts::Difference;
use alidade_domain::{Problem, ProblemCode, Wording, Words, why, wording};
use alidade_model::ModelError;
use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// An error of the model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Loss or gradient is infinite or undefined.
    #[error(
        "At step {step} the {} became {value} (learning rate {learning_rate:e}, data rows {rows:?}). Training stopped; earlier checkpoints are intact.",
        what.en
    )]
    NotFinite {
        /// Step, from 1.
        step: u64,
        /// Name of the metric as in the log, or "gradient norm".
        what: Wording,
        /// The value.
        value: f64,
        /// Learning rate of the step.
        learning_rate: f64,
        /// Rows of the batch, numbered from 1 as in the data set.
        rows: Vec<usize>,
    },
    /// Nothing is left to learn from.
    #[error("None of the {given} rows can be learned from: {}.", reason.en)]
    NoRows {
        /// Rows in the data set.
        given: usize,
        /// The commonest reason.
        reason: Wording,
    },
    /// A file of the run folder cannot be written or read.
    #[error("Reading or writing {path} failed: {found}.")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        found: std::io::Error,
    },
    /// A checkpoint does not belong to this plan.
    #[error("The checkpoint in {path} cannot be used: {}.", reason.en)]
    Checkpoint {
        /// Its folder.
        path: PathBuf,
        /// Why.
        reason: Wording,
    },
    /// The folder holds work of another plan only.
    #[error("{} holds the {} of another run: {}.", path.display(), stage(*step).en, describe(differences).en)]
    OtherRun {
        /// The run folder.
        path: PathBuf,
        /// Its newest step; 0 when it ended before its first checkpoint.
        step: u64,
        /// In which points the plans differ; empty for a version whose checkpoints cannot be verified.
        differences: Vec<Difference>,
    },
    /// The settings and the rows do not make a valid run.
    #[error("{0}")]
    Refused(Problem),
    /// The observer could not record an event.
    #[error("{0}")]
    Observer(Problem),
}

impl TrainError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |found| TrainError::File { path, found }
    }
}

impl TrainError {
    /// The message in both languages.
    pub fn wording(&self) -> Wording {
        match self {
            Self::Model(error) => error.wording(),
            Self::NotFinite { step, what, value, learning_rate, rows } => wording!(
                "At step {step} the {what} became {value} (learning rate {learning_rate:e}, data rows {rows:?}). Training stopped; earlier checkpoints are intact.",
                "第 {step} 步的{what}变为 {value}（学习率 {learning_rate:e}，数据第 {rows:?} 条）。训练已停止；更早的检查点完好。";
                what
            ),
            Self::NoRows { given, reason } => wording!(
                "None of the {given} rows can be learned from: {reason}.",
                "{given} 条数据都不能用于学习：{reason}。";
                reason
            ),
            Self::File { path, found } => wording!(
                "Reading or writing {path} failed: {why}.",
                "读写 {path} 失败：{why}。";
                why = why(found); path = path.display()
            ),
            Self::Checkpoint { path, reason } => wording!(
                "The checkpoint in {path} cannot be used: {reason}.",
                "{path} 中的检查点不能使用：{reason}。";
                reason; path = path.display()
            ),
            Self::OtherRun { path, step, differences } => wording!(
                "{path} holds the {stage} of another run: {differences}.",
                "{path} 中是另一次运行的{stage}：{differences}。";
                stage = stage(*step), differences = describe(differences); path = path.display()
            ),
            Self::Refused(problem) | Self::Observer(problem) => problem.message.clone(),
        }
    }
}

impl From<TrainError> for Problem {
    fn from(error: TrainError) -> Problem {
        let message = error.wording();
        match error {
            TrainError::Model(error) => error.into(),
            TrainError::Observer(problem) | TrainError::Refused(problem) => problem,
            TrainError::NotFinite { .. } => Problem::new(ProblemCode::NotFinite, message).hint(Words::new(
                "Resume with a lower learning rate, or look at the named rows.",
                "以更低的学习率继续，或查看所列的数据。",
            )),
            TrainError::NoRows { reason, .. } => {
                let hint = match reason.en.contains("max_length") {
                    true => Words::new("Raise max_length, or shorten the prompts.", "调高 max_length，或缩短提问。"),
                    false => Words::new(
                        "Use data of the kind that this method learns from, or the method that fits these data.",
                        "使用这种方法所学的那类数据，或适合这些数据的方法。",
                    ),
                };
                Problem::input(message).hint(hint).at("dataset")
            }
            TrainError::File { found, .. } if found.kind() == std::io::ErrorKind::StorageFull => {
                Problem::new(ProblemCode::DiskFull, message).hint(Words::new(
                    "Free some room and press Resume: no saved checkpoint is lost.",
                    "腾出一些空间后按“继续”：已保存的检查点不会丢失。",
                ))
            }
            TrainError::File { .. } => Problem::internal(message),
            TrainError::OtherRun { .. } => Problem::new(ProblemCode::Conflict, message)
                .hint(Words::new(
                    "Use the recipe as it was, or choose another output_dir.",
                    "使用原来的配方，或换一个 output_dir。",
                ))
                .hint(Words::new(
                    "Add --overwrite to remove that run and start over.",
                    "加上 --overwrite 可删除那次运行并重新开始。",
                ))
                .at("output_dir"),
            TrainError::Checkpoint { .. } => Problem::internal(message)
                .hint(Words::new("Start the run again from its beginning.", "从头重新开始这次运行。")),
        }
    }
}

fn stage(step: u64) -> Wording {
    match step {
        // It ended before its first checkpoint, or its checkpoints were moved away.
        0 => wording!("log", "日志"),
        step => wording!("checkpoint at step {step}", "第 {step} 步的检查点"),
    }
}

fn describe(differences: &[Difference]) -> Wording {
    if differences.is_empty() {
        return wording!(
            "it was written by an earlier version of the program, whose checkpoints cannot be checked",
            "它由更早版本的程序写入，其检查点无法核对"
        );
    }
    Wording::clauses(differences.iter().map(Difference::wording))
}

/// Shorthand of this crate.
pub(crate) type Result<T> = std::result::Result<T, TrainError>;
