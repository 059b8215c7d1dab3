//! Exports in a child process, because the weights of the base are untrusted; their memory is freed with the child.

use crate::confined::{self, Job, Limits, Link, request_of};
use crate::models::vetting::limits_for;
use alidade_domain::Problem;
use alidade_domain::{ExportForm, wording};
use alidade_jobs::export::export;
use alidade_jobs::machine::folder_bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Name of the task.
pub(crate) const TASK: &str = "export";
/// Memory per byte of weights: the base, the merged copy, and both loaded again for the comparison.
const PER_WEIGHT_BYTE: u64 = 24;
/// Seconds in addition to reading: writing and comparing.
const SECONDS: u64 = 600;

#[derive(Serialize, Deserialize)]
struct Request {
    model: PathBuf,
    adapter: PathBuf,
    form: ExportForm,
    output: PathBuf,
}

/// As [`export`], in a child process, because the weights of the base are untrusted; their memory is freed with the child.
///
/// # Errors
/// As [`export`].
pub(crate) fn export_apart(
    program: &Path,
    [model, adapter]: [&Path; 2],
    form: ExportForm,
    output: &Path,
) -> Result<f32, Problem> {
    let limits = limits_for(model, true).plus(folder_bytes(model), PER_WEIGHT_BYTE);
    let limits = Limits { seconds: limits.seconds + SECONDS, ..limits };
    let stop = AtomicBool::new(false);
    let job = Job {
        program,
        task: TASK,
        what: wording!("Writing the export", "写出导出文件"),
        field: "model",
        limits,
        stop: &stop,
    };
    let [model, adapter] = [model, adapter].map(Path::to_owned);
    confined::run(&job, &Request { model, adapter, form, output: output.to_owned() }, &mut |_| ())
}

/// The task in the child.
pub(crate) fn task(request: Value, _: &mut Link) -> Result<Value, Problem> {
    let Request { model, adapter, form, output } = request_of(request)?;
    export(&model, &adapter, form, &output).map(|exported| Value::from(exported.gap))
}
