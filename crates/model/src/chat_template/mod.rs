//! Chat templates: from messages to the text that a model reads, as transformers renders it, and the assistant's parts of
//! it. Templates come from untrusted model files, so they run with fuel, bounds and an output cap on a thread of their own;
//! a template that loops or writes too much ends in an error that says so.

mod arguments;
mod clock;
mod engine;
mod filters;
mod guard;
mod json;
mod lexer;
mod methods;
mod operators;
mod percent;
mod python;
mod renderer;
mod source;
mod text_filters;
mod turns;
mod wordwrap;

use crate::ModelError;
use crate::error::Result;
use crate::tokenizer::TextTokenizer;
use alidade_domain::{LocalTime, Message, Role, wording};
use engine::Request;
use renderer::Renderer;
pub use source::template_source;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

/// Most bytes of a template's source.
const SOURCE_LIMIT: usize = 64 << 10;

/// How a conversation is to be rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendering {
    /// As it stands.
    Whole,
    /// With the opening of the assistant's next turn.
    ForAnswer,
}

/// A model's chat template, ready to be applied.
pub struct ChatTemplate {
    renderer: Renderer,
    source: String,
    marked: bool,
    special: Vec<String>,
    opening: OnceLock<Option<String>>,
    closing: OnceLock<Vec<String>>,
}

impl ChatTemplate {
    /// Reads a folder's template: `chat_template.jinja`, or the one inside `tokenizer_config.json`, and of several the
    /// default; `None` when there is none. `now` is what a template is told that asks what day it is.
    ///
    /// # Errors
    /// When there is one that cannot be read or compiled.
    pub fn open(folder: &Path, tokenizer: &TextTokenizer, now: LocalTime) -> Result<Option<Self>> {
        let source = template_source(folder)?;
        let special = tokenizer.specials().values().cloned().collect();
        source.map(|source| Self::new(&source, tokenizer.named(), special, now)).transpose()
    }

    /// Compiles a template. `tokens` are special tokens by the names that templates know them by, `special` all of them.
    ///
    /// # Errors
    /// When it is too long or not valid.
    pub fn new(source: &str, tokens: &BTreeMap<String, String>, special: Vec<String>, now: LocalTime) -> Result<Self> {
        if source.len() > SOURCE_LIMIT {
            let reason = wording!(
                "it is {length} bytes long; the limit is {SOURCE_LIMIT}",
                "它有 {length} 字节，上限为 {SOURCE_LIMIT}",
                length = source.len()
            );
            return Err(ModelError::Template { reason });
        }
        // Jinja2 reads every kind of line end as a line feed.
        let source = source.replace("\r\n", "\n").replace('\r', "\n");
        let renderer = Renderer::start(&source, tokens, now)?;
        let marked = engine::marks_answers(&source);
        let special = special.into_iter().filter(|token| !token.is_empty()).collect();
        Ok(Self { renderer, source, marked, special, opening: OnceLock::new(), closing: OnceLock::new() })
    }

    /// The text that the model sees.
    ///
    /// # Errors
    /// When the template refuses the conversation, loops, or writes too much.
    pub fn render(&self, messages: &[Message], rendering: Rendering) -> Result<String> {
        self.write(messages, rendering, None)
    }

    /// The whole conversation as text, and the bytes of it that the assistant says: each turn's content with what closes it,
    /// as it stands in this rendering.
    ///
    /// # Errors
    /// When the template refuses the conversation, or its turns cannot be found for certain.
    pub fn assistant_parts(&self, messages: &[Message]) -> Result<(String, Vec<Range<usize>>)> {
        turns::assistant_parts(self, messages)
    }

    /// The special tokens that the template closes an assistant's turn with; empty when it closes it with none.
    pub fn closing(&self) -> &[String] {
        self.closing.get_or_init(|| turns::closing(self).unwrap_or_default())
    }

    /// Whether it ends an assistant's turn for certain, and with text alone: what is trained on then shows no end of an
    /// answer.
    pub fn closes_with_text_alone(&self) -> bool {
        self.closing().is_empty() && turns::closes(self)
    }

    /// The template as it was read, its line ends as line feeds.
    pub fn source(&self) -> &str {
        &self.source
    }

    fn write(&self, messages: &[Message], rendering: Rendering, marks: Option<[char; 2]>) -> Result<String> {
        let messages = messages.iter().map(|message| (name(message.role), message.content.clone())).collect();
        self.renderer.render(Request { messages, for_answer: rendering == Rendering::ForAnswer, marks })
    }

    /// What the template writes for the assistant to go on from, after these messages; `None` when it does not take them.
    fn opening(&self, messages: &[Message]) -> Option<String> {
        let open = self.render(messages, Rendering::ForAnswer).ok()?;
        let whole = self.render(messages, Rendering::Whole).ok()?;
        Some(open[turns::common(&open, &whole)..].to_owned())
    }

    /// The same after a single question.
    fn usual_opening(&self) -> Option<&str> {
        self.opening.get_or_init(|| self.opening(&[Message::user("a")])).as_deref()
    }
}

/// Whether what a template writes depends on the day.
pub fn asks_what_day_it_is(source: &str) -> bool {
    source.contains("strftime_now")
}

/// Ids that end an answer: those that the model's files name, and those that the template closes an answer with.
pub fn stop_tokens(tokenizer: &TextTokenizer, template: Option<&ChatTemplate>) -> BTreeSet<u32> {
    let closing = template.map(ChatTemplate::closing).unwrap_or_default();
    tokenizer.stops().iter().copied().chain(closing.iter().filter_map(|token| tokenizer.id(token))).collect()
}

fn name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

#[cfg(test)]
mod jinja2;
#[cfg(test)]
mod tests;
