//! What the tests of several crates share: where fixtures lie, a small model to copy, generators and scorers that follow a script,
//! observers that keep what they hear, signals that wish for something at a given time. For dev-dependencies alone: nothing
//! that ships sees this crate.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it left out")]

mod places;
mod scripts;
mod signals;

pub use places::{beside_project, golden, resources, small_model};
pub use scripts::{Dice, Fails, LargestNumber};
pub use signals::{After, Heard, Never};
