//! Answers of a chat: one process for each loaded stack, one thread for each pane. Shown text is saved as it grows, so that
//! a kill of the program loses nothing that the person has read.

use crate::chats::speaking::{Checked, Opening};
use crate::chats::stack_process::StackProcess;
use crate::studio::{Studio, lock};
use crate::views::ChatDelta;
use alidade_domain::{AnswerEnd, ChatMessage, wording};
use alidade_domain::{Message, Precision, Problem, ProblemCode, Stack};
use alidade_store::ChatRecord;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Maximum number of loaded stacks.
const LOADED: usize = 4;
/// Seconds without a question after which a stack is unloaded: long enough to read an answer and think of the next question.
const IDLE_SECONDS: u64 = 5 * 60;
/// Shown text is saved after this time or this number of pieces.
const KEEP_EVERY: Duration = Duration::from_millis(500);
const KEEP_PIECES: usize = 64;

/// A slot for a loaded stack; empty before it is loaded, and after its process has died.
pub(crate) type Slot = Arc<Mutex<Option<StackProcess>>>;

/// Guard that marks a chat as being answered until it is dropped.
pub(crate) struct Answering<'a> {
    studio: &'a Studio,
    id: String,
    stop: Arc<AtomicBool>,
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        lock(&self.studio.answering).remove(&self.id);
    }
}

/// A message from the thread of a pane.
enum Piece {
    /// The answer has begun; still empty.
    Begun(ChatMessage),
    Text(usize, String),
    Done(ChatMessage),
    Failed(usize, Problem),
}

impl Studio {
    /// Marks a chat as being answered.
    ///
    /// # Errors
    /// When it is being answered already.
    pub(crate) fn begin_answering(&self, id: &str) -> Result<Answering<'_>, Problem> {
        let mut answering = lock(&self.answering);
        if answering.contains_key(id) {
            return Err(Problem::new(
                ProblemCode::Conflict,
                wording!("This chat is being answered.", "这个对话正在生成回答。"),
            )
            .hint(wording!("Stop the answer first.", "请先停止生成。")));
        }
        let stop = Arc::new(AtomicBool::new(false));
        answering.insert(id.to_owned(), stop.clone());
        Ok(Answering { studio: self, id: id.to_owned(), stop })
    }

    /// Answers a turn with one thread per pane; their pieces arrive through one channel.
    ///
    /// # Errors
    /// When the answers cannot be saved.
    pub(crate) fn answer_panes(
        &self,
        chat: &ChatRecord,
        turn: usize,
        more_seed: u64,
        answering: &Answering,
        listener: &mut dyn FnMut(ChatDelta) -> bool,
    ) -> Result<(), Problem> {
        let (sender, receiver) = channel();
        std::thread::scope(|scope| {
            for pane in 0..chat.stacks.len() {
                let sender = sender.clone();
                scope.spawn(move || {
                    let answer = || self.answer_pane(chat, turn, pane, more_seed, &answering.stop, &sender);
                    let answer = catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|_| {
                        Err(Problem::internal(wording!(
                            "Answering failed because of a fault in the program.",
                            "由于程序错误，回答失败。"
                        )))
                    });
                    let end = answer.map_or_else(|problem| Piece::Failed(pane, problem), Piece::Done);
                    // The receiver outlives the scope's threads.
                    let _ = sender.send(end);
                });
            }
            drop(sender);
            self.collect(chat, &receiver, listener)
        })
    }

    /// Forwards pieces to the listener, and saves the shown text regularly and at the end.
    fn collect(
        &self,
        chat: &ChatRecord,
        pieces: &Receiver<Piece>,
        listener: &mut dyn FnMut(ChatDelta) -> bool,
    ) -> Result<(), Problem> {
        let mut answers: Vec<ChatMessage> = Vec::new();
        let (mut kept, mut fresh) = (Instant::now(), 0);
        loop {
            let wait = KEEP_EVERY.saturating_sub(kept.elapsed());
            let piece = match pieces.recv_timeout(if fresh > 0 { wait } else { KEEP_EVERY }) {
                Ok(piece) => Some(piece),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            fresh += usize::from(matches!(piece, Some(Piece::Text(..))));
            if let Some(delta) = piece.and_then(|piece| take(&mut answers, piece)) {
                // Without a listener the answers are still finished and saved.
                listener(delta);
            }
            if fresh >= KEEP_PIECES || (fresh > 0 && kept.elapsed() >= KEEP_EVERY) {
                // An error here (a full disk) occurs again at the end; the answers continue meanwhile.
                let _ = self.keep_answers(chat, &answers);
                (kept, fresh) = (Instant::now(), 0);
            }
        }
        self.keep_answers(chat, &answers)
    }

    fn answer_pane(
        &self,
        chat: &ChatRecord,
        turn: usize,
        pane: usize,
        more_seed: u64,
        stop: &AtomicBool,
        sender: &Sender<Piece>,
    ) -> Result<ChatMessage, Problem> {
        let stack = &chat.stacks[pane];
        let (opening, slot) = self.slot(stack, chat.precision)?;
        let mut sampling = chat.sampling;
        sampling.seed = sampling.seed.wrapping_add(turn as u64).wrapping_add(more_seed);
        let mut slot = lock(&slot);
        if !slot.as_mut().is_some_and(StackProcess::lives) {
            // A dead process is dropped before another is loaded.
            slot.take();
        }
        let process = match slot.as_mut() {
            Some(process) => process,
            None => slot.insert(StackProcess::open(&self.configuration.program, &opening, stop)?),
        };
        let mut message = ChatMessage {
            turn,
            pane: Some(pane),
            message: Message::assistant(String::new()),
            badge: Some(badge(stack, process.precision())),
            end: Some(AnswerEnd::Interrupted),
            seed: Some(sampling.seed),
            tokens: None,
            seconds: None,
        };
        // The receiver outlives this thread.
        let _ = sender.send(Piece::Begun(message.clone()));
        let heard = Cell::new(false);
        let ask = |process: &mut StackProcess| {
            process.answer(history(chat, turn, pane), sampling, stop, &mut |text| {
                heard.set(true);
                let _ = sender.send(Piece::Text(pane, text.to_owned()));
            })
        };
        let mut answer = ask(process);
        // A process may have died just when it was asked, before its first piece: one retry with a new one.
        if answer.as_ref().is_err_and(|problem| problem.code == ProblemCode::WorkerLost) && !heard.get() {
            slot.take();
            answer = ask(slot.insert(StackProcess::open(&self.configuration.program, &opening, stop)?));
        }
        let spoken = answer?;
        (message.message, message.end) = (Message::assistant(spoken.text), Some(spoken.end));
        (message.tokens, message.seconds) = (Some(spoken.tokens).filter(|tokens| *tokens > 0), Some(spoken.seconds));
        Ok(message)
    }

    /// The slot of a stack, and how to load it. Removed models and adapters no longer answer, even if loaded.
    fn slot(&self, stack: &Stack, precision: Precision) -> Result<(Opening, Slot), Problem> {
        let model = self.model(&stack.model.id).map_err(|problem| problem.at("model"))?;
        let adapter = match &stack.adapter {
            Some(adapter) => {
                let record = self.store.adapter(&adapter.id).map_err(|error| Problem::from(error).at("adapter"))?;
                let (name, sha256) = (adapter.name.clone(), adapter.sha256.clone());
                Some(Checked { folder: PathBuf::from(record.folder), name, sha256 })
            }
            None => None,
        };
        let base = Checked {
            folder: PathBuf::from(&model.folder),
            name: stack.model.name.clone(),
            sha256: stack.model.sha256.clone(),
        };
        let opening = Opening { model: base, adapter, precision, idle_seconds: IDLE_SECONDS };
        let key = format!("{} {} {}", stack.ids().join(" "), stack.key(), precision.name());
        let mut speakers = lock(&self.speakers);
        let found = speakers.iter().position(|(known, _)| *known == key);
        let entry = found.map_or_else(|| (key, Slot::default()), |index| speakers.remove(index));
        let slot = entry.1.clone();
        speakers.push(entry);
        if speakers.len() > LOADED {
            speakers.remove(0);
        }
        Ok((opening, slot))
    }

    /// The stacks in memory, with the current size of each.
    pub(crate) fn held_by_chats(&self) -> Vec<(String, u64)> {
        let speakers = lock(&self.speakers).clone();
        let held = speakers.into_iter().filter_map(|(_, slot)| {
            // A slot that is answering now is in use, and cannot be given back either.
            let mut slot = slot.try_lock().ok()?;
            let process = slot.as_mut()?;
            process.lives().then(|| (process.name().to_owned(), process.memory_bytes()))
        });
        held.collect()
    }

    /// Unloads every stack that is not answering.
    pub(crate) fn unload_all(&self) {
        lock(&self.speakers).retain(|(_, slot)| slot.try_lock().is_err());
    }

    /// Unloads all stacks that a model or an adapter is part of.
    pub(crate) fn unload(&self, id: &str) {
        lock(&self.speakers).retain(|(key, _)| !key.split(' ').any(|part| part == id));
    }
}

