//! Installable packages from the release build, and a listing of the .deb.

use crate::commands::{Outcome, root, run};
use crate::doctor::{self, Needs};
use crate::steps::build_ui;

/// Makes .deb and .rpm under `target/release/bundle`.
pub fn make() -> Outcome {
    doctor::check(Needs::App, false)?;
    build_ui()?;
    run("cargo", &["build", "--release", "-p", "alidade-desktop"])?;
    run("npm", &["--prefix", "ui", "exec", "--", "tauri", "bundle", "--bundles", "deb,rpm"])?;
    let folder = root().join("target/release/bundle");
    for kind in ["deb", "rpm"] {
        let entries = std::fs::read_dir(folder.join(kind)).map_err(|error| format!("{kind}: {error}"))?;
        for entry in entries.flatten().filter(|entry| entry.path().extension().is_some_and(|ending| ending == kind)) {
            let bytes = entry.metadata().map_or(0, |data| data.len());
            println!("{} · {:.1} MB", entry.path().display(), bytes as f64 / 1e6);
        }
    }
    Ok(())
}
