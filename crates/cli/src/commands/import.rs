//! `alidade import FILE`: what a data file holds, and what is wrong with its bad rows.

use crate::output;
use alidade_domain::Problem;
use alidade_studio::import_file;
use serde_json::json;
use std::path::PathBuf;

/// Bad rows that are shown one by one.
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
    let dataset = import_file(&arguments.file)?;
    let summary = &dataset.summary;
    let name = arguments.file.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    if arguments.json {
        output::json(&json!({
            "format": summary.format, "read": summary.read, "kept": summary.kept, "dropped": summary.dropped,
            "dataset": {"name": name, "kind": dataset.kind, "remarks": dataset.remarks, "issues": dataset.issues},
        }));
        return Ok(());
    }
    println!("{}: {} of {} rows kept, shape “{}”", name, summary.kept, summary.read, summary.format);
    dataset.remarks.iter().for_each(|remark| println!("{remark}"));
    for issue in dataset.issues.iter().take(SHOWN) {
        println!("row {}: {} ({}). {}", issue.row, issue.reason, issue.found, issue.fix);
    }
    if dataset.issues.len() > SHOWN {
        println!("… and {} more", dataset.issues.len() - SHOWN);
    }
    Ok(())
}
