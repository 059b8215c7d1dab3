//! Models.

use super::{ById, answer, request};
use alidade_domain::Problem;
use alidade_studio::Studio;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    handle: String,
}

pub(super) fn add(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let Add { handle } = request(value)?;
    answer(studio.add_model(&handle)?)
}

pub(super) fn remove(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let ById { id } = request(value)?;
    answer(studio.remove_model(&id)?)
}
