//! `alidade runs`: lists the runs of the app.

use crate::commands::experiments::duration;
use crate::output;
use crate::table::{Align, short, table};
use alidade_domain::{MethodName, Problem};
use alidade_studio::views::RunView;
use alidade_studio::{Configuration, Studio};
use serde_json::json;

/// Characters of a title in the list.
const TITLE: usize = 40;

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
        output::note("Begin with one: alidade serve --open, or alidade run FILE.");
        return Ok(());
    }
    let row = |run: &RunView| {
        vec![
            short(&run.experiment_title, TITLE),
            (run.stage + 1).to_string(),
            run.method.as_ref().map_or(run.work.kind(), MethodName::as_str).to_owned(),
            format!("{:?}", run.state).to_lowercase(),
            format!("{} of {}", run.step, run.total_steps),
            duration(run.seconds),
            run.id.clone(),
        ]
    };
    let heads = [
        ("experiment", Align::Left),
        ("stage", Align::Right),
        ("method", Align::Left),
        ("state", Align::Left),
        ("steps", Align::Right),
        ("time", Align::Right),
        ("id", Align::Left),
    ];
    table(&heads, &runs.iter().map(row).collect::<Vec<_>>()).into_iter().for_each(output::line);
    Ok(())
}
