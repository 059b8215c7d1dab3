//! Unresponsive workers: a worker that was asked to end, and neither ends nor takes another step, is killed; otherwise a run
//! that hangs would block all others. Its last checkpoint stays.

use crate::runs::queue::{QueueState, Working};
use crate::studio::{Studio, now_ms};
use alidade_domain::{EventKind, Problem, wording};
use alidade_jobs::files::control::pending_request;
use alidade_jobs::machine::end_process;
use alidade_store::RunRecord;
use std::time::{Duration, Instant};

/// How long a worker has to react to a request.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// A worker reacts between steps, so a run with long steps is given this many of its usual steps.
const STEPS: u32 = 3;

impl Studio {
    /// Kills the worker of a run that has not reacted to a request in time. `ours` is the process, if this program started
    /// it.
    ///
    /// # Errors
    /// When the event about it cannot be written; the worker is killed in any case.
    pub(crate) fn end_if_unresponsive(
        &self,
        queue: &mut QueueState,
        run: &RunRecord,
        ours: Option<&mut Working>,
    ) -> Result<(), Problem> {
        let folder = self.run_folder(&run.id);
        if pending_request(&folder).is_none() {
            queue.requested.remove(&run.id);
            return Ok(());
        }
        let since = *queue.requested.entry(run.id.clone()).or_insert_with(Instant::now);
        let patience = queue.patience.max(usual_step(run) * STEPS);
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
        queue.requested.remove(&run.id);
        let message = wording!(
            "The run's process did not react for {seconds} seconds after it was asked to end, so it was killed. Its last checkpoint is kept.",
            "运行的进程在收到结束请求后 {seconds} 秒没有反应，已被强制终止。最后一个检查点予以保留。",
            seconds = PATIENCE.as_secs()
        );
        self.append_event(run, EventKind::Warning { code: "worker_unresponsive".to_owned(), message }).map(drop)
    }

    /// The latest process of the run.
    pub(crate) fn pid_of(&self, run: &RunRecord) -> Result<Option<u32>, Problem> {
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

/// Average time of a step of the run.
fn usual_step(run: &RunRecord) -> Duration {
    Duration::from_millis(run.worked_ms.checked_div(run.step).unwrap_or(0))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::after_power_cut::at_work;
    use crate::testing::{House, import, queued};
    use alidade_domain::{RunState, StopReason};
    use std::process::Command;

    /// A running run whose process only sleeps, and the state of the queue.
    fn hanging(house: &House, studio: &Studio, request: Option<StopReason>) -> (RunRecord, QueueState) {
        let run = queued(studio, "a", &import(studio).id, 1);
        at_work(house, studio, &run);
        if let Some(request) = request {
            crate::write_request(&house.run_folder("a"), request).unwrap();
        }
        let process = Command::new("sleep").arg("600").spawn().unwrap();
        (run, QueueState::with_worker("a", process))
    }

    #[test]
    fn a_worker_that_does_not_answer_is_ended_and_its_run_can_go_on() {
        for (request, expected) in
            [(StopReason::StopAndSave, RunState::Interrupted), (StopReason::Pause, RunState::Paused)]
        {
            let house = House::new();
            let studio = house.open();
            let (_, mut queue) = hanging(&house, &studio, Some(request));
            // Its steps took a second each, and it is given three of them; the last one was told just now.
            queue.patience = Duration::ZERO;
            let begun = Instant::now();
            while studio.store.run("a").unwrap().state == RunState::Running {
                assert!(begun.elapsed() < Duration::from_secs(60), "the worker was not ended");
                studio.round(&mut queue).unwrap();
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
        let (_, mut queue) = hanging(&house, &studio, None);
        queue.patience = Duration::ZERO;
        for _ in 0..20 {
            studio.round(&mut queue).unwrap();
        }
        assert_eq!(studio.store.run("a").unwrap().state, RunState::Running);
        assert!(queue.end_worker());
    }
}
