//! `alidade import FILE`: summarises a data file and lists its bad rows. No row is kept in memory, so the size of the file
//! does not matter.

use crate::language::said;
use crate::output;
use alidade_domain::{Imported, Problem, Wording, wording};
use alidade_studio::inspect_file;
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Number of bad rows that are listed one by one.
const SHOWN: usize = 20;

/// Arguments of `import`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The data file.
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    let found = inspect_file(&arguments.file)?;
    let name = arguments.file.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    if arguments.json {
        let summary = &found.summary;
        output::json(&json!({
            "format": summary.format, "read": summary.read, "kept": summary.kept, "dropped": summary.dropped,
            "dataset": {"name": name, "kind": found.kind, "remarks": found.remarks, "issues": found.issues},
        }));
        return Ok(());
    }
    output::line(in_words(&name, &found));
    Ok(())
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
