//! A run from the queue to its end, told as numbered events. The events are the truth: a screen, a report and a restart
//! all read the same list.

use crate::artifact::artifacts;
use crate::{Artifact, Device, Evaluation, ItemNote, Problem, WorkUnit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use ts_rs::TS;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Waits for its turn.
    Queued,
    /// A worker is at it.
    Running,
    /// Ended by the person with everything kept; can go on.
    Paused,
    /// The worker is gone without a word; can go on from its last checkpoint. Never shown as failed.
    Interrupted,
    /// Ended early by the person with a usable adapter.
    Stopped,
    /// Done.
    Finished,
    /// Ended by a problem.
    Failed,
    /// Thrown away by the person.
    Discarded,
}

impl RunState {
    /// True when the run can be taken up again.
    pub fn can_resume(self) -> bool {
        matches!(self, RunState::Paused | RunState::Interrupted | RunState::Failed)
    }

    /// True when nothing more will happen by itself.
    pub fn is_settled(self) -> bool {
        !matches!(self, RunState::Queued | RunState::Running)
    }
}

/// What the worker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Reading weights and tokenizing rows.
    Preparing,
    /// Optimizer steps.
    Training,
    /// Comparing before and after on held-out prompts.
    Evaluating,
    /// Writing the adapter.
    Saving,
    /// Making rows of a data set.
    Building,
    /// Bringing a model into the data folder.
    Fetching,
    /// Writing an adapter for other programs.
    Exporting,
}

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct RunEvent {
    /// The run.
    pub run: String,
    /// Number of the event within the run, from 1, without gaps.
    pub sequence: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// The kinds of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventKind {
    /// Entered the queue.
    Queued,
    /// A worker took it up.
    Started {
        /// Process id of the worker.
        pid: u32,
        /// Threads that it computes with.
        threads: usize,
        /// The step whose checkpoint it goes on from; 0 at a fresh start.
        from_step: u64,
    },
    /// The model is loaded: which arithmetic trains it, and what a pass keeps.
    Computing {
        /// Back-end, instruction set and number type ("slices, avx512, f32").
        arithmetic: String,
        /// What is kept of each block for the way back: everything, all but the widest rows, or its input alone.
        keep: String,
        /// What it computes on.
        #[serde(default)]
        device: Device,
        /// The instruction set that a person forced, if they did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        forced: Option<String>,
    },
    /// A new phase began.
    Stage {
        /// Which.
        phase: Phase,
    },
    /// One optimizer step was taken.
    Step {
        /// Number of the step, from 1.
        step: u64,
        /// Steps in all.
        total: u64,
        /// Figures under TRL's names.
        metrics: BTreeMap<String, f64>,
        /// Real tokens per second, over the last steps.
        tokens_per_second: f64,
        /// Estimated seconds until training ends.
        seconds_left: f64,
    },
    /// How far a phase without steps has come; told about once a second.
    Progress {
        /// Which phase.
        phase: Phase,
        /// How much is done.
        done: u64,
        /// How much there is in all.
        total: u64,
        /// What is counted; absent for answers.
        #[serde(default, skip_serializing_if = "WorkUnit::is_answers")]
        #[ts(as = "Option<WorkUnit>", optional)]
        unit: WorkUnit,
        /// Estimated seconds until the phase ends; absent while nothing is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        seconds_left: Option<f64>,
    },
    /// What became of some item of a build or an evaluation.
    Item {
        /// The item.
        item: ItemNote,
    },
    /// What the model answers now.
    Sample {
        /// Step after which it was asked.
        step: u64,
        /// The prompt as text.
        prompt: String,
        /// The answer.
        answer: String,
        /// What it was rated, where a method rates answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        score: Option<f64>,
    },
    /// A checkpoint is safely on the disk.
    Checkpoint {
        /// Step that it holds.
        step: u64,
        /// Folder below the run folder.
        folder: String,
        /// Its size.
        bytes: u64,
    },
    /// Something a person should know.
    Warning {
        /// Stable name.
        code: String,
        /// The sentence.
        message: String,
    },
    /// Stacks were compared by one suite; told once for each suite.
    Evaluated {
        /// The figures.
        evaluation: Box<Evaluation>,
    },
    /// Everything is done.
    Finished {
        /// Steps taken.
        steps: u64,
        /// What was made.
        #[serde(default, alias = "adapter_sha256", deserialize_with = "artifacts")]
        artifacts: Vec<Artifact>,
    },
    /// Paused by the person.
    Paused {
        /// Step that was kept.
        step: u64,
    },
    /// Stopped by the person with a usable adapter.
    Stopped {
        /// Step that was kept.
        step: u64,
        /// What was made.
        #[serde(default, alias = "adapter_sha256", deserialize_with = "artifacts")]
        artifacts: Vec<Artifact>,
    },
    /// The worker vanished; noted by the app, not by the worker.
    Interrupted {
        /// Last step whose checkpoint is safe.
        step: u64,
    },
    /// Thrown away.
    Discarded,
    /// Ended by a problem.
    Failed {
        /// Which.
        problem: Problem,
    },
}
