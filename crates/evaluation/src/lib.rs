//! Measuring a stack: single observations to figures with intervals.
//!
//! Who answers and who judges stands elsewhere; here is only what may be concluded from what they said.

mod histogram;
mod measures;
mod statistics;

pub use histogram::histogram;
pub use measures::{Observations, compare};
pub use statistics::{SplitMix64, bootstrap, mean, paired_change, rate, wilson};
