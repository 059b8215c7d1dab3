//! The queue: one worker process at a time, started, watched and listened to. The workers outlive this program; what they
//! wrote while nobody listened is taken in at the next start.

use crate::machine::memory_kills;
use crate::studio::{Studio, lock};
use crate::worker::is_alive;
use crate::{EventLog, planning, read_events, read_snapshot};
use alidade_domain::{AdapterRef, EventKind, Observer, Problem, ProblemCode, RunState};
use alidade_store::{AdapterRecord, RunRecord, VerdictRecord};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often the queue looks around.
const ROUND: Duration = Duration::from_millis(100);
/// Bytes of a worker's last words that are shown.
const LAST_WORDS: usize = 600;

/// A worker that this program started.
struct Working {
    run: String,
    process: Child,
    /// The last event of the run before it began; a worker that adds none has died at birth.
    from_sequence: u64,
    /// Programs that the system had ended for want of memory by then.
    memory_kills: u64,
}

impl Working {
    /// True when it was killed, and the system says that it has killed for want of memory since it began.
    fn ran_out_of_memory(&mut self) -> bool {
        let status = self.process.try_wait().ok().flatten();
        #[cfg(unix)]
        let killed = status.and_then(|status| std::os::unix::process::ExitStatusExt::signal(&status)) == Some(9);
        #[cfg(not(unix))]
        let killed = status.is_some_and(|status| !status.success());
        killed && memory_kills() > self.memory_kills
    }
}

/// Tends the queue in the background as long as the studio lives. Of several programs on one data folder, one does.
pub fn tend_in_background(studio: &Arc<Studio>) {
    let weak = Arc::downgrade(studio);
    std::thread::spawn(move || tend(&weak));
}

fn tend(studio: &Weak<Studio>) {
    let Some(lock_file) =
        studio.upgrade().and_then(|studio| File::create(studio.configuration.home.join("queue.lock")).ok())
    else {
        return;
    };
    let mut working: Option<Working> = None;
    let mut ours = false;
    while let Some(studio) = studio.upgrade() {
        ours = ours || lock_file.try_lock().is_ok();
        if ours {
            // A fault of one round (a busy database, a full disk) is met again in the next.
            let _ = studio.round(&mut working);
        }
        drop(studio);
        std::thread::sleep(ROUND);
    }
}

impl Studio {
    fn round(&self, working: &mut Option<Working>) -> Result<(), Problem> {
        let exited = working.as_mut().is_some_and(|working| !matches!(working.process.try_wait(), Ok(None)));
        let mut ended = if exited { working.take() } else { None };
        let open = self.store.unsettled_runs()?;
        let mut busy = working.is_some();
        for run in &open {
            let folder = self.run_folder(&run.id);
            // Asked before the events are read: a worker that ends in between has then told everything.
            let alive = is_alive(&folder) || working.as_ref().is_some_and(|working| working.run == run.id);
            let run = self.take_in(run)?;
            busy = busy || alive;
            if !alive && run.state == RunState::Running {
                let step = self.store.last_checkpoint(&run.id)?;
                if ended.as_mut().is_some_and(|ended| ended.run == run.id && ended.ran_out_of_memory()) {
                    let message = "The system ended the run because memory ran out. Close other programs, or use a smaller \
                                   batch or max_length, and resume.";
                    self.tell(
                        &run,
                        EventKind::Warning { code: "out_of_memory".to_owned(), message: message.to_owned() },
                    )?;
                }
                self.tell(&run, EventKind::Interrupted { step })?;
            }
            if ended.as_ref().is_some_and(|ended| ended.run == run.id && ended.from_sequence == run.last_sequence) {
                let message = format!("The run ended before it began. {}", last_words(&folder));
                self.tell(&run, EventKind::Failed { problem: Problem::new(ProblemCode::WorkerLost, message) })?;
            }
        }
        if !open.is_empty() && !busy {
            self.discard_orphans()?;
            *working = self.start_next()?;
        }
        Ok(())
    }

    /// Stages that wait for a stage that was thrown away are thrown away with it.
    fn discard_orphans(&self) -> Result<(), Problem> {
        let runs = self.store.runs()?;
        for run in runs.iter().filter(|run| run.state == RunState::Queued && run.stage > 0) {
            let before =
                || runs.iter().filter(|other| other.experiment == run.experiment && other.stage + 1 == run.stage);
            if before().next().is_some() && before().all(|other| other.state == RunState::Discarded) {
                self.tell(run, EventKind::Discarded)?;
            }
        }
        Ok(())
    }

