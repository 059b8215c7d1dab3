//! Messages and their roles. A prompt, an answer and a chat are all lists of messages; `model` turns them into tokens.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// The role of a message, with the names that chat templates expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions before the conversation.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The output of a tool.
    Tool,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// The text, unmodified.
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

    /// A system message.
    pub fn system(content: impl Into<String>) -> Self {
        Self { role: Role::System, content: content.into() }
    }
}

/// The conversation as readable text, for previews and logs; never for a model.
pub fn conversation_text(messages: &[Message]) -> String {
    let line = |message: &Message| match message.role {
        Role::User | Role::Assistant if messages.len() == 1 => message.content.clone(),
        role => format!("{role:?}: {}", message.content),
    };
    messages.iter().map(line).collect::<Vec<_>>().join("\n")
}
