//! `alidade generate`: continues a text, or token ids from a file.

use crate::output;
use alidade_domain::{Precision, Problem, Sampling};
use alidade_lab::continue_ids;
use alidade_studio::{Depth, Speaker, vet_stack};
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `generate`.
#[derive(clap::Args)]
#[command(allow_negative_numbers = true)]
pub struct Arguments {
    /// The model folder.
    #[arg(long)]
    model: PathBuf,
    /// A PEFT adapter folder.
    #[arg(long)]
    adapter: Option<PathBuf>,
    /// Number format of the weights: f32, bf16, q8_0 or q4_0. Models and adapters that run on candle stay f32.
    #[arg(long, default_value = "f32")]
    dtype: String,
    /// Text to continue; no chat template is applied.
    #[arg(long, conflicts_with = "input", required_unless_present = "input")]
    prompt: Option<String>,
    /// A safetensors file with token ids in `prompt`.
    #[arg(long)]
    input: Option<PathBuf>,
    /// Maximum number of new tokens.
    #[arg(long, default_value_t = 64)]
    max_new_tokens: usize,
    /// Sampling temperature; 0 takes the likeliest token.
    #[arg(long, default_value_t = 0.0)]
    temperature: f64,
    /// Sample from the likeliest tokens up to this probability mass.
    #[arg(long, default_value_t = 1.0)]
    top_p: f64,
    /// Random seed.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Continue after an end token.
    #[arg(long)]
    ignore_eos: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    let sampling = Sampling {
        temperature: arguments.temperature,
        top_p: arguments.top_p,
        max_new_tokens: arguments.max_new_tokens,
        seed: arguments.seed,
    };
    super::drawable(&sampling)?;
    let adapter = arguments.adapter.as_deref();
    let precision = Precision::named(&arguments.dtype)?;
    if let Some(input) = &arguments.input {
        vet_stack(&arguments.model, adapter, Depth::Configuration, &[])?;
        output::notes(&arguments.model, adapter);
        let (ids, held) = continue_ids(&arguments.model, adapter, precision, input, &sampling, arguments.ignore_eos)?;
        output::held(precision, held);
        output::json(&json!({ "ids": ids }));
        return Ok(());
    }
    let prompt = arguments.prompt.as_deref().unwrap_or_default();
    vet_stack(&arguments.model, adapter, Depth::Text, &[prompt])?;
    output::notes(&arguments.model, adapter);
    let speaker = Speaker::open(&arguments.model, adapter, precision)?;
    output::held(precision, speaker.precision());
    let text = speaker.continue_text(prompt, &sampling, arguments.ignore_eos)?;
    if arguments.json {
        output::json(&json!({ "text": text }))
    } else {
        output::line(text)
    }
    Ok(())
}
