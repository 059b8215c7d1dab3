//! Alder Bay: an invented town whose facts are known, as a source of data and evaluation for the starter model.
//!
//! Facts and their wordings are data (`intents.rs`, `conduct.rs`); the corpus mixes good and bad answers on purpose;
//! the oracle judges whether an answer about the town is right, kind and harmless. Everything is a function of a seed.
//! There are about 330 facts; extend the lists to add more.

mod conduct;
mod corpus;
mod facts;
mod intents;
mod oracle;
mod sets;
mod voice;

pub use corpus::{Document, MIX, document};
pub use facts::{Fact, World};
pub use oracle::{Judgement, Oracle, Truth};
pub use sets::{comparisons, held_out_prompts, is_held_out_wording, pairs, questions, ratings, supervised};
