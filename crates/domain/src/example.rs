//! One row of a data set in the common format that importers produce and methods consume.

use crate::{Message, Role, conversation_text};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Two answers to one prompt, the first preferred.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct PreferencePair {
    /// The prompt of both answers.
    pub prompt: Vec<Message>,
    /// The preferred answer.
    pub chosen: Vec<Message>,
    /// The other answer.
    pub rejected: Vec<Message>,
    /// By how much the first is better, in the units of the source; absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// Whether the chosen and the rejected answer are harmful, if the source says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harmful: Option<[bool; 2]>,
}

/// A row that a method can learn from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Example {
    /// A prompt and the answer to learn; by default only the answer is learned.
    Answer {
        /// The prompt.
        prompt: Vec<Message>,
        /// The answer to learn.
        completion: Vec<Message>,
    },
    /// A whole conversation without a marked prompt.
    Conversation {
        /// All turns in order.
        messages: Vec<Message>,
    },
    /// Plain text, learned from its first token to its end.
    Text {
        /// The document.
        text: String,
    },
    /// A prompt and an answer in plain text: no chat template is applied.
    PlainAnswer {
        /// Text before the answer, as it stands.
        prompt: String,
        /// Text to learn.
        completion: String,
    },
    /// Two answers, one preferred.
    Pair(PreferencePair),
    /// Two answers in plain text: no chat template is applied.
    PlainPair {
        /// Text before both answers.
        prompt: String,
        /// The preferred text.
        chosen: String,
        /// The other text.
        rejected: String,
    },
    /// One answer with a thumb up or down.
    Rated {
        /// The prompt.
        prompt: Vec<Message>,
        /// The answer.
        completion: Vec<Message>,
        /// True when the answer is wanted.
        label: bool,
    },
    /// One plain-text answer with a thumb up or down: no chat template is applied.
    PlainRated {
        /// Text before the answer, as it stands.
        prompt: String,
        /// The answer.
        completion: String,
        /// True when the answer is wanted.
        label: bool,
    },
    /// A question without an answer, for evaluation and for methods that generate.
    Prompt {
        /// The prompt.
        prompt: Vec<Message>,
    },
}

impl Example {
    /// The prompt of a row, if it has one.
    pub fn prompt(&self) -> Option<Vec<Message>> {
        match self {
            Example::Answer { prompt, .. } | Example::Prompt { prompt } | Example::Rated { prompt, .. } => {
                Some(prompt.clone())
            }
            Example::Pair(pair) => Some(pair.prompt.clone()),
            Example::PlainAnswer { prompt, .. }
            | Example::PlainPair { prompt, .. }
            | Example::PlainRated { prompt, .. } => Some(vec![Message::user(prompt.clone())]),
            Example::Conversation { messages } => {
                let last = messages.iter().rposition(|message| message.role == Role::Assistant)?;
                (last > 0).then(|| messages[..last].to_vec())
            }
            Example::Text { .. } => None,
        }
    }

    /// The prompt of a row as readable text; empty without a prompt.
    pub fn prompt_text(&self) -> String {
        self.prompt().map_or_else(String::new, |prompt| conversation_text(&prompt))
    }

    /// The answer of a row, or the preferred one; empty for a bare prompt.
    pub fn answer_text(&self) -> String {
        match self {
            Example::Answer { completion, .. } | Example::Rated { completion, .. } => conversation_text(completion),
            Example::Pair(pair) => conversation_text(&pair.chosen),
            Example::PlainAnswer { completion, .. } | Example::PlainRated { completion, .. } => completion.clone(),
            Example::PlainPair { chosen, .. } => chosen.clone(),
            Example::Conversation { messages } => conversation_text(messages),
            Example::Text { text } => text.clone(),
            Example::Prompt { .. } => String::new(),
        }
    }

    /// The other answer of a pair.
    pub fn other_text(&self) -> Option<String> {
        match self {
            Example::Pair(pair) => Some(conversation_text(&pair.rejected)),
            Example::PlainPair { rejected, .. } => Some(rejected.clone()),
            _ => None,
        }
    }

    /// True if it has a wanted answer: not a bare prompt, and not a thumb down.
    pub fn is_wanted(&self) -> bool {
        let unwanted = matches!(self, Example::Rated { label: false, .. } | Example::PlainRated { label: false, .. });
        !unwanted && !matches!(self, Example::Prompt { .. })
    }

    /// The final answer of a row, if it is separate from the prompt: a judge may use it as the reference.
    pub fn reference(&self) -> Option<String> {
        match self {
            Example::Conversation { messages } => {
                messages.iter().rfind(|message| message.role == Role::Assistant).map(|last| last.content.clone())
            }
            Example::Prompt { .. } | Example::Text { .. } => None,
            row if row.is_wanted() => Some(row.answer_text()),
            _ => None,
        }
    }

    /// Characters of all texts in it, to estimate how long it takes.
    pub fn letters(&self) -> usize {
        let asked = match self {
            // Its answer text is the whole document.
            Example::Conversation { .. } => 0,
            row => row.prompt_text().len(),
        };
        let pair = self.other_text().map_or(0, |other| asked + other.len());
        asked + self.answer_text().len() + pair
    }
}
