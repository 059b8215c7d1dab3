//! Where fixtures lie.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A golden fixture of the project.
pub fn golden(path: &str) -> PathBuf {
    root().join("tests/golden").join(path)
}

/// What the program carries.
pub fn resources(path: &str) -> PathBuf {
    root().join("resources").join(path)
}

/// Files of others, which never enter the project: where they lie beside it, else `None`, which is said.
pub fn beside_project(path: &str) -> Option<PathBuf> {
    let path = root().join("../shared").join(path);
    let there = path.exists();
    if !there {
        println!("skipped: {} is not here", path.display());
    }
    there.then_some(path)
}

/// A copy of a small model with random weights, in a fresh folder.
pub fn small_model(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(&path).unwrap();
    for entry in std::fs::read_dir(golden("trl/model")).unwrap().flatten() {
        std::fs::copy(entry.path(), path.join(entry.file_name())).unwrap();
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_small_model_is_there_and_what_is_not_is_said() {
        let folder = tempfile::tempdir().unwrap();
        assert!(small_model(folder.path(), "m").join("config.json").is_file());
        assert!(resources("starter/starter").join("config.json").is_file());
        assert_eq!(beside_project("nothing of this name"), None);
    }
}
