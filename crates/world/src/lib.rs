//! Alder Bay: an invented town in which the truth is known.
//!
//! Facts and their wordings are data (`intents.rs`, `conduct.rs`); the corpus mixes good and bad company on purpose; the
//! oracle can read any answer about the town and say what is right, kind and harmless in it. Everything is a function of
//! a seed. This first version holds about 330 facts; the lists are where it grows.

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
