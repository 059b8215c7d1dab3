//! `alidade experiments`: the experiments of the app with their outcomes, and the file of one.

use crate::chosen::chosen;
use crate::language::said;
use crate::output;
use crate::table::{Align, short, table};
use alidade_domain::{Better, Measure, Problem, Stage, Wording, Words, wording};
use alidade_studio::views::{ExperimentState, ExperimentSummary, RunView};
use alidade_studio::{Configuration, Studio, write_durably};
use serde_json::json;
use std::path::PathBuf;

/// How to begin where there is nothing yet.
pub const BEGIN: Words = Words::new(
    "Begin with one: alidade serve --open, or alidade run FILE.",
    "从这里开始：alidade serve --open，或 alidade run FILE。",
);
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
            let found = chosen(experiments, experiment, Words::new("experiment", "实验"), |one| {
                (&one.experiment.id, &one.experiment.title)
            })?;
            let text = studio.experiment_file(&found.experiment.id)?;
            let Some(path) = output else {
                output::line(text.trim_end());
                return Ok(());
            };
            write_durably(path, text.as_bytes()).map_err(|problem| problem.at("output"))?;
            output::note(wording!(
                "Written to {path}. To run it: alidade run {path}",
                "已写入 {path}。要运行它：alidade run {path}",
                path = path.display()
            ));
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
        output::say(wording!("No experiments yet.", "还没有实验。"));
        output::note(BEGIN);
        return Ok(());
    }
    let row = |one: &ExperimentSummary| {
        let stages = one.experiment.stages.iter().map(stage_name).collect::<Vec<_>>().join(" → ");
        let seconds: f64 = one.runs.iter().map(|run: &RunView| run.seconds).sum();
        let state = said(state_words(one.state));
        vec![short(&one.experiment.title, TITLE), state, stages, said(duration(seconds)), outcome(one)]
    };
    let heads = [
        (Words::new("title", "标题"), Align::Left),
        (Words::new("state", "状态"), Align::Left),
        (Words::new("stages", "阶段"), Align::Left),
        (Words::new("time", "用时"), Align::Right),
        (Words::new("outcome", "结果"), Align::Left),
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
            format!("{} {} → {} (n {})", said(&measure.words.title), shown(before.value), shown(after.value), after.n);
        (measure.better != Better::Neither && last > 0).then_some(text)
    };
    measures.filter_map(told).next().unwrap_or_else(|| "–".to_owned())
}

fn state_words(state: ExperimentState) -> Words {
    match state {
        ExperimentState::Draft => Words::new("draft", "草稿"),
        ExperimentState::Running => Words::new("running", "运行中"),
        ExperimentState::Paused => Words::new("paused", "已暂停"),
        ExperimentState::Interrupted => Words::new("interrupted", "已中断"),
        ExperimentState::Stopped => Words::new("stopped", "已停止"),
        ExperimentState::Finished => Words::new("finished", "已完成"),
        ExperimentState::Failed => Words::new("failed", "失败"),
    }
}

/// Seconds for people.
pub fn duration(seconds: f64) -> Wording {
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, seconds) => wording!("{seconds} s", "{seconds} 秒"),
        (0, minutes, seconds) => wording!("{minutes} min {seconds} s", "{minutes} 分 {seconds} 秒"),
        (hours, minutes, _) => wording!("{hours} h {minutes} min", "{hours} 小时 {minutes} 分"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_at_a_glance() {
        let told: Vec<String> = [0.4, 59.6, 61.0, 3_725.0].into_iter().map(|seconds| duration(seconds).en).collect();
        assert_eq!(told, ["0 s", "1 min 0 s", "1 min 1 s", "1 h 2 min"]);
    }
}
