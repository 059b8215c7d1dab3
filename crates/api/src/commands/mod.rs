//! The table: one line a command, one file a noun.

mod chats;
mod datasets;
mod experiments;
mod models;
mod reports;
mod runs;

use crate::{Command, Stream};
use alidade_domain::Problem;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Every command.
pub const COMMANDS: &[Command] = &[
    Command { name: "app_info", run: |studio, _| answer(studio.app_info()) },
    Command { name: "list_methods", run: |_, _| answer(alidade_studio::methods()) },
    Command { name: "list_presets", run: |studio, _| answer(studio.list_presets()) },
    Command { name: "compose_pipeline", run: experiments::compose },
    Command { name: "list_models", run: |studio, _| answer(studio.list_models()?) },
    Command { name: "add_model", run: models::add },
    Command { name: "remove_model", run: models::remove },
    Command { name: "list_datasets", run: |studio, _| answer(studio.list_datasets()?) },
    Command { name: "import_dataset", run: datasets::import },
    Command { name: "stop_import", run: datasets::stop },
    Command { name: "dataset_rows", run: datasets::rows },
    Command { name: "remove_dataset", run: datasets::remove },
    Command { name: "check_pipeline", run: experiments::check },
    Command { name: "create_experiment", run: experiments::create },
    Command { name: "list_experiments", run: |studio, _| answer(studio.list_experiments()?) },
    Command { name: "get_experiment", run: experiments::get },
    Command { name: "rename_experiment", run: experiments::rename },
    Command { name: "delete_experiment", run: experiments::delete },
    Command { name: "start_experiment", run: experiments::start },
    Command { name: "list_runs", run: |studio, _| answer(studio.list_runs()?) },
    Command { name: "get_run", run: runs::get },
    Command { name: "run_metric", run: runs::metric },
    Command { name: "run_tokens", run: runs::tokens },
    Command { name: "pause_run", run: runs::pause },
    Command { name: "stop_run", run: runs::stop },
    Command { name: "discard_run", run: runs::discard },
    Command { name: "resume_run", run: runs::resume },
    Command { name: "list_stacks", run: |studio, _| answer(studio.list_stacks()?) },
    Command { name: "list_chats", run: |studio, _| answer(studio.list_chats()?) },
    Command { name: "create_chat", run: chats::create },
    Command { name: "get_chat", run: chats::get },
    Command { name: "update_chat", run: chats::update },
    Command { name: "delete_chat", run: chats::delete },
    Command { name: "stop_answer", run: chats::stop },
    Command { name: "get_report", run: reports::get },
    Command { name: "save_report", run: reports::save },
    Command { name: "export_adapter", run: reports::export },
];

/// Every stream.
pub const STREAMS: &[Stream] = &[
    Stream { name: "plan_pipeline", run: experiments::plan },
    Stream { name: "follow_run", run: runs::follow },
    Stream { name: "send_message", run: chats::send },
    Stream { name: "regenerate", run: chats::regenerate },
    Stream { name: "edit_message", run: chats::edit },
];

/// A request that names one thing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ById {
    id: String,
}

/// Reads a request; what does not fit is named.
fn request<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_json::from_value(value)
        .map_err(|error| Problem::input(format!("The request does not fit the command: {error}.")))
}

/// Writes an answer.
fn answer<T: Serialize>(value: T) -> Result<Value, Problem> {
    serde_json::to_value(value).map_err(|error| Problem::internal(format!("The answer cannot be written: {error}.")))
}
