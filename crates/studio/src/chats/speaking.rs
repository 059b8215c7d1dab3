//! The child process of a chat: a stack is loaded once and answers one conversation after another. Whatever an untrusted
//! template, tokenizer or weights do, only this process ends, and its memory is freed.

use crate::confined::{Link, request_of};
use crate::{Clock, Speaker};
use alidade_domain::AnswerEnd;
use alidade_domain::{Message, Precision, Problem, ProblemCode, Sampling, Words, wording};
use alidade_model::{Finish, adapter_sha256, model_sha256};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// Name of the task.
pub(crate) const TASK: &str = "speak";

/// The stack to load, with the expected hashes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Opening {
    /// Folder of the base model, its name for people, and its hash.
    pub(crate) model: Checked,
    /// The same of the adapter.
    pub(crate) adapter: Option<Checked>,
    /// The requested number format of the weights.
    pub(crate) precision: Precision,
    /// Seconds without a question after which the process ends.
    pub(crate) idle_seconds: u64,
}

/// A folder with its name for people and its expected hash.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Checked {
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
    pub(crate) sha256: String,
}

/// A message from the program to the process.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Command {
    /// Answer this.
    Answer {
        /// The conversation so far; the last turn is the person's.
        messages: Vec<Message>,
        /// Sampling.
        sampling: Sampling,
    },
    /// Stop after the current token.
    Stop,
}

/// A message from the process to the program.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// It is loaded; the number format that its weights have.
    Ready(Precision),
    /// The prompt is tokenized; the answer begins.
    Begun,
    /// More of the answer.
    Text(String),
    /// The whole answer.
    Ended(Spoken),
    /// The question cannot be answered.
    Refused(Problem),
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spoken {
    /// Its text.
    pub(crate) text: String,
    /// How it ended.
    pub(crate) end: AnswerEnd,
    /// Its tokens.
    pub(crate) tokens: usize,
    /// Seconds of reading the prompt and generating.
    pub(crate) seconds: f64,
}

/// The task in the child.
pub(crate) fn task(request: Value, link: &mut Link) -> Result<Value, Problem> {
    let opening: Opening = request_of(request)?;
    let name = &opening.model.name;
    link.at(wording!("Loading the model “{name}”", "加载模型“{name}”"), "model")?;
    opening.check()?;
    let adapter = opening.adapter.as_ref().map(|adapter| adapter.folder.as_path());
    let speaker = Speaker::open(&opening.model.folder, adapter, opening.precision)?;
    link.send(&Reply::Ready(speaker.precision()))?;
    while let Some(said) = link.wait(Duration::from_secs(opening.idle_seconds)) {
        // A stop that arrives after the end of an answer needs no action.
        let Command::Answer { messages, sampling } = request_of(said)? else { continue };
        let reply = match answer(&speaker, name, &messages, &sampling, link) {
            Ok(spoken) => Reply::Ended(spoken),
            Err(problem) => Reply::Refused(problem),
        };
        link.send(&reply)?;
    }
    link.idle()?;
    Ok(Value::Null)
}

impl Opening {
    fn check(&self) -> Result<(), Problem> {
        let changed = |what: Words, name: &str, field: &str| {
            let message = wording!(
                "The {what} “{name}” has changed since this chat chose it.",
                "{what}“{name}”在这个对话选用之后有改动。";
                what
            );
            Problem::new(ProblemCode::Conflict, message)
                .hint(wording!("Choose the stack again.", "请重新选择模型组合。"))
                .at(field)
        };
        let at_model = |error| Problem::from(error).at("model");
        if model_sha256(&self.model.folder).map_err(at_model)? != self.model.sha256 {
            return Err(changed(Words::new("model", "模型"), &self.model.name, "model"));
        }
        let Some(adapter) = &self.adapter else { return Ok(()) };
        if adapter_sha256(&adapter.folder).map_err(|error| Problem::from(error).at("adapter"))? != adapter.sha256 {
            return Err(changed(Words::new("adapter", "适配器"), &adapter.name, "adapter"));
        }
        Ok(())
    }
}

fn answer(
    speaker: &Speaker,
    name: &str,
    messages: &[Message],
    sampling: &Sampling,
    link: &mut Link,
) -> Result<Spoken, Problem> {
    link.at(wording!("Rendering the conversation for the model “{name}”", "为模型“{name}”套用对话模板"), "model")?;
    let prompt = speaker.prompt(messages)?;
    link.at(wording!("Answering with the model “{name}”", "模型“{name}”的回答"), "model")?;
    link.send(&Reply::Begun)?;
    let clock = Clock::start();
    let (text, finish) = speaker.continue_prompt(prompt, sampling, &mut |piece| {
        // While an answer is generated, only a stop can arrive.
        link.poll().is_none() && link.send(&Reply::Text(piece.to_owned())).is_ok()
    })?;
    let end = match finish {
        Finish::Stop => AnswerEnd::Complete,
        Finish::Length => AnswerEnd::Length,
        Finish::Cancelled => AnswerEnd::Stopped,
    };
    let tokens = speaker.tokens(&text)?;
    Ok(Spoken { text, end, tokens, seconds: clock.seconds() })
}
