//! The queue: one worker process at a time, started, watched and listened to. The workers outlive this program; what they
//! wrote while nobody listened is taken in at the next start. A fault of one run is said at that run and costs the others
//! nothing.

use crate::home::backups::Backups;
use crate::home::faults::QUEUE;
use crate::home::restrict;
use crate::runs::inputs::has_lost_files;
use crate::runs::unresponsive;
use crate::studio::Studio;
use alidade_domain::{EventKind, Problem, ProblemCode, RunState};
use alidade_jobs::files::durable::file_problem;
use alidade_jobs::machine::memory_kills;
use alidade_jobs::worker::is_alive;
use alidade_store::RunRecord;
use std::collections::BTreeMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How often the queue looks around while a run works or may begin.
const ROUND: Duration = Duration::from_millis(100);
/// How often where none does: who starts a run in this program calls, and one of another program is found by looking.
const IDLE: Duration = Duration::from_secs(1);
/// How long a run that could not be started or tended waits before it is tried again.
const PATIENCE: Duration = Duration::from_secs(5);

/// A worker that this program started.
pub(crate) struct Working {
    run: String,
    process: Child,
    /// The last event of the run before it began; a worker that adds none has died at birth.
    pub(crate) from_sequence: u64,
    /// Programs that the system had ended for want of memory by then.
    memory_kills: u64,
}

impl Working {
    /// True when it was killed, and the system says that it has killed for want of memory since it began.
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
    /// Ends the process; true when it is gone.
    pub(crate) fn end(&mut self) -> bool {
        self.process.kill().is_ok() && self.process.wait().is_ok()
    }
}

/// What the queue remembers from round to round.
pub(crate) struct Tending {
    working: Option<Working>,
    /// Since when the workers of runs have been asked to end.
    pub(crate) requested: BTreeMap<String, Instant>,
    /// How long they have to answer.
    pub(crate) patience: Duration,
    /// Runs that met a fault, and when they are tried again.
    aside: BTreeMap<String, Instant>,
    /// Runs whose results could not be kept yet.
    pub(crate) unkept: BTreeMap<String, Instant>,
}

impl Default for Tending {
    fn default() -> Self {
        Self {
            working: None,
            requested: BTreeMap::new(),
            patience: unresponsive::PATIENCE,
            aside: BTreeMap::new(),
            unkept: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
impl Tending {
    /// As if a program had started this process for a run.
    pub(crate) fn with_worker(run: &str, process: Child) -> Self {
        let working = Working { run: run.to_owned(), process, from_sequence: 0, memory_kills: memory_kills() };
        Self { working: Some(working), ..Self::default() }
    }

    pub(crate) fn end_worker(&mut self) -> bool {
        self.working.as_mut().is_some_and(Working::end)
    }
}

impl Tending {
    fn is_aside(&self, run: &str) -> bool {
        self.aside.get(run).is_some_and(|until| *until > Instant::now())
    }
}

/// Tends the queue in the background as long as the studio lives. Of several programs on one data folder, one does.
pub fn tend_in_background(studio: &Arc<Studio>) {
    let weak = Arc::downgrade(studio);
    std::thread::spawn(move || tend(&weak));
}

fn tend(weak: &Weak<Studio>) {
    let (mut tending, mut backups) = (Tending::default(), Backups::default());
    let Some(lock_file) = lock_file(weak) else { return };
    let Some(wake) = weak.upgrade().map(|studio| studio.wake.0.clone()) else { return };
    let (mut ours, mut first) = (false, true);
    while let Some(studio) = weak.upgrade() {
        if !ours {
            ours = lock_file.try_lock().is_ok();
            if ours {
                studio.bring_in_order(&mut tending, first);
            }
        }
        first = false;
        let mut pause = IDLE;
        if ours {
            // A fault of one round (a busy database, a full disk) is said, and met again in the next.
            let round = catch_unwind(AssertUnwindSafe(|| studio.round(&mut tending)))
                .unwrap_or_else(|_| Err(Problem::internal("The queue failed unexpectedly; it will try again.")));
            // After a fault nobody knows whether there is work.
            pause = round.as_ref().map_or(ROUND, |open| if *open { ROUND } else { IDLE });
            studio.note(QUEUE, round.err());
            studio.back_up_when_due(&mut backups);
        }
        drop(studio);
        wake.sleep(pause);
    }
}

/// The file whose lock says who tends; waits for it where the disk is full or cannot be written.
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
            Err(error) => studio.note(QUEUE, Some(file_problem("Opening", &path, &error))),
        }
        drop(studio);
        std::thread::sleep(PATIENCE);
    }
}

impl Studio {
    /// Brings the data folder in order; `fresh` when nobody else tended it since this program began.
    pub(crate) fn bring_in_order(&self, tending: &mut Tending, fresh: bool) {
        if fresh {
            self.clear_leftovers();
        }
        let Ok(runs) = self.store.runs() else { return };
        for run in runs.iter().filter(|run| run.state.is_settled() && run.state != RunState::Discarded) {
            if self.missing_results(run).is_some() {
                tending.unkept.insert(run.id.clone(), Instant::now());
            }
        }
    }

