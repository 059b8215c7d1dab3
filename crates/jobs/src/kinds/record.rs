//! `run.json` of a run that does not train: the resolved plan, versions and hashes, enough to repeat it; and the first
//! events of such a run.

use crate::files::durable::write_durably;
use crate::train::execute::Outside;
use alidade_domain::{Artifact, EventKind, Phase, Problem, StagePlan, Wording};
use serde_json::{Value, json};
use std::path::Path;

/// Reports that a worker has started, with the number of items from an earlier attempt.
pub(super) fn started(done: usize, outside: &mut Outside) -> Result<(), Problem> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    outside.observer.observe(EventKind::Started { pid: std::process::id(), threads, from_step: done as u64 })?;
    outside.observer.observe(EventKind::Stage { phase: Phase::Preparing })
}

/// Writes `run.json`; `items` holds counts of the work.
pub(super) fn write(plan: &StagePlan, folder: &Path, artifacts: &[Artifact], items: &Value) -> Result<(), Problem> {
    let record = json!({
        "plan": plan,
        "versions": {"alidade": env!("CARGO_PKG_VERSION")},
        "machine": {"system": std::env::consts::OS, "processor": std::env::consts::ARCH},
        "hashes": {"model": plan.model().map(|(model, _)| &model.sha256), "rows": plan.rows_sha256()},
        "items": items,
        "artifacts": artifacts,
    });
    let text =
        serde_json::to_string_pretty(&record).map_err(|error| Problem::internal(Wording::name(error.to_string())))?;
    write_durably(&folder.join("run.json"), (text + "\n").as_bytes())
}
