//! `alidade runs`: lists the runs of the app.

use crate::output;
use alidade_domain::{MethodName, Problem};
use alidade_studio::{Configuration, Studio};
use serde_json::json;

/// Arguments of `runs`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    let studio = Studio::open(Configuration::of_environment()?)?;
    let runs = studio.list_runs()?;
    studio.app_info().problems.iter().for_each(|problem| output::note(&format!("note: {}", problem.message)));
    if arguments.json {
        output::json(&json!(runs));
        return Ok(());
    }
    if runs.is_empty() {
        output::line("No runs yet.");
    }
    for run in runs {
        let state = format!("{:?}", run.state).to_lowercase();
        output::line(format!(
            "{}  {:<11} {:<4} step {} of {}  {}",
            run.id,
            state,
            run.method.as_ref().map_or(run.work.kind(), MethodName::as_str),
            run.step,
            run.total_steps,
            run.experiment_title
        ));
    }
    Ok(())
}
