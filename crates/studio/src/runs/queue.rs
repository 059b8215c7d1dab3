//! The queue: starts and watches one worker process at a time, and copies its events into the database. Workers outlive this
//! program; events that they wrote meanwhile are copied at the next start. A fault of one run is shown at that run and does
//! not affect others.

use crate::home::backups::Backups;
use crate::home::faults::QUEUE;
use crate::home::restrict;
use crate::runs::inputs::has_lost_files;
use crate::runs::unresponsive;
use crate::studio::Studio;
use alidade_domain::{EventKind, Problem, ProblemCode, RunState, Words, wording};
use alidade_jobs::files::durable::{OPENING, file_problem};
use alidade_jobs::machine::memory_kills;
use alidade_jobs::worker::is_alive;
use alidade_store::RunRecord;
use std::collections::BTreeMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Polling interval while a run is running or may begin.
const ROUND: Duration = Duration::from_millis(100);
/// Polling interval otherwise: runs that this program starts wake the queue, those of another program are found by polling.
const IDLE: Duration = Duration::from_secs(1);
/// Delay before a run with a fault is tried again.
const PATIENCE: Duration = Duration::from_secs(5);

/// A worker that this program started.
pub(crate) struct Working {
    run: String,
    process: Child,
    /// The last event of the run before the worker started; a worker that adds none died before it began.
    pub(crate) from_sequence: u64,
    /// Programs that the system had killed for lack of memory by then.
    memory_kills: u64,
}

impl Working {
    /// True if it was killed, and the system has killed programs for lack of memory since it started.
    pub(crate) fn ran_out_of_memory(&mut self) -> bool {
        let status = self.process.try_wait().ok().flatten();
        #[cfg(unix)]
        let killed = status.and_then(|status| std::os::unix::process::ExitStatusExt::signal(&status)) == Some(9);
        #[cfg(not(unix))]
        let killed = status.is_some_and(|status| !status.success());
        killed && memory_kills() > self.memory_kills
    }
}

impl Working {
    /// Kills the process; true when it has ended.
    pub(crate) fn end(&mut self) -> bool {
        self.process.kill().is_ok() && self.process.wait().is_ok()
    }
}

/// State of the queue between rounds.
pub(crate) struct QueueState {
    working: Option<Working>,
    /// When workers were asked to end, by run.
    pub(crate) requested: BTreeMap<String, Instant>,
    /// How long they have to react.
    pub(crate) patience: Duration,
    /// Runs with a fault, and when they are tried again.
    deferred: BTreeMap<String, Instant>,
    /// Runs whose results could not be saved yet.
    pub(crate) unsaved: BTreeMap<String, Instant>,
}

