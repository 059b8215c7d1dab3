//! Runs as shown to people, and requests to pause, stop, discard and resume them.

#[cfg(test)]
pub(crate) mod after_power_cut;
pub(crate) mod artifacts;
pub(crate) mod inputs;
pub(crate) mod queue;
pub(crate) mod repair;
pub(crate) mod results;
pub(crate) mod unresponsive;
pub(crate) mod upkeep;

use crate::home::faults::RUNS;
use crate::studio::Studio;
use crate::views::{RunView, without_samples};
use alidade_domain::{AdapterRef, EventKind, Problem, ProblemCode, RunState, StopReason, Words, wording};
use alidade_jobs::files::control;
use alidade_jobs::worker::is_alive;
use alidade_store::{EventPage, RunRecord};

impl Studio {
    /// All runs, newest first, without samples and rows, which a list does not show.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn list_runs(&self) -> Result<Vec<RunView>, Problem> {
        let runs = self.store.runs()?;
        let mut views: Vec<RunView> = runs.iter().filter_map(|run| self.run_view(run).ok()).collect();
        views.iter_mut().flat_map(|run| &mut run.evaluations).for_each(without_samples);
        let hidden = runs.len() - views.len();
        let message = wording!(
            "{hidden} runs are left out of the lists: their experiments cannot be read.",
            "{hidden} 次运行未列出：无法读取它们的实验。"
        );
        self.note(RUNS, (hidden > 0).then(|| Problem::internal(message)));
        Ok(views)
    }

    /// One run.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn get_run(&self, id: &str) -> Result<RunView, Problem> {
        self.run_view(&self.store.run(id)?)
    }

    /// The stored events of a run after a number, and whether more may follow.
    ///
    /// # Errors
    /// When there is no such run.
    pub fn events_after(&self, id: &str, sequence: u64) -> Result<(EventPage, bool), Problem> {
        // The state is read first, so that an event that settles the run between the two reads is not missed.
        let open = !self.store.run(id)?.state.is_settled();
        Ok((self.store.events_after(id, sequence)?, open))
    }

    /// A figure of a run by step, as (step, value).
    ///
    /// # Errors
    /// When there is no such run.
    pub fn run_metric(&self, id: &str, name: &str) -> Result<Vec<(f64, f64)>, Problem> {
        self.store.run(id)?;
        Ok(self.store.metric(id, name)?)
    }

    /// Ends a run so that it can be resumed later.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn pause_run(&self, id: &str) -> Result<RunView, Problem> {
        self.request(id, StopReason::Pause)
    }

    /// Ends a run now with a usable adapter.
    ///
    /// # Errors
    /// When it is not running.
    pub fn stop_run(&self, id: &str) -> Result<RunView, Problem> {
        self.request(id, StopReason::StopAndSave)
    }

    /// Discards a run, and the stages that wait for it.
    ///
    /// # Errors
    /// When it has an adapter already.
    pub fn discard_run(&self, id: &str) -> Result<RunView, Problem> {
        self.request(id, StopReason::Discard)
    }

    /// Queues a paused, interrupted or failed run again; it resumes from its newest checkpoint.
    ///
    /// # Errors
    /// When it cannot be resumed.
    pub fn resume_run(&self, id: &str) -> Result<RunView, Problem> {
        let run = self.store.run(id)?;
        if !run.state.can_resume() {
            return Err(conflict(&run, Words::new("cannot be resumed", "不能继续")));
        }
        self.append_event(&run, EventKind::Queued)?;
        self.wake.call();
        self.get_run(id)
    }

    pub(crate) fn request(&self, id: &str, reason: StopReason) -> Result<RunView, Problem> {
        let run = self.store.run(id)?;
        let folder = self.run_folder(id);
        match (run.state, reason) {
            (RunState::Finished | RunState::Stopped | RunState::Discarded, _) => {
                return Err(conflict(&run, Words::new("has ended", "已经结束")));
            }
            (RunState::Running, _) => control::write_request(&folder, reason)?,
            (RunState::Queued, _) if is_alive(&folder) => control::write_request(&folder, reason)?,
            (RunState::Queued, StopReason::Pause) => {
                drop(self.append_event(&run, EventKind::Paused { step: run.step })?)
            }
            (_, StopReason::Discard) => self.discard_settled(&run)?,
            _ => {
                return Err(conflict(&run, Words::new("is not running", "没有在运行"))
                    .hint(wording!("Resume it first.", "请先继续它。")));
            }
        }
        self.get_run(id)
    }

    fn discard_settled(&self, run: &RunRecord) -> Result<(), Problem> {
        self.append_event(run, EventKind::Discarded)?;
        let runs = self.store.runs_of(&run.experiment)?;
        for later in runs.iter().filter(|later| later.stage > run.stage && later.state == RunState::Queued) {
            self.append_event(later, EventKind::Discarded)?;
        }
        Ok(())
    }

    pub(crate) fn run_view(&self, run: &RunRecord) -> Result<RunView, Problem> {
        let experiment = self.store.experiment(&run.experiment)?;
        let adapter = run.adapter_sha256.as_ref().map(|sha256| AdapterRef {
            id: run.id.clone(),
            name: self.adapter_name(&experiment, run.stage),
            sha256: sha256.clone(),
        });
        Ok(RunView {
            id: run.id.clone(),
            experiment: run.experiment.clone(),
            experiment_title: experiment.title,
            stage: run.stage,
            method: run.work.method().cloned(),
            state: run.state,
            phase: run.phase,
            step: run.step,
            total_steps: run.total_steps,
            seconds: run.worked_ms as f64 / 1000.0,
            metrics: run.metrics.clone(),
            flagged: self.is_flagged(run),
            adapter,
            artifacts: run.artifacts.clone(),
            evaluations: self.evaluations_of(run),
            problem: run.problem.clone().or_else(|| self.fault_of(&run.id)),
            work: run.work.clone(),
            estimate: run.estimate.clone(),
            memory_bytes: run.memory_bytes,
            last_sequence: run.last_sequence,
        })
    }
}

fn conflict(run: &RunRecord, what: Words) -> Problem {
    let state = run.state.words();
    Problem::new(
        ProblemCode::Conflict,
        wording!("This run {what}: it is {state}.", "这次运行{what}：它的状态是{state}。"; what, state),
    )
}
