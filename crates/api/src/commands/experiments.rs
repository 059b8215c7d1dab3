//! Experiments and the check before them.

use crate::table::Listener;
use alidade_domain::{Choices, PlanNews, Problem, Stage};
use alidade_studio::Studio;
use serde::Deserialize;
use ts_rs::TS;

#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Check {
    pub stages: Vec<Stage>,
}

#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    pub title: String,
    pub question: String,
    pub stages: Vec<Stage>,
    /// The choices of the wizard that the stages follow from.
    pub choices: Option<Choices>,
}

/// New contents of a draft.
#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Draft {
    pub id: String,
    pub title: String,
    pub question: String,
    pub stages: Vec<Stage>,
    pub choices: Option<Choices>,
}

/// What a person may change of an experiment at any time.
#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Update {
    pub id: String,
    pub title: String,
    pub question: String,
    pub notes: String,
    pub tags: Vec<String>,
}

#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Compose {
    pub choices: Choices,
}

/// A file to be opened.
#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Open {
    pub handle: String,
}

/// Where an experiment is to be written.
#[derive(Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(super) struct Save {
    pub id: String,
    pub handle: String,
}

/// Streams the progress of a plan. Planning costs seconds of processor time, so it stops when nobody listens.
pub(super) fn plan(studio: &Studio, request: Check, listener: Listener<PlanNews>) -> Result<(), Problem> {
    let checked = studio.plan_pipeline(&request.stages, listener)?;
    listener(PlanNews::Checked { checked: Box::new(checked) });
    Ok(())
}
