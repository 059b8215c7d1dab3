//! `alidade experiments`: the experiments of the app with their outcomes, and the file of one.

use crate::chosen::chosen;
use crate::output;
use crate::table::{Align, short, table};
use alidade_domain::{Better, Measure, Problem, Stage};
use alidade_studio::views::{ExperimentSummary, RunView};
use alidade_studio::{Configuration, Studio, write_durably};
use serde_json::json;
use std::path::PathBuf;

/// Characters of a title in the list.
const TITLE: usize = 44;

/// Arguments of `experiments`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(clap::Subcommand)]
enum Action {
    /// List the experiments with their outcomes.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write the file of an experiment, which alidade run carries out anywhere.
    Save {
        /// Identifier or title.
        experiment: String,
        /// The file; printed without it.
        #[arg(long)]
        output: Option<PathBuf>,
    },
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    let studio = Studio::open(Configuration::of_environment()?)?;
    let experiments = studio.list_experiments()?;
    match &arguments.action {
        None => list(&experiments, false),
        Some(Action::List { json }) => list(&experiments, *json),
        Some(Action::Save { experiment, output }) => {
            let found =
                chosen(experiments, experiment, "experiment", |one| (&one.experiment.id, &one.experiment.title))?;
            let text = studio.experiment_file(&found.experiment.id)?;
            let Some(path) = output else {
                output::line(text.trim_end());
                return Ok(());
            };
            write_durably(path, text.as_bytes()).map_err(|problem| problem.at("output"))?;
            output::note(&format!("Written to {0}. To run it: alidade run {0}", path.display()));
            Ok(())
        }
    }
}

fn list(experiments: &[ExperimentSummary], json: bool) -> Result<(), Problem> {
    if json {
        output::json(&json!(experiments));
        return Ok(());
    }
    if experiments.is_empty() {
        output::line("No experiments yet.");
        output::note("Begin with one: alidade serve --open, or alidade run FILE.");
        return Ok(());
    }
    let row = |one: &ExperimentSummary| {
        let stages = one.experiment.stages.iter().map(stage_name).collect::<Vec<_>>().join(" → ");
        let seconds: f64 = one.runs.iter().map(|run: &RunView| run.seconds).sum();
        let state = format!("{:?}", one.state).to_lowercase();
        vec![short(&one.experiment.title, TITLE), state, stages, duration(seconds), outcome(one)]
    };
    let heads = [
        ("title", Align::Left),
        ("state", Align::Left),
        ("stages", Align::Left),
        ("time", Align::Right),
        ("outcome", Align::Left),
    ];
    table(&heads, &experiments.iter().map(row).collect::<Vec<_>>()).into_iter().for_each(output::line);
    Ok(())
}

/// The method of a stage that trains, else its kind.
fn stage_name(stage: &Stage) -> String {
    stage.method().map_or_else(|| stage.kind().to_owned(), |method| method.as_str().to_owned())
}

/// The most important figure with a better direction, first against last; "–" without any.
fn outcome(one: &ExperimentSummary) -> String {
    let measures =
        one.overall.iter().flat_map(|found| found.measures.iter().map(move |measure| (found.last(), measure)));
    let told = |(last, measure): (usize, &Measure)| {
        let (before, after) = (measure.value(0)?, measure.value(last)?);
        let shown =
            |value: f64| if measure.unit == "rate" { format!("{:.0} %", value * 100.0) } else { format!("{value:.3}") };
        let text =
            format!("{} {} → {} (n {})", measure.words.title.en, shown(before.value), shown(after.value), after.n);
        (measure.better != Better::Neither && last > 0).then_some(text)
    };
    measures.filter_map(told).next().unwrap_or_else(|| "–".to_owned())
}

/// Seconds for people.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_at_a_glance() {
        let told: Vec<String> = [0.4, 59.6, 61.0, 3_725.0].into_iter().map(duration).collect();
        assert_eq!(told, ["0 s", "1 min 0 s", "1 min 1 s", "1 h 2 min"]);
    }
}
