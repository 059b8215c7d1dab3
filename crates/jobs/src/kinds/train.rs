//! A stage that trains. The work itself is in `train/execute.rs`, its cost in `train/estimate.rs`.

use super::{Ask, Job, foreign};
use crate::train::estimate::{Tell, estimate};
use crate::train::execute::{Outside, execute};
use crate::train::pace::Gauge;
use crate::train::warnings::prefix_problem;
use alidade_domain::{Problem, Stage, StageEstimate, StagePlan};
use alidade_train::method;
use std::path::Path;

pub(super) struct Train;

impl Job for Train {
    fn kind(&self) -> &'static str {
        "train"
    }

    fn check(&self, stage: &Stage) -> Vec<Problem> {
        let Stage::Train(recipe) = stage else { return vec![foreign(self, stage.kind())] };
        let known = match method(&recipe.method) {
            Ok(known) => known,
            Err(problem) => return vec![problem],
        };
        let settings = match recipe.settings.resolve(&known.fields()) {
            Ok(settings) => known.configure(&settings).err().into_iter().collect(),
            Err(problems) => problems,
        };
        settings.into_iter().chain(prefix_problem(recipe)).collect()
    }

    fn estimate(&self, ask: &Ask, gauge: &mut Gauge, tell: Tell) -> Result<StageEstimate, Problem> {
        let Ask::Train(ask) = ask else { return Err(foreign(self, ask.kind())) };
        estimate(ask, gauge, tell)
    }

    fn run(&self, plan: &StagePlan, folder: &Path, outside: &mut Outside) -> Result<(), Problem> {
        let StagePlan::Train(plan) = plan else { return Err(foreign(self, plan.kind())) };
        execute(plan, folder, outside.observer, outside.stop).map(drop)
    }
}
