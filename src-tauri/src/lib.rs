//! The window. It has one command, `rpc`, over the command table of `alidade-api`; what only a window can do (dialogs,
//! dropped files, ending a stream) is in `host.rs`. It listens on no port.
#![allow(clippy::print_stderr, reason = "without a window there is only the terminal to speak to")]

mod host;
mod rescue;

use alidade_domain::{Problem, wording};
use alidade_studio::{Configuration, Studio, preferred_language, run_queue_in_background};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tauri::ipc::Channel;
use tauri::{AppHandle, Manager, State};

/// State of the window.
pub(crate) struct Desk {
    pub(crate) studio: Arc<Studio>,
    /// Active streams, by the id that the window gave them; true cancels a stream.
    pub(crate) streams: Mutex<BTreeMap<String, Arc<AtomicBool>>>,
}

/// Carries out a run; started by the queue.
pub fn work(folder: &str) -> ExitCode {
    match alidade_studio::work(Path::new(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => fail(&problem),
    }
}

/// Carries out one task for the window's process.
pub fn attend(task: &str) -> ExitCode {
    match alidade_studio::confined::attend(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => fail(&problem),
    }
}

/// Opens the window and stays until it is closed.
pub fn open_window() -> ExitCode {
    let configuration = Configuration::of_environment();
    let home = configuration.as_ref().ok().map(|configuration| configuration.home.clone());
    let studio = match configuration.and_then(Studio::open) {
        Ok(studio) => studio,
        Err(problem) => {
            // If the dialog cannot be shown, the message is on standard error.
            let _ = rescue::tell(&problem, home);
            return fail(&problem);
        }
    };
    run_queue_in_background(&studio);
    let built = tauri::Builder::default()
        .plugin(tauri_plugin_single_instance::init(|app, _, _| show(app)))
        .plugin(tauri_plugin_dialog::init())
        .manage(Desk { studio, streams: Mutex::default() })
        .invoke_handler(tauri::generate_handler![rpc])
        .on_window_event(host::on_window_event)
        .run(tauri::generate_context!());
    match built {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            fail(&Problem::internal(wording!("Opening the window failed: {error}.", "打开窗口失败：{error}。")))
        }
    }
}

fn fail(problem: &Problem) -> ExitCode {
    let language = preferred_language();
    eprintln!("{}", problem.message.spoken(language));
    problem.hints.iter().for_each(|hint| eprintln!("{}", hint.spoken(language)));
    ExitCode::FAILURE
}

/// A second start shows the existing window.
fn show(app: &AppHandle) {
    if let Some(window) = app.get_webview_window("main") {
        // If it cannot be raised, it is still open.
        let _ = window.unminimize().and_then(|()| window.set_focus());
    }
}

/// The one command: `name` is a command of the table, `stream.<name>` a stream of it, or `host.<name>` the window's own.
#[tauri::command]
async fn rpc(app: AppHandle, name: String, request: Value, channel: Channel<Value>) -> Result<Value, Problem> {
    let work = move || {
        let desk: State<Desk> = app.state();
        if let Some(own) = name.strip_prefix("host.") {
            return host::call(&app, &desk, own, &request);
        }
        match name.strip_prefix("stream.") {
            Some(stream) => listen(&desk, stream, request, &channel),
            None => alidade_api::call(&desk.studio, &name, request),
        }
    };
    tauri::async_runtime::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(Problem::internal(wording!("The command failed unexpectedly.", "命令意外失败。"))))
}

fn listen(desk: &Desk, name: &str, mut request: Value, channel: &Channel<Value>) -> Result<Value, Problem> {
    let id = request["id"].as_str().unwrap_or_default().to_owned();
    let ended = Arc::new(AtomicBool::new(false));
    let streams = || desk.streams.lock().unwrap_or_else(PoisonError::into_inner);
    streams().insert(id.clone(), ended.clone());
    let result = alidade_api::stream(&desk.studio, name, request["request"].take(), &mut |message| {
        !ended.load(Ordering::Relaxed) && channel.send(message).is_ok()
    });
    streams().remove(&id);
    result.map(|()| Value::Null)
}