impl Default for QueueState {
    fn default() -> Self {
        Self {
            working: None,
            requested: BTreeMap::new(),
            patience: unresponsive::PATIENCE,
            deferred: BTreeMap::new(),
            unsaved: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
impl QueueState {
    /// As if a program had started this process for a run.
    pub(crate) fn with_worker(run: &str, process: Child) -> Self {
        let working = Working { run: run.to_owned(), process, from_sequence: 0, memory_kills: memory_kills() };
        Self { working: Some(working), ..Self::default() }
    }

    pub(crate) fn end_worker(&mut self) -> bool {
        self.working.as_mut().is_some_and(Working::end)
    }
}

impl QueueState {
    fn is_deferred(&self, run: &str) -> bool {
        self.deferred.get(run).is_some_and(|until| *until > Instant::now())
    }
}

/// Runs the queue in the background as long as the studio lives. Of several programs on one data folder, only one does.
pub fn run_queue_in_background(studio: &Arc<Studio>) {
    let weak = Arc::downgrade(studio);
    std::thread::spawn(move || run_queue(&weak));
}

fn run_queue(weak: &Weak<Studio>) {
    let (mut queue, mut backups) = (QueueState::default(), Backups::default());
    let Some(lock_file) = lock_file(weak) else { return };
    let Some(wake) = weak.upgrade().map(|studio| studio.wake.0.clone()) else { return };
    let (mut ours, mut first) = (false, true);
    while let Some(studio) = weak.upgrade() {
        if !ours {
            ours = lock_file.try_lock().is_ok();
            if ours {
                studio.recover(&mut queue, first);
            }
        }
        first = false;
        let mut pause = IDLE;
        if ours {
            // A fault of one round (a busy database, a full disk) is shown, and the next round tries again.
            let round = catch_unwind(AssertUnwindSafe(|| studio.round(&mut queue))).unwrap_or_else(|_| {
                Err(Problem::internal(wording!(
                    "The queue failed unexpectedly; it will try again.",
                    "队列意外出错，会再次尝试。"
                )))
            });
            // After a fault it is unknown whether there is work.
            pause = round.as_ref().map_or(ROUND, |open| if *open { ROUND } else { IDLE });
            studio.note(QUEUE, round.err());
            studio.back_up_when_due(&mut backups);
        }
        drop(studio);
        wake.sleep(pause);
    }
}

/// The lock file of the queue; waits as long as it cannot be created, for example on a full disk.
fn lock_file(weak: &Weak<Studio>) -> Option<File> {
    loop {
        let studio = weak.upgrade()?;
        let path = studio.configuration.home.join("queue.lock");
        match File::create(&path) {
            Ok(file) => {
                studio.note(QUEUE, None);
                restrict(&path, false);
                return Some(file);
            }
            Err(error) => studio.note(QUEUE, Some(file_problem(OPENING, &path, &error))),
        }
        drop(studio);
        std::thread::sleep(PATIENCE);
    }
}

impl Studio {
    /// Cleans up the data folder; `fresh` if no other program ran the queue since this one started.
    pub(crate) fn recover(&self, queue: &mut QueueState, fresh: bool) {
        if fresh {
            self.clear_leftovers();
        }
        let Ok(runs) = self.store.runs() else { return };
        for run in runs.iter().filter(|run| run.state.is_settled() && run.state != RunState::Discarded) {
            if self.missing_results(run).is_some() {
                queue.unsaved.insert(run.id.clone(), Instant::now());
            }
        }
    }

    /// One round over all queued and running runs; false if there are none.
    pub(crate) fn round(&self, queue: &mut QueueState) -> Result<bool, Problem> {
        let mut ended = self.reap_worker(queue);
        let open = self.store.unsettled_runs()?;
        let mut busy = queue.working.is_some();
        for run in &open {
            let ours = queue.working.as_ref().is_some_and(|working| working.run == run.id);
            // Checked before the events are read: a worker that ends in between has then written all of them.
            let alive = is_alive(&self.run_folder(&run.id)) || ours;
            busy = busy || alive;
            if !alive && queue.is_deferred(&run.id) {
                continue;
            }
            let ended = ended.as_mut().filter(|ended| ended.run == run.id);
            self.settle_fault(queue, &run.id, |queue| {
                self.update_run(queue, run, alive, ended)?;
                if alive { self.check_responsive(queue, run) } else { Ok(()) }
            });
        }
        self.retry_unsaved(queue);
        if !open.is_empty() && !busy {
            self.discard_orphans(&open)?;
            queue.working = self.start_next(queue)?;
        }
        Ok(!open.is_empty())
    }

    fn check_responsive(&self, queue: &mut QueueState, run: &RunRecord) -> Result<(), Problem> {
        // Taken out for the borrow checker, since both are parts of the state.
        let mut working = queue.working.take();
        let ours = working.as_mut().filter(|working| working.run == run.id);
        let result = self.end_if_unresponsive(queue, run, ours);
        queue.working = working;
        result
    }

    /// Shows the fault of a run and defers the run for a while, or clears an earlier fault.
    fn settle_fault<T>(
        &self,
        queue: &mut QueueState,
        run: &str,
        work: impl FnOnce(&mut QueueState) -> Result<T, Problem>,
    ) -> Option<T> {
        let result = work(queue);
        let (done, problem) = match result {
            Ok(done) => (Some(done), None),
            Err(problem) => (None, Some(problem)),
        };
        match &problem {
            Some(_) => drop(queue.deferred.insert(run.to_owned(), Instant::now() + PATIENCE)),
            None => drop(queue.deferred.remove(run)),
        }
        self.note(run, problem);
        done
    }

    /// Our worker if it has ended. A worker whose folder was removed is killed, because its events would be lost.
    fn reap_worker(&self, queue: &mut QueueState) -> Option<Working> {
        let working = queue.working.as_mut()?;
        if has_lost_files(&self.run_folder(&working.run)) {
            // It may already have ended by itself.
            let _ = working.process.kill();
        }
        if matches!(working.process.try_wait(), Ok(None)) { None } else { queue.working.take() }
    }

    /// Discards stages that wait for a discarded stage.
    fn discard_orphans(&self, open: &[RunRecord]) -> Result<(), Problem> {
        for run in open.iter().filter(|run| run.state == RunState::Queued && run.stage > 0) {
            let runs = self.store.runs_of(&run.experiment)?;
            let before = || runs.iter().filter(|other| other.stage + 1 == run.stage);
            if before().next().is_some() && before().all(|other| other.state == RunState::Discarded) {
                self.append_event(run, EventKind::Discarded)?;
            }
        }
        Ok(())
    }

    /// Starts the oldest run whose earlier stages are done.
    fn start_next(&self, queue: &mut QueueState) -> Result<Option<Working>, Problem> {
        // Read again: some may have been discarded.
        let mut next = None;
        for run in self.store.unsettled_runs()? {
            if run.state != RunState::Queued || queue.is_deferred(&run.id) {
                continue;
            }
            let runs = self.store.runs_of(&run.experiment)?;
            let done = |other: &RunRecord| matches!(other.state, RunState::Finished | RunState::Stopped);
            if (0..run.stage).all(|stage| runs.iter().any(|other| other.stage == stage && done(other))) {
                next = Some(run);
                break;
            }
        }
        let Some(run) = next else { return Ok(None) };
        let started = self.settle_fault(queue, &run.id, |_| match self.start(&run) {
            Ok((process, from_sequence)) => {
                Ok(Some(Working { run: run.id.clone(), process, from_sequence, memory_kills: memory_kills() }))
            }
            // The run waits for disk space; the fault is shown at the run.
            Err(problem) if problem.code == ProblemCode::DiskFull => Err(problem),
            Err(problem) => self.append_event(&run, EventKind::Failed { problem }).map(|_| None),
        });
        Ok(started.flatten())
    }

    /// Starts a worker; returns it with the number of the last event before it.
    fn start(&self, run: &RunRecord) -> Result<(Child, u64), Problem> {
        let run = &self.with_model(run)?;
        self.vet_run(run)?;
        let told = self.prepare_run(run)?;
        let mut run = self.repair_events(&run.id)?;
        for message in told {
            run = self.append_event(&run, EventKind::Warning { code: "files_mended".to_owned(), message })?;
        }
        let run = self.ingest_events(&run)?;
        let folder = self.run_folder(&run.id);
        let failed = |error: std::io::Error| {
            file_problem(Words::new("Starting the worker in", "启动工作进程于"), &folder, &error)
        };
        let words = File::create(folder.join("worker.log")).map_err(failed)?;
        let mut command = Command::new(&self.configuration.program);
        command.args(["worker", "--run"]).arg(&folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(words);
        // With one arena per thread, glibc keeps up to a quarter more memory than is in use, and the share varies between
        // runs; with a single one, a run takes what its plan says, at the same speed.
        command.env("MALLOC_ARENA_MAX", "1");
        if let Some(threads) = self.chosen_threads() {
            // Every product of the worker is shared in the pool that this sizes.
            command.env("RAYON_NUM_THREADS", threads.to_string());
        }
        // A process group of its own: Ctrl-C in the terminal of the app ends the app, not the run.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        Ok((command.spawn().map_err(failed)?, run.last_sequence))
    }

    /// Tries again to save results that could not be saved; a persistent fault stays shown.
    fn retry_unsaved(&self, queue: &mut QueueState) {
        let due: Vec<String> =
            queue.unsaved.iter().filter(|(_, at)| **at <= Instant::now()).map(|(run, _)| run.clone()).collect();
        for id in due {
            let problem = self.store.run(&id).ok().and_then(|run| self.missing_results(&run));
            match &problem {
                Some(_) => drop(queue.unsaved.insert(id.clone(), Instant::now() + 12 * PATIENCE)),
                None => drop(queue.unsaved.remove(&id)),
            }
            self.note(&id, problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, import, queued, recipe};
    use alidade_domain::{AdapterSource, Experiment, Stage};

    /// The run that a fresh queue begins; its worker ends at once without a word.
    fn begun(studio: &Studio) -> Option<String> {
        let mut tending = QueueState::default();
        studio.round(&mut tending).unwrap();
        tending.working.as_ref().map(|working| working.run.clone())
    }

    #[test]
    fn the_oldest_run_that_waits_is_begun_and_one_at_a_time() {
        let house = House::new();
        let studio = house.open();
        let set = import(&studio);
        queued(&studio, "younger", &set.id, 20);
        queued(&studio, "older", &set.id, 10);
        let mut tending = QueueState::default();
        assert!(studio.round(&mut tending).unwrap());
        assert_eq!(tending.working.as_ref().map(|working| working.run.as_str()), Some("older"));
        // As long as that worker lives, nothing else is begun.
        tending.working = None;
        let _held = crate::RunLock::take(&house.run_folder("older")).unwrap();
        studio.round(&mut tending).unwrap();
        assert!(tending.working.is_none());
    }

    #[test]
    fn a_stage_waits_for_the_stages_before_it_and_goes_with_one_that_is_thrown_away() {
        let house = House::new();
        let studio = house.open();
        let set = import(&studio);
        let mut second = recipe(&set.id);
        second.adapter = Some(AdapterSource::Stage(1));
        let stages = vec![Stage::Train(recipe(&set.id)), Stage::Train(second)];
        let experiment = Experiment::new("e".to_owned(), "t".to_owned(), String::new(), stages.clone(), 1);
        studio.store.put_experiment(&experiment).unwrap();
        for (stage, work) in stages.into_iter().enumerate() {
            let run = RunRecord::new(format!("r{stage}"), "e".to_owned(), stage, work, 1);
            studio.store.put_run(&run).unwrap();
        }
        assert_eq!(begun(&studio).as_deref(), Some("r0"));
        let first = studio.store.run("r0").unwrap();
        studio.append_event(&first, EventKind::Paused { step: 1 }).unwrap();
        assert_eq!(begun(&studio), None);
        let first = studio.store.run("r0").unwrap();
        studio.append_event(&first, EventKind::Discarded).unwrap();
        assert_eq!(begun(&studio), None);
        assert_eq!(studio.store.run("r1").unwrap().state, RunState::Discarded);
    }
}
