//! What a child can be started for: one line a task. A task takes its request, may tell things on the way, and gives an answer.

use super::Link;
use crate::{
    chats::speaking, datasets::importing, datasets::tokens, experiments::plans, models::vetting, reports::export,
};
use alidade_domain::Problem;
use serde_json::Value;

/// A task.
pub(super) type Task = fn(Value, &mut Link) -> Result<Value, Problem>;

/// Every task, by its name behind `worker --task`.
pub(super) const TASKS: &[(&str, Task)] = &[
    (vetting::TASK, vetting::task),
    (importing::TASK, importing::task),
    (plans::TASK, plans::task),
    (speaking::TASK, speaking::task),
    (tokens::TASK, tokens::task),
    (export::TASK, export::task),
];
