//! Who hears events, and who wishes for an end.

use alidade_domain::{EventKind, Observer, Problem, StopReason, StopSignal};
use std::cell::Cell;

/// Keeps every event that it hears.
#[derive(Debug, Default)]
pub struct Heard(pub Vec<EventKind>);

impl Observer for Heard {
    fn observe(&mut self, event: EventKind) -> Result<(), Problem> {
        self.0.push(event);
        Ok(())
    }
}

impl Heard {
    /// Warnings as "code: message".
    pub fn warnings(&self) -> Vec<String> {
        let warning = |event: &EventKind| match event {
            EventKind::Warning { code, message } => Some(format!("{code}: {}", message.en)),
            _ => None,
        };
        self.0.iter().filter_map(warning).collect()
    }
}

/// Wishes for nothing.
pub struct Never;

impl StopSignal for Never {
    fn requested(&self) -> Option<StopReason> {
        None
    }
}

/// Wishes for a pause once it was asked so many times.
pub struct After(Cell<u64>);

impl After {
    /// One that answers “nothing” so many times.
    pub fn asked(times: u64) -> Self {
        Self(Cell::new(times))
    }
}

impl StopSignal for After {
    fn requested(&self) -> Option<StopReason> {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        (left == 0).then_some(StopReason::Pause)
    }
}
