//! One file per sub-command: its arguments and what it does with them.

pub mod bench;
pub mod chat;
pub mod completions;
pub mod data;
pub mod evaluate;
pub mod experiments;
pub mod export;
pub mod generate;
pub mod import;
pub mod inspect;
pub mod learning;
pub mod logits;
pub mod models;
pub mod report;
pub mod restore;
pub mod run;
pub mod runs;
pub mod serve;
pub mod starter;
pub mod train;
pub mod worker;

use alidade_domain::{Problem, Sampling, wording};

/// Refuses invalid sampling parameters.
fn drawable(sampling: &Sampling) -> Result<(), Problem> {
    let Sampling { temperature, top_p, .. } = *sampling;
    if !(temperature >= 0.0 && temperature.is_finite()) {
        return Err(Problem::input(wording!(
            "The temperature is {temperature}; it must be 0 or more.",
            "温度是 {temperature}，必须不小于 0。"
        ))
        .at("temperature"));
    }
    if !(top_p > 0.0 && top_p <= 1.0) {
        return Err(Problem::input(wording!(
            "top-p is {top_p}; it must be above 0 and at most 1.",
            "top-p 是 {top_p}，必须大于 0 且不超过 1。"
        ))
        .at("top-p"));
    }
    Ok(())
}
