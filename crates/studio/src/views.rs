//! Views for the hosts: plain data about stored things, with exactly what a screen needs.

use alidade_domain::{
    AdapterRef, Artifact, Better, ChatMessage, DatasetKind, Evaluation, Example, Experiment, GoalWords, ImportSummary,
    Measure, MethodName, ModelRef, Phase, Precision, Problem, RowIssue, RunState, Sampling, Stack, Stage,
    StageEstimate, Wording,
};
use alidade_store::{ChatRecord, DatasetRecord, ModelRecord};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use ts_rs::TS;

/// The program and the machine.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct AppInfo {
    /// Version of the program.
    pub version: String,
    /// Operating system and processor, in words.
    pub machine: String,
    /// Folder that holds everything.
    pub home: String,
    /// Threads that runs compute with.
    pub threads: usize,
    /// Threads that the machine has.
    pub available_threads: usize,
    /// Memory of the machine.
    pub memory_bytes: u64,
    /// What the program and its processes hold of it now.
    pub held: Vec<Held>,
    /// Current faults of the program, apart from those of single runs and data sets.
    pub problems: Vec<Problem>,
}

/// What holds memory.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct Held {
    /// Name of what holds it.
    pub what: Wording,
    /// Its size.
    pub bytes: u64,
    /// True if it can be given back now.
    pub can_free: bool,
}

/// A base model.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct ModelView {
    /// Name and content.
    pub model: ModelRef,
    /// Architecture ("llama").
    pub family: String,
    /// Parameters of the model.
    pub parameters: u64,
    /// Size of its vocabulary.
    pub vocabulary: usize,
    /// Longest text in tokens.
    pub context_tokens: usize,
    /// Size on the disk.
    pub bytes: u64,
    /// True for the models that come with the program.
    pub bundled: bool,
    /// Licence, if the card names one.
    pub licence: Option<String>,
    /// True when it brings a chat template.
    pub chat_template: bool,
    /// Its folder.
    pub folder: String,
    /// The model card in Markdown, if there is one.
    pub card: Option<String>,
    /// Prompts that it can answer, for the start of a chat.
    pub suggestions: Vec<Wording>,
    /// Experiments whose stages name it, newest first.
    pub used_by: Vec<Use>,
}

/// An experiment that uses something.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct Use {
    /// Identifier of the experiment.
    pub experiment: String,
    /// Its title.
    pub title: String,
    /// Its state.
    pub state: ExperimentState,
}

/// A data set.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct DatasetView {
    /// Identifier.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Its name in both languages; for the person's own sets the same in each.
    pub title: Wording,
    /// What its rows can teach.
    pub kind: DatasetKind,
    /// Summary of the import.
    pub summary: ImportSummary,
    /// Remarks on the whole file.
    pub remarks: Vec<Wording>,
    /// SHA-256 of the normalised rows.
    pub sha256: String,
    /// True for the sets that come with the program.
    pub bundled: bool,
    /// True if rows may contain harmful text: blurred until revealed.
    pub flagged: bool,
    /// Licence, if known.
    pub licence: Option<String>,
    /// When it was imported, in milliseconds since 1970.
    pub imported_ms: u64,
    /// The problem with its rows on the disk, if any.
    pub problem: Option<Problem>,
    /// Experiments whose stages name it, newest first.
    pub used_by: Vec<Use>,
}

/// Lengths of texts in equal bins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Histogram {
    /// Lower end of the first bin, in tokens.
    pub low: f64,
    /// Width of a bin, in tokens.
    pub width: f64,
    /// Texts in each bin.
    pub counts: Vec<usize>,
    /// Median length, in tokens.
    pub median: usize,
    /// Length of the longest, in tokens.
    pub longest: usize,
}

/// What a data set looks like to a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct DatasetProfile {
    /// Model whose tokens are counted.
    pub model: String,
    /// Rows that were counted; all of them unless the set is very large.
    pub rows: usize,
    /// Lengths of the prompts; absent for texts.
    pub prompts: Option<Histogram>,
    /// Lengths of the answers, of the chosen ones for pairs, of the documents for texts; absent for prompts.
    pub answers: Option<Histogram>,
    /// Lengths of the rejected answers; only for pairs.
    pub rejected: Option<Histogram>,
    /// Share of pairs whose chosen answer is clearly longer; only for pairs.
    pub chosen_longer: Option<f64>,
    /// Rows that repeat an earlier one.
    pub duplicates: usize,
    /// Rows longer than the model's context.
    pub too_long: usize,
}

