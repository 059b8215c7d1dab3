//! The current date, for chat templates that use it. Nothing below `jobs` reads the clock; a run keeps the date of its plan.

use alidade_domain::LocalTime;
use alidade_model::{asks_what_day_it_is, template_source};
use jiff::ZonedDateTime;
use std::path::Path;

/// Overrides the current time (as 2026-11-28T05:55:01), to reproduce what a model saw on another day.
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

/// Whether the model's chat template uses the date. An unreadable template is reported where it is used.
pub fn asks_for_date(folder: &Path) -> bool {
    template_source(folder).ok().flatten().is_some_and(|source| asks_what_day_it_is(&source))
}
