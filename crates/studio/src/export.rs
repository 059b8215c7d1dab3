//! Exports that prove themselves: what was written is loaded again and must say the same as the live adapter, or it is
//! not called exported.

use crate::confined::{self, Job, Limits, Link, request_of};
use crate::durable::write_folder;
use crate::provenance;
use crate::vetting::limits_for;
use alidade_domain::{Problem, ProblemCode, Purpose, Stream};
use alidade_model::{Decoder, ModelFolder, load_adapter, save_adapter, save_merged};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

const ADAPTER: &str = "adapter";
/// Name of the task.
pub(crate) const TASK: &str = "export";
/// Memory for each byte of weights: the base, the merged copy, and both loaded again to be compared.
const PER_WEIGHT_BYTE: u64 = 24;
/// Seconds beyond what reading takes: writing and comparing.
const SECONDS: u64 = 600;
/// Largest difference of a logit that rounding explains.
const TOLERANCE: f32 = 2e-3;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportForm {
    /// PEFT's adapter folder.
    Peft,
    /// A whole model with the adapter merged in, in f32 safetensors.
    Merged,
}

/// Writes into a folder that does not exist yet; returns the largest difference of a logit between the export and the
/// live adapter on a fixed probe.
///
/// # Errors
/// When the folder exists, something cannot be read or written, the adapter was changed since it was made, or the export says
/// something else than the live adapter.
pub fn export(model: &Path, adapter: &Path, form: ExportForm, output: &Path) -> Result<f32, Problem> {
    absent(output)?;
    let folder = ModelFolder::open(model).map_err(|error| Problem::from(error).at("model"))?;
    provenance::unchanged(adapter).map_err(|problem| problem.at("adapter"))?;
    let weights = load_adapter(adapter, &folder.spec).map_err(|error| Problem::from(error).at("adapter"))?;
    let mut gap = 0.0;
    write_folder(output, |temporary| {
        match form {
            ExportForm::Peft => save_adapter(temporary, &weights)?,
            ExportForm::Merged => save_merged(&folder, &weights, temporary)?,
        }
        gap = difference(&folder, adapter, form, temporary)?;
        if gap.is_nan() || gap > TOLERANCE {
            let message =
                format!("The export was checked and differs from the live adapter by {gap}; it was not kept.");
            return Err(Problem::internal(message));
        }
        // Another export may have been quicker; what is there stays.
        absent(output)
    })?;
    Ok(gap)
}

#[derive(Serialize, Deserialize)]
struct Request {
    model: PathBuf,
    adapter: PathBuf,
    form: ExportForm,
    output: PathBuf,
}

/// As [`export`], in a child process: the weights of the base are a stranger's, and their memory goes with the child.
///
/// # Errors
/// As [`export`].
pub(crate) fn export_apart(
    program: &Path,
    [model, adapter]: [&Path; 2],
    form: ExportForm,
    output: &Path,
) -> Result<f32, Problem> {
    let limits = limits_for(model, true).plus(crate::machine::folder_bytes(model), PER_WEIGHT_BYTE);
    let limits = Limits { seconds: limits.seconds + SECONDS, ..limits };
    let stop = AtomicBool::new(false);
    let job = Job { program, task: TASK, what: "Writing the export", field: "model", limits, stop: &stop };
    let [model, adapter] = [model, adapter].map(Path::to_owned);
    confined::run(&job, &Request { model, adapter, form, output: output.to_owned() }, &mut |_| ())
}

/// The task in the child.
pub(crate) fn task(request: Value, _: &mut Link) -> Result<Value, Problem> {
    let Request { model, adapter, form, output } = request_of(request)?;
    export(&model, &adapter, form, &output).map(Value::from)
}

fn absent(output: &Path) -> Result<(), Problem> {
    if output.symlink_metadata().is_err() {
        return Ok(());
    }
    let message = format!("{} exists already.", output.display());
    Err(Problem::new(ProblemCode::Conflict, message).hint("Choose another folder.").at("output"))
}

fn difference(model: &ModelFolder, adapter: &Path, form: ExportForm, written: &Path) -> Result<f32, Problem> {
    let probe = probe(model.spec.vocabulary, model.spec.context);
    let live = logits(model, Some(adapter), &probe)?;
    let exported = match form {
        ExportForm::Peft => logits(model, Some(written), &probe)?,
        ExportForm::Merged => logits(&ModelFolder::open(written)?, None, &probe)?,
    };
    Ok(live.iter().zip(&exported).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max))
}

fn logits(model: &ModelFolder, adapter: Option<&Path>, ids: &[Vec<u32>]) -> Result<Vec<f32>, Problem> {
    let mut decoder: Box<dyn Decoder> = model.decoder()?;
    if let Some(path) = adapter {
        decoder.install(ADAPTER, &load_adapter(path, &model.spec)?, false)?;
    }
    Ok(decoder.logits(ids, adapter.map(|_| ADAPTER))?)
}

/// Two rows of random tokens, the same for every export.
fn probe(vocabulary: usize, context: usize) -> Vec<Vec<u32>> {
    let row = |row| {
        let mut stream = Stream::new(0, Purpose::Generate, 0, row);
        (0..context.min(24)).map(|_| stream.below(vocabulary) as u32).collect()
    };
    (0..2).map(row).collect()
}
