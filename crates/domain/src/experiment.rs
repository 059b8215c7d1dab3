//! An experiment: a question and the ordered list of stages that is to answer it.

use crate::Stage;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A question and how it is to be answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Experiment {
    /// Identifier within one installation.
    pub id: String,
    /// Short name.
    pub title: String,
    /// The question in the person's words.
    pub question: String,
    /// The stages in order; each may use what earlier ones make, as in `stage:1`.
    pub stages: Vec<Stage>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
}
