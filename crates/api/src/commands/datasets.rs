//! Data sets.

use super::{ById, answer, request};
use alidade_domain::Problem;
use alidade_studio::Studio;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Import {
    handle: String,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stop {
    handle: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    id: String,
    offset: usize,
    limit: usize,
}

pub(super) fn import(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let Import { handle, name } = request(value)?;
    answer(studio.import_dataset(&handle, name)?)
}

pub(super) fn stop(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let Stop { handle } = request(value)?;
    studio.stop_import(&handle);
    answer(())
}

pub(super) fn rows(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let Rows { id, offset, limit } = request(value)?;
    answer(studio.dataset_rows(&id, offset, limit)?)
}

pub(super) fn remove(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let ById { id } = request(value)?;
    answer(studio.remove_dataset(&id)?)
}
