//! The child's side: reads the request, limits its own process, carries out the task on a thread with a fixed stack size,
//! and reports the result.

use super::tasks::TASKS;
use super::wire::{self, Attempt, Frame, Order};
use alidade_domain::{Problem, ProblemCode, Wording, wording};
use serde::Serialize;
use serde_json::Value;
use std::io::{BufReader, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// Stack size of a task: that of a main thread on Linux, on every system.
const STACK: usize = 8 << 20;

/// A task's connection to its parent.
pub struct Link {
    incoming: Receiver<Value>,
}

impl Link {
    /// Reports what is attempted from here on, as the beginning of a sentence, and the field for a death meanwhile.
    ///
    /// # Errors
    /// When the parent is gone.
    pub fn at(&mut self, what: impl Into<Wording>, field: &str) -> Result<(), Problem> {
        send(&Frame::At(Attempt { what: what.into(), field: field.to_owned() }))
    }

    /// Sends an intermediate message.
    ///
    /// # Errors
    /// When the parent is gone.
    pub fn send(&mut self, value: &impl Serialize) -> Result<(), Problem> {
        let value = serde_json::to_value(value).map_err(|error| Problem::internal(Wording::name(error.to_string())))?;
        send(&Frame::Told(value))
    }

    /// The next message of the parent; `None` after the timeout.
    pub(crate) fn wait(&mut self, longest: Duration) -> Option<Value> {
        match self.incoming.recv_timeout(longest) {
            Ok(value) => Some(value),
            Err(RecvTimeoutError::Timeout) => None,
            // The listening thread ends the process when the parent is gone.
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// A message of the parent, if one has arrived.
    pub(crate) fn poll(&mut self) -> Option<Value> {
        // The listening thread notices when the parent is gone.
        self.incoming.try_recv().ok()
    }

    /// Ends an idle session.
    pub(crate) fn idle(&mut self) -> Result<(), Problem> {
        send(&Frame::Idle)
    }
}

/// Carries out one task for the parent process: `worker --task NAME`.
///
/// # Errors
/// When there is no such task or no request arrives; problems of the task itself are sent to the parent.
pub fn attend(task: &str) -> Result<(), Problem> {
    let found = TASKS.iter().find(|(name, _)| *name == task);
    let (_, carry_out) = found.ok_or_else(|| {
        Problem::new(ProblemCode::NotFound, wording!("There is no task “{task}”.", "没有名为“{task}”的任务。"))
    })?;
    let mut input = BufReader::new(std::io::stdin());
    let order: Order = wire::next(&mut input).ok_or_else(|| {
        Problem::input(wording!(
            "A worker receives its request from the program itself.",
            "工作进程的请求只由程序自身发出。"
        ))
    })?;
    let (sender, incoming) = channel();
    std::thread::spawn(move || {
        while let Some(value) = wire::next(&mut input) {
            if sender.send(value).is_err() {
                break;
            }
        }
        // The parent is gone or done with us; nobody waits for a result.
        std::process::exit(0);
    });
    order.limits.bind()?;
    let task = std::thread::Builder::new().name("task".to_owned()).stack_size(STACK);
    let running = task.spawn(move || carry_out(order.request, &mut Link { incoming }));
    let running = running
        .map_err(|error| Problem::internal(wording!("Starting a task failed: {error}.", "启动任务失败：{error}。")))?;
    send(&match running.join() {
        Ok(Ok(value)) => Frame::Done(value),
        Ok(Err(problem)) => Frame::Problem(problem),
        Err(panic) => Frame::Panicked(message(panic.as_ref())),
    })
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

fn send(frame: &Frame) -> Result<(), Problem> {
    let mut out = std::io::stdout().lock();
    out.write_all(&wire::line(frame)?).and_then(|()| out.flush()).map_err(|error| {
        Problem::internal(wording!(
            "The program that started this worker is gone: {error}.",
            "启动这个工作进程的程序已不存在：{error}。"
        ))
    })
}
