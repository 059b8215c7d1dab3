//! What day it is, for chat templates that ask. Nothing below the jobs reads the clock; a run keeps what it was told.

use alidade_domain::LocalTime;
use alidade_model::{asks_what_day_it_is, template_source};
use jiff::ZonedDateTime;
use std::path::Path;

/// Set to a time like 2026-11-28T05:55:01, it is taken for now: to render what a model saw on another day.
const NOW: &str = "ALIDADE_NOW";

/// The local date and time.
pub fn local_time() -> LocalTime {
    if let Some(set) = std::env::var(NOW).ok().and_then(|text| LocalTime::try_from(text).ok()) {
        return set;
    }
    let now = ZonedDateTime::now().datetime();
    LocalTime {
        year: now.year(),
        month: now.month(),
        day: now.day(),
        hour: now.hour(),
        minute: now.minute(),
        second: now.second(),
    }
}

/// Whether the model's chat template writes the date. A template that cannot be read is told where it is used.
pub fn asks_for_date(folder: &Path) -> bool {
    template_source(folder).ok().flatten().is_some_and(|source| asks_what_day_it_is(&source))
}
