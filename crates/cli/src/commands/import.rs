//! `alidade import FILE`: summarises a data file and lists its bad rows. No row is kept in memory, so the size of the file
//! does not matter.

use crate::output;
use alidade_domain::{Imported, Problem};
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
