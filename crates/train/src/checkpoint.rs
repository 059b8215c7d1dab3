//! Atomic checkpoints: written to a temporary folder, synced, sealed last, and only then renamed into place.
//!
//! A manifest holds the step counts and the hashes of the other files; `manifest.sha256` holds the hash of the manifest
//! itself, so any changed bit of a checkpoint is detected. Where a session resumes is decided in `resume.rs`; the two
//! newest checkpoints of a plan are kept.

use crate::error::{Result, TrainError};
use crate::plan_facts::{Difference, PlanFacts, sha256};
use alidade_domain::{Wording, Words};
use alidade_model::{ModelError, TensorData, file_sha256, read_tensors, write_tensors};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Prefixes of tensor names in the state file.
const PARTS: [&str; 3] = ["value", "first", "second"];
const STATE: &str = "state.safetensors";
const LOG: &str = "log.jsonl";
const MANIFEST: &str = "manifest.json";
const SEAL: &str = "manifest.sha256";
const KEPT: usize = 2;
/// Version of the manifest. Version 2 had no seal and no facts; it cannot be verified, so it is not loaded.
const VERSION: u32 = 3;

/// Everything that a step depends on.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Checkpoint {
    /// Optimizer steps taken.
    pub(crate) step: u64,
    /// Updates of the optimizer; a step may take several.
    pub(crate) updates: u64,
    /// Real tokens seen.
    pub(crate) tokens: u64,
    /// What the method carries from step to step.
    pub(crate) state: BTreeMap<String, f64>,
    /// Values of the trainable tensors.
    pub(crate) values: BTreeMap<String, Vec<f32>>,
    /// AdamW's first moments.
    pub(crate) first: BTreeMap<String, Vec<f32>>,
    /// AdamW's second moments.
    pub(crate) second: BTreeMap<String, Vec<f32>>,
    /// `log.jsonl` up to this step, from which a log that was damaged in the meantime can be restored.
    pub(crate) log: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    version: u32,
    /// Fingerprint of the plan: a checkpoint of another plan is never loaded.
    plan: String,
    /// What the fingerprint was made of.
    #[serde(default)]
    facts: Value,
    step: u64,
    updates: u64,
    tokens: u64,
    state: BTreeMap<String, f64>,
    /// Hash of the state file.
    sha256: String,
    /// Hash of the copy of the log.
    #[serde(default)]
    log_sha256: String,
}

/// A checkpoint that another plan left in the folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Foreign {
    /// Its step; 0 for a run that ended before its first checkpoint.
    pub step: u64,
    /// In which points its plan differs from the current one; empty when it was written by a version of the program whose
    /// checkpoints cannot be verified.
    pub differences: Vec<Difference>,
}

/// Why a checkpoint cannot be loaded.
pub(crate) enum Flaw {
    /// It belongs to another plan.
    Foreign(Foreign),
    /// Its bytes have changed since it was written.
    Damaged(Wording),
}

/// Writes a checkpoint below `folder` (the run's `checkpoints`) and returns its name and size in bytes.
pub(crate) fn commit(folder: &Path, plan: &PlanFacts, checkpoint: &Checkpoint) -> Result<(String, u64)> {
    let name = format!("step-{:08}", checkpoint.step);
    let (temporary, place) = (folder.join(format!("{name}.tmp")), folder.join(&name));
    remove(&temporary)?;
    std::fs::create_dir_all(&temporary).map_err(TrainError::file(&temporary))?;
    let state = temporary.join(STATE);
    write_tensors(&state, &tensors(checkpoint)).map_err(|error| unwritten(&state, error))?;
    sync(&state)?;
    let manifest = Manifest {
        version: VERSION,
        plan: plan.fingerprint().to_owned(),
        facts: plan.facts().clone(),
        step: checkpoint.step,
        updates: checkpoint.updates,
        tokens: checkpoint.tokens,
        state: checkpoint.state.clone(),
        sha256: file_sha256(&state)?,
        log_sha256: sha256(&checkpoint.log),
    };
    let path = temporary.join(MANIFEST);
    let text = serde_json::to_vec_pretty(&manifest).map_err(std::io::Error::from).map_err(TrainError::file(&path))?;
    write_synced(&temporary.join(LOG), &checkpoint.log)?;
    write_synced(&path, &text)?;
    write_synced(&temporary.join(SEAL), seal(&text).as_bytes())?;
    sync_folder(&temporary)?;
    // An older one of the same step is removed only now that its successor is complete.
    remove(&place)?;
    std::fs::rename(&temporary, &place).map_err(TrainError::file(&place))?;
    sync_folder(folder)?;
    let bytes = std::fs::metadata(place.join(STATE)).map_or(0, |data| data.len());
    prune(folder, plan)?;
    Ok((name, bytes))
}

/// What `sha256sum` would write about the manifest.
fn seal(manifest: &[u8]) -> String {
    format!("{}  {MANIFEST}\n", sha256(manifest))
}

