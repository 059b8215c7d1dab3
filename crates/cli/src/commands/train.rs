//! `alidade train RECIPE`: trains in the foreground, from the newest checkpoint when there is one.

use crate::commands::run::show_plan;
use crate::interruption::Interruption;
use crate::output;
use crate::progress::Progress;
use alidade_domain::{EventKind, Observer, Plan, Problem, ProblemCode, Wording, Words, wording};
use alidade_studio::{
    Depth, EventLog, ResolvedRecipe, RunFolder, dry_run, execute_telling, model_dir, read_recipe, resolve_recipe,
    vet_model, vet_stack,
};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Exit code of a program that was ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Arguments of `train`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The recipe, in TOML; its paths are relative to it.
    recipe: PathBuf,
    /// Print one JSON event per line.
    #[arg(long)]
    json: bool,
    /// Remove what an earlier run left in the output folder and start over.
    #[arg(long)]
    overwrite: bool,
    /// Only say what it would do and cost, and what deserves attention.
    #[arg(long)]
    dry_run: bool,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Problem> {
    let recipe = read_recipe(&arguments.recipe)?;
    let base = arguments.recipe.parent().unwrap_or(Path::new("."));
    vet_model(&model_dir(&recipe, base)?, Depth::Text, &[])?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let resolved = resolve_recipe(&recipe, &arguments.recipe, threads)?;
    if let Some(adapter) = resolved.plan.trains.continued() {
        vet_stack(&resolved.plan.model_dir, Some(adapter), Depth::Configuration, &[])?;
    }
    let mut say = |text: &Wording| output::remark(text);
    resolved.remarks.iter().for_each(&mut say);
    if arguments.dry_run {
        return show_plan(&dry_run(&recipe, &resolved)?, arguments.json);
    }
    let folder = RunFolder::take(&resolved, arguments.overwrite, &mut say)?;
    carry_out(arguments, &resolved, &folder).map_err(in_a_terminal)
}

fn carry_out(arguments: &Arguments, resolved: &ResolvedRecipe, folder: &RunFolder) -> Result<ExitCode, Problem> {
    let (plan, output) = (&resolved.plan, folder.path());
    let interruption = Interruption::listen()?;
    let progress = Progress::new(arguments.json);
    let mut log = Log { events: EventLog::open(output, &plan.run)?, progress: &progress, ended: None };
    let tell = &mut |outline: &_| progress.begin(plan, outline, folder.start());
    let result = execute_telling(plan, output, &mut log, &interruption, tell);
    progress.end();
    if let Err(problem) = &result {
        // On a full disk this event is lost too; the problem is printed in any case.
        let _ = log.observe(EventKind::Failed { problem: problem.clone() });
    }
    result?;
    if let Some(step) = log.ended {
        output::note(wording!(
            "Stopped at step {step}; run the same command to resume.",
            "已在第 {step} 步停止；运行同一命令即可继续。"
        ));
        return Ok(ExitCode::from(INTERRUPTED));
    }
    if !arguments.json {
        let (what, name) = if plan.trains.is_full() {
            (Words::new("model", "模型"), "model")
        } else {
            (Words::new("adapter", "适配器"), "adapter")
        };
        let made = output.join(name);
        output::note(wording!("The {what} is in {path}.", "{what}在 {path}。"; what = what; path = made.display()));
        let stack = stack_of(plan, &made);
        output::note(wording!("Talk to it: alidade chat {stack}", "与它对话：alidade chat {stack}"));
    }
    Ok(if output::events_lost() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The arguments that name what a run made.
fn stack_of(plan: &Plan, made: &Path) -> String {
    match plan.trains.is_full() {
        true => format!("--model {}", made.display()),
        false => format!("--model {} --adapter {}", plan.model_dir.display(), made.display()),
    }
}

/// Hints name buttons of the window; in the terminal the same command resumes.
fn in_a_terminal(problem: Problem) -> Problem {
    let hint = match problem.code {
        ProblemCode::DiskFull => wording!(
            "Free some disk space and run the same command again; nothing that was saved is lost.",
            "请腾出一些磁盘空间，再运行同一命令；已保存的内容不会丢失。"
        ),
        ProblemCode::NotFinite => wording!(
            "Look at the named rows, or use a lower learning rate; --overwrite then starts over.",
            "请查看所列的数据，或使用更低的学习率；随后用 --overwrite 重新开始。"
        ),
        _ => return problem,
    };
    Problem { hints: vec![hint], ..problem }
}

/// Writes events to the run's log and shows them.
struct Log<'a> {
    events: EventLog,
    progress: &'a Progress,
    /// The step at which the person ended the run.
    ended: Option<u64>,
}

impl Observer for Log<'_> {
    fn observe(&mut self, kind: EventKind) -> Result<(), Problem> {
        self.events.observe(kind.clone())?;
        if let EventKind::Paused { step } = &kind {
            self.ended = Some(*step);
        }
        self.progress.show(&kind)
    }
}
