//! Checkpoints that are whole or absent: written beside their place, synced, given a manifest of hashes last, and only
//! then renamed into place. A folder without a valid manifest is ignored; the two newest are kept.

use crate::error::{Result, TrainError};
use alidade_model::{TensorData, file_sha256, read_tensors, write_tensors};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Names before a tensor's own name in the state file.
const PARTS: [&str; 3] = ["value", "first", "second"];
const STATE: &str = "state.safetensors";
const KEPT: usize = 2;
/// Version of the manifest.
const VERSION: u32 = 2;

/// Everything that a step depends on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Checkpoint {
    /// Optimizer steps taken.
    pub step: u64,
    /// Updates of the optimizer; a step may take several.
    pub updates: u64,
    /// Real tokens seen.
    pub tokens: u64,
    /// What the method carries from step to step.
    pub state: BTreeMap<String, f64>,
    /// Values of the trainable tensors.
    pub values: BTreeMap<String, Vec<f32>>,
    /// AdamW's means of gradients.
    pub first: BTreeMap<String, Vec<f32>>,
    /// AdamW's means of squared gradients.
    pub second: BTreeMap<String, Vec<f32>>,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    version: u32,
    /// Fingerprint of the plan: a checkpoint of another plan is never taken up.
    plan: String,
    step: u64,
    updates: u64,
    tokens: u64,
    state: BTreeMap<String, f64>,
    sha256: String,
}

/// Writes a checkpoint below `folder` (the run's `checkpoints`) and returns its name and size in bytes.
pub(crate) fn commit(folder: &Path, plan: &str, checkpoint: &Checkpoint) -> Result<(String, u64)> {
    let name = format!("step-{:08}", checkpoint.step);
    let (temporary, place) = (folder.join(format!("{name}.tmp")), folder.join(&name));
    for stale in [&temporary, &place] {
        if stale.exists() {
            std::fs::remove_dir_all(stale).map_err(TrainError::file(stale))?;
        }
    }
    std::fs::create_dir_all(&temporary).map_err(TrainError::file(&temporary))?;
    let state = temporary.join(STATE);
    write_tensors(&state, &tensors(checkpoint)).map_err(|error| full_disk(&state, error))?;
    sync(&state)?;
    let manifest = Manifest {
        version: VERSION,
        plan: plan.to_owned(),
        step: checkpoint.step,
        updates: checkpoint.updates,
        tokens: checkpoint.tokens,
        state: checkpoint.state.clone(),
        sha256: file_sha256(&state)?,
    };
    let path = temporary.join("manifest.json");
    let text = serde_json::to_vec_pretty(&manifest).map_err(std::io::Error::from).map_err(TrainError::file(&path))?;
    std::fs::write(&path, text).map_err(TrainError::file(&path))?;
    sync(&path)?;
    sync_folder(&temporary)?;
    std::fs::rename(&temporary, &place).map_err(TrainError::file(&place))?;
    sync_folder(folder)?;
    let bytes = std::fs::metadata(place.join(STATE)).map_or(0, |data| data.len());
    prune(folder, &manifest.plan)?;
    Ok((name, bytes))
}

/// The newest checkpoint of this plan that is whole, or `None`.
///
/// # Errors
/// When the folder cannot be read; a damaged checkpoint is passed over, not an error.
pub fn latest_checkpoint(folder: &Path, plan: &str) -> std::result::Result<Option<Checkpoint>, TrainError> {
    for place in places(folder)?.into_iter().rev() {
        if let Some(checkpoint) = load(&place, plan) {
            return Ok(Some(checkpoint));
        }
    }
    Ok(None)
}

/// Removes what an interrupted commit left behind.
///
/// # Errors
/// When the folder cannot be changed.
pub fn remove_leftovers(folder: &Path) -> std::result::Result<(), TrainError> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|ending| ending == "tmp") {
            std::fs::remove_dir_all(&path).map_err(TrainError::file(&path))?;
        }
    }
    Ok(())
}

fn manifest(place: &Path) -> Option<Manifest> {
    serde_json::from_slice(&std::fs::read(place.join("manifest.json")).ok()?).ok()
}

fn load(place: &Path, plan: &str) -> Option<Checkpoint> {
    let manifest = manifest(place)?;
    let state = place.join(STATE);
    if manifest.version != VERSION || manifest.plan != plan || file_sha256(&state).ok()? != manifest.sha256 {
        return None;
    }
    let Manifest { step, updates, tokens, state: carried, .. } = manifest;
    let mut checkpoint = Checkpoint { step, updates, tokens, state: carried, ..Checkpoint::default() };
    for (name, (_, data)) in read_tensors(&state).ok()? {
        let (TensorData::Floats(values), Some((part, name))) = (data, name.split_once('/')) else { return None };
        let maps = [&mut checkpoint.values, &mut checkpoint.first, &mut checkpoint.second];
        let index = PARTS.iter().position(|known| *known == part)?;
        maps.into_iter().nth(index)?.insert(name.to_owned(), values);
    }
    Some(checkpoint)
}

