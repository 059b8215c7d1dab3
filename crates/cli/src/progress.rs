//! Progress of a run: a bar in a terminal, occasional lines in a file, one event per line with `--json`.

use crate::commands::experiments::duration;
use crate::output;
use alidade_domain::{EventKind, Phase, Plan, Problem};
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
        let mut text = format!("{} · {steps} steps · {rows} rows", plan.method.as_str());
        for (count, what) in [(truncated, "cut"), (skipped, "left out")] {
            if count > 0 {
                text += &format!(", {count} {what}");
            }
        }
        self.line(&format!("{text} · seed {}", plan.seed));
        match start {
            Start::Fresh => {}
            Start::Resume { step } => self.line(&format!("Resuming from step {step} of {steps}.")),
            Start::Finish => self.line("All steps are already done; only the work after them is left."),
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
            output::event(&serde_json::to_value(kind).map_err(|error| Problem::internal(error.to_string()))?);
        }
        match kind {
            EventKind::Warning { message, .. } => self.line(&format!("note: {message}")),
            EventKind::Stage { phase } => self.phase(*phase),
            EventKind::Step { step, total, metrics, tokens_per_second, seconds_left } => {
                let loss = metrics.get("loss").copied().unwrap_or(f64::NAN);
                let left = duration(*seconds_left);
                let words = format!("loss {loss:.4} · {tokens_per_second:.0} tokens/s · {left} left");
                match &self.bar {
                    Some(bar) => {
                        bar.set_length(*total);
                        bar.set_position(*step);
                        bar.set_message(words);
                    }
                    None if !self.json && self.due(*step, *total) => {
                        self.line(&format!("step {step} of {total} · {words}"));
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
            Phase::Preparing => "preparing rows and model",
            Phase::Training => "training",
            Phase::Saving => "saving",
            Phase::Evaluating => "comparing before and after",
            Phase::Building => "building rows",
            Phase::Fetching => "fetching",
            Phase::Exporting => "exporting",
        };
        match &self.bar {
            Some(bar) => bar.set_message(name),
            None if !self.json => output::note(&format!("{name} …")),
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

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::note(text)),
            None => output::note(text),
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::no_length();
    let style = ProgressStyle::with_template("{bar:30} step {pos} of {len} · {msg}");
    style.map_or(bar.clone(), |style| bar.with_style(style))
}
