//! `alidade export`: an adapter merged into its base as a model folder for other programs, or a verified copy of it.

use crate::output;
use alidade_domain::{Problem, wording};
use alidade_studio::{Depth, ExportForm, Exported, export, vet_stack};
use std::path::PathBuf;

/// Arguments of `export`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The model folder.
    #[arg(long)]
    model: PathBuf,
    /// The PEFT adapter folder.
    #[arg(long)]
    adapter: PathBuf,
    /// Format of the export.
    #[arg(long, value_enum, default_value_t = Form::Merged)]
    form: Form,
    /// The folder to write; it must not exist yet.
    #[arg(long)]
    output: PathBuf,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Form {
    /// PEFT's adapter folder.
    Peft,
    /// A whole model as safetensors in the number format of the base (f32 for f16).
    Merged,
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    let form = match arguments.form {
        Form::Peft => ExportForm::Peft,
        Form::Merged => ExportForm::Merged,
    };
    vet_stack(&arguments.model, Some(&arguments.adapter), Depth::Configuration, &[])?;
    output::notes(&arguments.model, Some(&arguments.adapter));
    let Exported { gap, rounded_to } = export(&arguments.model, &arguments.adapter, form, &arguments.output)?;
    let rounding = rounded_to
        .map(|name| wording!(" (in {name}, as the base)", "（以 {name} 保存，与基座相同）"))
        .unwrap_or_default();
    output::note(wording!(
        "Written to {path}; its logits differ from the live adapter's by at most {gap:.1e}{rounding}.",
        "已写入 {path}；其 logit 与当前适配器相差最多 {gap:.1e}{rounding}。";
        rounding; path = arguments.output.display()
    ));
    Ok(())
}
