//! One file per method: its card, settings, rows, loss and tests.

pub(crate) mod dpo;
pub(crate) mod sft;
