//! `alidade worker --run FOLDER`: what the queue starts; not meant for people.

use alidade_domain::Problem;
use std::path::PathBuf;

/// Arguments of `worker`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The run folder with its plan.
    #[arg(long)]
    run: PathBuf,
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    alidade_studio::work(&arguments.run)
}
