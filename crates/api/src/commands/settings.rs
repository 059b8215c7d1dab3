//! Settings of the whole program.

use serde::Deserialize;
use ts_rs::TS;

/// Threads of the runs that start from now on.
#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Threads {
    /// Their number; all of the machine when absent.
    pub threads: Option<usize>,
}
