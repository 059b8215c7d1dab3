//! Data sets.

use serde::Deserialize;
use ts_rs::TS;

#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Import {
    pub handle: String,
    pub name: Option<String>,
}

#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Stop {
    pub handle: String,
}

#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Rows {
    pub id: String,
    pub offset: usize,
    pub limit: usize,
}

/// A new name.
#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Rename {
    pub id: String,
    pub name: String,
}

/// The data set to profile, and the model whose tokens count.
#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    pub id: String,
    pub model: Option<String>,
}
