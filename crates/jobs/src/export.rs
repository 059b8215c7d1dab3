//! Exports that are verified: the written files are read again and compared with the weights in memory, and the logits of
//! those weights are compared with the live adapter's. An export that fails a check is not kept.

use crate::files::durable::write_folder;
use crate::{machine::compute, train::provenance};
use alidade_domain::{ExportForm, Problem, ProblemCode, Purpose, Stream, Words, wording};
use alidade_model::{AdapterWeights, Decoder, FloatFormat, Merged, ModelFolder, load_adapter, save_adapter};
use std::path::Path;

const ADAPTER: &str = "adapter";
/// Largest difference of a logit that f32 rounding explains.
const TOLERANCE: f32 = 2e-3;

/// The result of an export.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exported {
    /// Largest difference of a logit between the written folder and the live adapter on a fixed probe.
    pub gap: f32,
    /// The number format that the weights were rounded to, where that is not f32: most of the difference is this rounding.
    pub rounded_to: Option<&'static str>,
}

/// Exports into a folder that does not exist yet.
///
/// # Errors
/// When the folder exists, something cannot be read or written, the adapter has changed since it was made, or the
/// logits of the export differ from the live adapter's.
pub fn export(model: &Path, adapter: &Path, form: ExportForm, output: &Path) -> Result<Exported, Problem> {
    absent(output)?;
    let folder = ModelFolder::open(model).map_err(|error| Problem::from(error).at("model"))?;
    provenance::unchanged(adapter).map_err(|problem| problem.at("adapter"))?;
    let weights = load_adapter(adapter, &folder.spec).map_err(|error| Problem::from(error).at("adapter"))?;
    let mut exported = Exported { gap: 0.0, rounded_to: None };
    write_folder(output, |temporary| {
        exported = match form {
            ExportForm::Peft => peft(&folder, &weights, temporary)?,
            ExportForm::Merged => merged(&folder, &weights, temporary)?,
        };
        // Another export may have been faster; its folder stays.
        absent(output)
    })?;
    Ok(exported)
}

fn absent(output: &Path) -> Result<(), Problem> {
    if output.symlink_metadata().is_err() {
        return Ok(());
    }
    let message = wording!("{path} already exists.", "{path} 已存在。", path = output.display());
    Err(Problem::new(ProblemCode::Conflict, message)
        .hint(Words::new("Choose another folder.", "请选择另一个文件夹。"))
        .at("output"))
}

fn peft(model: &ModelFolder, adapter: &AdapterWeights, folder: &Path) -> Result<Exported, Problem> {
    save_adapter(folder, adapter)?;
    let live = logits(model, Some(adapter))?;
    let read = load_adapter(folder, &model.spec)?;
    let gap = difference(&live, &logits(model, Some(&read))?);
    close(gap, Words::new("The copy", "副本"))?;
    Ok(Exported { gap, rounded_to: None })
}

/// The merged weights must give the live adapter's logits up to f32 rounding; the file must hold exactly these weights,
/// rounded to its number format. Together both checks rule out a wrong folder in any format.
fn merged(model: &ModelFolder, adapter: &AdapterWeights, folder: &Path) -> Result<Exported, Problem> {
    let live = logits(model, Some(adapter))?;
    let merged = Merged::new(model, adapter)?;
    let stored = merged.save(model, folder)?;
    merged.verify(model, folder)?;
    let exact = probed(merged.decoder(compute::backend()?)?.as_ref(), None)?;
    close(difference(&live, &exact), Words::new("The merged model", "合并后的模型"))?;
    let gap = difference(&live, &logits(&ModelFolder::open(folder)?, None)?);
    if gap.is_nan() || (stored == FloatFormat::F32 && gap > TOLERANCE) {
        close(gap, Words::new("The written model", "写出的模型"))?;
    }
    Ok(Exported { gap, rounded_to: (stored != FloatFormat::F32).then(|| stored.name()) })
}

fn close(gap: f32, what: Words) -> Result<(), Problem> {
    if gap.is_nan() || gap > TOLERANCE {
        return Err(Problem::internal(wording!(
            "{what} was checked and differs from the live adapter by {gap} in a logit; it was not kept.",
            "{what}经检查与当前的适配器相差 {gap}（logit），因此没有保留。";
            what
        )));
    }
    Ok(())
}

fn difference(live: &[f32], exported: &[f32]) -> f32 {
    let largest = |so_far: f32, gap: f32| if so_far.is_nan() || gap.is_nan() { f32::NAN } else { so_far.max(gap) };
    live.iter().zip(exported).map(|(a, b)| (a - b).abs()).fold(0.0, largest)
}

fn logits(model: &ModelFolder, adapter: Option<&AdapterWeights>) -> Result<Vec<f32>, Problem> {
    let mut decoder: Box<dyn Decoder> = model.decoder_on(compute::backend()?)?;
    if let Some(weights) = adapter {
        decoder.install(ADAPTER, weights, false)?;
    }
    probed(decoder.as_ref(), adapter.map(|_| ADAPTER))
}

/// Logits of two rows of random tokens, the same for every export.
fn probed(decoder: &dyn Decoder, adapter: Option<&str>) -> Result<Vec<f32>, Problem> {
    let (vocabulary, context) = (decoder.spec().vocabulary, decoder.spec().context);
    let row = |row| {
        let mut stream = Stream::new(0, Purpose::Generate, 0, row);
        (0..context.min(24)).map(|_| stream.below(vocabulary) as u32).collect()
    };
    Ok(decoder.logits(&(0..2).map(row).collect::<Vec<_>>(), adapter)?)
}
