//! One row of a data set in its single inner form; importers end here, methods begin here.

use crate::Message;
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
