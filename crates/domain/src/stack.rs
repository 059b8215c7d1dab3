//! What answers a prompt: prompt rewriters, a policy, response rewriters. Chat, evaluation, export and store hold stacks,
//! never a bare pair of base and adapter, so that every way of aligning competes on equal terms.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A base model, by name and by content.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
pub struct ModelRef {
    /// Identifier in the store.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// SHA-256 over the weight files.
    pub sha256: String,
}

/// An adapter, by name and by content.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
pub struct AdapterRef {
    /// Identifier in the store.
    pub id: String,
    /// Name for people ("sft", "dpo").
    pub name: String,
    /// SHA-256 of its weight file.
    pub sha256: String,
}

/// A model that rewrites a prompt or a response.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
pub struct RewriterRef {
    /// Kind of rewriter ("bpo", "aligner").
    pub kind: String,
    /// The model that does it.
    pub model: ModelRef,
    /// Its adapter, if any.
    pub adapter: Option<AdapterRef>,
}

/// Everything between a prompt and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
pub struct Stack {
    /// Applied to the prompt, in order.
    pub prompt_rewriters: Vec<RewriterRef>,
    /// The base model.
    pub model: ModelRef,
    /// The adapter on it; none for the untouched base.
    pub adapter: Option<AdapterRef>,
    /// Applied to the answer, in order.
    pub response_rewriters: Vec<RewriterRef>,
}

impl Stack {
    /// The untouched base model.
    pub fn base(model: ModelRef) -> Self {
        Self { prompt_rewriters: Vec::new(), model, adapter: None, response_rewriters: Vec::new() }
    }

    /// The base model with an adapter.
    pub fn with_adapter(model: ModelRef, adapter: AdapterRef) -> Self {
        Self { adapter: Some(adapter), ..Self::base(model) }
    }

    /// Names the exact stack: what stands on the badge of every message ("starter + dpo · 41ac2f90").
    pub fn label(&self) -> String {
        let short = |hash: &str| hash.chars().take(8).collect::<String>();
        match &self.adapter {
            None => format!("{} · {}", self.model.name, short(&self.model.sha256)),
            Some(adapter) => format!("{} + {} · {}", self.model.name, adapter.name, short(&adapter.sha256)),
        }
    }
}
