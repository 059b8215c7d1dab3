//! The person's wish, left as a file in the run folder: it survives the app, and the worker looks for it between steps.

use crate::files::durable::{create_folder, sync_folder, write_private};
use alidade_domain::{Problem, StopReason, StopSignal};
use std::path::{Path, PathBuf};

const NAME: &str = "wish";

/// The worker's view.
pub struct ControlFile(PathBuf);

impl ControlFile {
    /// Watches a run folder; an old wish is forgotten.
    pub fn watch(folder: &Path) -> Self {
        let path = folder.join(NAME);
        // Absent in the common case; a leftover that cannot be removed would only end the run at once, visibly. One that a
        // power cut brought back would be taken for a new wish.
        let _ = std::fs::remove_file(&path).and_then(|()| sync_folder(folder));
        Self(path)
    }
}

impl StopSignal for ControlFile {
    fn requested(&self) -> Option<StopReason> {
        read(&self.0)
    }
}

/// What was wished of a run; where its worker died before it looked, the wish still stands.
pub fn wish_of(folder: &Path) -> Option<StopReason> {
    read(&folder.join(NAME))
}

fn read(path: &Path) -> Option<StopReason> {
    match std::fs::read_to_string(path).ok()?.trim() {
        "pause" => Some(StopReason::Pause),
        "stop_and_save" => Some(StopReason::StopAndSave),
        "discard" => Some(StopReason::Discard),
        _ => None,
    }
}

/// Leaves a wish for the worker of a run folder.
///
/// # Errors
/// When the file cannot be written.
pub fn write_wish(folder: &Path, reason: StopReason) -> Result<(), Problem> {
    let word = match reason {
        StopReason::Pause => "pause",
        StopReason::StopAndSave => "stop_and_save",
        StopReason::Discard => "discard",
    };
    // Somebody may have taken the folder away; the wish then stands for the run without a worker.
    create_folder(folder)?;
    write_private(&folder.join(NAME), word.as_bytes())
}
