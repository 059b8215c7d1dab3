//! `alidade report EXPERIMENT`: the report of an experiment of the app.

use crate::output;
use alidade_domain::{Problem, ProblemCode};
use alidade_studio::{Configuration, Studio};
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `report`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Identifier or title of the experiment.
    experiment: String,
    /// Where to write; the ending .html or .md decides the form. Without it Markdown is printed.
    #[arg(long)]
    output: Option<PathBuf>,
    /// Print both forms as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    let studio = Studio::open(Configuration::of_environment()?)?;
    let wanted = &arguments.experiment;
    let all = studio.list_experiments()?;
    let found = all.iter().map(|summary| &summary.experiment).find(|e| e.id == *wanted || e.title == *wanted);
    let experiment = found.ok_or_else(|| {
        let titles: Vec<&str> = all.iter().map(|summary| summary.experiment.title.as_str()).collect();
        Problem::new(ProblemCode::NotFound, format!("There is no experiment “{wanted}”."))
            .hint(format!("Known: {}.", titles.join(", ")))
    })?;
    let report = studio.get_report(&experiment.id)?;
    match &arguments.output {
        _ if arguments.json => output::json(&json!(report)),
        None => println!("{}", report.markdown),
        Some(path) => {
            let html = path.extension().is_some_and(|ending| ending == "html");
            std::fs::write(path, if html { report.html } else { report.markdown })
                .map_err(|error| Problem::input(format!("Writing {} failed: {error}.", path.display())).at("output"))?;
        }
    }
    Ok(())
}
