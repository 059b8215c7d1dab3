//! The registry of jobs, one for each kind of stage. A new kind is one file and one line here, and a variant each of
//! `Stage`, `StagePlan` and `Ask`.

mod ask;
mod build;
mod cost;
mod evaluate;
mod export;
mod fetch;
mod progress;
mod record;
mod train;

pub use ask::{Ask, BuildAsk, EvaluateAsk, ExportAsk, FetchAsk};
pub use build::BUILT;

use crate::train::estimate::Tell;
use crate::train::execute::Outside;
use crate::train::pace::Gauge;
use alidade_domain::{Problem, Stage, StageEstimate, StagePlan, Words, wording};
use std::path::Path;

/// What carries out one kind of stage.
pub trait Job: Sync {
    /// Its name, as in files.
    fn kind(&self) -> &'static str;

    /// Faults of a stage by itself, each at its field: names that are in no registry, settings out of range. Whether its
    /// inputs exist is checked by the studio, which knows the database.
    fn check(&self, stage: &Stage) -> Vec<Problem>;

    /// What it will do and cost.
    ///
    /// # Errors
    /// When its inputs do not fit together, at the field; when nobody waits for the answer any more.
    fn estimate(&self, ask: &Ask, gauge: &mut Gauge, tell: Tell) -> Result<StageEstimate, Problem>;

    /// Carries out a plan in its run folder, continuing an earlier attempt. Reports everything as events, including the end.
    ///
    /// # Errors
    /// When something in the plan cannot be used. Earlier results stay usable.
    fn run(&self, plan: &StagePlan, folder: &Path, outside: &mut Outside) -> Result<(), Problem>;
}

/// All jobs.
pub const JOBS: &[&dyn Job] = &[&train::Train, &build::Build, &evaluate::Evaluate, &fetch::Fetch, &export::Export];

/// The job of a kind.
///
/// # Errors
/// When there is none: a later version of the program wrote it.
pub fn job(kind: &str) -> Result<&'static dyn Job, Problem> {
    JOBS.iter().copied().find(|job| job.kind() == kind).ok_or_else(|| {
        Problem::input(wording!(
            "This version does not know stages of the kind “{kind}”.",
            "本版本不支持“{kind}”类型的阶段。"
        ))
        .hint(Words::new("Update the program.", "请更新程序。"))
    })
}

/// The problem of a plan or a stage of another kind.
fn foreign(job: &dyn Job, kind: &str) -> Problem {
    Problem::internal(wording!(
        "A stage of the kind “{kind}” reached the job “{job}”.",
        "“{kind}”类型的阶段交给了作业“{job}”。",
        job = job.kind()
    ))
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
