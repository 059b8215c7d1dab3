//! The kinds of stages: what each checks, costs and does. Adding one is one file, one variant of `Stage` and of `StagePlan`, and
//! one line here.

mod ask;
mod build;
mod cost;
mod evaluate;
mod export;
mod fetch;
mod record;
mod telling;
mod train;

pub use ask::{Ask, BuildAsk, EvaluateAsk, ExportAsk, FetchAsk};
pub use build::BUILT;

use crate::train::estimate::Tell;
use crate::train::execute::Outside;
use crate::train::pace::Gauge;
use alidade_domain::{Problem, Stage, StageEstimate, StagePlan};
use std::path::Path;

/// One kind of stage.
pub trait Job: Sync {
    /// Its name, as it stands in files.
    fn kind(&self) -> &'static str;

    /// What is wrong with a stage by itself, each at its field: names that stand in no registry, settings out of range. Whether
    /// what it names exists is asked by who knows the database.
    fn check(&self, stage: &Stage) -> Vec<Problem>;

    /// What it will do and cost.
    ///
    /// # Errors
    /// When its inputs do not go together, at the field; when nobody waits for the answer any more.
    fn estimate(&self, ask: &Ask, gauge: &mut Gauge, tell: Tell) -> Result<StageEstimate, Problem>;

    /// Carries out a plan in its run folder, from where an earlier attempt stopped. Tells everything, its last word included.
    ///
    /// # Errors
    /// When something in the plan cannot be used. What was kept stays usable.
    fn run(&self, plan: &StagePlan, folder: &Path, outside: &mut Outside) -> Result<(), Problem>;
}

/// Every kind.
pub const JOBS: &[&dyn Job] = &[&train::Train, &build::Build, &evaluate::Evaluate, &fetch::Fetch, &export::Export];

/// The job of a kind.
///
/// # Errors
/// When there is none: a program that knows more kinds wrote it.
pub fn job(kind: &str) -> Result<&'static dyn Job, Problem> {
    JOBS.iter().copied().find(|job| job.kind() == kind).ok_or_else(|| {
        Problem::input(format!("This version does not know stages of the kind “{kind}”.")).hint("Update the program.")
    })
}

/// A plan or a stage that came to the wrong job.
fn foreign(job: &dyn Job, kind: &str) -> Problem {
    Problem::internal(format!("A stage of the kind “{kind}” reached the job “{}”.", job.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_stage_has_its_job() {
        let kinds: Vec<&str> = JOBS.iter().map(|job| job.kind()).collect();
        assert_eq!(kinds, Stage::KINDS);
        assert!(job("dance").is_err());
    }
}
