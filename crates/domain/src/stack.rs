//! A stack is what answers a prompt: prompt rewriters, a policy, response rewriters. Chat, evaluation, export and store use
//! stacks, never a bare pair of base and adapter, so that all ways of aligning a model can be compared.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
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

    /// The label of the exact stack, as on the badge of every message ("starter + dpo · 41ac2f90"), with rewriters in the
    /// order in which they work ("bpo small · 0c1d2e3f → starter · 5e6f7a8b").
    pub fn label(&self) -> String {
        let rewriter = |it: &RewriterRef| format!("{} {}", it.kind, named(&it.model, it.adapter.as_ref()));
        let policy = named(&self.model, self.adapter.as_ref());
        let before = self.prompt_rewriters.iter().map(rewriter);
        let after = self.response_rewriters.iter().map(rewriter);
        before.chain([policy]).chain(after).collect::<Vec<_>>().join(" → ")
    }

    /// Content hash: SHA-256 over the kinds of its parts and the hashes of their weights, in the order in which they work.
    /// Identifiers and names do not count, so the same weights under another name are the same stack. For caches and for
    /// recognising earlier answers; never for people.
    pub fn key(&self) -> String {
        let weights = |model: &ModelRef, adapter: Option<&AdapterRef>| {
            (model.sha256.clone(), adapter.map(|adapter| adapter.sha256.clone()))
        };
        let rewriters = |list: &[RewriterRef]| -> Vec<_> {
            list.iter().map(|it| (it.kind.clone(), weights(&it.model, it.adapter.as_ref()))).collect()
        };
        let parts = (
            "alidade stack 1",
            rewriters(&self.prompt_rewriters),
            weights(&self.model, self.adapter.as_ref()),
            rewriters(&self.response_rewriters),
        );
        // The debug format quotes strings, so two different stacks never have the same text.
        format!("{:x}", Sha256::digest(format!("{parts:?}")))
    }

    /// Identifiers of all parts.
    pub fn ids(&self) -> Vec<&str> {
        let rewriters = self.prompt_rewriters.iter().chain(&self.response_rewriters);
        let parts = rewriters.map(|it| (&it.model, it.adapter.as_ref()));
        let parts = parts.chain([(&self.model, self.adapter.as_ref())]);
        parts
            .flat_map(|(model, adapter)| [Some(model.id.as_str()), adapter.map(|adapter| adapter.id.as_str())])
            .flatten()
            .collect()
    }
}

/// Label of a model, or of an adapter on it, with the start of the hash that distinguishes it from others of the same name.
fn named(model: &ModelRef, adapter: Option<&AdapterRef>) -> String {
    let short = |hash: &str| hash.chars().take(8).collect::<String>();
    match adapter {
        None => format!("{} · {}", model.name, short(&model.sha256)),
        Some(adapter) => format!("{} + {} · {}", model.name, adapter.name, short(&adapter.sha256)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str, sha256: &str) -> ModelRef {
        ModelRef { id: format!("m-{name}"), name: name.to_owned(), sha256: sha256.to_owned() }
    }

    fn adapter(id: &str, sha256: &str) -> AdapterRef {
        AdapterRef { id: id.to_owned(), name: "dpo".to_owned(), sha256: sha256.to_owned() }
    }

    fn rewriter(kind: &str, sha256: &str) -> RewriterRef {
        RewriterRef { kind: kind.to_owned(), model: model("small", sha256), adapter: None }
    }

    #[test]
    fn a_label_names_rewriters_and_a_key_knows_the_whole_stack() {
        let bare = Stack::with_adapter(model("starter", "aaaaaaaaaa"), adapter("r1", "bbbbbbbbbb"));
        assert_eq!(bare.label(), "starter + dpo · bbbbbbbb");
        let prompted = Stack { prompt_rewriters: vec![rewriter("bpo", "cccccccccc")], ..bare.clone() };
        let corrected = Stack { response_rewriters: vec![rewriter("bpo", "cccccccccc")], ..bare.clone() };
        assert_eq!(prompted.label(), "bpo small · cccccccc → starter + dpo · bbbbbbbb");
        assert_eq!(corrected.label(), "starter + dpo · bbbbbbbb → bpo small · cccccccc");
        let keys = [bare.key(), prompted.key(), corrected.key(), Stack::base(model("starter", "aaaaaaaaaa")).key()];
        for (place, key) in keys.iter().enumerate() {
            assert!(key.len() == 64 && !keys[..place].contains(key), "{keys:?}");
        }
        assert_eq!(prompted.ids(), ["m-small", "m-starter", "r1"]);
    }

    #[test]
    fn a_key_asks_for_no_names() {
        let stack = |name, id| Stack::with_adapter(model(name, "aa"), adapter(id, "bb")).key();
        assert_eq!(stack("starter", "r1"), stack("copy", ""));
        let other = Stack::with_adapter(model("starter", "aa"), adapter("r1", "bc")).key();
        assert_ne!(stack("starter", "r1"), other);
        let of = |kind: &str, sha256: &str| {
            Stack { prompt_rewriters: vec![rewriter(kind, sha256)], ..Stack::base(model("m", "aa")) }.key()
        };
        assert_ne!(of("bpo", "cc"), of("aligner", "cc"));
        assert_ne!(of("bpo", "cc"), of("bpo", "cd"));
    }
}
