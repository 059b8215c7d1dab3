//! `alidade bench`: how fast this machine trains and generates, one JSON line each.

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
        /// Number format of the frozen weights: f32 or bf16.
        #[arg(long, default_value = "f32")]
        dtype: String,
        /// Checkpoint activations: keep less of each block and recompute it in the backward pass.
        #[arg(long)]
        checkpointing: bool,
        /// Timed steps; one warm-up step precedes them.
        #[arg(long, default_value_t = 5, value_parser = at_least::<1>)]
        steps: usize,
        /// Use candle instead of our kernels, for comparison.
        #[arg(long)]
        candle: bool,
    },
    /// Time greedy generation with a KV cache.
    Generate {
        /// A model folder.
        #[arg(long)]
        model: PathBuf,
        /// Number format of the weights: f32, bf16, q8_0 or q4_0.
        #[arg(long, default_value = "f32")]
        dtype: String,
        /// Rows per batch.
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
        /// Number format of the loaded weights: f32, bf16, q8_0 or q4_0.
        #[arg(long, default_value = "f32")]
        dtype: String,
        /// Timed rounds; one warm-up round precedes them.
        #[arg(long, default_value_t = 5, value_parser = at_least::<1>)]
        rounds: usize,
        /// Use candle instead of our kernels.
        #[arg(long)]
        candle: bool,
    },
    /// Make a model folder for benchmarks: random weights, an adapter, rows of fixed length.
    Make {
        /// tiny, small, smollm2-135m or qwen2.5-0.5b.
        #[arg(long)]
        shape: String,
        /// Number format of the stored weights: f32 or bf16.
        #[arg(long, default_value = "f32")]
        dtype: String,
        /// The folder to write.
        #[arg(long)]
        model: PathBuf,
    },
    /// Peak speed of matmuls and memory on this machine.
    Limits,
}

fn at_least<const LEAST: usize>(text: &str) -> Result<usize, String> {
    let found = text.parse::<usize>().ok().filter(|count| *count >= LEAST);
    found.ok_or_else(|| format!("a whole number from {LEAST} on is required"))
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
