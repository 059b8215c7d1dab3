//! The program `alidade-desktop`: the window, or one of its own workers.
#![cfg_attr(all(not(debug_assertions), windows), windows_subsystem = "windows")]

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["worker", "--run", folder] => alidade_desktop::work(folder),
        ["worker", "--task", task] => alidade_desktop::attend(task),
        _ => alidade_desktop::open_window(),
    }
}
