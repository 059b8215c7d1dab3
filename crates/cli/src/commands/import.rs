//! `alidade import FILE` adds a data file to the app; `alidade check FILE` only reads it. Both summarise it and list its bad
//! rows. No row is kept in memory, so the size of the file does not matter.

use crate::output;
use alidade_domain::{Imported, Problem};
use alidade_studio::{Configuration, Studio, inspect_file};
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Number of bad rows that are listed one by one.
const SHOWN: usize = 20;

/// Left-out rows that are read at a time.
const PAGE: usize = 500;

/// Arguments of `import`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The data file.
    file: PathBuf,
    /// Its name in the app; that of the file by default.
    #[arg(long)]
    name: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Arguments of `check`.
#[derive(clap::Args)]
pub struct CheckArguments {
    /// The data file.
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Imports a file into the app.
pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    let studio = Studio::open(Configuration::of_environment()?)?;
    add(&studio, &arguments.file, arguments.name.clone(), arguments.json)
}

/// Reads a file and changes nothing.
pub fn check(arguments: &CheckArguments) -> Result<(), Problem> {
    let found = inspect_file(&arguments.file)?;
    show(&stem(&arguments.file), &found, arguments.json, None);
    if !arguments.json {
        output::note(&format!("Nothing was stored. To use it: alidade import {}", arguments.file.display()));
    }
    Ok(())
}

/// Imports a file and shows what was found in it.
///
/// # Errors
/// When it cannot be read or holds no usable row.
pub fn add(studio: &Studio, file: &Path, name: Option<String>, json: bool) -> Result<(), Problem> {
    let path = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let set = studio.import_dataset(&studio.hand_out(path), name)?;
    let mut issues = Vec::new();
    loop {
        let page = studio.dataset_rows(&set.id, issues.len(), PAGE)?;
        let done = page.issues.is_empty();
        issues.extend(page.issues);
        if done || issues.len() >= page.total_issues {
            break;
        }
    }
    let found = Imported { kind: set.kind, summary: set.summary, issues, remarks: set.remarks };
    show(&set.name, &found, json, Some(&set.id));
    if !json {
        output::note(&format!("Imported as {}. An experiment file names it dataset:{}.", set.id, set.id));
    }
    Ok(())
}

fn stem(file: &Path) -> String {
    file.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn show(name: &str, found: &Imported, json: bool, id: Option<&str>) {
    if !json {
        return output::line(in_words(name, found));
    }
    let summary = &found.summary;
    let mut document = json!({
        "format": summary.format, "read": summary.read, "kept": summary.kept, "dropped": summary.dropped,
        "dataset": {"name": name, "kind": found.kind, "remarks": found.remarks, "issues": found.issues},
    });
    if let Some(id) = id {
        document["dataset"]["id"] = json!(id);
    }
    output::json(&document);
}

fn in_words(name: &str, found: &Imported) -> String {
    let summary = &found.summary;
    let mut text = format!("{name}: {} of {} rows kept, shape “{}”", summary.kept, summary.read, summary.format);
    let mut line = |words: String| {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{words}");
    };
    let problem = |reason: &str| ["cut off", "text behind the list"].contains(&reason);
    for count in summary.dropped.iter().filter(|count| problem(&count.reason)) {
        line(format!("problem: the file is {}; rows at its end are lost (see below).", count.reason));
    }
    found.remarks.iter().for_each(|remark| line(format!("note: {remark}")));
    for issue in found.issues.iter().take(SHOWN) {
        line(format!("row {}: {} ({}). {}", issue.row, issue.reason, issue.found, issue.fix));
    }
    let left = summary.read - summary.kept;
    if left > SHOWN {
        line(format!("… and {} more:", left - SHOWN));
        summary.dropped.iter().for_each(|count| line(format!("  {} × {}", count.rows, count.reason)));
    }
    text
}
