//! Progress of a run: a bar in a terminal, occasional lines in a file, one event per line with `--json`.

use crate::commands::experiments::duration;
use crate::language::said;
use crate::output;
use alidade_domain::{EventKind, Phase, Plan, Problem, Wording, Words, wording};
use alidade_studio::{Outline, Start};
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::Cell;
use std::io::IsTerminal;

/// Number of progress lines of a run when output goes to a file.
const LINES: u64 = 10;

/// Shows events.
pub struct Progress {
    json: bool,
    bar: Option<ProgressBar>,
    /// The last step with a progress line.
    told: Cell<u64>,
}

impl Progress {
    /// A bar or lines on standard error, or JSON on standard output.
    pub fn new(json: bool) -> Self {
        let bar = (!json && std::io::stderr().is_terminal()).then(bar);
        Self { json, bar, told: Cell::new(0) }
    }

    /// Announces the run.
    pub fn begin(&self, plan: &Plan, outline: &Outline, start: Start) {
        if self.json {
            return;
        }
        let Outline { steps, rows, skipped, truncated } = *outline;
        let cut = (truncated > 0).then(|| wording!(", {truncated} cut", "，截断 {truncated} 条"));
        let left = (skipped > 0).then(|| wording!(", {skipped} left out", "，略去 {skipped} 条"));
        self.line(wording!(
            "{method} · {steps} steps · {rows} rows{cut}{left} · seed {seed}",
            "{method} · {steps} 步 · {rows} 条{cut}{left} · 种子 {seed}";
            cut = cut.unwrap_or_default(), left = left.unwrap_or_default(); method = plan.method.as_str(), seed = plan.seed
        ));
        match start {
            Start::Fresh => {}
            Start::Resume { step } => {
                self.line(wording!("Resuming from step {step} of {steps}.", "从第 {step} 步继续，共 {steps} 步。"))
            }
            Start::Finish => self.line(wording!(
                "All steps are already done; only the work after them is left.",
                "所有步骤已完成，只剩其后的工作。"
            )),
        }
        if let Some(bar) = &self.bar {
            bar.set_length(steps);
        }
    }

    /// Shows an event.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn show(&self, kind: &EventKind) -> Result<(), Problem> {
        if self.json {
            output::event(
                &serde_json::to_value(kind).map_err(|error| Problem::internal(Wording::name(error.to_string())))?,
            );
        }
        match kind {
            EventKind::Warning { message, .. } => self.line(output::remarked(message)),
            EventKind::Stage { phase } => self.phase(*phase),
            EventKind::Step { step, total, metrics, tokens_per_second, seconds_left } => {
                let loss = metrics.get("loss").copied().unwrap_or(f64::NAN);
                let words = wording!(
                    "loss {loss:.4} · {tokens_per_second:.0} tokens/s · {left} left",
                    "loss {loss:.4} · 每秒 {tokens_per_second:.0} 词元 · 还需 {left}";
                    left = duration(*seconds_left)
                );
                match &self.bar {
                    Some(bar) => {
                        bar.set_length(*total);
                        bar.set_position(*step);
                        bar.set_message(said(words));
                    }
                    None if !self.json && self.due(*step, *total) => {
                        self.line(wording!(
                            "step {step} of {total} · {words}",
                            "第 {step} 步，共 {total} 步 · {words}";
                            words = words
                        ));
                    }
                    None => {}
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Names the phase: beside the bar, or on a line where there is none.
    fn phase(&self, phase: Phase) {
        let name = match phase {
            Phase::Preparing => Words::new("preparing rows and model", "准备数据和模型"),
            Phase::Training => Words::new("training", "训练"),
            Phase::Saving => Words::new("saving", "保存"),
            Phase::Evaluating => Words::new("comparing before and after", "比较前后"),
            Phase::Building => Words::new("building rows", "构建数据"),
            Phase::Fetching => Words::new("fetching", "获取"),
            Phase::Exporting => Words::new("exporting", "导出"),
        };
        match &self.bar {
            Some(bar) => bar.set_message(said(name)),
            None if !self.json => output::note(wording!("{name} …", "{name}中……"; name = name)),
            None => {}
        }
    }

    /// Removes the bar, so that further output begins on a line of its own.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn due(&self, step: u64, total: u64) -> bool {
        let due = step == total || step.saturating_sub(self.told.get()) >= total.div_ceil(LINES);
        if due {
            self.told.set(step);
        }
        due
    }

    fn line(&self, text: impl Into<Wording>) {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::note(text)),
            None => output::note(text),
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::no_length();
    let style = ProgressStyle::with_template(&said(Words::new(
        "{bar:30} step {pos} of {len} · {msg}",
        "{bar:30} 第 {pos} 步，共 {len} 步 · {msg}",
    )));
    style.map_or(bar.clone(), |style| bar.with_style(style))
}