    fn start_next(&self) -> Result<Option<Working>, Problem> {
        let mut runs = self.store.runs()?;
        runs.reverse();
        let done = |other: &RunRecord| matches!(other.state, RunState::Finished | RunState::Stopped);
        let ready = |run: &&RunRecord| {
            let before = |stage| {
                runs.iter().any(|other| other.experiment == run.experiment && other.stage == stage && done(other))
            };
            run.state == RunState::Queued && (0..run.stage).all(before)
        };
        let Some(run) = runs.iter().find(ready) else { return Ok(None) };
        match self.start(run) {
            Ok(process) => {
                let (run, from_sequence) = (run.id.clone(), run.last_sequence);
                Ok(Some(Working { run, process, from_sequence, memory_kills: memory_kills() }))
            }
            Err(problem) => {
                self.tell(run, EventKind::Failed { problem })?;
                Ok(None)
            }
        }
    }

    fn start(&self, run: &RunRecord) -> Result<Child, Problem> {
        self.vet_run(run)?;
        self.prepare_run(run)?;
        let folder = self.run_folder(&run.id);
        let failed = |error: std::io::Error| Problem::internal(format!("Starting the worker failed: {error}."));
        let words = File::create(folder.join("worker.log")).map_err(failed)?;
        let mut command = Command::new(&self.configuration.program);
        command.args(["worker", "--run"]).arg(&folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(words);
        // A group of its own: Ctrl-C in the terminal that holds the app ends the app, not the run.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn().map_err(failed)
    }

    /// Stores what a run's worker has told since the last time.
    pub(crate) fn take_in(&self, run: &RunRecord) -> Result<RunRecord, Problem> {
        let (events, offset) = read_events(&self.run_folder(&run.id), run.offset)?;
        if events.is_empty() {
            return Ok(run.clone());
        }
        let run = self.store.take_events(&run.id, &events, offset)?;
        if let Some(sha256) = &run.adapter_sha256 {
            self.keep_adapter(&run, sha256)?;
        }
        if run.state == RunState::Discarded {
            // Checkpoints of a discarded run are never read again; a leftover costs only room.
            let _ = std::fs::remove_dir_all(self.run_folder(&run.id).join("checkpoints"));
        }
        if events.iter().any(|event| matches!(event.kind, EventKind::Evaluated { .. })) {
            self.keep_verdicts(&run)?;
        }
        Ok(run)
    }

    /// Adds an event on behalf of a run that has no worker.
    pub(crate) fn tell(&self, run: &RunRecord, kind: EventKind) -> Result<RunRecord, Problem> {
        let folder = self.run_folder(&run.id);
        std::fs::create_dir_all(&folder)
            .map_err(|error| Problem::internal(format!("Making the run folder failed: {error}.")))?;
        EventLog::open(&folder, &run.id)?.observe(kind)?;
        self.take_in(run)
    }

    fn keep_verdicts(&self, run: &RunRecord) -> Result<(), Problem> {
        let mut verdicts = Vec::new();
        for side in ["before", "after"] {
            let snapshot = read_snapshot(&self.run_folder(&run.id).join(format!("{side}.json")))?;
            let labelled = snapshot.answers.into_iter().zip(snapshot.labels).enumerate();
            verdicts.extend(labelled.map(|(item, (answer, label))| VerdictRecord {
                side,
                item,
                stack: snapshot.stack.clone(),
                answer,
                label,
            }));
        }
        Ok(self.store.put_verdicts(&run.id, &verdicts)?)
    }

    fn keep_adapter(&self, run: &RunRecord, sha256: &str) -> Result<(), Problem> {
        let experiment = self.store.experiment(&run.experiment)?;
        let name = planning::adapter_name(&experiment, run.stage);
        let record = AdapterRecord {
            adapter: AdapterRef { id: run.id.clone(), name, sha256: sha256.to_owned() },
            run: Some(run.id.clone()),
            model: self.model_facts(&run.recipe)?.model,
            folder: self.run_folder(&run.id).join("adapter").display().to_string(),
        };
        // A run that was trained anew has another adapter under the same name: the old one must not answer any more.
        lock(&self.speakers).retain(|(key, _)| !key.contains(&run.id));
        Ok(self.store.put_adapter(&record)?)
    }
}

fn last_words(folder: &Path) -> String {
    let text = std::fs::read_to_string(folder.join("worker.log")).unwrap_or_default();
    let start = text.char_indices().rev().nth(LAST_WORDS).map_or(0, |(place, _)| place);
    text[start..].trim().to_owned()
}
