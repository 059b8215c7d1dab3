//! Reports and exports.

use super::{answer, request};
use alidade_domain::Problem;
use alidade_studio::Studio;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Get {
    experiment: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Save {
    experiment: String,
    format: String,
    handle: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Export {
    adapter: String,
    form: String,
    handle: String,
}

pub(super) fn get(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let Get { experiment } = request(value)?;
    answer(studio.get_report(&experiment)?)
}

pub(super) fn save(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let Save { experiment, format, handle } = request(value)?;
    answer(studio.save_report(&experiment, &format, &handle)?)
}

pub(super) fn export(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let Export { adapter, form, handle } = request(value)?;
    answer(studio.export_adapter(&adapter, &form, &handle)?)
}
