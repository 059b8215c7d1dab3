//! `alidade starter`: pre-trains the bundled models.

use crate::output;
use alidade_domain::{EventKind, Observer, Problem, wording};
use alidade_lab::{StarterOptions, StarterSize, make_starter};
use std::path::PathBuf;

/// Arguments of `starter`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Model folder to write.
    #[arg(long)]
    output: PathBuf,
    /// Folder for checkpoints and the log; an interrupted run resumes from it.
    #[arg(long)]
    work: PathBuf,
    /// Seed of corpus and weights.
    #[arg(long, default_value_t = StarterOptions::default().seed)]
    seed: u64,
    /// Tokens of pre-training.
    #[arg(long, default_value_t = StarterOptions::default().tokens)]
    tokens: usize,
    /// Train the small model instead.
    #[arg(long)]
    weak: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    let size = if arguments.weak { StarterSize::Weak } else { StarterSize::Full };
    let options = StarterOptions { size, seed: arguments.seed, tokens: arguments.tokens, ..StarterOptions::default() };
    make_starter(&arguments.output, &arguments.work, options, &mut Lines)
}

/// Prints a line every fiftieth step.
struct Lines;

impl Observer for Lines {
    fn observe(&mut self, kind: EventKind) -> Result<(), Problem> {
        if let EventKind::Step { step, total, metrics, tokens_per_second, seconds_left } = kind {
            let loss = metrics.get("loss").copied().unwrap_or(f64::NAN);
            if step % 50 == 0 || step == 1 {
                output::note(wording!(
                    "step {step} of {total} · loss {loss:.3} · {tokens_per_second:.0} tokens/s · {seconds_left:.0} s left",
                    "第 {step} 步，共 {total} 步 · loss {loss:.3} · 每秒 {tokens_per_second:.0} 词元 · 还需 {seconds_left:.0} 秒"
                ));
            }
        }
        Ok(())
    }
}
