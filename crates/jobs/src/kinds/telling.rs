//! How a job without optimizer steps tells how far it has come and hears the person's wish.

use crate::Clock;
use crate::train::execute::Outside;
use alidade_domain::{EventKind, ItemNote, Phase, Problem, StopReason, WorkUnit};

/// Seconds between two words on how far it has come.
const EVERY: f64 = 1.0;
/// Seconds between two looks for a wish of the person, which is a file.
const LOOK: f64 = 0.2;
/// Share of the work before which the time that is left is anybody's guess.
const EARLY: f64 = 0.02;
/// Items that are all shown; after them one in [`RARELY`] is, so that a long run's list stays short.
const SHOWN: u64 = 100;
const RARELY: u64 = 50;
/// Letters of a prompt or an answer that an event carries.
const LETTERS: usize = 600;

/// What is told while a phase goes on.
pub(super) struct Telling {
    clock: Clock,
    phase: Phase,
    unit: WorkUnit,
    /// Where an earlier attempt had come to: the pace is that of this one.
    begun: u64,
    told: f64,
    looked: f64,
    wish: Option<StopReason>,
}

impl Telling {
    /// Begins a phase in which `begun` is done already.
    pub(super) fn begin(phase: Phase, unit: WorkUnit, begun: u64, outside: &mut Outside) -> Result<Self, Problem> {
        outside.observer.observe(EventKind::Stage { phase })?;
        let (told, looked) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        Ok(Self { clock: Clock::start(), phase, unit, begun, told, looked, wish: None })
    }

    /// The wish of the person, looked for a few times a second.
    pub(super) fn wish(&mut self, outside: &Outside) -> Option<StopReason> {
        let now = self.clock.seconds();
        if now - self.looked >= LOOK {
            self.looked = now;
            self.wish = outside.stop.requested();
        }
        self.wish
    }

    /// How far it has come, about once a second and at the end.
    pub(super) fn progress(&mut self, done: u64, total: u64, outside: &mut Outside) -> Result<(), Problem> {
        let now = self.clock.seconds();
        if now - self.told < EVERY && done < total {
            return Ok(());
        }
        self.told = now;
        let (own, all) = (done.saturating_sub(self.begun) as f64, total.saturating_sub(self.begun).max(1) as f64);
        let share = own / all;
        let seconds_left = (share > EARLY).then_some(now * (1.0 - share) / share);
        let (phase, unit) = (self.phase, self.unit);
        outside.observer.observe(EventKind::Progress { phase, done, total, unit, seconds_left })
    }
}

/// Shows an item, where it is among those that are shown.
pub(super) fn show(mut item: ItemNote, outside: &mut Outside) -> Result<(), Problem> {
    if item.number > SHOWN && !item.number.is_multiple_of(RARELY) {
        return Ok(());
    }
    for text in [&mut item.prompt, &mut item.result] {
        if let Some((end, _)) = text.char_indices().nth(LETTERS) {
            text.truncate(end);
            text.push('…');
        }
    }
    outside.observer.observe(EventKind::Item { item })
}
