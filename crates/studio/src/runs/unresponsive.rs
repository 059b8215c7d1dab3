//! Unresponsive workers: one that was asked to end, and neither ends nor takes another step, is killed, or a run that hangs
//! would keep every other run waiting. Its last checkpoint stays.

use crate::runs::queue::{Tending, Working};
use crate::studio::{Studio, now_ms};
use alidade_domain::{EventKind, Problem};
use alidade_jobs::files::control::request_of;
use alidade_jobs::machine::end_process;
use alidade_store::RunRecord;
use std::time::{Duration, Instant};

/// How long a worker has to answer a wish.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// A worker answers between steps, so a run with longer ones is given so many of its usual steps.
const STEPS: u32 = 3;

impl Studio {
    /// Ends the worker of a run that has not answered a wish in time. `ours` is the process, where this program started it.
    ///
    /// # Errors
    /// When the word about it cannot be written; the worker is ended all the same.
    pub(crate) fn end_if_unresponsive(
        &self,
        tending: &mut Tending,
        run: &RunRecord,
        ours: Option<&mut Working>,
    ) -> Result<(), Problem> {
        let folder = self.run_folder(&run.id);
        if request_of(&folder).is_none() {
            tending.requested.remove(&run.id);
            return Ok(());
        }
        let since = *tending.requested.entry(run.id.clone()).or_insert_with(Instant::now);
        let patience = tending.patience.max(usual_step(run) * STEPS);
        let silent = Duration::from_millis(now_ms().saturating_sub(run.last_ms));
        if since.elapsed() < patience || silent < patience {
            return Ok(());
        }
        let ended = match ours {
            Some(working) => working.end(),
            None => self.pid_of(run)?.is_some_and(|pid| end_process(pid, &folder)),
        };
        if !ended {
            return Ok(());
        }
        tending.requested.remove(&run.id);
        let message = format!(
            "The run's process did not answer for {} seconds after it was asked to end, so it was ended. What its last checkpoint \
             holds is kept.",
            patience.as_secs()
        );
        self.tell(run, EventKind::Warning { code: "worker_unresponsive".to_owned(), message }).map(drop)
    }

    /// The process that took the run up last.
    fn pid_of(&self, run: &RunRecord) -> Result<Option<u32>, Problem> {
        let (mut found, mut after) = (None, 0);
        loop {
            let page = self.store.events_after(&run.id, after)?;
            for event in &page.events {
                if let EventKind::Started { pid, .. } = &event.kind {
                    found = Some(*pid);
                }
            }
            if !page.more {
                return Ok(found);
            }
            after = page.last;
        }
    }
}

/// Time that a step of the run has taken on average.
fn usual_step(run: &RunRecord) -> Duration {
    Duration::from_millis(run.worked_ms.checked_div(run.step).unwrap_or(0))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::after_a_cut::{House, at_work, import, queued};
    use alidade_domain::{RunState, StopReason};
    use std::process::Command;

    /// A run at work whose process does nothing but wait, and what the queue remembers of it.
    fn hanging(house: &House, studio: &Studio, wish: Option<StopReason>) -> (RunRecord, Tending) {
        let run = queued(studio, "a", &import(studio).id, 1);
        at_work(house, studio, &run);
        if let Some(wish) = wish {
            crate::write_request(&house.run_folder("a"), wish).unwrap();
        }
        let process = Command::new("sleep").arg("600").spawn().unwrap();
        (run, Tending::with_worker("a", process))
    }

    #[test]
    fn a_worker_that_does_not_answer_is_ended_and_its_run_can_go_on() {
        for (wish, expected) in
            [(StopReason::StopAndSave, RunState::Interrupted), (StopReason::Pause, RunState::Paused)]
        {
            let house = House::new();
            let studio = house.open();
            let (_, mut tending) = hanging(&house, &studio, Some(wish));
            // Its steps took a second each, and it is given three of them; the last one was told just now.
            tending.patience = Duration::ZERO;
            let begun = Instant::now();
            while studio.store.run("a").unwrap().state == RunState::Running {
                assert!(begun.elapsed() < Duration::from_secs(60), "the worker was not ended");
                studio.round(&mut tending).unwrap();
                std::thread::sleep(Duration::from_millis(50));
            }
            let run = studio.store.run("a").unwrap();
            assert_eq!((run.state, run.state.can_resume()), (expected, true));
            let events = studio.store.events_after("a", 0).unwrap().events;
            let told = |event: &alidade_domain::RunEvent| matches!(&event.kind, EventKind::Warning { code, .. } if code == "worker_unresponsive");
            assert_eq!(events.iter().filter(|event| told(event)).count(), 1);
        }
    }

    #[test]
    fn a_worker_that_nobody_asked_is_left_alone() {
        let house = House::new();
        let studio = house.open();
        let (_, mut tending) = hanging(&house, &studio, None);
        tending.patience = Duration::ZERO;
        for _ in 0..20 {
            studio.round(&mut tending).unwrap();
        }
        assert_eq!(studio.store.run("a").unwrap().state, RunState::Running);
        assert!(tending.end_worker());
    }
}
