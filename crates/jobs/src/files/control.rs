//! A request of the person (pause, stop, discard), kept as a file in the run folder: it survives the app, and the worker
//! checks for it between steps.

use crate::files::durable::{create_folder, sync_folder, write_private};
use alidade_domain::{Problem, StopReason, StopSignal};
use std::path::{Path, PathBuf};

const NAME: &str = "wish";

/// The worker's view.
pub struct ControlFile(PathBuf);

impl ControlFile {
    /// Watches a run folder; an old request is removed.
    pub fn watch(folder: &Path) -> Self {
        let path = folder.join(NAME);
        // Usually absent; a leftover that cannot be removed would only end the run at once, visibly. The removal is synced,
        // or a power cut could bring the old request back.
        let _ = std::fs::remove_file(&path).and_then(|()| sync_folder(folder));
        Self(path)
    }
}

impl StopSignal for ControlFile {
    fn requested(&self) -> Option<StopReason> {
        read(&self.0)
    }
}

/// The pending request for a run; it stays pending if its worker died before it checked.
pub fn pending_request(folder: &Path) -> Option<StopReason> {
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

/// Leaves a request for the worker of a run folder.
///
/// # Errors
/// When the file cannot be written.
pub fn write_request(folder: &Path, reason: StopReason) -> Result<(), Problem> {
    let word = match reason {
        StopReason::Pause => "pause",
        StopReason::StopAndSave => "stop_and_save",
        StopReason::Discard => "discard",
    };
    // If somebody removed the folder, the request applies to the run without a worker.
    create_folder(folder)?;
    write_private(&folder.join(NAME), word.as_bytes())
}
