//! `alidade import FILE` adds a data file to the app; `alidade check FILE` only reads it. Both summarise it and list its bad
//! rows. No row is kept in memory, so the size of the file does not matter.

use crate::language::said;
use crate::output;
use alidade_domain::{Imported, Problem, Wording, wording};
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
        output::note(wording!(
            "Nothing was stored. To use it: alidade import {path}",
            "没有存入任何内容。要使用它：alidade import {path}",
            path = arguments.file.display()
        ));
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
        output::note(wording!(
            "Imported as {id}. An experiment file names it dataset:{id}.",
            "已导入，标识为 {id}。实验文件中写作 dataset:{id}。",
            id = set.id
        ));
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
    let mut text = said(wording!(
        "{name}: {kept} of {read} rows kept, format: {format}",
        "{name}：{read} 条中保留 {kept} 条，格式：{format}";
        format = summary.format; kept = summary.kept, read = summary.read
    ));
    let mut line = |words: Wording| {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{}", said(words));
    };
    let problem = |reason: &str| ["cut off", "text behind the list"].contains(&reason);
    for count in summary.dropped.iter().filter(|count| problem(&count.reason.en)) {
        line(wording!(
            "problem: the file is {reason}; rows at its end are lost (see below).",
            "问题：文件有误（{reason}），末尾的数据丢失（见下）。";
            reason = count.reason
        ));
    }
    found.remarks.iter().for_each(|remark| line(output::remarked(remark)));
    for issue in found.issues.iter().take(SHOWN) {
        line(wording!(
            "row {row}: {reason} ({found}). {fix}",
            "第 {row} 条：{reason}（{found}）。{fix}";
            reason = issue.reason, found = issue.found, fix = issue.fix; row = issue.row
        ));
    }
    let left = summary.read - summary.kept;
    if left > SHOWN {
        let more = left - SHOWN;
        line(wording!("… and {more} more:", "……另有 {more} 条："));
        for count in &summary.dropped {
            line(wording!("  {rows} × {reason}", "  {rows} 条：{reason}"; reason = count.reason; rows = count.rows));
        }
    }
    text
}
