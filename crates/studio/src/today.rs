//! What day it is, for chat templates that ask. Nothing below the studio reads the clock; a run keeps what it was told.

use alidade_domain::LocalTime;
use jiff::ZonedDateTime;

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
