//! Updates a run while it is open: copies its events into the database, records the death of its worker, and adds events on
//! behalf of a run without a worker.

use crate::EventLog;
use crate::home::restrict;
use crate::runs::queue::{QueueState, Working};
use crate::studio::{Studio, lock};
use alidade_domain::{
    Artifact, EventKind, Observer, Problem, ProblemCode, RunEvent, RunState, StopReason, Wording, wording,
};
use alidade_jobs::files::control::pending_request;
use alidade_jobs::files::durable::create_folder;
use alidade_jobs::files::event_log::{read_some_events, sync_events};
use alidade_store::RunRecord;
use std::path::Path;
use std::time::Instant;

/// Characters of a worker's last output that are shown.
const LAST_WORDS: usize = 600;

impl Studio {
    /// Copies the events of the worker, and settles the run if the worker is gone. `ended` is our worker of this run, if it
    /// has just ended.
    pub(crate) fn update_run(
        &self,
        queue: &mut QueueState,
        run: &RunRecord,
        alive: bool,
        ended: Option<&mut Working>,
    ) -> Result<(), Problem> {
        let was = run.last_sequence;
        let run = match self.ingest_events(run) {
            Err(_) if !alive => {
                let repaired = self.repair_events(&run.id)?;
                self.ingest_events(&repaired)?
            }
            other => other?,
        };
        let settled = if alive || run.state.is_settled() { run } else { self.without_worker(run, ended)? };
        if settled.last_sequence > was && settled.state.is_settled() {
            self.want_backup();
            restrict(&self.run_folder(&settled.id), true);
            if let Err(problem) = self.keep_results(&settled, true) {
                queue.unsaved.insert(settled.id.clone(), Instant::now());
                return Err(problem);
            }
        }
        Ok(())
    }

    /// A queued run waits; a running one has lost its worker, and one whose worker wrote no event never began.
    fn without_worker(&self, run: RunRecord, ended: Option<&mut Working>) -> Result<RunRecord, Problem> {
        let folder = self.run_folder(&run.id);
        if run.state == RunState::Running {
            let starved = ended.is_some_and(Working::ran_out_of_memory);
            return self.record_worker_death(&run, &folder, starved);
        }
        match ended {
            Some(ended) if ended.from_sequence == run.last_sequence => {
                let message = wording!(
                    "The worker ended before the run began. {words}",
                    "工作进程在运行开始之前结束。{words}",
                    words = last_words(&folder)
                );
                self.append_event(&run, EventKind::Failed { problem: Problem::new(ProblemCode::WorkerLost, message) })
            }
            _ => Ok(run),
        }
    }

    fn record_worker_death(&self, run: &RunRecord, folder: &Path, starved: bool) -> Result<RunRecord, Problem> {
        let warn = |code: &str, message: Wording| {
            self.append_event(run, EventKind::Warning { code: code.to_owned(), message }).map(drop)
        };
        // A request that the worker did not see is still pending.
        let request = pending_request(folder);
        if self.fault_of(&run.id).is_some_and(|fault| fault.code == ProblemCode::DiskFull) {
            let message = wording!(
                "There was no room left on the disk. Free some disk space and resume.",
                "磁盘空间不足。请腾出一些磁盘空间后继续。"
            );
            warn("disk_full", message)?;
        }
        if starved {
            let message = wording!(
                "The system ended the run because memory ran out. Close other programs, or use a smaller batch or max_length, and resume.",
                "内存耗尽，系统终止了运行。请关闭其他程序，或使用更小的批次或 max_length，然后继续。"
            );
            warn("out_of_memory", message)?;
        } else if let words = last_words(folder)
            && !words.is_empty()
        {
            warn(
                "last_words",
                wording!("The run's process ended with this output: {words}", "运行的进程结束前的输出：{words}"),
            )?;
        }
        let run = self.store.run(&run.id)?;
        if run.state != RunState::Running {
            return Ok(run);
        }
        let step = self.last_whole_checkpoint(&run.id)?;
        self.append_event(
            &run,
            match request {
                Some(StopReason::Discard) => EventKind::Discarded,
                Some(StopReason::Pause) => EventKind::Paused { step },
                _ => EventKind::Interrupted { step },
            },
        )
    }

    /// The step of the newest checkpoint whose folder is still there; 0 when there is none.
    fn last_whole_checkpoint(&self, run: &str) -> Result<u64, Problem> {
        let step = self.store.last_checkpoint(run)?;
        let there = self.run_folder(run).join("checkpoints").is_dir();
        Ok(if there { step } else { 0 })
    }

    /// Copies new events of a run's worker into the database. They are synced in the run's folder first, so that the
    /// database never knows more than the files.
    pub(crate) fn ingest_events(&self, run: &RunRecord) -> Result<RunRecord, Problem> {
        let folder = self.run_folder(&run.id);
        let mut run = run.clone();
        loop {
            let (events, offset) = read_some_events(&folder, run.offset)?;
            if events.is_empty() {
                return Ok(run);
            }
            sync_events(&folder)?;
            self.keep_reported_results(&run, &events);
            run = self.store.take_events(&run.id, &events, offset)?;
            if run.state == RunState::Discarded {
                // Checkpoints of a discarded run are never read again; a leftover only costs disk space.
                let _ = std::fs::remove_dir_all(folder.join("checkpoints"));
            }
        }
    }

    /// Saves results before the event that ends the run: whoever reads that event may use them at once.
    fn keep_reported_results(&self, run: &RunRecord, events: &[RunEvent]) {
        for event in events {
            let (EventKind::Finished { artifacts, .. } | EventKind::Stopped { artifacts, .. }) = &event.kind else {
                continue;
            };
            // What fails here is tried again when all results are saved.
            if let Some(sha256) = artifacts.iter().find_map(Artifact::adapter_sha256) {
                let _ = self.keep_adapter(run, sha256);
            }
            let _ = self.keep_made(run, artifacts, true);
        }
    }

    /// Adds an event on behalf of a run that has no worker.
    ///
    /// # Errors
    /// When it has one, or the event cannot be written.
    pub(crate) fn append_event(&self, run: &RunRecord, kind: EventKind) -> Result<RunRecord, Problem> {
        let folder = self.run_folder(&run.id);
        create_folder(&folder)?;
        let _held = lock(&self.event_writes);
        let run = self.repair_while_locked(&run.id)?;
        EventLog::open(&folder, &run.id)?.observe(kind)?;
        self.ingest_events(&run)
    }
}

fn last_words(folder: &Path) -> String {
    let text = std::fs::read(folder.join("worker.log")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let start = text.char_indices().rev().nth(LAST_WORDS).map_or(0, |(place, _)| place);
    text[start..].trim().to_owned()
}
