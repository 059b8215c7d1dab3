//! The thread that a template runs on. An untrusted template may nest values or operators so deeply that walking them needs
//! a deep stack, which this thread has, and may hide endless work behind one operator (`==`), for which there is a timeout.

use super::engine::{Engine, Request};
use crate::ModelError;
use crate::caught::caught;
use crate::error::Result;
use alidade_domain::{LocalTime, Wording, why, wording};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Room for what the fuel lets a template nest; only what is used is ever taken from the memory.
const STACK: usize = 128 << 20;
/// The same where so much address space cannot be had.
const SMALL_STACK: usize = 32 << 20;
/// The longest that a rendering is waited for; usual ones take a millisecond.
const PATIENCE: Duration = Duration::from_secs(10);

/// A job and where its result goes.
type Job = (Request, Sender<Result<String>>);

/// A handle on the thread; dropping it ends the thread.
pub(super) struct Renderer {
    jobs: Sender<Job>,
    stuck: AtomicBool,
}

impl Renderer {
    /// Compiles a template on a thread of its own.
    ///
    /// # Errors
    /// When it is not valid, or no thread can be had.
    pub(super) fn start(source: &str, tokens: &BTreeMap<String, String>, now: LocalTime) -> Result<Self> {
        let spawned = spawn(STACK, source, tokens, now).or_else(|_| spawn(SMALL_STACK, source, tokens, now));
        let (jobs, compiled) = spawned.map_err(|error| ModelError::Template { reason: why(&error) })?;
        compiled.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(endless()))?;
        Ok(Self { jobs, stuck: AtomicBool::new(false) })
    }

    /// Renders, and waits for the result no longer than is decent.
    ///
    /// # Errors
    /// When the template refuses, loops, or writes too much.
    pub(super) fn render(&self, request: Request) -> Result<String> {
        let (reply, result) = channel();
        if self.stuck.load(Ordering::Relaxed) || self.jobs.send((request, reply)).is_err() {
            return Err(endless());
        }
        result.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            self.stuck.store(true, Ordering::Relaxed);
            Err(endless())
        })
    }
}

fn endless() -> ModelError {
    ModelError::Template {
        reason: wording!(
            "it did not come to an end within {seconds} seconds",
            "{seconds} 秒内没有结束",
            seconds = PATIENCE.as_secs()
        ),
    }
}

/// Starts the thread; tells whether the template could be compiled.
fn spawn(
    stack: usize,
    source: &str,
    tokens: &BTreeMap<String, String>,
    now: LocalTime,
) -> std::io::Result<(Sender<Job>, Receiver<Result<()>>)> {
    let (source, tokens) = (source.to_owned(), tokens.clone());
    let ((jobs, inbox), (ready, compiled)) = (channel::<Job>(), channel());
    let work = move || {
        let engine = caught(|| Engine::new(&source, tokens, now)).unwrap_or_else(|reason| Err(broken(reason)));
        let engine = match engine {
            Ok(engine) => engine,
            Err(error) => return drop(ready.send(Err(error))),
        };
        // Nobody listens any more when the template was given up meanwhile.
        let _ = ready.send(Ok(()));
        for (request, reply) in inbox {
            let result = caught(|| engine.render(&request)).unwrap_or_else(|reason| Err(broken(reason)));
            let _ = reply.send(result);
        }
    };
    std::thread::Builder::new().name("chat template".to_owned()).stack_size(stack).spawn(work)?;
    Ok((jobs, compiled))
}

fn broken(reason: Wording) -> ModelError {
    ModelError::Template { reason }
}
