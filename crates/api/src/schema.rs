//! The TypeScript twins of everything that crosses the wire, as one file.

use alidade_domain::{
    AdapterRef, AdapterSource, At, Better, Chart, CheckedPipeline, DatasetKind, DatasetSource, Estimate,
    EvaluatedStack, Evaluation, EventKind, Example, Experiment, GoalWords, ImportSummary, Line, LoraSpec, Measure,
    MeasureWords, Message, MethodCard, MethodName, Metric, ModelRef, ModelSource, Multiple, Phase, Place, PlanNews,
    Planning, Precision, PreferencePair, PrefixSpec, Problem, ProblemCode, Reading, ReasonCount, Recipe, RewriterRef,
    Role, RowIssue, RunEvent, RunState, Sample, SampleAnswer, Sampling, ScoreHistogram, ScorerSource, SettingField,
    SettingKind, SettingLevel, SettingValue, Settings, Sign, Stack, Stage, StageEstimate, StopReason, TargetModules,
    Tone, Tuning, Variant, Watch, Wording, Words, WorstRow,
};
use alidade_studio::compose::{Choices, Chosen, Limit, Strength};
use alidade_studio::views::{
    AnswerEnd, AppInfo, ChatDelta, ChatMessage, ChatView, DatasetPage, DatasetView, ExperimentState, ExperimentSummary,
    ModelView, Preset, ReportView, RunView, StackView, TokenPiece, TokenRowView,
};
use ts_rs::{Config, TS};

macro_rules! declare {
    ($($name:ty),+ $(,)?) => {{
        // Numbers of the wire are JSON numbers; none of ours exceeds 2^53.
        let config = Config::new().with_large_int("number");
        [$(format!("export {}", <$name as TS>::decl(&config))),+].join("\n\n")
    }};
}

const HEAD: &str = "// Generated from the Rust types; `UPDATE_TYPES=1 cargo test -p alidade-api` writes it anew.\n\n";

/// Every type of the wire.
pub fn typescript() -> String {
    let types = declare!(
        AdapterRef,
        AdapterSource,
        AnswerEnd,
        AppInfo,
        At,
        Better,
        Chart,
        ChatDelta,
        ChatMessage,
        ChatView,
        CheckedPipeline,
        Choices,
        Chosen,
        DatasetKind,
        DatasetPage,
        DatasetSource,
        DatasetView,
        Estimate,
        EvaluatedStack,
        Evaluation,
        EventKind,
        Example,
        Experiment,
        ExperimentState,
        ExperimentSummary,
        GoalWords,
        ImportSummary,
        Limit,
        Line,
        LoraSpec,
        Measure,
        MeasureWords,
        Message,
        MethodCard,
        MethodName,
        Metric,
        ModelRef,
        ModelSource,
        ModelView,
        Multiple,
        Phase,
        Place,
        PlanNews,
        Planning,
        PreferencePair,
        PrefixSpec,
        Preset,
        Problem,
        ProblemCode,
    );
    format!("{HEAD}{types}\n\n{}\n", the_rest())
}

/// The second half of the alphabet.
fn the_rest() -> String {
    declare!(
        Reading,
        ReasonCount,
        Recipe,
        ReportView,
        RewriterRef,
        Role,
        RowIssue,
        RunEvent,
        RunState,
        RunView,
        Sample,
        SampleAnswer,
        Sampling,
        ScorerSource,
        Precision,
        SettingField,
        SettingKind,
        SettingLevel,
        SettingValue,
        Settings,
        Sign,
        Stack,
        StackView,
        Stage,
        StageEstimate,
        StopReason,
        Strength,
        TargetModules,
        TokenPiece,
        TokenRowView,
        Tone,
        Tuning,
        Variant,
        Watch,
        Wording,
        Words,
        WorstRow,
        ScoreHistogram,
    )
}
