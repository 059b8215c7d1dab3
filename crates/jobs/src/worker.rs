//! The process of a run: it reads the plan, holds a lock while it lives, and writes everything to the event log.

use crate::files::control::ControlFile;
use crate::files::run_lock::{RunLock, is_held};
use crate::kinds::job;
use crate::train::execute::Outside;
use crate::{EventLog, machine};
use alidade_domain::{EventKind, Observer, Phase, Problem, StagePlan, Wording, why, wording};
use std::path::Path;

/// The plan in a run folder.
pub const PLAN: &str = "plan.json";

/// Carries out the plan of a run folder, from its newest checkpoint.
///
/// # Errors
/// When the plan cannot be read or another worker holds the folder; problems of the run itself are events.
pub fn work(folder: &Path) -> Result<(), Problem> {
    let failed =
        |why: Wording| Problem::internal(wording!("Reading the plan failed: {why}.", "读取计划失败：{why}。"; why));
    let _lock = RunLock::take(folder)?;
    let text = std::fs::read(folder.join(PLAN)).map_err(|error| failed(why(&error)))?;
    let plan: StagePlan = serde_json::from_slice(&text).map_err(|error| failed(Wording::name(error.to_string())))?;
    let control = ControlFile::watch(folder);
    let mut log = EventLog::open(folder, plan.run())?;
    let mut measured = Measured(&mut log);
    let mut outside = Outside { observer: &mut measured, stop: &control };
    match job(plan.kind()).and_then(|job| job.run(&plan, folder, &mut outside)) {
        Ok(()) => Ok(()),
        Err(problem) => log.observe(EventKind::Failed { problem }),
    }
}

/// Tells the peak memory of this process at the end of each phase.
struct Measured<'a>(&'a mut EventLog);

impl Observer for Measured<'_> {
    fn observe(&mut self, kind: EventKind) -> Result<(), Problem> {
        let phase_ends = match &kind {
            EventKind::Stage { phase } => *phase != Phase::Preparing,
            EventKind::Finished { .. } | EventKind::Stopped { .. } => true,
            _ => false,
        };
        if phase_ends {
            self.0.observe(EventKind::Memory { peak_bytes: machine::peak_memory_bytes() })?;
        }
        self.0.observe(kind)
    }
}

/// True while a worker holds the run folder.
pub fn is_alive(folder: &Path) -> bool {
    is_held(folder)
}
