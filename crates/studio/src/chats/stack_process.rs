//! The parent's side of the child process of a chat: loads a stack, forwards questions and answers, and ends a process that
//! does not react. Not here: which stacks stay loaded (`answering`), and what the process does (`speaking`).

use crate::chats::speaking::{Command, Opening, Reply, Spoken, TASK};
use crate::confined::{Limits, Received, Session, request_of};
use crate::models::vetting::limits_for;
use alidade_domain::AnswerEnd;
use alidade_domain::{Message, Precision, Problem, Sampling, Wording, wording};
use alidade_jobs::machine::memory_of;
use serde::Serialize;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often a wait checks the clock and cancellation.
const TICK: Duration = Duration::from_millis(20);
/// How long a process may take to stop on request.
const REACT: Duration = Duration::from_secs(2);
/// Memory for a KV cache and an adapter.
const CACHE_BYTES: u64 = 2 << 30;
/// Time limit for rendering and tokenizing a prompt.
const READ_SECONDS: u64 = 60;
/// Bytes of weights that a slow disk loads per second.
const BYTES_PER_SECOND: u64 = 20_000_000;

/// A loaded stack in a process of its own.
pub(crate) struct StackProcess {
    name: String,
    session: Session,
    limits: Limits,
    precision: Precision,
}

impl StackProcess {
    /// Loads a stack.
    ///
    /// # Errors
    /// When it cannot be used, or the person stops it.
    pub(crate) fn open(program: &Path, opening: &Opening, stop: &AtomicBool) -> Result<Self, Problem> {
        let mut limits = limits_for(&opening.model.folder, true);
        limits.memory_bytes += CACHE_BYTES;
        limits.seconds += std::fs::metadata(opening.model.folder.join("model.safetensors"))
            .map_or(0, |weights| weights.len() / BYTES_PER_SECOND);
        let what = wording!("Loading the model “{name}”", "加载模型“{name}”", name = opening.model.name);
        let session = Session::start(program, TASK, (what, "model"), limits, json(opening)?)?;
        let name = match &opening.adapter {
            Some(adapter) => format!("{} + {}", opening.model.name, adapter.name),
            None => opening.model.name.clone(),
        };
        let mut process = Self { name, session, limits, precision: opening.precision };
        match process.wait(limits.seconds, stop)? {
            Reply::Ready(precision) => Ok(Self { precision, ..process }),
            _ => Err(out_of_turn()),
        }
    }

    /// Name of the stack, for people.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Number format of the weights.
    pub(crate) fn precision(&self) -> Precision {
        self.precision
    }

    /// Current memory of its process, in bytes; 0 where the system does not tell.
    pub(crate) fn memory_bytes(&self) -> u64 {
        memory_of(self.session.pid())
    }

    /// True while it can answer.
    pub(crate) fn lives(&mut self) -> bool {
        // An idle process only sends a message when it ends; one that has ended sends none.
        matches!(self.session.receive(Duration::ZERO), Ok(Received::Nothing)) && self.session.lives()
    }

    /// Generates an answer; `listener` gets the text piece by piece. Returns the whole answer and how it ended. A process
    /// that does not stop within two seconds is killed, and the text so far is the answer.
    ///
    /// # Errors
    /// When the question cannot be answered, or the process dies and cannot be used any more.
    pub(crate) fn answer(
        &mut self,
        messages: Vec<Message>,
        sampling: Sampling,
        stop: &AtomicBool,
        listener: &mut dyn FnMut(&str),
    ) -> Result<Spoken, Problem> {
        if stop.load(Ordering::Relaxed) {
            return Ok(cut_short(String::new(), 0.0));
        }
        self.session.send(&json(&Command::Answer { messages, sampling })?)?;
        let asked = Instant::now();
        let (mut received, mut begun, mut stopping) = (String::new(), false, None::<Instant>);
        loop {
            if stopping.is_none() && stop.load(Ordering::Relaxed) {
                self.session.send(&json(&Command::Stop)?)?;
                stopping = Some(Instant::now());
            }
            if stopping.is_some_and(|since| since.elapsed() > REACT) {
                self.session.end();
                return Ok(cut_short(received, asked.elapsed().as_secs_f64()));
            }
            if !begun && asked.elapsed() > Duration::from_secs(READ_SECONDS) {
                self.session.end();
                return Err(self.session.too_slow(Limits { seconds: READ_SECONDS, ..self.limits }));
            }
            match self.receive()? {
                None => {}
                Some(Reply::Begun) => begun = true,
                Some(Reply::Text(piece)) => {
                    listener(&piece);
                    received.push_str(&piece);
                }
                Some(Reply::Ended(spoken)) => {
                    let end = stopping.map_or(spoken.end, |_| AnswerEnd::Stopped);
                    return Ok(Spoken { end, ..spoken });
                }
                Some(Reply::Refused(problem)) => return Err(problem),
                Some(Reply::Ready(_)) => return Err(out_of_turn()),
            }
        }
    }

    /// Waits for a stack to be loaded. After the time limit, or on cancellation, the process is killed.
    fn wait(&mut self, seconds: u64, stop: &AtomicBool) -> Result<Reply, Problem> {
        let until = Instant::now() + Duration::from_secs(seconds);
        loop {
            if stop.load(Ordering::Relaxed) {
                self.session.end();
                return Err(self.session.stopped());
            }
            if let Some(reply) = self.receive()? {
                return Ok(reply);
            }
            if Instant::now() >= until {
                self.session.end();
                return Err(self.session.too_slow(Limits { seconds, ..self.limits }));
            }
        }
    }

    fn receive(&mut self) -> Result<Option<Reply>, Problem> {
        match self.session.receive(TICK)? {
            Received::Message(value) => request_of(value).map(Some),
            Received::Nothing => Ok(None),
            Received::Done(_) | Received::Idle => Err(out_of_turn()),
        }
    }
}

/// The answer of a process that had to be killed; nobody counted its tokens.
fn cut_short(text: String, seconds: f64) -> Spoken {
    Spoken { text, end: AnswerEnd::Stopped, tokens: 0, seconds }
}

fn json<T: Serialize>(value: &T) -> Result<serde_json::Value, Problem> {
    serde_json::to_value(value).map_err(|error| Problem::internal(Wording::name(error.to_string())))
}

fn out_of_turn() -> Problem {
    Problem::internal(wording!(
        "The process that answers sent an unexpected message.",
        "生成回答的进程发来了意外的消息。"
    ))
    .hint(wording!("Ask again.", "请再问一次。"))
}