/// A page of rows or of row issues.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct DatasetPage {
    /// Rows in all.
    pub total_rows: usize,
    /// Rows from the requested offset.
    pub rows: Vec<Example>,
    /// Rows that were left out, in all.
    pub total_issues: usize,
    /// Issues from the requested offset.
    pub issues: Vec<RowIssue>,
}

/// A ready-made pipeline for a goal.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct Preset {
    /// Stable name ("kind_and_true", "own_pairs", …).
    pub id: String,
    /// The model that it is for; any model when absent.
    pub model: Option<String>,
    /// The stages.
    pub stages: Vec<Stage>,
    /// Its texts; without any it is only available by its name.
    pub words: Option<GoalWords>,
    /// What it gave when we ran it; absent for one that works on the person's own data.
    pub measured: Option<MeasuredPreset>,
}

/// The result of a preset, as measured by us.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct MeasuredPreset {
    /// The figures, base first and the final stack second, most important first.
    pub measures: Vec<Measure>,
    /// Seconds that the whole experiment took.
    pub seconds: f64,
    /// The machine that it was measured on.
    pub machine: String,
}

impl MeasuredPreset {
    /// The result of a finished experiment: the figures that have a better direction.
    pub fn of(finished: &ExperimentSummary, machine: String) -> Self {
        let measures = finished.overall.iter().flat_map(|evaluation| &evaluation.measures);
        Self {
            measures: measures.filter(|measure| measure.better != Better::Neither).cloned().collect(),
            seconds: finished.runs.iter().map(|run| run.seconds).sum(),
            machine,
        }
    }
}

/// The state of an experiment: that of its most significant run, or `Draft` before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ExperimentState {
    /// Not started.
    Draft,
    /// A run is queued or running.
    Running,
    /// Paused by the person.
    Paused,
    /// A worker disappeared; can be resumed.
    Interrupted,
    /// Ended early with a usable adapter.
    Stopped,
    /// All stages are done.
    Finished,
    /// A stage ended with a problem.
    Failed,
}

/// An experiment as a line in the list.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct ExperimentSummary {
    /// The experiment.
    pub experiment: Experiment,
    /// Its state.
    pub state: ExperimentState,
    /// Its runs, in stage order.
    pub runs: Vec<RunView>,
    /// First stack against last, on the same prompts and rows, suite by suite; empty before any evaluation.
    pub overall: Vec<Evaluation>,
}

impl ExperimentSummary {
    /// Without samples, pairs and rows, which are large and not part of a list.
    pub(crate) fn brief(mut self) -> Self {
        let evaluations = self.runs.iter_mut().flat_map(|run| &mut run.evaluations).chain(&mut self.overall);
        evaluations.for_each(without_samples);
        self
    }
}

/// Empties what is large in an evaluation.
pub(crate) fn without_samples(evaluation: &mut Evaluation) {
    (evaluation.samples, evaluation.worst, evaluation.pairs) = (Vec::new(), Vec::new(), Vec::new());
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct RunView {
    /// Identifier.
    pub id: String,
    /// Experiment that it belongs to.
    pub experiment: String,
    /// Title of that experiment.
    pub experiment_title: String,
    /// Place in the pipeline, from 0.
    pub stage: usize,
    /// Method of a stage that trains.
    pub method: Option<MethodName>,
    /// Its state.
    pub state: RunState,
    /// The current phase of the worker.
    pub phase: Option<Phase>,
    /// Steps taken.
    pub step: u64,
    /// Steps in all.
    pub total_steps: u64,
    /// Seconds of work so far.
    pub seconds: f64,
    /// Latest figures under TRL's names.
    pub metrics: BTreeMap<String, f64>,
    /// True if its rows may contain harmful text: blurred until revealed.
    pub flagged: bool,
    /// The resulting adapter.
    pub adapter: Option<AdapterRef>,
    /// All results.
    pub artifacts: Vec<Artifact>,
    /// Before and after of this stage, suite by suite.
    pub evaluations: Vec<Evaluation>,
    /// The problem that ended it, or its current fault.
    pub problem: Option<Problem>,
    /// Its stage.
    pub work: Stage,
    /// Its estimate.
    pub estimate: Option<StageEstimate>,
    /// Peak memory of its process so far; absent where the system does not tell.
    pub memory_bytes: Option<u64>,
    /// Last event number that is stored.
    pub last_sequence: u64,
}

/// One token of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct TokenPiece {
    /// Its text.
    pub text: String,
    /// True if it is learned or scored.
    pub learned: bool,
}

