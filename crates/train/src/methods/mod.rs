//! One file per method: its texts, settings, rows, step, charts and presets. To add one, write its file, its `mod` line
//! and its entry in the registry. Code that several share is in `pairs.rs`, `labelled.rs`, `group.rs`, `advice.rs` and
//! `watch.rs`.

mod advice;
pub(crate) mod cpo;
pub(crate) mod dpo;
mod group;
pub(crate) mod grpo;
pub(crate) mod kto;
mod labelled;
pub(crate) mod online_dpo;
pub(crate) mod orpo;
pub(crate) mod pairs;
pub(crate) mod ppo;
pub(crate) mod rejection_sampling;
pub(crate) mod reward_model;
pub(crate) mod rloo;
pub(crate) mod sft;
mod watch;

use crate::method::Method;

/// Every method, in the order in which the UI shows them.
pub const METHODS: &[&dyn Method] = &[
    &sft::Sft,
    &dpo::Dpo,
    &kto::Kto,
    &orpo::Orpo,
    &cpo::Cpo,
    &reward_model::RewardModelling,
    &ppo::Ppo,
    &grpo::Grpo,
    &rloo::Rloo,
    &online_dpo::OnlineDpo,
    &rejection_sampling::RejectionSampling,
];
