//! Carries out a plan: the same function in the worker, in the terminal's foreground and in tests.

use alidade_data::rows_from_jsonl;
use alidade_domain::{EventKind, Example, Observer, Phase, Plan, Problem, StopReason, StopSignal};
use alidade_model::{AdapterWeights, ModelFolder, Policy, adapter_sha256, load_adapter, save_adapter};
use alidade_train::{Encoder, End, Prepared, Session, SessionOptions, method};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::time::Instant;

/// Seconds since the start of the process, for pace and estimates.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Seconds since its start.
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// Trains as the plan says, in its run folder, from its newest checkpoint.
///
/// # Errors
/// When something in the plan cannot be used, or training meets a problem. What was kept stays usable.
pub fn execute(plan: &Plan, folder: &Path, observer: &mut dyn Observer, stop: &dyn StopSignal) -> Result<End, Problem> {
    let clock = Clock::start();
    observer.observe(EventKind::Stage { phase: Phase::Preparing })?;
    let model = ModelFolder::open(&plan.model_dir)?;
    let tokenizer = model.tokenizer()?;
    let template = model.chat_template(&tokenizer)?;
    let encoder = Encoder { tokenizer: &tokenizer, template: template.as_ref() };
    let method = method(plan.method);
    let prepared = method.prepare(&read_rows(&plan.rows)?, &encoder, &plan.settings)?;
    warn(&prepared, observer)?;
    let policy = policy(plan, &model)?;
    observer.observe(EventKind::Stage { phase: Phase::Training })?;
    let fingerprint = fingerprint(plan)?;
    let now = || clock.seconds();
    let options = SessionOptions {
        folder: folder.to_owned(),
        plan: fingerprint,
        seed: plan.seed,
        checkpoint_every: plan.checkpoint_every,
        clock: &now,
        sampler: None,
    };
    let mut session = Session::new(policy, options, observer, stop);
    let end = method.train(&mut session, &prepared, &plan.settings)?;
    let adapter = session.policy.adapter()?;
    conclude(plan, folder, observer, end, adapter.as_ref(), &prepared)?;
    Ok(end)
}

fn conclude(
    plan: &Plan,
    folder: &Path,
    observer: &mut dyn Observer,
    end: End,
    adapter: Option<&AdapterWeights>,
    prepared: &Prepared,
) -> Result<(), Problem> {
    let (step, reason) = match end {
        End::Complete { steps } => (steps, None),
        End::Requested { reason, step } => (step, Some(reason)),
    };
    match reason {
        Some(StopReason::Pause) => return observer.observe(EventKind::Paused { step }),
        Some(StopReason::Discard) => return observer.observe(EventKind::Discarded),
        Some(StopReason::StopAndSave) | None => {}
    }
    observer.observe(EventKind::Stage { phase: Phase::Saving })?;
    let Some(adapter) = adapter else { return Err(Problem::internal("The run trained no adapter.")) };
    let adapter_sha256 = save(folder, adapter)?;
    write_record(plan, folder, step, &adapter_sha256, prepared)?;
    observer.observe(match reason {
        Some(_) => EventKind::Stopped { step, adapter_sha256 },
        None => EventKind::Finished { steps: step, adapter_sha256 },
    })
}

fn read_rows(path: &Path) -> Result<Vec<Example>, Problem> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Problem::internal(format!("Reading the rows of the run failed: {error}.")))?;
    Ok(rows_from_jsonl(&text)?)
}

fn policy(plan: &Plan, model: &ModelFolder) -> Result<Policy, Problem> {
    let decoder = model.decoder().map_err(|error| Problem::from(error).at("model"))?;
    match &plan.adapter_dir {
        Some(folder) => {
            let start = load_adapter(folder, &model.spec).map_err(|error| Problem::from(error).at("adapter"))?;
            Ok(Policy::continuing(decoder, &start)?)
        }
        None => {
            let lora = plan.lora.clone().unwrap_or_default();
            let fresh = AdapterWeights::fresh(&model.spec, &lora, &plan.model.name, plan.seed);
            Ok(Policy::fresh(decoder, &fresh.map_err(|error| Problem::from(error).at("lora"))?)?)
        }
    }
}

/// Everything that the numbers of a run depend on; threads are left out, because they do not change them.
fn fingerprint(plan: &Plan) -> Result<String, Problem> {
    let lora = serde_json::to_value(&plan.lora).map_err(|error| Problem::internal(error.to_string()))?;
    let adapter = match &plan.adapter_dir {
        Some(folder) => Some(adapter_sha256(folder).map_err(|error| Problem::from(error).at("adapter"))?),
        None => None,
    };
    let facts = json!([plan.method, plan.model.sha256, adapter, lora, plan.rows_sha256, plan.settings, plan.seed]);
    Ok(Sha256::digest(facts.to_string()).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn warn(prepared: &Prepared, observer: &mut dyn Observer) -> Result<(), Problem> {
    let mut say = |code: &str, count: usize, text: &str| {
        if count == 0 {
            return Ok(());
        }
        observer.observe(EventKind::Warning { code: code.to_owned(), message: format!("{count} {text}") })
    };
    say("rows_skipped", prepared.skipped.len(), "rows were left out.")?;
    say("rows_truncated", prepared.truncated, "rows were cut at max_length.")?;
    say("borders_moved", prepared.moved_borders, "rows share a token between prompt and answer; it counts as answer.")
}

/// Writes the adapter folder beside its place and renames it: an adapter is whole or absent.
fn save(folder: &Path, adapter: &AdapterWeights) -> Result<String, Problem> {
    let (temporary, place) = (folder.join("adapter.tmp"), folder.join("adapter"));
    let failed = |error: std::io::Error| Problem::internal(format!("Writing the adapter failed: {error}."));
    for stale in [&temporary, &place] {
        if stale.exists() {
            std::fs::remove_dir_all(stale).map_err(failed)?;
        }
    }
    std::fs::create_dir_all(&temporary).map_err(failed)?;
    save_adapter(&temporary, adapter)?;
    for entry in std::fs::read_dir(&temporary).map_err(failed)?.flatten() {
        std::fs::File::options().write(true).open(entry.path()).and_then(|file| file.sync_all()).map_err(failed)?;
    }
    std::fs::rename(&temporary, &place).map_err(failed)?;
    Ok(adapter_sha256(&place)?)
}

/// `run.json`: the resolved plan, versions and hashes; enough to run it again.
fn write_record(plan: &Plan, folder: &Path, step: u64, adapter: &str, prepared: &Prepared) -> Result<(), Problem> {
    let record = json!({
        "plan": plan,
        "steps": step,
        "versions": {"alidade": env!("CARGO_PKG_VERSION"), "back_end": "candle"},
        "machine": {"system": std::env::consts::OS, "processor": std::env::consts::ARCH},
        "hashes": {"model": plan.model.sha256, "rows": plan.rows_sha256, "adapter": adapter},
        "rows": {
            "used": prepared.items.len(), "skipped": prepared.skipped.len(), "truncated": prepared.truncated,
            "tokens": prepared.tokens(), "learned_tokens": prepared.learned_tokens(),
        },
    });
    let text = serde_json::to_string_pretty(&record).map_err(|error| Problem::internal(error.to_string()))?;
    std::fs::write(folder.join("run.json"), text + "\n")
        .map_err(|error| Problem::internal(format!("Writing run.json failed: {error}.")))
}