fn tensors(checkpoint: &Checkpoint) -> BTreeMap<String, (Vec<usize>, TensorData)> {
    let maps = [&checkpoint.values, &checkpoint.first, &checkpoint.second];
    let named = PARTS.iter().zip(maps).flat_map(|(part, map)| map.iter().map(move |entry| (part, entry)));
    named.map(|(part, (name, v))| (format!("{part}/{name}"), (vec![v.len()], TensorData::Floats(v.clone())))).collect()
}

fn places(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).map_err(TrainError::file(folder))?;
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("step-"));
    let mut places: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(named).collect();
    places.retain(|path| path.extension().is_none());
    places.sort();
    Ok(places)
}

/// Keeps the newest of this plan; what another plan left is not this one's to remove.
fn prune(folder: &Path, plan: &str) -> Result<()> {
    let own = |place: &PathBuf| manifest(place).is_some_and(|manifest| manifest.plan == plan);
    let places: Vec<PathBuf> = places(folder)?.into_iter().filter(own).collect();
    for old in &places[..places.len().saturating_sub(KEPT)] {
        std::fs::remove_dir_all(old).map_err(TrainError::file(old))?;
    }
    Ok(())
}

fn sync(path: &Path) -> Result<()> {
    File::options().write(true).open(path).and_then(|file| file.sync_all()).map_err(TrainError::file(path))
}

/// Directory entries are made durable where the system allows it; Windows does so by itself.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(path).and_then(|folder| folder.sync_all()).map_err(TrainError::file(path))
    } else {
        Ok(())
    }
}

/// The model crate reports a failed write in words; a full disk must stay recognisable as one.
fn full_disk(path: &Path, error: alidade_model::ModelError) -> TrainError {
    let kind = if error.to_string().contains("os error 28") {
        std::io::ErrorKind::StorageFull
    } else {
        std::io::ErrorKind::Other
    };
    TrainError::File { path: path.to_owned(), found: std::io::Error::new(kind, error.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(step: u64) -> Checkpoint {
        let map = |value: f32| BTreeMap::from([("a.b".to_owned(), vec![value, step as f32])]);
        let state = BTreeMap::from([("kl_coef".to_owned(), 0.1 + 1e-17 * step as f64)]);
        Checkpoint {
            step,
            updates: 3 * step,
            tokens: 7 * step,
            state,
            values: map(1.0),
            first: map(2.0),
            second: map(3.0),
        }
    }

    #[test]
    fn the_newest_whole_one_is_found_and_damage_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        for step in [1, 2, 3] {
            commit(folder.path(), "plan", &sample(step)).unwrap();
        }
        assert_eq!(places(folder.path()).unwrap().len(), KEPT);
        assert_eq!(latest_checkpoint(folder.path(), "plan").unwrap(), Some(sample(3)));
        assert_eq!(latest_checkpoint(folder.path(), "other").unwrap(), None);
        let state = folder.path().join("step-00000003").join(STATE);
        let whole = std::fs::read(&state).unwrap();
        for position in (0..whole.len()).step_by(7) {
            let mut flipped = whole.clone();
            flipped[position] ^= 1;
            std::fs::write(&state, flipped).unwrap();
            assert_eq!(latest_checkpoint(folder.path(), "plan").unwrap(), Some(sample(2)), "flip at {position}");
        }
    }

    #[test]
    fn a_new_plan_keeps_its_own_checkpoints_beside_older_ones() {
        let folder = tempfile::tempdir().unwrap();
        for step in [450, 500] {
            commit(folder.path(), "old", &sample(step)).unwrap();
        }
        for step in [10, 20, 30] {
            commit(folder.path(), "new", &sample(step)).unwrap();
        }
        assert_eq!(latest_checkpoint(folder.path(), "new").unwrap(), Some(sample(30)));
        assert_eq!(latest_checkpoint(folder.path(), "old").unwrap(), Some(sample(500)));
        assert_eq!(places(folder.path()).unwrap().len(), 2 * KEPT);
    }

    #[test]
    fn leftovers_of_a_cut_commit_vanish() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("step-00000009.tmp")).unwrap();
        assert_eq!(latest_checkpoint(folder.path(), "plan").unwrap(), None);
        remove_leftovers(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
