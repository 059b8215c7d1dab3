//! The parent's side: a child and its connection. However the session is dropped, the child ends: it is killed here, or it
//! notices that its standard input was closed.

use super::ending;
use super::limits::{ARENAS, Limits};
use super::wire::{self, Attempt, Frame, Order};
use alidade_domain::{Problem, Wording, why, wording};
use serde_json::Value;
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::studio::lock;

/// Buffered messages for the parent; a child that sends more has to wait.
const WAITING: usize = 64;
/// Bytes of standard error that are kept.
const KEPT_WORDS: usize = 4096;
/// How long a child may take to end after it has closed its connection.
const LEAVE: Duration = Duration::from_secs(2);

/// A child process.
pub(crate) struct Session {
    child: Child,
    input: ChildStdin,
    frames: Receiver<Frame>,
    words: Arc<Mutex<Vec<u8>>>,
    attempt: Attempt,
    limits: Limits,
}

/// A message from a child.
#[derive(Debug, PartialEq)]
pub(crate) enum Received {
    /// An intermediate message.
    Message(Value),
    /// The result of the task.
    Done(Value),
    /// It was idle for too long and has ended.
    Idle,
    /// No message yet.
    Nothing,
}

impl Session {
    /// Starts `program worker --task TASK` and sends the request.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(
        program: &Path,
        task: &str,
        (what, field): (Wording, &str),
        limits: Limits,
        request: Value,
    ) -> Result<Self, Problem> {
        let failed = |error: std::io::Error| {
            Problem::internal(wording!(
                "Starting {program} as a worker failed: {why}.",
                "把 {program} 作为工作进程启动失败：{why}。";
                why = why(&error); program = program.display()
            ))
        };
        let mut command = Command::new(program);
        command.args(["worker", "--task", task]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("MALLOC_ARENA_MAX", ARENAS.to_string()).env_remove("RUST_BACKTRACE");
        // A process group of its own: Ctrl-C in a terminal goes to the program, which then ends its workers.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(failed)?;
        let broken = || {
            Problem::internal(wording!(
                "A worker was started without a connection to it.",
                "工作进程启动后没有与它的连接。"
            ))
        };
        let input = child.stdin.take().ok_or_else(broken)?;
        let output = child.stdout.take().ok_or_else(broken)?;
        let errors = child.stderr.take().ok_or_else(broken)?;
        let words = Arc::new(Mutex::new(Vec::new()));
        let (sender, frames) = sync_channel(WAITING);
        let keep = words.clone();
        let last_words = std::thread::spawn(move || listen(errors, &keep));
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            while let Some(frame) = wire::next(&mut output) {
                if sender.send(frame).is_err() {
                    return;
                }
            }
            // The last output is complete before the end of messages is noticed.
            let _ = last_words.join();
        });
        let attempt = Attempt { what, field: field.to_owned() };
        let mut session = Self { child, input, frames, words, attempt, limits };
        let order = wire::line(&Order { limits, request })?;
        // A dead child is noticed when its messages are read.
        let _ = session.input.write_all(&order).and_then(|()| session.input.flush());
        Ok(session)
    }

    /// Sends a message to the child; a dead child is noticed when its messages are read.
    ///
    /// # Errors
    /// When the message is too long.
    pub(crate) fn send(&mut self, value: &Value) -> Result<(), Problem> {
        let line = wire::line(value)?;
        let _ = self.input.write_all(&line).and_then(|()| self.input.flush());
        Ok(())
    }

    /// The next message within `longest`.
    ///
    /// # Errors
    /// The problem of the task, or how the child died.
    pub(crate) fn receive(&mut self, longest: Duration) -> Result<Received, Problem> {
        let until = Instant::now() + longest;
        loop {
            match self.frames.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Frame::At(attempt)) => self.attempt = attempt,
                Ok(Frame::Told(value)) => return Ok(Received::Message(value)),
                Ok(Frame::Done(value)) => return Ok(Received::Done(value)),
                Ok(Frame::Idle) => return Ok(Received::Idle),
                Ok(Frame::Problem(problem)) => return Err(problem),
                Ok(Frame::Panicked(message)) => return Err(ending::panicked(&self.attempt, &message)),
                Err(RecvTimeoutError::Timeout) => return Ok(Received::Nothing),
                Err(RecvTimeoutError::Disconnected) => return Err(self.death()),
            }
        }
    }

    /// Process id of the child.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the child.
    pub(crate) fn end(&mut self) {
        // It fails if the child has already ended.
        let _ = self.child.kill();
    }

    /// The problem of a child that took too long.
    pub(crate) fn too_slow(&self, limits: Limits) -> Problem {
        ending::too_slow(&self.attempt, limits)
    }

    /// The problem of a child that the person cancelled.
    pub(crate) fn stopped(&self) -> Problem {
        ending::stopped(&self.attempt)
    }

    /// True while the child lives.
    pub(crate) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn death(&mut self) -> Problem {
        let until = Instant::now() + LEAVE;
        let mut status: Option<ExitStatus> = None;
        while status.is_none() && Instant::now() < until {
            status = self.child.try_wait().ok().flatten();
            std::thread::sleep(Duration::from_millis(5));
        }
        let words = String::from_utf8_lossy(&lock(&self.words)).into_owned();
        ending::died(&self.attempt, self.limits, status, &words)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end();
        // Reaps the process.
        let _ = self.child.wait();
    }
}

/// Keeps the end of a child's standard error.
fn listen(mut errors: impl Read, words: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 1024];
    while let Ok(read) = errors.read(&mut buffer) {
        if read == 0 {
            return;
        }
        let mut words = lock(words);
        words.extend_from_slice(&buffer[..read]);
        let surplus = words.len().saturating_sub(KEPT_WORDS);
        words.drain(..surplus);
    }
}
