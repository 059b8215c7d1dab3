//! Runs: wishes, and the stream of their events.

use super::{answer, request};
use crate::Sink;
use alidade_domain::Problem;
use alidade_studio::Studio;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// How often the stream looks for new events.
const ROUND: Duration = Duration::from_millis(50);
/// Rounds without news after which an empty list asks whether anyone listens.
const SILENCE: u32 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByRun {
    run: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metric {
    run: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Follow {
    run: String,
    after: u64,
}

pub(super) fn get(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let ByRun { run } = request(value)?;
    answer(studio.get_run(&run)?)
}

pub(super) fn metric(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let Metric { run, name } = request(value)?;
    answer(studio.run_metric(&run, &name)?)
}

pub(super) fn tokens(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let ByRun { run } = request(value)?;
    answer(studio.run_tokens(&run)?)
}

pub(super) fn pause(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let ByRun { run } = request(value)?;
    answer(studio.pause_run(&run)?)
}

pub(super) fn stop(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let ByRun { run } = request(value)?;
    answer(studio.stop_run(&run)?)
}

pub(super) fn discard(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let ByRun { run } = request(value)?;
    answer(studio.discard_run(&run)?)
}

pub(super) fn resume(studio: &Studio, value: Value) -> Result<Value, Problem> {
    let ByRun { run } = request(value)?;
    answer(studio.resume_run(&run)?)
}

pub(super) fn follow(studio: &Studio, value: Value, sink: Sink) -> Result<(), Problem> {
    let Follow { run, mut after } = request(value)?;
    let mut silent = 0;
    loop {
        let (page, open) = studio.events_after(&run, after)?;
        after = page.last;
        silent = if page.events.is_empty() { silent + 1 } else { 0 };
        let heard = if !page.events.is_empty() || silent >= SILENCE {
            silent = 0;
            sink(answer(page.events)?)
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
