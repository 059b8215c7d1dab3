//! Experiments and the check before them.

use super::{ById, answer, request};
use crate::Sink;
use alidade_domain::{PlanNews, Problem, Stage};
use alidade_studio::Studio;
use alidade_studio::compose::Choices;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    stages: Vec<Stage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    title: String,
    question: String,
    stages: Vec<Stage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rename {
    id: String,
    title: String,
    question: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Compose {
    choices: Choices,
}

/// The pipeline that follows from what was chosen; nothing is changed.
pub(super) fn compose(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let Compose { choices } = request(value)?;
    answer(studio.compose_pipeline(&choices)?)
}

pub(super) fn check(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let Check { stages } = request(value)?;
    answer(studio.check_pipeline(&stages)?)
}

/// The plan as it is made. It costs seconds of the processor, so it ends when nobody listens.
pub(super) fn plan(studio: &Studio, value: Value, sink: Sink) -> Result<(), Problem> {
    let Check { stages } = request(value)?;
    let mut hear = |news: PlanNews| answer(news).is_ok_and(&mut *sink);
    let checked = studio.plan_pipeline(&stages, &mut hear)?;
    hear(PlanNews::Checked { checked: Box::new(checked) });
    Ok(())
}

pub(super) fn create(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let Create { title, question, stages } = request(value)?;
    answer(studio.create_experiment(&title, &question, stages)?)
}

pub(super) fn get(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let ById { id } = request(value)?;
    answer(studio.get_experiment(&id)?)
}

pub(super) fn rename(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let Rename { id, title, question } = request(value)?;
    answer(studio.rename_experiment(&id, &title, &question)?)
}

pub(super) fn delete(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let ById { id } = request(value)?;
    answer(studio.delete_experiment(&id)?)
}

pub(super) fn start(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let ById { id } = request(value)?;
    answer(studio.start_experiment(&id)?)
}
