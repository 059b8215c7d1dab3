//! One request to a child and one answer from it, within a time limit, or until the person cancels it.

use super::{Limits, Received, Session, request_of};
use alidade_domain::{Problem, Wording, wording};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often a wait checks the clock and cancellation.
const TICK: Duration = Duration::from_millis(50);

/// A task with its limits.
pub struct Job<'a> {
    /// The program's own executable.
    pub program: &'a Path,
    /// A name in the table of tasks.
    pub task: &'a str,
    /// What is attempted, as the beginning of a sentence; the task itself may report it more precisely.
    pub what: Wording,
    /// Field of a problem.
    pub field: &'a str,
    /// Limits of the child.
    pub limits: Limits,
    /// Cancels it when set.
    pub stop: &'a AtomicBool,
}

/// Carries out a task in a child process.
///
/// # Errors
/// The problem of the task, or how the child died.
pub fn run<Q: Serialize, R: DeserializeOwned>(
    job: &Job,
    request: &Q,
    on_progress: &mut dyn FnMut(Value),
) -> Result<R, Problem> {
    let request = serde_json::to_value(request).map_err(|error| Problem::internal(Wording::name(error.to_string())))?;
    let mut child = Session::start(job.program, job.task, (job.what.clone(), job.field), job.limits, request)?;
    let until = Instant::now() + Duration::from_secs(job.limits.seconds);
    loop {
        if job.stop.load(Ordering::Relaxed) {
            return Err(child.stopped());
        }
        match child.receive(TICK)? {
            Received::Message(value) => on_progress(value),
            Received::Done(value) => return request_of(value),
            Received::Idle => {
                return Err(Problem::internal(wording!(
                    "The worker for “{task}” ended without an answer.",
                    "任务“{task}”的工作进程没有给出结果就结束了。",
                    task = job.task
                )));
            }
            Received::Nothing => {}
        }
        if Instant::now() >= until {
            return Err(child.too_slow(job.limits));
        }
    }
}
