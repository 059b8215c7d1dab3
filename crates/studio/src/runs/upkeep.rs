//! What becomes of a run while it is open: its events are taken in, its worker's death is told, and words are added for it
//! where no worker lives to say them.

use crate::EventLog;
use crate::home::restrict;
use crate::runs::queue::{Tending, Working};
use crate::studio::{Studio, lock};
use alidade_domain::{Artifact, EventKind, Observer, Problem, ProblemCode, RunEvent, RunState, StopReason};
use alidade_jobs::files::control::request_of;
use alidade_jobs::files::durable::create_folder;
use alidade_jobs::files::event_log::{read_some_events, sync_events};
use alidade_store::RunRecord;
use std::path::Path;
use std::time::Instant;

/// Characters of a worker's last words that are shown.
const LAST_WORDS: usize = 600;

impl Studio {
    /// Takes in what the worker told, and settles the run when it is gone. `ended` is our worker of this run, when it has
    /// just ended.
    pub(crate) fn attend(
        &self,
        tending: &mut Tending,
        run: &RunRecord,
        alive: bool,
        ended: Option<&mut Working>,
    ) -> Result<(), Problem> {
        let was = run.last_sequence;
        let run = match self.take_in(run) {
            Err(_) if !alive => {
                let mended = self.mend_events(&run.id)?;
                self.take_in(&mended)?
            }
            other => other?,
        };
        let settled = if alive || run.state.is_settled() { run } else { self.without_worker(run, ended)? };
        if settled.last_sequence > was && settled.state.is_settled() {
            self.want_backup();
            restrict(&self.run_folder(&settled.id), true);
            if let Err(problem) = self.keep_results(&settled, true) {
                tending.unkept.insert(settled.id.clone(), Instant::now());
                return Err(problem);
            }
        }
        Ok(())
    }

    /// A queued run waits; one that was at work has lost its worker, and one whose worker has said nothing never began.
    fn without_worker(&self, run: RunRecord, ended: Option<&mut Working>) -> Result<RunRecord, Problem> {
        let folder = self.run_folder(&run.id);
        if run.state == RunState::Running {
            let starved = ended.is_some_and(Working::ran_out_of_memory);
            return self.tell_of_death(&run, &folder, starved);
        }
        match ended {
            Some(ended) if ended.from_sequence == run.last_sequence => {
                let message = format!("The worker ended before the run began. {}", last_words(&folder));
                self.tell(&run, EventKind::Failed { problem: Problem::new(ProblemCode::WorkerLost, message) })
            }
            _ => Ok(run),
        }
    }

    fn tell_of_death(&self, run: &RunRecord, folder: &Path, starved: bool) -> Result<RunRecord, Problem> {
        let warn = |code: &str, message: String| {
            self.tell(run, EventKind::Warning { code: code.to_owned(), message }).map(drop)
        };
        // A wish that the worker did not live to see still stands.
        let wish = request_of(folder);
        if self.fault_of(&run.id).is_some_and(|fault| fault.code == ProblemCode::DiskFull) {
            let message = "There was no room left on the disk. Free some disk space and resume.";
            warn("disk_full", message.to_owned())?;
        }
        if starved {
            let message = "The system ended the run because memory ran out. Close other programs, or use a smaller batch \
                           or max_length, and resume.";
            warn("out_of_memory", message.to_owned())?;
        } else if let words = last_words(folder)
            && !words.is_empty()
        {
            warn("last_words", format!("The run's process ended with this output: {words}"))?;
        }
        let run = self.store.run(&run.id)?;
        if run.state != RunState::Running {
            return Ok(run);
        }
        let step = self.last_whole_checkpoint(&run.id)?;
        self.tell(
            &run,
            match wish {
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

    /// Stores what a run's worker has told since the last time. What is stored is on the disk in the run's folder, so that
    /// the database never knows more than the files.
    pub(crate) fn take_in(&self, run: &RunRecord) -> Result<RunRecord, Problem> {
        let folder = self.run_folder(&run.id);
        let mut run = run.clone();
        loop {
            let (events, offset) = read_some_events(&folder, run.offset)?;
            if events.is_empty() {
                return Ok(run);
            }
            sync_events(&folder)?;
            self.keep_told_adapter(&run, &events);
            run = self.store.take_events(&run.id, &events, offset)?;
            if run.state == RunState::Discarded {
                // Checkpoints of a discarded run are never read again; a leftover costs only room.
                let _ = std::fs::remove_dir_all(folder.join("checkpoints"));
            }
        }
    }

    /// An adapter is known before the word that its run has ended: whoever reads that may ask for it at once.
    fn keep_told_adapter(&self, run: &RunRecord, events: &[RunEvent]) {
        for event in events {
            let (EventKind::Finished { artifacts, .. } | EventKind::Stopped { artifacts, .. }) = &event.kind else {
                continue;
            };
            // What fails here is met again when all results are kept.
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
    pub(crate) fn tell(&self, run: &RunRecord, kind: EventKind) -> Result<RunRecord, Problem> {
        let folder = self.run_folder(&run.id);
        create_folder(&folder)?;
        let _held = lock(&self.telling);
        let run = self.mend_while_held(&run.id)?;
        EventLog::open(&folder, &run.id)?.observe(kind)?;
        self.take_in(&run)
    }
}

fn last_words(folder: &Path) -> String {
    let text = std::fs::read(folder.join("worker.log")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let start = text.char_indices().rev().nth(LAST_WORDS).map_or(0, |(place, _)| place);
    text[start..].trim().to_owned()
}
