//! The common types of Alidade: plain data that all other crates share, and the ports between them.
//!
//! Nothing here reads a file, a clock or the environment, and nothing here knows a tensor. Types that cross the wire to the
//! window derive their TypeScript type (ts-rs), so that the two languages cannot diverge.

mod artifact;
mod chat;
mod choices;
mod conversation;
mod dataset;
mod device;
mod earlier_evaluation;
mod evaluation;
mod example;
mod experiment;
mod experiment_file;
mod language;
mod local_time;
mod method;
mod patterns;
mod plan;
mod ports;
mod precision;
mod problem;
mod random;
mod recipe;
mod report;
mod run;
mod settings;
mod shown;
mod source;
mod stack;
mod stage;
mod stage_plan;
mod stage_recipes;
mod trainable;
mod verdict;
mod watch;
mod why;
mod words;

pub use artifact::{Artifact, ItemNote, WorkUnit};
pub use chat::{AnswerEnd, ChatMessage};
pub use choices::{Choices, Chosen, Limit, Strength, Trains};
pub use conversation::{Message, Role, conversation_text};
pub use dataset::{Dataset, DatasetKind, ImportSummary, Imported, ReasonCount, RowIssue};
pub use device::Device;
pub use earlier_evaluation::one_or_many;
pub use evaluation::{
    Better, Estimate, EvaluatedStack, Evaluation, Measure, MeasureWords, Outcome, PairShift, Sample, SampleAnswer,
    ScoreHistogram, Side, WorstRow,
};
pub use example::{Example, PreferencePair};
pub use experiment::Experiment;
pub use experiment_file::{ExperimentFile, given};
pub use language::Language;
pub use local_time::LocalTime;
pub use method::{GoalWords, MethodCard, MethodName, Place, Variant};
pub use patterns::Patterns;
pub use plan::{CheckedPipeline, Plan, PlanNews, Planning, RewardSource, StageEstimate};
pub use ports::{
    Generator, Listener, Observer, Response, Sampling, ScoredAnswer, ScoredRow, Scorer, StopReason, StopSignal,
};
pub use precision::Precision;
pub use problem::{Problem, ProblemCode};
pub use random::{Purpose, Stream, row_seed};
pub use recipe::{LoraSpec, PrefixSpec, Recipe, TargetModules, Tuning, nearest_name};
pub use report::{Curve, Licence, MadeWith, Report, ReportChart, ReportStage, UsedData, UsedModel, UsedSetting};
pub use run::{EventKind, Phase, RunEvent, RunState};
pub use settings::{SettingField, SettingKind, SettingLevel, SettingValue, Settings};
pub use shown::{printable, shown};
pub use source::{AdapterSource, DatasetSource, ModelSource, ScorerSource, StackSource};
pub use stack::{AdapterRef, ModelRef, RewriterRef, Stack};
pub use stage::{SourceMap, Stage};
pub use stage_plan::{BuildPlan, EvaluatePlan, EvaluatedAdapter, ExportPlan, FetchPlan, StagePlan};
pub use stage_recipes::{BuildRecipe, EvaluateRecipe, ExportForm, ExportRecipe, FetchRecipe};
pub use trainable::{AdapterShape, Trainable};
pub use verdict::{FEWEST_ITEMS, Finding, GENERAL_LOSS, Judged, Standing, Verdict, smallest_effect};
pub use watch::{At, Chart, Line, Metric, Multiple, Reading, Sign, Tone, Watch};
pub use why::{said, why, without_number};
pub use words::{Wording, Words};
#[doc(hidden)]
pub use words::{check_languages, has_chinese};
