//! `alidade run FILE`: runs an experiment file, stage by stage, in the data folder of the app, where the window shows it as
//! well. The same command resumes what was stopped, and gives the same results when it is repeated.

use crate::commands::experiments::duration;
use crate::interruption::Interruption;
use crate::language::said;
use crate::output;
use crate::table::{Align, table};
use alidade_domain::{
    Artifact, CheckedPipeline, EventKind, MethodName, Problem, ProblemCode, RunEvent, RunState, StageEstimate,
    StopSignal, Wording, Words, wording,
};
use alidade_studio::views::{ExperimentSummary, RunView};
use alidade_studio::{Configuration, Studio, run_queue_in_background};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Exit code of a program that was ended by Ctrl-C.
const INTERRUPTED: u8 = 130;
/// Polling interval of the runs.
const ROUND: Duration = Duration::from_millis(100);

/// Arguments of `run`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The experiment, in TOML; its paths are relative to it.
    file: PathBuf,
    /// Only print what the stages would do and cost.
    #[arg(long, visible_alias = "dry-run")]
    check: bool,
    /// Print JSON: the plan with --check, else one event per line and the finished experiment last.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Problem> {
    let studio = Studio::open(Configuration::of_environment()?)?;
    let file = studio.read_experiment_file(&arguments.file)?;
    if arguments.check {
        return show_plan(&studio.check_pipeline(&file.stages)?, arguments.json);
    }
    let interruption = Interruption::listen()?;
    run_queue_in_background(&studio);
    let taken = studio.take_up(file)?;
    for run in taken.runs.iter().filter(|run| run.state.can_resume()) {
        output::note(wording!(
            "Continuing stage {stage} from step {step}.",
            "从第 {step} 步继续阶段 {stage}。",
            stage = run.stage + 1,
            step = run.step
        ));
    }
    studio.start_experiment(&taken.experiment.id)?;
    let ended = follow(&studio, &taken.experiment.id, &interruption, arguments.json)?;
    if arguments.json {
        output::json(&json!(ended));
    } else {
        ended.runs.iter().for_each(show_result);
    }
    match ended.runs.iter().find(|run| run.state != RunState::Finished) {
        None => {
            let id = &ended.experiment.id;
            output::note(wording!("Its report: alidade report {id}", "查看报告：alidade report {id}"));
            Ok(ExitCode::SUCCESS)
        }
        Some(run) if run.state == RunState::Failed => Err(failure(run)),
        Some(_) => {
            output::note(wording!("Stopped; run the same command to continue.", "已停止；运行同一命令即可继续。"));
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

/// Waits for the end of every stage and shows progress.
fn follow(
    studio: &Arc<Studio>,
    id: &str,
    interruption: &Interruption,
    json: bool,
) -> Result<ExperimentSummary, Problem> {
    let (mut seen, mut asked) = (BTreeMap::new(), false);
    loop {
        // The state is read first, so that later events are not missed.
        let now = studio.get_experiment(id)?;
        for run in &now.runs {
            let after = seen.entry(run.id.clone()).or_insert(run.last_sequence.min(first_of_this_time(run)));
            loop {
                let (page, _) = studio.events_after(&run.id, *after)?;
                *after = page.last.max(*after);
                page.events.iter().try_for_each(|event| show_event(run, event, json))?;
                if !page.more {
                    break;
                }
            }
        }
        let stopped = now.runs.iter().any(|run| run.state.is_settled() && run.state != RunState::Finished);
        if now.runs.iter().all(|run| run.state.is_settled()) || (stopped && !now.runs.iter().any(is_running)) {
            return Ok(now);
        }
        if interruption.requested().is_some() && !asked {
            asked = true;
            // Queued runs are paused first, or the queue would start the next one.
            for run in now.runs.iter().rev().filter(|run| !run.state.is_settled()) {
                match studio.pause_run(&run.id) {
                    Err(problem) if problem.code != ProblemCode::Conflict => return Err(problem),
                    _ => {}
                }
            }
        }
        std::thread::sleep(ROUND);
    }
}

fn is_running(run: &RunView) -> bool {
    run.state == RunState::Running
}

/// Skips events of earlier attempts.
fn first_of_this_time(run: &RunView) -> u64 {
    if run.step == 0 && run.state == RunState::Queued { 0 } else { run.last_sequence }
}

fn name(run: &RunView) -> String {
    format!("{} {}", run.stage + 1, run.method.as_ref().map_or(run.work.kind(), MethodName::as_str))
}

fn show_event(run: &RunView, event: &RunEvent, json: bool) -> Result<(), Problem> {
    if json {
        output::event(
            &serde_json::to_value(event).map_err(|error| Problem::internal(Wording::name(error.to_string())))?,
        );
        return Ok(());
    }
    let name = name(run);
    match &event.kind {
        EventKind::Started { from_step: 0, .. } => output::note(wording!("{name} begins.", "{name} 开始。")),
        EventKind::Started { from_step, .. } => {
            output::note(wording!("{name} resumes from step {from_step}.", "{name} 从第 {from_step} 步继续。"))
        }
        EventKind::Warning { message, .. } => {
            output::note(wording!("{name}: note: {message}", "{name}：提示：{message}"; message))
        }
        EventKind::Step { step, total, metrics, .. } if step % total.div_ceil(10).max(1) == 0 || step == total => {
            let loss = metrics.get("loss").copied().unwrap_or(f64::NAN);
            output::note(wording!(
                "{name}: step {step} of {total}, loss {loss:.4}",
                "{name}：第 {step} 步，共 {total} 步，loss {loss:.4}"
            ));
        }
        EventKind::Progress { done, total, .. } if run.work.recipe().is_none() => {
            output::note(wording!("{name}: {done} of {total}", "{name}：{done} / {total}"));
        }
        EventKind::Finished { .. } => output::note(wording!("{name} is done.", "{name} 已完成。")),
        _ => {}
    }
    Ok(())
}

fn show_result(run: &RunView) {
    let name = name(run);
    for artifact in &run.artifacts {
        match artifact {
            Artifact::Adapter { sha256 } => output::line(format!("{name}  adapter:{}  {sha256}", run.id)),
            Artifact::Dataset { sha256, rows, .. } => {
                output::say(wording!(
                    "{name}  dataset:{id}  {sha256}  {rows} rows",
                    "{name}  dataset:{id}  {sha256}  {rows} 条",
                    id = run.id
                ));
            }
            Artifact::Model { sha256, .. } => output::line(format!("{name}  model  {sha256}")),
            Artifact::File { path, what, .. } => output::line(format!("{name}  {path}  {what}")),
            Artifact::Report { file } => output::line(format!("{name}  {file}")),
            Artifact::Evaluation { suite } => show_evaluation(run, suite),
        }
    }
}

/// The figures of a suite, one line per measure with all stacks.
fn show_evaluation(run: &RunView, suite: &str) {
    for found in run.evaluations.iter().filter(|found| found.suite == suite) {
        for measure in &found.measures {
            let values = (0..found.stacks.len()).filter_map(|stack| measure.value(stack));
            let values: Vec<String> = values.map(|estimate| format!("{:.4}", estimate.value)).collect();
            output::line(format!("{}  {suite}  {}  {}", name(run), measure.key, values.join("  ")));
        }
    }
}

fn failure(run: &RunView) -> Problem {
    let unknown = || Problem::internal(wording!("The stage failed without a message.", "阶段失败，没有给出原因。"));
    let problem = run.problem.clone().unwrap_or_else(unknown);
    Problem {
        message: wording!(
            "Stage {stage}: {message}",
            "阶段 {stage}：{message}";
            message = problem.message; stage = name(run)
        ),
        ..problem
    }
}

/// Prints the plan. Faults lead to exit code 2, each at its field.
pub fn show_plan(checked: &CheckedPipeline, json: bool) -> Result<ExitCode, Problem> {
    if json {
        output::json(&json!(checked));
    } else {
        show_stages(&checked.stages);
        let told = checked.problems.iter().map(|problem| (Words::new("fault", "错误"), problem));
        for (kind, problem) in told.chain(checked.warnings.iter().map(|warning| (Words::new("note", "提示"), warning)))
        {
            let field = problem.field.as_deref().unwrap_or("experiment");
            output::note(wording!(
                "{kind}: {field}: {message}",
                "{kind}：{field}：{message}";
                kind, message = problem.message
            ));
            problem.hints.iter().for_each(|hint| output::note(wording!("hint: {hint}", "建议：{hint}"; hint)));
        }
    }
    Ok(if checked.ready { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// One line a stage: what it does, and what it costs on this machine.
fn show_stages(stages: &[StageEstimate]) {
    let row = |stage: &StageEstimate| {
        let name = stage.method.as_ref().map_or(stage.kind.as_str(), MethodName::as_str);
        let count = |count: u64| if count == 0 { "–".to_owned() } else { count.to_string() };
        vec![
            format!("{} {name}", stage.stage + 1),
            count(stage.optimizer_steps),
            count(stage.rows as u64),
            count(stage.skipped_rows as u64),
            count(stage.truncated_rows as u64),
            said(duration(stage.seconds - stage.comparing_seconds)),
            said(duration(stage.comparing_seconds)),
            format!("{:.0} MB", stage.memory_bytes as f64 / 1e6),
        ]
    };
    let right = |name| (name, Align::Right);
    let heads = [
        (Words::new("stage", "阶段"), Align::Left),
        right(Words::new("steps", "步数")),
        right(Words::new("rows", "条数")),
        right(Words::new("left out", "略去")),
        right(Words::new("cut", "截断")),
        right(Words::new("work", "用时")),
        right(Words::new("comparing", "比较")),
        right(Words::new("memory", "内存")),
    ];
    table(&heads, &stages.iter().map(row).collect::<Vec<_>>()).into_iter().for_each(output::line);
}
