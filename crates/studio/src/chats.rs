//! Conversations with one or more stacks side by side: same words, same sampling, same seed in every pane.

use crate::studio::{Studio, lock, now_ms};
use crate::views::{AnswerEnd, ChatDelta, ChatMessage, ChatView, StackView};
use crate::{AnswerRequest, Speaker};
use alidade_domain::{Message, Precision, Problem, ProblemCode, Sampling, Stack};
use alidade_model::Finish;
use alidade_store::Shelf;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

/// Models that stay loaded.
const LOADED: usize = 4;
const TITLE: usize = 60;
const LONGEST_MESSAGE: usize = 100_000;

impl Studio {
    /// Everything that can be talked to: bare models, then what runs have made.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn list_stacks(&self) -> Result<Vec<StackView>, Problem> {
        let view =
            |stack: Stack, origin: String, experiment| StackView { label: stack.label(), stack, origin, experiment };
        let bases =
            self.list_models()?.into_iter().map(|model| view(Stack::base(model.model), "base model".to_owned(), None));
        let mut stacks: Vec<StackView> = bases.collect();
        for record in self.store.adapters()?.into_iter().rev() {
            let Some(run) = record.run.as_ref().and_then(|run| self.store.run(run).ok()) else { continue };
            // A reward model rates answers; it has none to give.
            if run.recipe.method.makes_scorer() {
                continue;
            }
            let title = self.store.experiment(&run.experiment)?.title;
            stacks.push(view(Stack::with_adapter(record.model, record.adapter), title, Some(run.experiment)));
        }
        Ok(stacks)
    }

    /// All chats without their messages, newest first.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn list_chats(&self) -> Result<Vec<ChatView>, Problem> {
        let chats = self.store.all::<ChatView>(Shelf::Chats)?;
        Ok(chats.into_iter().map(|chat| ChatView { messages: Vec::new(), ..chat }).collect())
    }

    /// One chat.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn get_chat(&self, id: &str) -> Result<ChatView, Problem> {
        Ok(self.store.one(Shelf::Chats, id)?)
    }

    /// A new chat.
    ///
    /// # Errors
    /// When no stack is given.
    pub fn create_chat(&self, stacks: Vec<Stack>) -> Result<ChatView, Problem> {
        let chat = ChatView {
            id: self.fresh_id("c"),
            title: String::new(),
            stacks: checked(stacks)?,
            system_prompt: String::new(),
            sampling: Sampling { temperature: 0.7, top_p: 1.0, max_new_tokens: 128, seed: 42 },
            precision: Precision::Single,
            messages: Vec::new(),
            created_ms: now_ms(),
        };
        self.keep(&chat)?;
        Ok(chat)
    }

    /// Changes name, stacks, system line and sampling; messages stay.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn update_chat(&self, id: &str, change: ChatChange) -> Result<ChatView, Problem> {
        let sampling = change.sampling;
        let fits = (0.0..=5.0).contains(&sampling.temperature) && sampling.top_p > 0.0 && sampling.top_p <= 1.0;
        if !fits || !(1..=4096).contains(&sampling.max_new_tokens) {
            return Err(Problem::input("The temperature must be from 0 to 5, top-p above 0 and at most 1, and the length from 1 to 4096 tokens.").at("sampling"));
        }
        let mut chat = self.get_chat(id)?;
        (chat.title, chat.system_prompt, chat.sampling) = (change.title, change.system_prompt, sampling);
        chat.precision = change.precision;
        chat.stacks = checked(change.stacks)?;
        self.keep(&chat)?;
        Ok(chat)
    }

    /// Removes a chat.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn delete_chat(&self, id: &str) -> Result<(), Problem> {
        self.stop_answer(id);
        Ok(self.store.remove(Shelf::Chats, id)?)
    }

    /// Stops the answers of a chat after the token at hand; what was written is kept.
    pub fn stop_answer(&self, id: &str) {
        if let Some(flag) = lock(&self.answering).get(id) {
            flag.store(true, Ordering::Relaxed);
        }
    }

    /// Adds a message and lets every pane answer it.
    ///
    /// # Errors
    /// When the message is empty or the chat is busy.
    pub fn send_message(
        &self,
        id: &str,
        text: &str,
        listener: &mut dyn FnMut(ChatDelta) -> bool,
    ) -> Result<(), Problem> {
        let mut chat = self.get_chat(id)?;
        let turn = chat.messages.last().map_or(0, |message| message.turn + 1);
        add_question(&mut chat, turn, text)?;
        self.answer_turn(chat, turn, 0, listener)
    }

    /// Answers a turn anew with the next seed; what followed it is dropped.
    ///
    /// # Errors
    /// When there is no such turn or the chat is busy.
    pub fn regenerate(
        &self,
        id: &str,
        turn: usize,
        listener: &mut dyn FnMut(ChatDelta) -> bool,
    ) -> Result<(), Problem> {
        let mut chat = self.get_chat(id)?;
        if !chat.messages.iter().any(|message| message.turn == turn && message.pane.is_none()) {
            return Err(Problem::new(ProblemCode::NotFound, format!("The chat has no turn {turn}.")));
        }
        let used = chat.messages.iter().filter(|message| message.turn == turn).filter_map(|message| message.seed).max();
        let next = used
            .map_or(0, |used| used.wrapping_sub(chat.sampling.seed.wrapping_add(turn as u64)).wrapping_add(1 << 20));
        chat.messages.retain(|message| message.turn < turn || (message.turn == turn && message.pane.is_none()));
        self.answer_turn(chat, turn, next, listener)
    }

    /// Replaces the person's words in a turn, drops what followed and answers.
    ///
    /// # Errors
    /// When the text is empty or the chat is busy.
    pub fn edit_message(
        &self,
        id: &str,
        turn: usize,
        text: &str,
        listener: &mut dyn FnMut(ChatDelta) -> bool,
    ) -> Result<(), Problem> {
        let mut chat = self.get_chat(id)?;
        chat.messages.retain(|message| message.turn < turn);
        add_question(&mut chat, turn, text)?;
        self.answer_turn(chat, turn, 0, listener)
    }

    fn answer_turn(
        &self,
        mut chat: ChatView,
        turn: usize,
        more_seed: u64,
        listener: &mut dyn FnMut(ChatDelta) -> bool,
    ) -> Result<(), Problem> {
        let id = chat.id.clone();
        let stop = self.begin(&id)?;
        let result = self.keep(&chat).and_then(|()| {
            let answers = self.answer_panes(&chat, turn, more_seed, &stop, listener);
            chat.messages.extend(answers);
            // What the person changed meanwhile (name, sampling) is kept; only the messages are ours.
            match self.get_chat(&chat.id) {
                Ok(current) => self.keep(&ChatView { messages: chat.messages, ..current }),
                Err(_) => Ok(()),
            }
        });
        lock(&self.answering).remove(&id);
        result
    }

    fn begin(&self, id: &str) -> Result<Arc<AtomicBool>, Problem> {
        let mut answering = lock(&self.answering);
        if answering.contains_key(id) {
            return Err(
                Problem::new(ProblemCode::Conflict, "This chat is being answered.").hint("Stop the answer first.")
            );
        }
        let flag = Arc::new(AtomicBool::new(false));
        answering.insert(id.to_owned(), flag.clone());
        Ok(flag)
    }

    /// One thread a pane; their words come through one channel in the order in which they are written.
    fn answer_panes(
        &self,
        chat: &ChatView,
        turn: usize,
        more_seed: u64,
        stop: &AtomicBool,
        listener: &mut dyn FnMut(ChatDelta) -> bool,
    ) -> Vec<ChatMessage> {
        let (sender, receiver) = channel();
        let mut stored = Vec::new();
        std::thread::scope(|scope| {
            for pane in 0..chat.stacks.len() {
                let sender = sender.clone();
                scope.spawn(move || {
                    let end = match self.answer_pane(chat, turn, pane, more_seed, stop, &sender) {
                        Ok(message) => ChatDelta::Done { message },
                        Err(problem) => ChatDelta::Problem { pane, problem },
                    };
                    // The receiver outlives the scope's threads.
                    let _ = sender.send(end);
                });
            }
            drop(sender);
            for delta in receiver {
                if let ChatDelta::Done { message } = &delta {
                    stored.push(message.clone());
                }
                // Without a listener the answers are finished and kept all the same.
                listener(delta);
            }
        });
        stored.sort_by_key(|message| message.pane);
        stored
    }

    fn answer_pane(
        &self,
        chat: &ChatView,
        turn: usize,
        pane: usize,
        more_seed: u64,
        stop: &AtomicBool,
        sender: &Sender<ChatDelta>,
    ) -> Result<ChatMessage, Problem> {
        let stack = &chat.stacks[pane];
        let speaker = self.speaker(stack, chat.precision)?;
        let messages = history(chat, turn, pane);
        let mut sampling = chat.sampling;
        sampling.seed = sampling.seed.wrapping_add(turn as u64).wrapping_add(more_seed);
        let speaker = lock(&speaker);
        let held = speaker.precision();
        let request = AnswerRequest { messages: &messages, sampling: &sampling };
        let (text, finish) = speaker.answer(&request, &mut |piece| {
            let told = sender.send(ChatDelta::Text { pane, text: piece.to_owned() });
            told.is_ok() && !stop.load(Ordering::Relaxed)
        })?;
        let end = match finish {
            _ if stop.load(Ordering::Relaxed) => AnswerEnd::Stopped,
            Finish::Stop => AnswerEnd::Complete,
            Finish::Length => AnswerEnd::Length,
            Finish::Cancelled => AnswerEnd::Stopped,
        };
        let message = Message::assistant(text);
        Ok(ChatMessage {
            turn,
            pane: Some(pane),
            message,
            badge: Some(badge(stack, held)),
            end: Some(end),
            seed: Some(sampling.seed),
        })
    }

    /// A loaded model for a stack, its weights held as asked where that is possible. The files are checked against the hashes
    /// on the badge before they answer.
    pub(crate) fn speaker(&self, stack: &Stack, precision: Precision) -> Result<Arc<Mutex<Speaker>>, Problem> {
        let adapter = stack.adapter.as_ref().map_or("", |adapter| &adapter.id);
        let key = format!("{adapter} {} {}", stack.label(), precision.name());
        let mut speakers = lock(&self.speakers);
        if let Some(index) = speakers.iter().position(|(known, _)| *known == key) {
            let entry = speakers.remove(index);
            let speaker = entry.1.clone();
            speakers.push(entry);
            return Ok(speaker);
        }
        let model = self.model(&stack.model.id).map_err(|problem| problem.at("model"))?;
        let adapter = match &stack.adapter {
            Some(adapter) => Some(self.store.adapter(&adapter.id).map_err(|error| Problem::from(error).at("adapter"))?),
            None => None,
        };
        let folder = adapter.as_ref().map(|record| Path::new(&record.folder));
        if let (Some(folder), Some(adapter)) = (folder, &stack.adapter)
            && alidade_model::adapter_sha256(folder)? != adapter.sha256
        {
            let message = format!("The adapter “{}” is no longer the one of this chat.", adapter.name);
            return Err(Problem::new(ProblemCode::Conflict, message).hint("Choose the stack again.").at("adapter"));
        }
        let speaker = Arc::new(Mutex::new(Speaker::open(Path::new(&model.folder), folder, precision)?));
        speakers.push((key, speaker.clone()));
        if speakers.len() > LOADED {
            speakers.remove(0);
        }
        Ok(speaker)
    }

    fn keep(&self, chat: &ChatView) -> Result<(), Problem> {
        Ok(self.store.put(Shelf::Chats, &chat.id, chat, chat.created_ms)?)
    }
}

