//! Runs: requests, and the stream of their events.

use crate::table::Listener;
use alidade_domain::{Problem, RunEvent};
use alidade_studio::Studio;
use serde::Deserialize;
use std::time::Duration;
use ts_rs::TS;

/// Polling interval for new events.
const ROUND: Duration = Duration::from_millis(50);
/// Polls without events after which an empty list checks whether anyone listens.
const SILENCE: u32 = 100;

#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct ByRun {
    pub run: String,
}

#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Metric {
    pub run: String,
    pub name: String,
}

#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Follow {
    run: String,
    after: u64,
}

pub(super) fn follow(studio: &Studio, request: Follow, listener: Listener<Vec<RunEvent>>) -> Result<(), Problem> {
    let Follow { run, mut after } = request;
    let mut silent = 0;
    loop {
        let (page, open) = studio.events_after(&run, after)?;
        after = page.last;
        silent = if page.events.is_empty() { silent + 1 } else { 0 };
        let heard = if !page.events.is_empty() || silent >= SILENCE {
            silent = 0;
            listener(page.events)
        } else {
            true
        };
        if heard && page.more {
            continue;
        }
        if !open || !heard {
            return Ok(());
        }
        std::thread::sleep(ROUND);
    }
}
