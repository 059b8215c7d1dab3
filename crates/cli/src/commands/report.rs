//! `alidade report EXPERIMENT`: the report of an experiment of the app.

use crate::output;
use alidade_domain::{Problem, ProblemCode};
use alidade_studio::{Configuration, Studio, write_durably};
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `report`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Identifier or title of the experiment.
    experiment: String,
    /// Output file; its extension, .html or .md, decides the format. Without it Markdown is printed.
    #[arg(long)]
    output: Option<PathBuf>,
    /// Language of the report: en or zh.
    #[arg(long, default_value = "en")]
    language: String,
    /// Print both forms as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    let html = match arguments.output.as_ref().map(|path| path.extension().and_then(|ending| ending.to_str())) {
        None | Some(Some("md" | "markdown")) => false,
        Some(Some("html" | "htm")) => true,
        Some(_) => {
            return Err(Problem::input("A report can be written as .html or .md.")
                .hint("For a PDF, write it as .html, open that in a browser and print it into a file.")
                .at("output"));
        }
    };
    let studio = Studio::open(Configuration::of_environment()?)?;
    let wanted = &arguments.experiment;
    let all = studio.list_experiments()?;
    let found = all.iter().map(|summary| &summary.experiment).find(|e| e.id == *wanted || e.title == *wanted);
    let experiment = found.ok_or_else(|| {
        let titles: Vec<&str> = all.iter().map(|summary| summary.experiment.title.as_str()).collect();
        let hint = match titles.as_slice() {
            [] => "There is no experiment yet: create one in the window, or with alidade serve.".to_owned(),
            titles => format!("Known: {}.", titles.join(", ")),
        };
        Problem::new(ProblemCode::NotFound, format!("There is no experiment “{wanted}”.")).hint(hint)
    })?;
    let report = studio.get_report(&experiment.id, &arguments.language)?;
    match &arguments.output {
        _ if arguments.json => output::json(&json!(report)),
        None => output::line(report.markdown),
        Some(path) => {
            let text = if html { report.html } else { report.markdown };
            write_durably(path, text.as_bytes()).map_err(|problem| problem.at("output"))?;
            output::note(&format!("Report written to {}.", path.display()));
        }
    }
    Ok(())
}
