//! `alidade bench`: how fast this machine trains and writes, one JSON line each.

use crate::output;
use alidade_domain::Problem;
use alidade_lab::{
    GenerateBench, LoadBench, TrainBench, bench_generate, bench_limits, bench_load, bench_train, make_bench_model,
};
use std::path::PathBuf;

/// Arguments of `bench`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Time training steps of four rows of 256 tokens.
    Train {
        /// A model folder with adapter_init, sft.jsonl and dpo.jsonl.
        #[arg(long)]
        model: PathBuf,
        /// sft, dpo or ppo.
        #[arg(long, default_value = "sft")]
        method: String,
        /// Number type of the frozen weights: f32 or bf16.
        #[arg(long, default_value = "f32")]
        dtype: String,
        /// Keep less of each block for the way back, and compute it again.
        #[arg(long)]
        checkpointing: bool,
        /// Steps that are counted; one more goes before them.
        #[arg(long, default_value_t = 5, value_parser = at_least::<1>)]
        steps: usize,
        /// Candle instead of our kernels, to see what they are worth.
        #[arg(long)]
        candle: bool,
    },
    /// Time greedy writing with a cache.
    Generate {
        /// A model folder.
        #[arg(long)]
        model: PathBuf,
        /// Number type of the weights: f32, bf16, q8_0 or q4_0.
        #[arg(long, default_value = "f32")]
        dtype: String,
        /// Rows at a time.
        #[arg(long, default_value_t = 1, value_parser = at_least::<1>)]
        batch: usize,
        /// Tokens of each row, eight at least.
        #[arg(long, default_value_t = 64, value_parser = at_least::<8>)]
        tokens: usize,
    },
    /// Time loading a model.
    Load {
        /// A model.
        #[arg(long)]
        model: PathBuf,
        /// Number type that its weights are held as: f32, bf16, q8_0 or q4_0.
        #[arg(long, default_value = "f32")]
        dtype: String,
        /// Times that are counted; one more goes before them.
        #[arg(long, default_value_t = 5, value_parser = at_least::<1>)]
        rounds: usize,
        /// Candle instead of our kernels.
        #[arg(long)]
        candle: bool,
    },
    /// Make a folder to measure with: random weights, an adapter, rows of fixed length.
    Make {
        /// tiny, small, smollm2-135m or qwen2.5-0.5b.
        #[arg(long)]
        shape: String,
        /// Number type of the stored weights: f32 or bf16.
        #[arg(long, default_value = "f32")]
        dtype: String,
        /// The folder to write.
        #[arg(long)]
        model: PathBuf,
    },
    /// What this machine can do at most.
    Limits,
}

fn at_least<const LEAST: usize>(text: &str) -> Result<usize, String> {
    let found = text.parse::<usize>().ok().filter(|count| *count >= LEAST);
    found.ok_or_else(|| format!("a whole number from {LEAST} on is needed"))
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    let figures = match &arguments.what {
        What::Train { model, method, dtype, checkpointing, steps, candle } => bench_train(&TrainBench {
            model: model.clone(),
            method: method.clone(),
            dtype: dtype.clone(),
            checkpointing: *checkpointing,
            steps: *steps,
            candle: *candle,
        })?,
        What::Generate { model, dtype, batch, tokens } => bench_generate(&GenerateBench {
            model: model.clone(),
            dtype: dtype.clone(),
            batch: *batch,
            tokens: *tokens,
        })?,
        What::Load { model, dtype, rounds, candle } => {
            bench_load(&LoadBench { model: model.clone(), dtype: dtype.clone(), rounds: *rounds, candle: *candle })?
        }
        What::Make { shape, dtype, model } => {
            make_bench_model(shape, dtype, model)?;
            serde_json::json!({"shape": shape})
        }
        What::Limits => bench_limits()?,
    };
    output::json(&figures);
    Ok(())
}
