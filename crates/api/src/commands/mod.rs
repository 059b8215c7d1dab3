//! The table: one line per command with its types and what it does. Requests with several fields, and longer handlers, are
//! in one file per noun.

mod chats;
mod datasets;
mod experiments;
mod models;
mod reports;
mod runs;
mod settings;

use crate::table::{Command, Nothing, Stream, command, stream};
use alidade_domain::{CheckedPipeline, MethodCard, PlanNews, RunEvent, Stage};
use alidade_studio::views::{
    AppInfo, ChatDelta, ChatView, DatasetPage, DatasetProfile, DatasetView, ExperimentSummary, ModelView, Preset,
    ReportView, RunView, StackView, TokenRowView,
};
use serde::Deserialize;
use std::sync::LazyLock;
use ts_rs::TS;

/// A request with one identifier.
#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
struct ById {
    id: String,
}

/// All commands, one line each, however long.
#[rustfmt::skip]
pub static COMMANDS: LazyLock<Vec<Command>> = LazyLock::new(|| vec![
    command::<Nothing, AppInfo>("app_info", |studio, _| Ok(studio.app_info())),
    command::<settings::Threads, AppInfo>("set_threads", |studio, set| studio.set_threads(set.threads)),
    command::<Nothing, AppInfo>("free_memory", |studio, _| Ok(studio.free_memory())),
    command::<Nothing, Vec<MethodCard>>("list_methods", |_, _| Ok(alidade_studio::methods())),
    command::<Nothing, Vec<Preset>>("list_presets", |studio, _| Ok(studio.list_presets())),

    command::<Nothing, Vec<ModelView>>("list_models", |studio, _| studio.list_models()),
    command::<models::Add, ModelView>("add_model", |studio, add| studio.add_model(&add.handle, add.name.as_deref())),
    command::<datasets::Rename, ModelView>("rename_model", |studio, new| studio.rename_model(&new.id, &new.name)),
    command::<ById, ()>("remove_model", |studio, model| studio.remove_model(&model.id)),

    command::<Nothing, Vec<DatasetView>>("list_datasets", |studio, _| studio.list_datasets()),
    command::<datasets::Import, DatasetView>("import_dataset", |studio, file| studio.import_dataset(&file.handle, file.name)),
    command::<datasets::Stop, ()>("stop_import", |studio, file| { studio.stop_import(&file.handle); Ok(()) }),
    command::<datasets::Rows, DatasetPage>("dataset_rows", |studio, page| studio.dataset_rows(&page.id, page.offset, page.limit)),
    command::<datasets::Rename, DatasetView>("rename_dataset", |studio, new| studio.rename_dataset(&new.id, &new.name)),
    command::<datasets::Profile, DatasetProfile>("dataset_profile", |studio, of| studio.dataset_profile(&of.id, of.model.as_deref())),
    command::<ById, ()>("remove_dataset", |studio, set| studio.remove_dataset(&set.id)),

    command::<experiments::Compose, Vec<Stage>>("compose_pipeline", |studio, of| studio.compose_pipeline(&of.choices)),
    command::<experiments::Check, CheckedPipeline>("check_pipeline", |studio, check| studio.check_pipeline(&check.stages)),
    command::<experiments::Create, ExperimentSummary>("create_experiment", |studio, new| studio.create_experiment(&new.title, &new.question, new.stages, new.choices)),
    command::<Nothing, Vec<ExperimentSummary>>("list_experiments", |studio, _| studio.list_experiments()),
    command::<ById, ExperimentSummary>("get_experiment", |studio, experiment| studio.get_experiment(&experiment.id)),
    command::<experiments::Draft, ExperimentSummary>("update_draft", |studio, new| studio.update_draft(&new.id, &new.title, &new.question, new.stages, new.choices)),
    command::<experiments::Update, ExperimentSummary>("update_experiment", |studio, new| studio.update_experiment(&new.id, &new.title, &new.question, &new.notes, new.tags)),
    command::<ById, ExperimentSummary>("duplicate_experiment", |studio, of| studio.duplicate_experiment(&of.id)),
    command::<ById, ()>("delete_experiment", |studio, experiment| studio.delete_experiment(&experiment.id)),
    command::<ById, String>("experiment_file", |studio, experiment| studio.experiment_file(&experiment.id)),
    command::<experiments::Open, ExperimentSummary>("open_experiment_file", |studio, file| studio.open_experiment_file(&file.handle)),
    command::<experiments::Save, ()>("save_experiment_file", |studio, file| studio.save_experiment_file(&file.id, &file.handle)),
    command::<ById, ExperimentSummary>("start_experiment", |studio, experiment| studio.start_experiment(&experiment.id)),

    command::<Nothing, Vec<RunView>>("list_runs", |studio, _| studio.list_runs()),
    command::<runs::ByRun, RunView>("get_run", |studio, of| studio.get_run(&of.run)),
    command::<runs::Metric, Vec<(f64, f64)>>("run_metric", |studio, of| studio.run_metric(&of.run, &of.name)),
    command::<runs::ByRun, Vec<TokenRowView>>("run_tokens", |studio, of| studio.run_tokens(&of.run)),
    command::<runs::ByRun, RunView>("pause_run", |studio, of| studio.pause_run(&of.run)),
    command::<runs::ByRun, RunView>("stop_run", |studio, of| studio.stop_run(&of.run)),
    command::<runs::ByRun, RunView>("discard_run", |studio, of| studio.discard_run(&of.run)),
    command::<runs::ByRun, RunView>("resume_run", |studio, of| studio.resume_run(&of.run)),

    command::<Nothing, Vec<StackView>>("list_stacks", |studio, _| studio.list_stacks()),
    command::<Nothing, Vec<ChatView>>("list_chats", |studio, _| studio.list_chats()),
    command::<chats::Create, ChatView>("create_chat", |studio, new| studio.create_chat(new.stacks)),
    command::<ById, ChatView>("get_chat", |studio, chat| studio.get_chat(&chat.id)),
    command::<chats::Update, ChatView>("update_chat", chats::update),
    command::<ById, ()>("delete_chat", |studio, chat| studio.delete_chat(&chat.id)),
    command::<ById, ()>("stop_answer", |studio, chat| { studio.stop_answer(&chat.id); Ok(()) }),

    command::<reports::Get, ReportView>("get_report", |studio, of| studio.get_report(&of.experiment, &of.language)),
    command::<reports::Save, ()>("save_report", |studio, save| studio.save_report(&save.experiment, &save.format, &save.language, &save.handle)),
    command::<reports::Export, ()>("export_adapter", |studio, export| studio.export_adapter(&export.adapter, &export.form, &export.handle)),
]);

/// All streams.
#[rustfmt::skip]
pub static STREAMS: LazyLock<Vec<Stream>> = LazyLock::new(|| vec![
    stream::<experiments::Check, PlanNews>("plan_pipeline", experiments::plan),
    stream::<runs::Follow, Vec<RunEvent>>("follow_run", runs::follow),
    stream::<chats::Send, Vec<ChatDelta>>("send_message", chats::send),
    stream::<chats::Regenerate, Vec<ChatDelta>>("regenerate", chats::regenerate),
    stream::<chats::Edit, Vec<ChatDelta>>("edit_message", chats::edit),
]);
