//! Architecture rules as a test: which crate may import which, who may use what, and how long things may get.

use crate::commands::{Outcome, root};
use crate::functions;
use std::path::{Path, PathBuf};

/// Crate (folder below the root) and the crates of ours that it may import.
const IMPORTS: &[(&str, &[&str])] = &[
    ("crates/domain", &[]),
    ("crates/data", &["domain"]),
    ("crates/world", &["domain"]),
    ("crates/evaluation", &["domain"]),
    ("crates/report", &["domain"]),
    ("crates/store", &["domain"]),
    ("crates/kernels", &[]),
    ("crates/model", &["domain", "kernels"]),
    ("crates/train", &["domain", "model"]),
    ("crates/jobs", &["domain", "data", "world", "evaluation", "model", "train"]),
    ("crates/lab", &["domain", "data", "world", "kernels", "model", "train", "jobs"]),
    ("crates/studio", &["domain", "data", "world", "evaluation", "report", "store", "model", "train", "jobs"]),
    ("crates/api", &["domain", "studio"]),
    ("crates/cli", &["domain", "studio", "api", "lab"]),
    ("crates/testkit", &["domain"]),
    ("crates/xtask", &[]),
    (".", &["domain", "studio", "api"]),
];

/// A word in source code, and the folders that may contain it.
const WORDS: &[(&str, &[&str])] = &[
    ("candle_", &["crates/model"]),
    ("rusqlite", &["crates/store"]),
    ("tauri::", &["src-tauri"]),
    ("process::Command", &["crates/studio", "crates/xtask"]),
    ("println!", &["crates/cli", "crates/xtask", "crates/testkit", "src-tauri"]),
    ("SystemTime", &["crates/jobs", "crates/studio", "crates/xtask", "crates/cli"]),
    ("Instant", &["crates/jobs", "crates/studio", "crates/api", "crates/xtask", "crates/cli", "src-tauri"]),
    ("env::var", &["crates/jobs", "crates/studio", "crates/xtask", "crates/cli"]),
    ("TcpStream", &[]),
];

const LONGEST_FILE: usize = 500;
const LONGEST_COMPONENT: usize = 250;
const LONGEST_FUNCTION: usize = 60;

/// Checks all rules and lists violations.
pub fn check() -> Outcome {
    let mut faults = Vec::new();
    imports(&mut faults);
    for path in sources() {
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        sizes(&path, &text, &mut faults);
        if path.extension().is_some_and(|ending| ending == "rs") {
            words(&path, &text, &mut faults);
            let long = functions::longer_than(LONGEST_FUNCTION, &text).into_iter();
            faults.extend(long.map(|(name, lines)| format!("{}: fn {name} has {lines} lines", path.display())));
        }
    }
    one_window_command(&mut faults);
    crate::names::check(&sources(), &mut faults);
    if faults.is_empty() {
        println!("tidy: every rule holds");
        return Ok(());
    }
    Err(format!("these rules are broken:\n  {}", faults.join("\n  ")))
}

/// The window has one command over the table; a second one would be an unchecked way in.
fn one_window_command(faults: &mut Vec<String>) {
    let mut files = Vec::new();
    collect(Path::new("src-tauri"), &mut files);
    let texts = files.iter().filter_map(|path| std::fs::read_to_string(root().join(path)).ok());
    let commands: usize = texts.map(|text| text.matches("#[tauri::command]").count()).sum();
    if commands != 1 {
        faults.push(format!("src-tauri has {commands} commands; it must have one, rpc"));
    }
}

fn imports(faults: &mut Vec<String>) {
    for (folder, allowed) in IMPORTS {
        let manifest = root().join(folder).join("Cargo.toml");
        let Ok(text) = std::fs::read_to_string(&manifest) else {
            faults.push(format!("{folder}/Cargo.toml cannot be read"));
            continue;
        };
        let section = text.split("\n[").find(|section| section.starts_with("dependencies]")).unwrap_or_default();
        let imported = section.lines().filter_map(|line| line.strip_prefix("alidade-"));
        for name in imported.map(|line| line.split(['.', ' ', '=']).next().unwrap_or_default()) {
            if !allowed.contains(&name) {
                faults.push(format!("{folder} must not import {name}"));
            }
        }
    }
    let known = |name: &str| IMPORTS.iter().any(|(folder, _)| *folder == format!("crates/{name}"));
    for entry in std::fs::read_dir(root().join("crates")).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() && !known(&name) {
            faults.push(format!("crates/{name} is missing in the table of imports"));
        }
    }
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for top in ["crates", "src-tauri", "ui/src", "tests"] {
        collect(Path::new(top), &mut found);
    }
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(root().join(folder)).into_iter().flatten().flatten() {
        let path = folder.join(entry.file_name());
        if entry.path().is_dir() {
            collect(&path, found);
        } else if matches!(path.extension().and_then(|ending| ending.to_str()), Some("rs" | "ts" | "svelte" | "mjs")) {
            found.push(path);
        }
    }
}

fn sizes(path: &Path, text: &str, faults: &mut Vec<String>) {
    if text.starts_with("// Generated") {
        return;
    }
    let lines = text.lines().count();
    let limit =
        if path.extension().is_some_and(|ending| ending == "svelte") { LONGEST_COMPONENT } else { LONGEST_FILE };
    if lines > limit {
        faults.push(format!("{} has {lines} lines, more than {limit}", path.display()));
    }
    if path.extension().is_some_and(|ending| ending == "rs") && !text.starts_with("//!") && path.starts_with("crates") {
        faults.push(format!("{} has no module documentation (//!)", path.display()));
    }
}

fn words(path: &Path, text: &str, faults: &mut Vec<String>) {
    let in_tests = path.components().any(|part| part.as_os_str() == "tests");
    if in_tests || path.starts_with("crates/xtask") {
        return;
    }
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    for (word, folders) in WORDS {
        let mut lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        if lines.any(|line| line.contains(word)) && !folders.iter().any(|folder| path.starts_with(folder)) {
            faults.push(format!("{} must not use {word}", path.display()));
        }
    }
}
