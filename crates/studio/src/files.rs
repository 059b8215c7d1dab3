//! Writing a whole file, with a full disk told as one.

use alidade_domain::{Problem, ProblemCode};
use std::path::Path;

/// Writes `text` to `path`.
///
/// # Errors
/// When it cannot be written; a full disk says so and what to do.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Problem> {
    std::fs::write(path, text).map_err(|error| match error.kind() {
        std::io::ErrorKind::StorageFull => {
            let message = format!("There is no room left on the disk: writing {} failed.", path.display());
            Problem::new(ProblemCode::DiskFull, message).hint("Free some room and start again.")
        }
        _ => Problem::internal(format!("Writing {} failed: {error}.", path.display())),
    })
}
