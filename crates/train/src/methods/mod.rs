//! One file per method: its card, settings, rows and step. What several share is in `pairs.rs`.

pub(crate) mod cpo;
pub(crate) mod dpo;
pub(crate) mod group;
pub(crate) mod kto;
pub(crate) mod online_dpo;
pub(crate) mod orpo;
mod pairs;
pub(crate) mod ppo;
pub(crate) mod rejection;
pub(crate) mod reward_model;
pub(crate) mod sft;
