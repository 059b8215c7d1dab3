//! How long loading takes and how much memory it needs: a model is loaded into its back-end several times in a row.

use alidade_domain::{Device, Precision, Problem};
use alidade_jobs::machine::{peak_memory_bytes, resident_bytes};
use alidade_jobs::{Clock, machine::compute};
use alidade_model::{Backend, ModelFolder};
use serde_json::{Value, json};
use std::path::PathBuf;

/// What to load.
pub struct LoadBench {
    /// A model.
    pub model: PathBuf,
    /// Number format of the loaded weights.
    pub dtype: String,
    /// Timed rounds; a first one, which reads the file from the disk, is left out.
    pub rounds: usize,
    /// Use candle instead of our kernels.
    pub candle: bool,
}

/// Loads the model, and reports the time of each round, the memory of the process before and after, and its peak.
///
/// # Errors
/// When the model cannot be opened or loaded.
pub fn bench_load(bench: &LoadBench) -> Result<Value, Problem> {
    let precision = Precision::named(&bench.dtype)?;
    let backend = if bench.candle { Backend::Candle(Device::Cpu) } else { compute::backend()? };
    let before = resident_bytes();
    let folder = ModelFolder::open(&bench.model)?;
    let first = folder.decoder_with(backend, precision)?;
    let (arithmetic, after, peak) = (first.path(), resident_bytes(), peak_memory_bytes());
    drop(first);
    let mut times = Vec::with_capacity(bench.rounds);
    for _ in 0..bench.rounds {
        let clock = Clock::start();
        let loaded = ModelFolder::open(&bench.model)?.decoder_with(backend, precision)?;
        times.push(clock.seconds());
        drop(loaded);
    }
    times.sort_by(f64::total_cmp);
    let ms = |seconds: Option<&f64>| (seconds.copied().unwrap_or(0.0) * 1e4).round() / 10.0;
    let megabytes = |bytes: u64| bytes >> 20;
    Ok(json!({
        "who": format!("alidade load {}", bench.dtype), "ms": ms(times.get(times.len() / 2)), "min_ms": ms(times.first()),
        "rss_before_mb": megabytes(before), "rss_mb": megabytes(after), "peak_rss_mb": megabytes(peak),
        "arithmetic": arithmetic,
    }))
}