    /// One look at the runs that wait or work; false where there are none.
    pub(crate) fn round(&self, tending: &mut Tending) -> Result<bool, Problem> {
        let mut ended = self.look_after_worker(tending);
        let open = self.store.unsettled_runs()?;
        let mut busy = tending.working.is_some();
        for run in &open {
            let ours = tending.working.as_ref().is_some_and(|working| working.run == run.id);
            // Asked before the events are read: a worker that ends in between has then told everything.
            let alive = is_alive(&self.run_folder(&run.id)) || ours;
            busy = busy || alive;
            if !alive && tending.is_aside(&run.id) {
                continue;
            }
            let ended = ended.as_mut().filter(|ended| ended.run == run.id);
            self.settle_fault(tending, &run.id, |tending| {
                self.attend(tending, run, alive, ended)?;
                if alive { self.check_responsive(tending, run) } else { Ok(()) }
            });
        }
        self.keep_unkept(tending);
        if !open.is_empty() && !busy {
            self.discard_orphans(&open)?;
            tending.working = self.start_next(tending)?;
        }
        Ok(!open.is_empty())
    }

    fn check_responsive(&self, tending: &mut Tending, run: &RunRecord) -> Result<(), Problem> {
        // Taken out for the moment, since both are parts of what is remembered.
        let mut working = tending.working.take();
        let ours = working.as_mut().filter(|working| working.run == run.id);
        let result = self.end_if_unresponsive(tending, run, ours);
        tending.working = working;
        result
    }

    /// Says what went wrong with a run and puts it aside for a while, or takes back what was said.
    fn settle_fault<T>(
        &self,
        tending: &mut Tending,
        run: &str,
        work: impl FnOnce(&mut Tending) -> Result<T, Problem>,
    ) -> Option<T> {
        let result = work(tending);
        let (done, problem) = match result {
            Ok(done) => (Some(done), None),
            Err(problem) => (None, Some(problem)),
        };
        match &problem {
            Some(_) => drop(tending.aside.insert(run.to_owned(), Instant::now() + PATIENCE)),
            None => drop(tending.aside.remove(run)),
        }
        self.note(run, problem);
        done
    }

    /// Our worker when it has ended; one whose folder was taken away has nobody to tell, and is ended.
    fn look_after_worker(&self, tending: &mut Tending) -> Option<Working> {
        let working = tending.working.as_mut()?;
        if has_lost_files(&self.run_folder(&working.run)) {
            // It may have ended by itself meanwhile.
            let _ = working.process.kill();
        }
        if matches!(working.process.try_wait(), Ok(None)) { None } else { tending.working.take() }
    }

    /// Stages that wait for a stage that was thrown away are thrown away with it.
    fn discard_orphans(&self, open: &[RunRecord]) -> Result<(), Problem> {
        for run in open.iter().filter(|run| run.state == RunState::Queued && run.stage > 0) {
            let runs = self.store.runs_of(&run.experiment)?;
            let before = || runs.iter().filter(|other| other.stage + 1 == run.stage);
            if before().next().is_some() && before().all(|other| other.state == RunState::Discarded) {
                self.tell(run, EventKind::Discarded)?;
            }
        }
        Ok(())
    }

    /// The oldest run that waits for nothing any more, at work.
    fn start_next(&self, tending: &mut Tending) -> Result<Option<Working>, Problem> {
        // Read anew: some may have been thrown away.
        let mut next = None;
        for run in self.store.unsettled_runs()? {
            if run.state != RunState::Queued || tending.is_aside(&run.id) {
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
        let started = self.settle_fault(tending, &run.id, |_| match self.start(&run) {
            Ok((process, from_sequence)) => {
                Ok(Some(Working { run: run.id.clone(), process, from_sequence, memory_kills: memory_kills() }))
            }
            // The run waits for room, and so it says.
            Err(problem) if problem.code == ProblemCode::DiskFull => Err(problem),
            Err(problem) => self.tell(&run, EventKind::Failed { problem }).map(|_| None),
        });
        Ok(started.flatten())
    }

    /// Starts a worker; returns it with the last event of the run before it.
    fn start(&self, run: &RunRecord) -> Result<(Child, u64), Problem> {
        self.vet_run(run)?;
        let told = self.prepare_run(run)?;
        let mut run = self.mend_events(&run.id)?;
        for message in told {
            run = self.tell(&run, EventKind::Warning { code: "files_mended".to_owned(), message })?;
        }
        let run = self.take_in(&run)?;
        let folder = self.run_folder(&run.id);
        let failed = |error: std::io::Error| file_problem("Starting the worker in", &folder, &error);
        let words = File::create(folder.join("worker.log")).map_err(failed)?;
        let mut command = Command::new(&self.configuration.program);
        command.args(["worker", "--run"]).arg(&folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(words);
        // With an arena for each thread, glibc keeps up to a quarter more than is in use, another share in every run; with
        // one, a run takes what its plan says, in the same time.
        command.env("MALLOC_ARENA_MAX", "1");
        // A group of its own: Ctrl-C in the terminal that holds the app ends the app, not the run.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        Ok((command.spawn().map_err(failed)?, run.last_sequence))
    }

    /// Results that could not be kept when they came are tried again; what cannot be had stays said.
    fn keep_unkept(&self, tending: &mut Tending) {
        let due: Vec<String> =
            tending.unkept.iter().filter(|(_, at)| **at <= Instant::now()).map(|(run, _)| run.clone()).collect();
        for id in due {
            let problem = self.store.run(&id).ok().and_then(|run| self.missing_results(&run));
            match &problem {
                Some(_) => drop(tending.unkept.insert(id.clone(), Instant::now() + 12 * PATIENCE)),
                None => drop(tending.unkept.remove(&id)),
            }
            self.note(&id, problem);
        }
    }
}
