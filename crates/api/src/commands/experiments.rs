//! Experiments and the check before them.

use super::{ById, answer, request};
use alidade_domain::{Problem, Recipe};
use alidade_studio::Studio;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    pipeline: Vec<Recipe>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    title: String,
    question: String,
    pipeline: Vec<Recipe>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rename {
    id: String,
    title: String,
    question: String,
}

pub(super) fn check(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let Check { pipeline } = request(value)?;
    answer(studio.check_pipeline(&pipeline)?)
}

pub(super) fn create(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let Create { title, question, pipeline } = request(value)?;
    answer(studio.create_experiment(&title, &question, pipeline)?)
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