fn remove(place: &Path) -> Result<()> {
    match std::fs::remove_dir_all(place) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(TrainError::file(place)(error)),
        _ => Ok(()),
    }
}

/// Removes what an interrupted commit left behind.
pub(crate) fn remove_leftovers(folder: &Path) -> Result<()> {
    leftovers(folder).iter().try_for_each(|path| remove(path))
}

/// What interrupted commits left behind.
pub(crate) fn leftovers(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let unfinished = |path: &PathBuf| {
        path.extension().is_some_and(|ending| ending == "tmp") && step_of(&path.with_extension("")).is_some()
    };
    entries.flatten().map(|entry| entry.path()).filter(unfinished).collect()
}

/// The manifest, when it matches its seal and belongs to this plan.
fn manifest(place: &Path, plan: &PlanFacts) -> std::result::Result<Manifest, Flaw> {
    let damaged = |what: Words| Flaw::Damaged(what.into());
    let read = |name: &str| std::fs::read(place.join(name)).ok();
    let text = read(MANIFEST).ok_or_else(|| damaged(Words::new("it has no manifest", "它没有清单")))?;
    let manifest = serde_json::from_slice::<Manifest>(&text).ok();
    let Some(written) = read(SEAL) else {
        return Err(match manifest {
            Some(old) if old.version < VERSION => Flaw::Foreign(Foreign { step: old.step, differences: Vec::new() }),
            _ => damaged(Words::new("the seal of its manifest is missing", "其清单的校验值缺失")),
        });
    };
    match manifest {
        _ if written != seal(&text).as_bytes() => {
            Err(damaged(Words::new("its manifest has changed since it was written", "其清单在写入后被改动")))
        }
        Some(found) if found.version == VERSION => match found.plan == plan.fingerprint() {
            true => Ok(found),
            false => Err(Flaw::Foreign(Foreign { step: found.step, differences: plan.differences(&found.facts) })),
        },
        Some(found) => Err(Flaw::Foreign(Foreign { step: found.step, differences: Vec::new() })),
        None => Err(damaged(Words::new("its manifest cannot be read", "其清单无法读取"))),
    }
}

/// Reads a checkpoint that is intact and belongs to this plan.
pub(crate) fn load(place: &Path, plan: &PlanFacts) -> std::result::Result<Checkpoint, Flaw> {
    let damaged = |what: Words| Flaw::Damaged(what.into());
    let manifest = manifest(place, plan)?;
    if step_of(place) != Some(manifest.step) {
        return Err(damaged(Words::new("its folder has the name of another step", "其文件夹的名称属于另一步")));
    }
    let state = place.join(STATE);
    if file_sha256(&state).ok().as_ref() != Some(&manifest.sha256) {
        return Err(damaged(Words::new("its state file has changed since it was written", "其状态文件在写入后被改动")));
    }
    let log = std::fs::read(place.join(LOG)).unwrap_or_default();
    if sha256(&log) != manifest.log_sha256 {
        return Err(damaged(Words::new(
            "its copy of the log has changed since it was written",
            "其日志副本在写入后被改动",
        )));
    }
    let Manifest { step, updates, tokens, state: carried, .. } = manifest;
    let mut checkpoint = Checkpoint { step, updates, tokens, state: carried, log, ..Checkpoint::default() };
    read_state(&state, &mut checkpoint)
        .ok_or_else(|| damaged(Words::new("its state file holds something else", "其状态文件的内容不符")))?;
    Ok(checkpoint)
}

fn read_state(state: &Path, checkpoint: &mut Checkpoint) -> Option<()> {
    for (name, (_, data)) in read_tensors(state).ok()? {
        let (TensorData::Floats(values), Some((part, name))) = (data, name.split_once('/')) else { return None };
        let maps = [&mut checkpoint.values, &mut checkpoint.first, &mut checkpoint.second];
        let index = PARTS.iter().position(|known| *known == part)?;
        maps.into_iter().nth(index)?.insert(name.to_owned(), values);
    }
    Some(())
}

fn tensors(checkpoint: &Checkpoint) -> BTreeMap<String, (Vec<usize>, TensorData)> {
    let maps = [&checkpoint.values, &checkpoint.first, &checkpoint.second];
    let named = PARTS.iter().zip(maps).flat_map(|(part, map)| map.iter().map(move |entry| (part, entry)));
    named.map(|(part, (name, v))| (format!("{part}/{name}"), (vec![v.len()], TensorData::Floats(v.clone())))).collect()
}

/// The step that a folder is named after.
pub(crate) fn step_of(place: &Path) -> Option<u64> {
    let digits = place.file_name()?.to_str()?.strip_prefix("step-")?;
    (digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}

/// Folders of checkpoints below `folder`, the earliest step first.
pub(crate) fn places(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).map_err(TrainError::file(folder))?;
    let mut places: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    places.retain(|path| step_of(path).is_some());
    places.sort_by_key(|path| step_of(path));
    Ok(places)
}

