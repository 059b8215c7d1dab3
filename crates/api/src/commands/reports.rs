//! Reports and exports.

use serde::Deserialize;
use ts_rs::TS;

#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Get {
    pub experiment: String,
    pub language: String,
}

#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Save {
    pub experiment: String,
    pub format: String,
    pub language: String,
    pub handle: String,
}

#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Export {
    pub adapter: String,
    pub form: String,
    pub handle: String,
}