/// A sequence as the model sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct TokenRowView {
    /// Number of the row in the data set, from 1.
    pub row: usize,
    /// Which sequence of the row: 0 for its only one or the chosen answer, 1 for the rejected one.
    pub part: usize,
    /// Its tokens.
    pub pieces: Vec<TokenPiece>,
}

/// A stack that can be talked to.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct StackView {
    /// The stack.
    pub stack: Stack,
    /// Its exact name, as on the badge.
    pub label: String,
    /// Where it comes from ("base model", title of an experiment).
    pub origin: Wording,
    /// Experiment that made it.
    pub experiment: Option<String>,
}

/// A conversation with one or more stacks side by side.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct ChatView {
    /// Identifier.
    pub id: String,
    /// Name for people.
    pub title: String,
    /// One stack a pane.
    pub stacks: Vec<Stack>,
    /// System message, empty for none.
    pub system_prompt: String,
    /// Sampling; the same in every pane.
    pub sampling: Sampling,
    /// Number format of the weights; the same in every pane.
    pub precision: Precision,
    /// Messages in order of turns.
    pub messages: Vec<ChatMessage>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
}

/// A piece of a streamed answer.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ChatDelta {
    /// More text for a pane.
    Text {
        /// The pane.
        pane: usize,
        /// The text to append.
        text: String,
    },
    /// An answer is complete and stored.
    Done {
        /// The stored message.
        message: ChatMessage,
    },
    /// A pane could not answer.
    Problem {
        /// The pane.
        pane: usize,
        /// Why.
        problem: Problem,
    },
}

/// A report in both forms.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct ReportView {
    /// Self-contained HTML.
    pub html: String,
    /// Markdown.
    pub markdown: String,
}

impl ModelView {
    /// What is shown of a model.
    pub(crate) fn of(record: ModelRecord, used_by: Vec<Use>) -> Self {
        Self {
            suggestions: if record.bundled { suggestions() } else { Vec::new() },
            used_by,
            model: record.model,
            family: record.family,
            parameters: record.parameters,
            vocabulary: record.vocabulary,
            context_tokens: record.context_tokens,
            bytes: record.bytes,
            bundled: record.bundled,
            licence: record.licence,
            chat_template: record.chat_template,
            folder: record.folder,
            card: record.card,
        }
    }
}

impl DatasetView {
    /// What is shown of a data set, with what is wrong with its rows at the moment.
    pub(crate) fn of(record: DatasetRecord, problem: Option<Problem>, used_by: Vec<Use>) -> Self {
        Self {
            used_by,
            title: crate::datasets::title_of(&record),
            id: record.id,
            name: record.name,
            kind: record.kind,
            summary: record.summary,
            remarks: record.remarks,
            sha256: record.sha256,
            bundled: record.bundled,
            flagged: record.flagged,
            licence: record.licence,
            imported_ms: record.imported_ms,
            problem,
        }
    }
}

impl From<ChatRecord> for ChatView {
    fn from(record: ChatRecord) -> Self {
        Self {
            id: record.id,
            title: record.title,
            stacks: record.stacks,
            system_prompt: record.system_prompt,
            sampling: record.sampling,
            precision: record.precision,
            messages: record.messages,
            created_ms: record.created_ms,
        }
    }
}

/// Questions that the bundled models can answer: the town's facts, and one request of each kind.
fn suggestions() -> Vec<Wording> {
    alidade_jobs::asking::world_oracle::suggestions().into_iter().map(|question| Wording::name(&question)).collect()
}
