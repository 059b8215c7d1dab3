//! Conversations with one or more stacks side by side: same messages, same sampling, same seed in every pane.

pub(crate) mod answering;
pub(crate) mod speaking;
pub(crate) mod stack_process;

use crate::chats::answering::Answering;
use crate::studio::{Studio, lock, now_ms};
use crate::views::{ChatDelta, ChatView, StackView};
use alidade_domain::{AnswerEnd, ChatMessage, Wording, wording};
use alidade_domain::{Message, Precision, Problem, ProblemCode, Sampling, Stack};
use alidade_store::ChatRecord;
use std::sync::atomic::Ordering;

const TITLE: usize = 60;
const LONGEST_MESSAGE: usize = 100_000;

impl Studio {
    /// All stacks that can be talked to: bare models, then the results of runs.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn list_stacks(&self) -> Result<Vec<StackView>, Problem> {
        let view =
            |stack: Stack, origin: Wording, experiment| StackView { label: stack.label(), stack, origin, experiment };
        let bases = self
            .list_models()?
            .into_iter()
            .map(|model| view(Stack::base(model.model), wording!("base model", "基座模型"), None));
        let mut stacks: Vec<StackView> = bases.collect();
        for record in self.store.adapters()?.into_iter().rev() {
            let Some(run) = record.run.as_ref().and_then(|run| self.store.run(run).ok()) else { continue };
            // A reward model scores answers and generates none.
            if crate::experiments::pipeline::makes_scorer(&run.work) {
                continue;
            }
            let Ok(experiment) = self.store.experiment(&run.experiment) else { continue };
            let title = Wording::name(experiment.title);
            stacks.push(view(Stack::with_adapter(record.model, record.adapter), title, Some(run.experiment)));
        }
        Ok(stacks)
    }

    /// All chats without their messages, newest first.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn list_chats(&self) -> Result<Vec<ChatView>, Problem> {
        let chats = self.store.documents::<ChatRecord>()?;
        Ok(chats.into_iter().map(|chat| ChatRecord { messages: Vec::new(), ..chat }.into()).collect())
    }

    /// One chat. An answer that is still being generated is not included; one that was interrupted by the program's end is.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn get_chat(&self, id: &str) -> Result<ChatView, Problem> {
        let growing = lock(&self.answering).contains_key(id);
        let mut chat = self.chat_record(id)?;
        if growing {
            let turn = chat.messages.last().map_or(0, |message| message.turn);
            chat.messages.retain(|message| message.turn < turn || message.end != Some(AnswerEnd::Interrupted));
        }
        Ok(chat.into())
    }

    /// A new chat.
    ///
    /// # Errors
    /// When no stack is given.
    pub fn create_chat(&self, stacks: Vec<Stack>) -> Result<ChatView, Problem> {
        let chat = ChatRecord {
            id: self.fresh_id("c"),
            title: String::new(),
            stacks: checked(stacks)?,
            system_prompt: String::new(),
            sampling: Sampling { temperature: 0.7, top_p: 1.0, max_new_tokens: 128, seed: 42 },
            precision: Precision::F32,
            messages: Vec::new(),
            created_ms: now_ms(),
        };
        self.keep(&chat)?;
        Ok(chat.into())
    }

    /// Changes name, stacks, system message and sampling; messages stay.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn update_chat(&self, id: &str, change: ChatChange) -> Result<ChatView, Problem> {
        let sampling = change.sampling;
        let fits = (0.0..=5.0).contains(&sampling.temperature) && sampling.top_p > 0.0 && sampling.top_p <= 1.0;
        if !fits || !(1..=4096).contains(&sampling.max_new_tokens) {
            return Err(Problem::input(wording!("The temperature must be from 0 to 5, top-p above 0 and at most 1, and the length from 1 to 4096 tokens.", "温度须在 0 到 5 之间，top-p 须大于 0 且不超过 1，长度须为 1 到 4096 个词元。")).at("sampling"));
        }
        let stacks = checked(change.stacks)?;
        let _one_at_a_time = lock(&self.chat_writes);
        let mut chat = self.chat_record(id)?;
        (chat.title, chat.system_prompt, chat.sampling) = (change.title, change.system_prompt, sampling);
        chat.precision = change.precision;
        chat.stacks = stacks;
        self.keep(&chat)?;
        Ok(chat.into())
    }

    /// Removes a chat.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn delete_chat(&self, id: &str) -> Result<(), Problem> {
        self.stop_answer(id);
        let _one_at_a_time = lock(&self.chat_writes);
        Ok(self.store.delete_document::<ChatRecord>(id)?)
    }

    /// Stops the answers of a chat after the current token; their text is kept.
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
        let answering = self.begin_answering(id)?;
        let mut chat = self.chat_record(id)?;
        let turn = chat.messages.last().map_or(0, |message| message.turn + 1);
        add_question(&mut chat, turn, text)?;
        self.answer_turn(chat, turn, 0, &answering, listener)
    }

    /// Answers a turn again with the next seed; later turns are dropped.
    ///
    /// # Errors
    /// When there is no such turn or the chat is busy.
    pub fn regenerate(
        &self,
        id: &str,
        turn: usize,
        listener: &mut dyn FnMut(ChatDelta) -> bool,
    ) -> Result<(), Problem> {
        let answering = self.begin_answering(id)?;
        let mut chat = self.chat_record(id)?;
        if !chat.messages.iter().any(|message| message.turn == turn && message.pane.is_none()) {
            return Err(Problem::new(
                ProblemCode::NotFound,
                wording!("The chat has no turn {turn}.", "这个对话没有第 {turn} 轮。"),
            ));
        }
        let used = chat.messages.iter().filter(|message| message.turn == turn).filter_map(|message| message.seed).max();
        let next = used
            .map_or(0, |used| used.wrapping_sub(chat.sampling.seed.wrapping_add(turn as u64)).wrapping_add(1 << 20));
        chat.messages.retain(|message| message.turn < turn || (message.turn == turn && message.pane.is_none()));
        self.answer_turn(chat, turn, next, &answering, listener)
    }

    /// Replaces the person's message in a turn, drops later turns and answers.
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
        let answering = self.begin_answering(id)?;
        let mut chat = self.chat_record(id)?;
        chat.messages.retain(|message| message.turn < turn);
        add_question(&mut chat, turn, text)?;
        self.answer_turn(chat, turn, 0, &answering, listener)
    }

    /// Saves the question, then the answers as they grow.
    fn answer_turn(
        &self,
        chat: ChatRecord,
        turn: usize,
        more_seed: u64,
        answering: &Answering,
        listener: &mut dyn FnMut(ChatDelta) -> bool,
    ) -> Result<(), Problem> {
        self.keep(&chat)?;
        self.answer_panes(&chat, turn, more_seed, answering, listener)
    }

    /// Saves the messages so far. Changes of the person meanwhile (name, sampling) are kept, and a deleted chat stays
    /// deleted: only the messages are written.
    pub(crate) fn keep_answers(&self, chat: &ChatRecord, answers: &[ChatMessage]) -> Result<(), Problem> {
        let _one_at_a_time = lock(&self.chat_writes);
        match self.chat_record(&chat.id) {
            Ok(current) => {
                let messages = chat.messages.iter().chain(answers).cloned().collect();
                self.keep(&ChatRecord { messages, ..current })
            }
            Err(problem) if problem.code == ProblemCode::NotFound => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    /// A chat as it is stored.
    fn chat_record(&self, id: &str) -> Result<ChatRecord, Problem> {
        Ok(self.store.document(id)?)
    }

    fn keep(&self, chat: &ChatRecord) -> Result<(), Problem> {
        Ok(self.store.put_document(chat, chat.created_ms)?)
    }
}

/// The editable parts of a chat.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatChange {
    /// Name for people.
    pub title: String,
    /// One stack a pane.
    pub stacks: Vec<Stack>,
    /// System message, empty for none.
    pub system_prompt: String,
    /// Sampling.
    pub sampling: Sampling,
    /// Number format of the weights.
    pub precision: Precision,
}

fn checked(stacks: Vec<Stack>) -> Result<Vec<Stack>, Problem> {
    if (1..=4).contains(&stacks.len()) {
        return Ok(stacks);
    }
    Err(Problem::input(wording!("A chat shows one to four models side by side.", "一个对话可并排显示一到四个模型。"))
        .hint(wording!("Choose at least one model.", "请至少选择一个模型。"))
        .at("stacks"))
}

fn add_question(chat: &mut ChatRecord, turn: usize, text: &str) -> Result<(), Problem> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > LONGEST_MESSAGE {
        return Err(Problem::input(wording!(
            "A message has 1 to 100,000 characters.",
            "一条消息须有 1 到 100,000 个字符。"
        ))
        .at("text"));
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
        tokens: None,
        seconds: None,
    });
    Ok(())
}
