//! One file per method: its card, settings, rows and step. What several share is in `pairs.rs`, `group.rs`
//! and `advice.rs`.

mod advice;
pub(crate) mod cpo;
pub(crate) mod dpo;
mod group;
pub(crate) mod grpo;
pub(crate) mod kto;
pub(crate) mod online_dpo;
pub(crate) mod orpo;
mod pairs;
pub(crate) mod ppo;
pub(crate) mod rejection_sampling;
pub(crate) mod reward_model;
pub(crate) mod rloo;
pub(crate) mod sft;
