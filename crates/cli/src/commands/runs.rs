//! `alidade runs`: lists the runs of the app.

use crate::commands::experiments::{BEGIN, duration};
use crate::language::said;
use crate::output;
use crate::table::{Align, short, table};
use alidade_domain::{MethodName, Problem, Words, wording};
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
    studio.app_info().problems.iter().for_each(|problem| output::remark(&problem.message));
    if arguments.json {
        output::json(&json!(runs));
        return Ok(());
    }
    if runs.is_empty() {
        output::say(wording!("No runs yet.", "还没有运行。"));
        output::note(BEGIN);
        return Ok(());
    }
    let row = |run: &RunView| {
        let (step, total) = (run.step, run.total_steps);
        vec![
            short(&run.experiment_title, TITLE),
            (run.stage + 1).to_string(),
            run.method.as_ref().map_or(run.work.kind(), MethodName::as_str).to_owned(),
            said(run.state.words()),
            said(wording!("{step} of {total}", "{step}，共 {total}")),
            said(duration(run.seconds)),
            run.id.clone(),
        ]
    };
    let heads = [
        (Words::new("experiment", "实验"), Align::Left),
        (Words::new("stage", "阶段"), Align::Right),
        (Words::new("method", "方法"), Align::Left),
        (Words::new("state", "状态"), Align::Left),
        (Words::new("steps", "步数"), Align::Right),
        (Words::new("time", "用时"), Align::Right),
        (Words::new("id", "标识"), Align::Left),
    ];
    table(&heads, &runs.iter().map(row).collect::<Vec<_>>()).into_iter().for_each(output::line);
    Ok(())
}