/// Keeps the newest checkpoints of this plan; those of other plans are left alone.
fn prune(folder: &Path, plan: &PlanFacts) -> Result<()> {
    let places: Vec<PathBuf> = places(folder)?.into_iter().filter(|place| manifest(place, plan).is_ok()).collect();
    for old in &places[..places.len().saturating_sub(KEPT)] {
        remove(old)?;
    }
    Ok(())
}

fn sync(path: &Path) -> Result<()> {
    File::options().write(true).open(path).and_then(|file| file.sync_all()).map_err(TrainError::file(path))
}

/// Writes a whole file and makes it survive a power cut.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(TrainError::file(path))?;
    sync(path)
}

/// Directory entries are made durable where the system allows it; Windows does so by itself.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(path).and_then(|folder| folder.sync_all()).map_err(TrainError::file(path))
    } else {
        Ok(())
    }
}

/// Keeps the system's error of a failed write, so that a full disk is recognised as such.
fn unwritten(path: &Path, error: ModelError) -> TrainError {
    match error {
        ModelError::Write { path, error } => TrainError::File { path, found: error },
        other => TrainError::File { path: path.to_owned(), found: std::io::Error::other(other.to_string()) },
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) fn sample(step: u64) -> Checkpoint {
        let map = |value: f32| BTreeMap::from([("a.b".to_owned(), vec![value, step as f32])]);
        let state =
            BTreeMap::from([("kl_coef".to_owned(), 0.1 + 1e-17 * step as f64), ("ln_lagrange".to_owned(), -1.5)]);
        Checkpoint {
            step,
            updates: 3 * step,
            tokens: 7 * step,
            state,
            values: map(1.0),
            first: map(2.0),
            second: map(3.0),
            log: (1..=step).map(|step| format!("{{\"step\":{step}}}\n")).collect::<String>().into_bytes(),
        }
    }

    pub(crate) fn plan(name: &str) -> PlanFacts {
        PlanFacts::new(json!({"name": name, "settings": {"max_steps": name.len()}}))
    }

    #[test]
    fn what_was_written_is_read_and_older_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        for step in [1, 2, 3] {
            commit(folder.path(), &plan("plan"), &sample(step)).unwrap();
        }
        let places = places(folder.path()).unwrap();
        assert_eq!(places.iter().map(|place| step_of(place)).collect::<Vec<_>>(), [Some(2), Some(3)]);
        assert!(load(&places[1], &plan("plan")).is_ok_and(|found| found == sample(3)));
        // The same step once more, as a pause right after a checkpoint writes it.
        commit(folder.path(), &plan("plan"), &sample(3)).unwrap();
        assert!(load(&places[1], &plan("plan")).is_ok_and(|found| found == sample(3)));
    }

    /// A checkpoint is either loaded exactly as it was written, or not at all.
    #[test]
    fn no_bit_of_a_checkpoint_can_change_unnoticed() {
        let folder = tempfile::tempdir().unwrap();
        commit(folder.path(), &plan("plan"), &sample(9)).unwrap();
        let place = folder.path().join("step-00000009");
        for name in [MANIFEST, SEAL, LOG, STATE] {
            let path = place.join(name);
            let whole = std::fs::read(&path).unwrap();
            for bit in 0..8 * whole.len() {
                let mut flipped = whole.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                std::fs::write(&path, flipped).unwrap();
                let flaw = load(&place, &plan("plan")).err();
                assert!(matches!(flaw, Some(Flaw::Damaged(_))), "{name}, bit {bit}");
            }
            for length in [0, 1, whole.len() / 2, whole.len() - 1] {
                std::fs::write(&path, &whole[..length]).unwrap();
                assert!(load(&place, &plan("plan")).is_err(), "{name} cut to {length}");
            }
            std::fs::remove_file(&path).unwrap();
            assert!(load(&place, &plan("plan")).is_err(), "{name} lost");
            std::fs::write(&path, whole).unwrap();
        }
        assert!(load(&place, &plan("plan")).is_ok());
        let renamed = folder.path().join("step-00000010");
        std::fs::rename(&place, &renamed).unwrap();
        assert!(load(&renamed, &plan("plan")).is_err(), "a folder of another name");
    }

    #[test]
    fn a_manifest_without_a_seal_is_told_and_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("step-00000004");
        std::fs::create_dir(&place).unwrap();
        let old = json!({"version": 2, "plan": plan("plan").fingerprint(), "step": 4, "updates": 4, "tokens": 9,
            "state": {}, "sha256": ""});
        std::fs::write(place.join(MANIFEST), old.to_string()).unwrap();
        let flaw = load(&place, &plan("plan")).err();
        assert!(matches!(flaw, Some(Flaw::Foreign(Foreign { step: 4, differences })) if differences.is_empty()));
    }

    #[test]
    fn leftovers_of_a_cut_commit_vanish_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["step-00000009.tmp", "mine.tmp", "step-by-step"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        remove_leftovers(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        assert!(places(folder.path()).unwrap().is_empty());
    }
}
