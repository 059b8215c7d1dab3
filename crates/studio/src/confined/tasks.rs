//! The registry of tasks of child processes, one line per task. A task takes a request, may send intermediate messages, and
//! returns an answer.

use super::Link;
use crate::{
    chats::speaking, datasets::importing, datasets::profile, datasets::tokens, experiments::plans, models::vetting,
    reports::export,
};
use alidade_domain::Problem;
use serde_json::Value;

/// A task.
pub(super) type Task = fn(Value, &mut Link) -> Result<Value, Problem>;

/// All tasks, by their names in `worker --task`.
pub(super) const TASKS: &[(&str, Task)] = &[
    (vetting::TASK, vetting::task),
    (importing::TASK, importing::task),
    (plans::TASK, plans::task),
    (speaking::TASK, speaking::task),
    (tokens::TASK, tokens::task),
    (profile::TASK, profile::task),
    (export::TASK, export::task),
];
