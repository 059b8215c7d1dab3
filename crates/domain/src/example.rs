//! One row of a data set in its single inner form; importers end here, methods begin here.

use crate::{Message, Role, conversation_text};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Two answers to one prompt, the first preferred.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct PreferencePair {
    /// What both answers reply to.
    pub prompt: Vec<Message>,
    /// The preferred answer.
    pub chosen: Vec<Message>,
    /// The other answer.
    pub rejected: Vec<Message>,
    /// By how much the first is better, in the units of its source; absent means unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// Whether the chosen and the rejected answer do harm, where the source says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harmful: Option<[bool; 2]>,
}

/// A row that a method can learn from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Example {
    /// A prompt and the answer to learn; the answer alone is learned unless told otherwise.
    Answer {
        /// What is asked.
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
        /// What is asked.
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
        /// What is asked.
        prompt: Vec<Message>,
    },
}

impl Example {
    /// What a row asks, when it asks something.
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

    /// What a row asks as readable lines; empty where it asks nothing.
    pub fn prompt_text(&self) -> String {
        self.prompt().map_or_else(String::new, |prompt| conversation_text(&prompt))
    }

    /// The answer that a row holds up, or the preferred one; empty for a bare prompt.
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

    /// True when it holds an answer that is wanted: no bare prompt, and no thumb down.
    pub fn is_wanted(&self) -> bool {
        let unwanted = matches!(self, Example::Rated { label: false, .. } | Example::PlainRated { label: false, .. });
        !unwanted && !matches!(self, Example::Prompt { .. })
    }

    /// The answer that ends a row, where it has one apart from what it asks: what a judge may take for right.
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

    /// Letters of everything in it, to tell how long it will take.
    pub fn letters(&self) -> usize {
        let asked = match self {
            // Its answer text is the whole of it.
            Example::Conversation { .. } => 0,
            row => row.prompt_text().len(),
        };
        let pair = self.other_text().map_or(0, |other| asked + other.len());
        asked + self.answer_text().len() + pair
    }
}
