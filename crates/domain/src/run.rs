//! A run from the queue to its end, as a list of numbered events. The events are the source of truth: a screen, a report and
//! a restart all read the same list.

use crate::artifact::artifacts;
use crate::{Artifact, Device, Evaluation, ItemNote, Problem, Wording, Words, WorkUnit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use ts_rs::TS;

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Waits in the queue.
    Queued,
    /// A worker is running it.
    Running,
    /// Ended by the person with everything kept; can be resumed.
    Paused,
    /// The worker disappeared; can be resumed from its last checkpoint. Never shown as failed.
    Interrupted,
    /// Ended early by the person with a usable adapter.
    Stopped,
    /// Done.
    Finished,
    /// Ended by a problem.
    Failed,
    /// Discarded by the person.
    Discarded,
}

impl RunState {
    /// True if the run can be resumed.
    pub fn can_resume(self) -> bool {
        matches!(self, RunState::Paused | RunState::Interrupted | RunState::Failed)
    }

    /// Its name.
    pub fn words(self) -> Words {
        match self {
            RunState::Queued => Words::new("queued", "排队中"),
            RunState::Running => Words::new("running", "运行中"),
            RunState::Paused => Words::new("paused", "已暂停"),
            RunState::Interrupted => Words::new("interrupted", "已中断"),
            RunState::Stopped => Words::new("stopped", "已停止"),
            RunState::Finished => Words::new("finished", "已完成"),
            RunState::Failed => Words::new("failed", "失败"),
            RunState::Discarded => Words::new("discarded", "已丢弃"),
        }
    }

    /// True if nothing more happens without an action of the person.
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
    /// Building rows of a data set.
    Building,
    /// Copying a model into the data folder.
    Fetching,
    /// Exporting an adapter for other programs.
    Exporting,
}

/// An event of a run.
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
    /// A worker started it.
    Started {
        /// Process id of the worker.
        pid: u32,
        /// Threads that it computes with.
        threads: usize,
        /// The step whose checkpoint it resumes from; 0 at a fresh start.
        from_step: u64,
    },
    /// The model is loaded: which arithmetic trains it, and which activations a pass saves.
    Computing {
        /// Back-end, instruction set and number format ("slices, avx512, f32").
        arithmetic: String,
        /// Saved activations of each block: everything, all but the widest ones, or only its input.
        keep: String,
        /// What it computes on.
        #[serde(default)]
        device: Device,
        /// The instruction set that a person forced, if they did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        forced: Option<String>,
    },
    /// Peak memory of the process that does the work, so far.
    Memory {
        /// Its size.
        peak_bytes: u64,
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
        /// Tokens per second, without padding, over the last steps.
        tokens_per_second: f64,
        /// Estimated seconds until training ends.
        seconds_left: f64,
    },
    /// Progress of a phase without steps, about once a second.
    Progress {
        /// Which phase.
        phase: Phase,
        /// How much is done.
        done: u64,
        /// How much there is in all.
        total: u64,
        /// The unit; absent for answers.
        #[serde(default, skip_serializing_if = "WorkUnit::is_answers")]
        #[ts(as = "Option<WorkUnit>", optional)]
        unit: WorkUnit,
        /// Estimated seconds until the phase ends; absent while unknown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        seconds_left: Option<f64>,
    },
    /// The result of an item of a build or an evaluation; not all items are reported.
    Item {
        /// The item.
        item: ItemNote,
    },
    /// A sample answer of the model during training.
    Sample {
        /// Step after which it was generated.
        step: u64,
        /// The prompt as text.
        prompt: String,
        /// The answer.
        answer: String,
        /// Its score, for methods that score answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        score: Option<f64>,
    },
    /// A checkpoint was saved and synced.
    Checkpoint {
        /// Its step.
        step: u64,
        /// Folder below the run folder.
        folder: String,
        /// Its size.
        bytes: u64,
    },
    /// A warning.
    Warning {
        /// Stable name.
        code: String,
        /// The sentence.
        message: Wording,
    },
    /// Stacks were compared by one suite; one event for each suite.
    Evaluated {
        /// The figures.
        evaluation: Box<Evaluation>,
    },
    /// Everything is done.
    Finished {
        /// Steps taken.
        steps: u64,
        /// The results.
        #[serde(default, alias = "adapter_sha256", deserialize_with = "artifacts")]
        artifacts: Vec<Artifact>,
    },
    /// Paused by the person.
    Paused {
        /// Step that was saved.
        step: u64,
    },
    /// Stopped by the person with a usable adapter.
    Stopped {
        /// Step that was saved.
        step: u64,
        /// The results.
        #[serde(default, alias = "adapter_sha256", deserialize_with = "artifacts")]
        artifacts: Vec<Artifact>,
    },
    /// The worker disappeared; recorded by the app, not by the worker.
    Interrupted {
        /// Last step with a saved checkpoint.
        step: u64,
    },
    /// Discarded by the person.
    Discarded,
    /// Ended by a problem.
    Failed {
        /// The problem.
        problem: Problem,
    },
}
