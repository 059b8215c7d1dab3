//! `alidade train RECIPE`: trains in the foreground, from the newest checkpoint when there is one.

use crate::output;
use alidade_domain::{EventKind, Observer, Problem, ProblemCode, StopReason, StopSignal};
use alidade_studio::{Depth, EventLog, execute, read_recipe, resolve_recipe, vet_model};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Arguments of `train`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The recipe, in TOML; its paths are relative to it.
    recipe: PathBuf,
    /// Print one JSON event a line.
    #[arg(long)]
    json: bool,
    /// Replace an adapter that is already there.
    #[arg(long)]
    overwrite: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    let recipe = read_recipe(&arguments.recipe)?;
    let base = arguments.recipe.parent().unwrap_or(Path::new("."));
    vet_model(&base.join(&recipe.model), Depth::Text)?;
    if let Some(output) = &recipe.output_dir {
        clear(&base.join(output), arguments.overwrite)?;
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let resolved = resolve_recipe(&recipe, base, threads)?;
    let log = EventLog::open(&resolved.output, &resolved.plan.run)?;
    let mut observer = Terminal { log, json: arguments.json, bar: bar(arguments.json) };
    let result = execute(&resolved.plan, &resolved.output, &mut observer, &Never);
    if let Err(problem) = &result {
        observer.observe(EventKind::Failed { problem: problem.clone() })?;
    }
    result?;
    if !arguments.json {
        let (what, name) = if resolved.plan.full { ("model", "model") } else { ("adapter", "adapter") };
        eprintln!("The {what} is in {}.", resolved.output.join(name).display());
    }
    Ok(())
}

/// A finished adapter is never replaced in silence.
fn clear(output: &Path, overwrite: bool) -> Result<(), Problem> {
    let Some(result) = ["adapter", "model"].into_iter().find(|name| output.join(name).exists()) else { return Ok(()) };
    if !overwrite {
        let message =
            format!("{} already holds {} {result}.", output.display(), if result == "adapter" { "an" } else { "a" });
        return Err(Problem::new(ProblemCode::Conflict, message)
            .hint("Add --overwrite, or choose another output_dir.")
            .at("output_dir"));
    }
    let failed = |error: std::io::Error| Problem::internal(format!("Clearing {} failed: {error}.", output.display()));
    for name in ["adapter", "model", "checkpoints"] {
        let path = output.join(name);
        if path.exists() {
            std::fs::remove_dir_all(path).map_err(failed)?;
        }
    }
    for name in ["log.jsonl", "events.jsonl", "run.json", "rows.jsonl"] {
        let path = output.join(name);
        if path.exists() {
            std::fs::remove_file(path).map_err(failed)?;
        }
    }
    Ok(())
}

struct Never;

impl StopSignal for Never {
    fn requested(&self) -> Option<StopReason> {
        None
    }
}

fn bar(json: bool) -> Option<ProgressBar> {
    if json || !std::io::stderr().is_terminal() {
        return None;
    }
    let style = ProgressStyle::with_template("{bar:30} step {pos} of {len} · {eta} left · {msg}");
    let bar = ProgressBar::new(0);
    Some(style.map_or(bar.clone(), |style| bar.with_style(style)))
}

/// Writes events to the run's log and shows them.
struct Terminal {
    log: EventLog,
    json: bool,
    bar: Option<ProgressBar>,
}

impl Observer for Terminal {
    fn observe(&mut self, kind: EventKind) -> Result<(), Problem> {
        self.log.observe(kind.clone())?;
        if self.json {
            output::json(&serde_json::to_value(&kind).map_err(|error| Problem::internal(error.to_string()))?);
        }
        match &kind {
            EventKind::Warning { message, .. } => eprintln!("note: {message}"),
            EventKind::Step { step, total, metrics, .. } => {
                let Some(bar) = &self.bar else { return Ok(()) };
                bar.set_length(*total);
                bar.set_position(*step);
                bar.set_message(format!("loss {:.4}", metrics.get("loss").copied().unwrap_or(f64::NAN)));
            }
            _ => {}
        }
        Ok(())
    }
}
