//! Models.

use serde::Deserialize;
use ts_rs::TS;

#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Add {
    pub handle: String,
    /// Its name for people; that of the folder when absent.
    pub name: Option<String>,
}
