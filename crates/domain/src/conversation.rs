//! Who said what. A prompt, an answer and a chat are all lists of messages; how they become tokens is `model`'s business.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// The speaker of a message, with the names that chat templates expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions that stand above the conversation.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// What a tool answered.
    Tool,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, untouched by us.
    pub content: String,
}

impl Message {
    /// A turn of the person.
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: Role::User, content: content.into() }
    }

    /// A turn of the model.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self { role: Role::Assistant, content: content.into() }
    }

    /// A system line.
    pub fn system(content: impl Into<String>) -> Self {
        Self { role: Role::System, content: content.into() }
    }
}

/// The conversation as readable lines, for previews and logs; never for a model.
pub fn conversation_text(messages: &[Message]) -> String {
    let line = |message: &Message| match message.role {
        Role::User | Role::Assistant if messages.len() == 1 => message.content.clone(),
        role => format!("{role:?}: {}", message.content),
    };
    messages.iter().map(line).collect::<Vec<_>>().join("\n")
}
