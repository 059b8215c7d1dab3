//! Where a session resumes: from the newest intact checkpoint of its plan, or from the beginning.
//!
//! A damaged checkpoint is skipped and reported, with the number of steps that are repeated. Work of another plan is never
//! mixed in or overwritten: the session refuses and says in which points the plans differ. `checkpoints/plan.json` names the
//! plan that owns the log before there is a checkpoint.

use crate::checkpoint::{
    Checkpoint, Flaw, Foreign, leftovers, load, places, remove_leftovers, step_of, sync_folder, write_synced,
};
use crate::error::{Result, TrainError};
use crate::plan_facts::PlanFacts;
use alidade_domain::{EventKind, Wording, wording};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const CHECKPOINTS: &str = "checkpoints";
const PLAN: &str = "plan.json";

/// Where a session will resume, and what the user should know about it.
pub(crate) struct Resume {
    pub(crate) checkpoint: Checkpoint,
    /// True when the log in the folder was written by this plan.
    pub(crate) own_log: bool,
    pub(crate) notes: Vec<EventKind>,
}

/// The step from which a session in this run folder will resume; 0 for a new run. Changes nothing.
///
/// # Errors
/// `TrainError::OtherRun` when the folder holds only work of another plan; `TrainError::File` when it
/// cannot be read.
pub fn resume_step(run_folder: &Path, plan: &PlanFacts) -> std::result::Result<u64, TrainError> {
    Ok(look(run_folder, plan)?.checkpoint.step)
}

/// What other plans left in this run folder, the newest step first: checkpoints, and a run that ended before its first.
/// Each says in which points its plan differs. Changes nothing.
///
/// # Errors
/// When the folder cannot be read.
pub fn foreign_checkpoints(run_folder: &Path, plan: &PlanFacts) -> std::result::Result<Vec<Foreign>, TrainError> {
    let folder = run_folder.join(CHECKPOINTS);
    let mut found = Vec::new();
    for place in places(&folder)?.iter().rev() {
        if let Err(Flaw::Foreign(foreign)) = load(place, plan) {
            found.push(foreign);
        }
    }
    if let Some((fingerprint, facts)) = owner(&folder)
        && fingerprint != plan.fingerprint()
        && found.is_empty()
    {
        found.push(Foreign { step: 0, differences: plan.differences(&facts) });
    }
    Ok(found)
}

/// The facts of the plan whose work lies in this run folder; `None` where there is none, or none that is whole.
pub fn work_facts(run_folder: &Path) -> Option<Value> {
    owner(&run_folder.join(CHECKPOINTS)).map(|(_, facts)| facts)
}

/// Every file and folder that sessions created in this run folder, and nothing else: these are removed to start over. The
/// `checkpoints` folder itself comes last; it may hold files of the user's own.
///
/// # Errors
/// When the folder cannot be read.
pub fn session_files(run_folder: &Path) -> std::result::Result<Vec<PathBuf>, TrainError> {
    let folder = run_folder.join(CHECKPOINTS);
    let mut found = places(&folder)?;
    found.extend(leftovers(&folder));
    found.push(folder.join(PLAN));
    found.extend(crate::log::files(run_folder));
    found.push(folder);
    found.retain(|path| path.exists());
    Ok(found)
}

/// Prepares the folder and finds where to resume.
pub(crate) fn prepare(run_folder: &Path, plan: &PlanFacts) -> Result<Resume> {
    let folder = run_folder.join(CHECKPOINTS);
    std::fs::create_dir_all(&folder).map_err(TrainError::file(&folder))?;
    let found = look(run_folder, plan)?;
    remove_leftovers(&folder)?;
    if owner(&folder).is_none_or(|(fingerprint, _)| fingerprint != plan.fingerprint()) {
        let text = json!({"plan": plan.fingerprint(), "facts": plan.facts()}).to_string();
        write_synced(&folder.join(PLAN), text.as_bytes())?;
        sync_folder(&folder)?;
    }
    Ok(found)
}

fn look(run_folder: &Path, plan: &PlanFacts) -> Result<Resume> {
    let folder = run_folder.join(CHECKPOINTS);
    let (mut damaged, mut checkpoint) = (Vec::new(), None);
    for place in places(&folder)?.iter().rev() {
        match load(place, plan) {
            Ok(found) => {
                checkpoint = Some(found);
                break;
            }
            Err(Flaw::Damaged(reason)) => damaged.push((step_of(place).unwrap_or(0), reason)),
            Err(Flaw::Foreign(_)) => {}
        }
    }
    if checkpoint.is_none()
        && let Some(Foreign { step, differences }) = foreign_checkpoints(run_folder, plan)?.into_iter().next()
    {
        return Err(TrainError::OtherRun { path: run_folder.to_owned(), step, differences });
    }
    let own_log = checkpoint.is_some() || owner(&folder).is_some_and(|(owner, _)| owner == plan.fingerprint());
    let checkpoint = checkpoint.unwrap_or_default();
    let notes = damaged.into_iter().map(|(step, reason)| passed_over(step, &reason, checkpoint.step)).collect();
    Ok(Resume { checkpoint, own_log, notes })
}

