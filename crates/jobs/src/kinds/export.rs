//! A stage that exports an adapter for other programs. The export is verified (`export.rs`); one that was interrupted is
//! made again.

use super::cost::{Batch, Measured, estimate_of};
use super::{Ask, Job, foreign, record};
use crate::export::export;
use crate::files::durable::remove_folder;
use crate::machine::folder_bytes;
use crate::train::estimate::{Tell, wanted};
use crate::train::execute::Outside;
use crate::train::pace::Gauge;
use alidade_domain::{
    Artifact, EventKind, ExportForm, Phase, Planning, Problem, Sampling, Stage, StageEstimate, StagePlan, StopReason,
    why, wording,
};
use alidade_model::model_sha256;
use serde_json::json;
use std::path::Path;

pub(super) struct Export;

/// The exported file or folder.
const EXPORT: &str = "export";
/// Copies of the weights in memory at once: the base, the merged model, and the export that is read again for verification.
const COPIES: u64 = 3;
/// What is read to compare them: two rows of 24 tokens.
const PROBE: Batch = Batch { rows: 48, read: 1, generated: 0 };
/// How often the model is loaded: with the adapter, merged, and as exported.
const LOADS: f64 = 3.0;

impl Job for Export {
    fn kind(&self) -> &'static str {
        "export"
    }

    fn check(&self, stage: &Stage) -> Vec<Problem> {
        match stage {
            Stage::Export(_) => Vec::new(),
            other => vec![foreign(self, other.kind())],
        }
    }

    fn estimate(&self, ask: &Ask, gauge: &mut Gauge, tell: Tell) -> Result<StageEstimate, Problem> {
        let Ask::Export(ask) = ask else { return Err(foreign(self, ask.kind())) };
        wanted(tell(Planning::Preparing))?;
        let mut estimate = estimate_of(self.kind(), ask.stage, Some(&ask.model));
        let measured = Measured::open(&ask.model)?;
        let merged = ask.recipe.form == ExportForm::Merged;
        estimate.memory_bytes = measured.memory(if merged { COPIES } else { 1 }, ask.adapter_bytes, PROBE)?;
        estimate.disk_bytes = if merged { folder_bytes(&ask.model.folder) } else { ask.adapter_bytes };
        wanted(tell(Planning::Measuring))?;
        let silent = Sampling { temperature: 0.0, top_p: 1.0, max_new_tokens: 0, seed: 0 };
        estimate.seconds = LOADS * measured.pace(&ask.model, &[], &silent, gauge)?.load;
        Ok(estimate)
    }

    fn run(&self, plan: &StagePlan, folder: &Path, outside: &mut Outside) -> Result<(), Problem> {
        let StagePlan::Export(own) = plan else { return Err(foreign(self, plan.kind())) };
        record::started(0, outside)?;
        match outside.stop.requested() {
            Some(StopReason::Discard) => return outside.observer.observe(EventKind::Discarded),
            Some(_) => return outside.observer.observe(EventKind::Paused { step: 0 }),
            None => {}
        }
        outside.observer.observe(EventKind::Stage { phase: Phase::Exporting })?;
        let output = folder.join(EXPORT);
        // Left by an attempt that was interrupted.
        remove_folder(&output).map_err(|error| {
            Problem::internal(wording!(
                "Removing an earlier export from {path} failed: {why}.",
                "从 {path} 删除先前的导出失败：{why}。";
                why = why(&error); path = output.display()
            ))
        })?;
        let exported = export(&own.model_dir, &own.adapter.folder, own.form, &output)?;
        let artifact = match own.form {
            ExportForm::Peft => Artifact::File {
                path: EXPORT.to_owned(),
                bytes: folder_bytes(&output),
                what: "adapter in PEFT's form".to_owned(),
            },
            ExportForm::Merged => Artifact::Model {
                folder: EXPORT.to_owned(),
                sha256: model_sha256(&output)?,
                name: Some(format!("{} + {}", own.model.name, own.adapter.adapter.name)),
            },
        };
        let artifacts = vec![artifact];
        let rounded = exported.rounded_to;
        record::write(plan, folder, &artifacts, &json!({"largest_logit_gap": exported.gap, "rounded_to": rounded}))?;
        outside.observer.observe(EventKind::Finished { steps: 1, artifacts })
    }
}
