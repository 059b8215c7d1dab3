//! One file per sub-command: its arguments and what it does with them.

pub mod bench;
pub mod chat;
pub mod evaluate;
pub mod export;
pub mod generate;
pub mod import;
pub mod learning;
pub mod logits;
pub mod report;
pub mod restore;
pub mod runs;
pub mod serve;
pub mod starter;
pub mod train;
pub mod worker;
