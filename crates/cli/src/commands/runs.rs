//! `alidade runs`: lists the runs of the app.

use crate::language::said;
use crate::output;
use alidade_domain::{MethodName, Problem, wording};
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
    studio.app_info().problems.iter().for_each(|problem| output::remark(&problem.message));
    if arguments.json {
        output::json(&json!(runs));
        return Ok(());
    }
    if runs.is_empty() {
        output::say(wording!("No runs yet.", "还没有运行。"));
    }
    for run in runs {
        let state = said(run.state.words());
        let (step, total) = (run.step, run.total_steps);
        let steps = said(wording!("step {step} of {total}", "第 {step} 步，共 {total} 步"));
        output::line(format!(
            "{}  {state:<11} {:<4} {steps}  {}",
            run.id,
            run.method.as_ref().map_or(run.work.kind(), MethodName::as_str),
            run.experiment_title
        ));
    }
    Ok(())
}
