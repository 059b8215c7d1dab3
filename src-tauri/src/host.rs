//! What only a window can do. Paths stay on this side: the page gets a handle for each file that the person picked or
//! dropped.

use crate::Desk;
use alidade_domain::{Problem, ProblemCode, wording};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use tauri::{AppHandle, DragDropEvent, Emitter, Manager, Window, WindowEvent};
use tauri_plugin_dialog::{DialogExt, FilePath};

/// Extensions that the file dialog offers first.
const DATA: &[&str] = &["json", "jsonl", "csv", "tsv", "txt"];
const EXPERIMENT: &[&str] = &["toml"];

pub(crate) fn call(app: &AppHandle, desk: &Desk, name: &str, request: &Value) -> Result<Value, Problem> {
    let dialog = || app.dialog().file();
    match name {
        "pick_file" => {
            let (what, endings) = match request["purpose"].as_str() {
                Some("experiment") => ("experiment", EXPERIMENT),
                _ => ("data", DATA),
            };
            Ok(picked(desk, dialog().add_filter(what, endings).add_filter("all", &["*"]).blocking_pick_file()))
        }
        "pick_folder" => Ok(picked(desk, dialog().blocking_pick_folder())),
        "pick_save" => {
            let wished = request["name"].as_str().unwrap_or("report.html");
            let safe: String = wished.chars().filter(|c| c.is_alphanumeric() || " .-_".contains(*c)).collect();
            Ok(picked(desk, dialog().set_file_name(safe).blocking_save_file()))
        }
        "cancel" => {
            let id = request["id"].as_str().unwrap_or_default();
            let streams = desk.streams.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(ended) = streams.get(id) {
                ended.store(true, Ordering::Relaxed);
            }
            Ok(Value::Null)
        }
        _ => Err(Problem::new(
            ProblemCode::NotFound,
            wording!("The window has no command “{name}”.", "窗口没有名为“{name}”的命令。"),
        )),
    }
}

pub(crate) fn on_window_event(window: &Window, event: &WindowEvent) {
    let WindowEvent::DragDrop(DragDropEvent::Drop { paths, .. }) = event else { return };
    let desk = window.state::<Desk>();
    if let Some(path) = paths.first() {
        // A page that is still loading misses the drop; the person can drop again.
        let _ = window.emit("dropped", handed_out(&desk, path.clone()));
    }
}

fn picked(desk: &Desk, file: Option<FilePath>) -> Value {
    file.and_then(|file| file.into_path().ok()).map_or(Value::Null, |path| handed_out(desk, path))
}

fn handed_out(desk: &Desk, path: PathBuf) -> Value {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    json!({ "handle": desk.studio.hand_out(path), "name": name })
}
