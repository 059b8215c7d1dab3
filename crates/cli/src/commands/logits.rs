//! `alidade logits`: logits and gradients, for comparison with other programs.

use crate::output;
use alidade_domain::Problem;
use alidade_lab::write_logits;
use alidade_studio::{Depth, vet_stack};
use std::path::PathBuf;

/// Arguments of `logits`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The model folder.
    #[arg(long)]
    model: PathBuf,
    /// A PEFT adapter folder.
    #[arg(long)]
    adapter: Option<PathBuf>,
    /// A safetensors file with `input_ids`.
    #[arg(long)]
    input: PathBuf,
    /// Output file.
    #[arg(long)]
    output: PathBuf,
    /// Also write the loss and the gradient of every adapter tensor.
    #[arg(long)]
    gradients: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    vet_stack(&arguments.model, arguments.adapter.as_deref(), Depth::Configuration, &[])?;
    output::notes(&arguments.model, arguments.adapter.as_deref());
    write_logits(
        &arguments.model,
        arguments.adapter.as_deref(),
        &arguments.input,
        &arguments.output,
        arguments.gradients,
    )
}
