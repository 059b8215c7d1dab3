//! The end of a run, in an order that a kill or a full disk can cut anywhere: first the result (`adapter` or `model`, whole
//! or absent, marked with the plan that made it), then `run.json`, then the comparison, and the event `finished` last. What
//! is already there is taken up by the next start instead of being trained again.

use crate::files::durable;
use crate::files::event_log::each_event;
use crate::train::provenance::{self, Making};
use alidade_domain::{Device, EventKind, Plan, Problem, ProblemCode, RunEvent, Wording};
use alidade_model::{AdapterWeights, ModelFolder, NamedTensor, adapter_sha256, model_sha256, save_adapter, save_model};
use alidade_train::Prepared;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

const RECORD: &str = "run.json";

/// What came out.
pub enum Trained {
    /// An adapter.
    Adapter(AdapterWeights),
    /// All weights of a model.
    Model(BTreeMap<String, NamedTensor>),
}

/// How it was computed.
#[derive(Debug, Clone, PartialEq)]
pub struct Computed {
    /// Back-end, instruction set and number format.
    pub arithmetic: String,
    /// What a pass saved for its backward pass.
    pub keep: String,
    /// The device that computed it.
    pub device: Device,
    /// The instruction set that a person forced.
    pub forced: Option<String>,
    /// Share of the training time in which the policy wrote; unknown when another process trained.
    pub generation_share: Option<f64>,
}

impl Computed {
    /// What is told before training begins.
    pub fn event(&self) -> EventKind {
        let Self { arithmetic, keep, device, forced, .. } = self.clone();
        EventKind::Computing { arithmetic, keep, device, forced }
    }

    /// As the process that trained has told it; words of the last one count.
    pub fn of_events(folder: &Path) -> Self {
        let mut told = None;
        let mut look = |event: RunEvent| {
            if let EventKind::Computing { arithmetic, keep, device, forced } = event.kind {
                told = Some(Self { arithmetic, keep, device, forced, generation_share: None });
            }
        };
        let whole = each_event(folder, 0, &mut look).is_ok();
        let unknown = || "unknown".to_owned();
        let (device, generation_share) = (Device::Cpu, None);
        told.filter(|_| whole).unwrap_or_else(|| Self {
            arithmetic: unknown(),
            keep: unknown(),
            device,
            forced: None,
            generation_share,
        })
    }
}

/// The folder of a model whose every weight was trained.
pub const MODEL: &str = "model";

/// A result that a run has left whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Steps that it was trained for.
    pub steps: u64,
    /// SHA-256 of its weights.
    pub sha256: String,
}

/// Name for people of a model whose every weight was trained.
pub fn model_name(plan: &Plan) -> String {
    format!("{} + {}", plan.model.name, plan.adapter_name)
}

fn name_of(plan: &Plan) -> &'static str {
    if plan.trains.is_full() { MODEL } else { "adapter" }
}

/// The result of all steps of this plan, when it lies unchanged in the run folder.
pub fn completed(folder: &Path, plan: &Plan, fingerprint: &str) -> Option<Outcome> {
    let weights = |place: &Path| if plan.trains.is_full() { model_sha256(place) } else { adapter_sha256(place) }.ok();
    let (steps, sha256) = provenance::completed(&folder.join(name_of(plan)), fingerprint, weights)?;
    Some(Outcome { steps, sha256 })
}

/// True when `run.json` speaks of these weights.
pub fn is_recorded(folder: &Path, sha256: &str) -> bool {
    let record = std::fs::read(folder.join(RECORD)).ok();
    let record: Option<Value> = record.and_then(|text| serde_json::from_slice(&text).ok());
    record.is_some_and(|record| record["hashes"]["adapter"] == sha256)
}

/// Writes the result's folder, `adapter` or `model`: after this it is on the disk, whole. Returns the SHA-256 of its weights.
pub fn save(making: &Making, model: &ModelFolder, folder: &Path, trained: Trained) -> Result<String, Problem> {
    durable::remove_unfinished(folder, true);
    let mut sha256 = String::new();
    durable::write_folder(&folder.join(name_of(making.plan)), |temporary| {
        sha256 = match trained {
            Trained::Adapter(adapter) => {
                save_adapter(temporary, &adapter).map_err(|error| full_disk(error.into(), temporary))?;
                adapter_sha256(temporary)?
            }
            Trained::Model(weights) => {
                save_model(model, weights, temporary).map_err(|error| full_disk(error.into(), temporary))?;
                model_sha256(temporary)?
            }
        };
        provenance::record(temporary, making, &sha256)
    })?;
    Ok(sha256)
}

/// A full disk is told in the words of every other file of a run.
fn full_disk(problem: Problem, folder: &Path) -> Problem {
    match problem.code {
        ProblemCode::DiskFull => {
            durable::file_problem(durable::WRITING, folder, &std::io::Error::from(std::io::ErrorKind::StorageFull))
        }
        _ => problem,
    }
}

/// `run.json`: the resolved plan, versions and hashes; enough to run it again.
pub fn write_record(
    plan: &Plan,
    folder: &Path,
    outcome: &Outcome,
    prepared: &Prepared,
    computed: &Computed,
) -> Result<(), Problem> {
    let record = json!({
        "plan": plan,
        "steps": outcome.steps,
        "versions": {"alidade": env!("CARGO_PKG_VERSION"), "arithmetic": computed.arithmetic},
        "keep": computed.keep,
        "generation_share": computed.generation_share,
        "machine": {
            "system": std::env::consts::OS, "processor": std::env::consts::ARCH, "device": computed.device,
            "forced_instructions": computed.forced,
        },
        "hashes": {"model": plan.model.sha256, "rows": plan.rows_sha256, "adapter": outcome.sha256},
        "rows": {
            "used": prepared.items.len(), "skipped": prepared.skipped.len(), "truncated": prepared.truncated,
            "tokens": prepared.tokens(), "learned_tokens": prepared.learned_tokens(),
        },
    });
    let text =
        serde_json::to_string_pretty(&record).map_err(|error| Problem::internal(Wording::name(error.to_string())))?;
    durable::write_durably(&folder.join(RECORD), (text + "\n").as_bytes())
}