fn passed_over(step: u64, reason: &Wording, used: u64) -> EventKind {
    let from = match used {
        0 => wording!("No earlier one is intact, so training starts over", "之前的检查点都不完整，因此从头开始训练"),
        used => wording!("Training goes on from the checkpoint at step {used}", "从第 {used} 步的检查点继续训练"),
    };
    let message = wording!(
        "The checkpoint at step {step} is damaged and is not used: {reason}. {from}; {steps} steps are repeated.",
        "第 {step} 步的检查点已损坏，不再使用：{reason}。{from}，重做 {steps} 步。";
        reason, from; steps = step.saturating_sub(used)
    );
    EventKind::Warning { code: "checkpoint_damaged".to_owned(), message }
}

/// Fingerprint and facts of the plan whose session last wrote in the folder.
fn owner(folder: &Path) -> Option<(String, Value)> {
    let mut written: Value = serde_json::from_slice(&std::fs::read(folder.join(PLAN)).ok()?).ok()?;
    let facts = written["facts"].take();
    let fingerprint = written["plan"].as_str()?.to_owned();
    // An edited file has no owner.
    (PlanFacts::new(facts.clone()).fingerprint() == fingerprint).then_some((fingerprint, facts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::commit;
    use crate::checkpoint::tests::{plan, sample};

    fn message(note: &EventKind) -> &str {
        let EventKind::Warning { message, .. } = note else { panic!("{note:?}") };
        &message.en
    }

    #[test]
    fn damage_is_passed_over_and_said() {
        let run = tempfile::tempdir().unwrap();
        let folder = run.path().join(CHECKPOINTS);
        prepare(run.path(), &plan("plan")).unwrap();
        for step in [10, 15] {
            commit(&folder, &plan("plan"), &sample(step)).unwrap();
        }
        assert_eq!(resume_step(run.path(), &plan("plan")).unwrap(), 15);
        std::fs::write(folder.join("step-00000015/state.safetensors"), "no longer").unwrap();
        let found = look(run.path(), &plan("plan")).unwrap();
        assert_eq!((found.checkpoint, found.notes.len()), (sample(10), 1));
        let told = message(&found.notes[0]);
        assert!(
            told.contains("step 15") && told.contains("step 10") && told.contains("5 steps are repeated"),
            "{told}"
        );
        std::fs::remove_file(folder.join("step-00000010/manifest.json")).unwrap();
        let found = look(run.path(), &plan("plan")).unwrap();
        assert_eq!((found.checkpoint.step, found.notes.len(), found.own_log), (0, 2, true));
        assert!(message(&found.notes[0]).contains("starts over; 15 steps"));
    }

    #[test]
    fn another_plan_is_refused_by_what_differs_and_its_own_goes_on() {
        let run = tempfile::tempdir().unwrap();
        let folder = run.path().join(CHECKPOINTS);
        prepare(run.path(), &plan("first")).unwrap();
        let refused = |name: &str| match prepare(run.path(), &plan(name)).err() {
            Some(TrainError::OtherRun { step, differences, .. }) => (step, differences),
            other => panic!("{other:?}"),
        };
        // Not even a checkpoint yet: the log is already the first plan's.
        assert_eq!(refused("second").0, 0);
        commit(&folder, &plan("first"), &sample(30)).unwrap();
        let (step, differences) = refused("second");
        assert_eq!((step, differences.len()), (30, 2));
        assert_eq!(differences[1].wording().en, "settings.max_steps was 5, is 6");
        assert_eq!(foreign_checkpoints(run.path(), &plan("second")).unwrap()[0].step, 30);
        assert!(foreign_checkpoints(run.path(), &plan("first")).unwrap().is_empty());
        assert_eq!(prepare(run.path(), &plan("first")).unwrap().checkpoint.step, 30);
        // Two plans in one folder, as earlier versions allowed: each resumes from its own.
        commit(&folder, &plan("second"), &sample(40)).unwrap();
        assert_eq!(resume_step(run.path(), &plan("first")).unwrap(), 30);
        assert_eq!(resume_step(run.path(), &plan("second")).unwrap(), 40);
    }

    #[test]
    fn what_sessions_made_is_listed_and_nothing_else() {
        let run = tempfile::tempdir().unwrap();
        let folder = run.path().join(CHECKPOINTS);
        assert!(session_files(run.path()).unwrap().is_empty());
        prepare(run.path(), &plan("first")).unwrap();
        commit(&folder, &plan("first"), &sample(3)).unwrap();
        let ours = ["log.jsonl", "log.damaged.jsonl", "log.damaged-2.jsonl", "checkpoints/step-00000004.tmp"];
        for name in ours.iter().chain(&["notes.txt", "checkpoints/mine.txt", "log.damaged.txt"]) {
            std::fs::write(run.path().join(name), "").unwrap();
        }
        let mut found = session_files(run.path()).unwrap();
        assert_eq!(found.pop(), Some(folder.clone()));
        let mut expected: Vec<PathBuf> = ours.iter().map(|name| run.path().join(name)).collect();
        expected.extend([folder.join(PLAN), folder.join("step-00000003")]);
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }
}