/// Applies a piece to the answers; returns the message for the listener.
fn take(answers: &mut Vec<ChatMessage>, piece: Piece) -> Option<ChatDelta> {
    match piece {
        Piece::Begun(message) => {
            answers.push(message);
            answers.sort_by_key(|message| message.pane);
            None
        }
        Piece::Text(pane, text) => {
            let growing = answers.iter_mut().find(|message| message.pane == Some(pane));
            growing.into_iter().for_each(|message| message.message.content.push_str(&text));
            Some(ChatDelta::Text { pane, text })
        }
        Piece::Done(message) => {
            let growing = answers.iter_mut().find(|growing| growing.pane == message.pane);
            growing.into_iter().for_each(|growing| growing.clone_from(&message));
            Some(ChatDelta::Done { message })
        }
        Piece::Failed(pane, problem) => {
            // Shown text stays, marked as interrupted; an empty answer is removed.
            answers.retain(|message| message.pane != Some(pane) || !message.message.content.is_empty());
            Some(ChatDelta::Problem { pane, problem })
        }
    }
}

/// The badge of an answer, which names the number format of rounded weights.
fn badge(stack: &Stack, held: Precision) -> String {
    match held {
        Precision::F32 => stack.label(),
        rounded => format!("{} · {}", stack.label(), rounded.name()),
    }
}

/// The conversation of a pane, up to the question of this turn.
fn history(chat: &ChatRecord, turn: usize, pane: usize) -> Vec<Message> {
    let system = Some(chat.system_prompt.trim()).filter(|text| !text.is_empty()).map(Message::system);
    let heard =
        chat.messages.iter().filter(|message| message.turn <= turn && message.pane.is_none_or(|own| own == pane));
    system.into_iter().chain(heard.map(|message| message.message.clone())).collect()
}
