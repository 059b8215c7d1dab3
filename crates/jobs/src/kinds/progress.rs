//! How a job without optimizer steps reports progress and checks for requests of the person.

use crate::Clock;
use crate::train::execute::Outside;
use alidade_domain::{EventKind, ItemNote, Phase, Problem, StopReason, WorkUnit};

/// Seconds between two progress events.
const EVERY: f64 = 1.0;
/// Seconds between two checks for a request, which is a file.
const CHECK: f64 = 0.2;
/// Share of the work before which the remaining time cannot be estimated.
const EARLY: f64 = 0.02;
/// The first items are all shown, later ones one in [`RARELY`], so that the list of a long run stays short.
const SHOWN: u64 = 100;
const RARELY: u64 = 50;
/// Characters of a prompt or an answer that an event carries.
const CHARACTERS: usize = 600;

/// Reports the progress of one phase.
pub(super) struct ProgressReporter {
    clock: Clock,
    phase: Phase,
    unit: WorkUnit,
    /// What an earlier attempt has done; it does not count for the pace.
    begun: u64,
    reported: f64,
    checked: f64,
    request: Option<StopReason>,
}

impl ProgressReporter {
    /// Begins a phase in which `begun` is done already.
    pub(super) fn begin(phase: Phase, unit: WorkUnit, begun: u64, outside: &mut Outside) -> Result<Self, Problem> {
        outside.observer.observe(EventKind::Stage { phase })?;
        let (reported, checked) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        Ok(Self { clock: Clock::start(), phase, unit, begun, reported, checked, request: None })
    }

    /// The request of the person, checked a few times a second.
    pub(super) fn request(&mut self, outside: &Outside) -> Option<StopReason> {
        let now = self.clock.seconds();
        if now - self.checked >= CHECK {
            self.checked = now;
            self.request = outside.stop.requested();
        }
        self.request
    }

    /// Reports progress about once a second and at the end.
    pub(super) fn progress(&mut self, done: u64, total: u64, outside: &mut Outside) -> Result<(), Problem> {
        let now = self.clock.seconds();
        if now - self.reported < EVERY && done < total {
            return Ok(());
        }
        self.reported = now;
        let (own, all) = (done.saturating_sub(self.begun) as f64, total.saturating_sub(self.begun).max(1) as f64);
        let share = own / all;
        let seconds_left = (share > EARLY).then_some(now * (1.0 - share) / share);
        let (phase, unit) = (self.phase, self.unit);
        outside.observer.observe(EventKind::Progress { phase, done, total, unit, seconds_left })
    }
}

/// Shows an item, if it is among those that are shown.
pub(super) fn show(mut item: ItemNote, outside: &mut Outside) -> Result<(), Problem> {
    if item.number > SHOWN && !item.number.is_multiple_of(RARELY) {
        return Ok(());
    }
    for text in [&mut item.prompt, &mut item.result] {
        if let Some((end, _)) = text.char_indices().nth(CHARACTERS) {
            text.truncate(end);
            text.push('…');
        }
    }
    outside.observer.observe(EventKind::Item { item })
}