/// What a person may change of a chat.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatChange {
    /// Name for people.
    pub title: String,
    /// One stack a pane.
    pub stacks: Vec<Stack>,
    /// System line, empty for none.
    pub system_prompt: String,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// How the weights are held.
    pub precision: Precision,
}

/// What answered; rounded weights are said to be rounded.
fn badge(stack: &Stack, held: Precision) -> String {
    match held {
        Precision::Single => stack.label(),
        rounded => format!("{} · {}", stack.label(), rounded.name()),
    }
}

fn checked(stacks: Vec<Stack>) -> Result<Vec<Stack>, Problem> {
    if (1..=4).contains(&stacks.len()) {
        return Ok(stacks);
    }
    Err(Problem::input("A chat shows one to four models side by side.").hint("Choose at least one model.").at("stacks"))
}

fn add_question(chat: &mut ChatView, turn: usize, text: &str) -> Result<(), Problem> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > LONGEST_MESSAGE {
        return Err(Problem::input("A message has 1 to 100,000 characters.").at("text"));
    }
    if chat.title.is_empty() {
        chat.title = text.chars().take(TITLE).collect();
    }
    chat.messages.push(ChatMessage {
        turn,
        pane: None,
        message: Message::user(text),
        badge: None,
        end: None,
        seed: None,
    });
    Ok(())
}

/// What a pane has heard and said before, and the question of this turn.
fn history(chat: &ChatView, turn: usize, pane: usize) -> Vec<Message> {
    let system = Some(chat.system_prompt.trim()).filter(|text| !text.is_empty()).map(Message::system);
    let heard =
        chat.messages.iter().filter(|message| message.turn <= turn && message.pane.is_none_or(|own| own == pane));
    system.into_iter().chain(heard.map(|message| message.message.clone())).collect()
}
