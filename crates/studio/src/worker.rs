//! A run's own process: it reads its plan, holds a lock while it lives, and tells everything to the event log.

use crate::{ControlFile, EventLog, execute};
use alidade_domain::{EventKind, Observer, Plan, Problem, ProblemCode};
use std::fs::File;
use std::path::Path;

/// Held by a worker as long as it lives; the system lets go of it however the worker ends.
const LOCK: &str = "worker.lock";
/// The plan in a run folder.
pub(crate) const PLAN: &str = "plan.json";

/// Carries out the plan of a run folder, from its newest checkpoint.
///
/// # Errors
/// When the plan cannot be read or another worker is at it; problems of the run itself are events.
pub fn work(folder: &Path) -> Result<(), Problem> {
    let failed = |what: &str, error: &dyn std::fmt::Display| Problem::internal(format!("{what} failed: {error}."));
    let file = File::create(folder.join(LOCK)).map_err(|error| failed("Opening the run folder", &error))?;
    if file.try_lock().is_err() {
        return Err(Problem::new(ProblemCode::Conflict, "Another process carries this run out."));
    }
    let text = std::fs::read(folder.join(PLAN)).map_err(|error| failed("Reading the plan", &error))?;
    let plan: Plan = serde_json::from_slice(&text).map_err(|error| failed("Reading the plan", &error))?;
    let control = ControlFile::watch(folder);
    let mut log = EventLog::open(folder, &plan.run)?;
    match execute(&plan, folder, &mut log, &control) {
        Ok(_) => Ok(()),
        Err(problem) => log.observe(EventKind::Failed { problem }),
    }
}

/// True while a worker holds the run folder.
pub(crate) fn is_alive(folder: &Path) -> bool {
    match File::open(folder.join(LOCK)) {
        Ok(file) => file.try_lock().is_err(),
        Err(_) => false,
    }
}
