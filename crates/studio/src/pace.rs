//! How fast this machine trains and writes with a model: measured once on a small probe, then kept.

use crate::Clock;
use crate::studio::{Studio, lock};
use crate::views::ModelView;
use alidade_domain::{LoraSpec, Problem};
use alidade_model::{
    AdapterWeights, Backend, GenerationOptions, Keep, ModelFolder, Policy, Precision, TokenBatch, TokenRow, generate,
};
use std::collections::BTreeSet;
use std::path::Path;

/// Tokens of the training probe, in rows like those of the run.
const TRAINED: usize = 512;
/// Most rows of it.
const ROWS: usize = 8;
/// Answers and tokens of the writing probe.
const ANSWERS: usize = 16;
const WRITTEN: usize = 12;

/// Measured speeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    /// Seconds to load the model.
    pub(crate) load_seconds: f64,
    /// Seconds of one forward and backward pass per token.
    pub(crate) train_seconds_per_token: f64,
    /// Seconds per written token in a batch.
    pub(crate) write_seconds_per_token: f64,
}

/// What is probed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Probe {
    tokens: usize,
    precision: Precision,
    keep: Keep,
}

impl Probe {
    /// A probe with rows about as long as those of the run: powers of two, so that one answer serves many runs.
    pub(crate) fn for_rows(mean_tokens: usize, precision: Precision, keep: Keep) -> Self {
        Self { tokens: mean_tokens.next_power_of_two().clamp(16, TRAINED), precision, keep }
    }

    fn key(&self, sha256: &str) -> String {
        format!("{sha256} {} {} {}", self.tokens, self.precision.name(), self.keep.name())
    }
}

impl Studio {
    /// The pace of a model on this machine.
    pub(crate) fn pace(&self, model: &ModelView, probe: Probe) -> Result<Pace, Problem> {
        let key = probe.key(&model.model.sha256);
        let known = lock(&self.paces).get(&key).copied();
        if let Some(pace) = known {
            return Ok(pace);
        }
        let pace = measure(Path::new(&model.folder), probe)?;
        lock(&self.paces).insert(key, pace);
        Ok(pace)
    }
}

pub(crate) fn measure(folder: &Path, probe: Probe) -> Result<Pace, Problem> {
    let clock = Clock::start();
    let folder = ModelFolder::open(folder)?;
    let decoder = folder.decoder_with(Backend::Best, probe.precision)?;
    let load_seconds = clock.seconds();
    let base = |path: &str| decoder.base_weight(path);
    let adapter = AdapterWeights::fresh(&folder.spec, &LoraSpec::default(), "probe", 0, &base)?;
    let mut policy = Policy::fresh(decoder, &adapter)?;
    policy.keep(probe.keep);
    let vocabulary = folder.spec.vocabulary as u32;
    let tokens = probe.tokens.min(folder.spec.context.saturating_sub(WRITTEN).max(2));
    let row =
        |row: usize| (0..tokens).map(|place| ((row * 131 + place * 17) as u32) % vocabulary).collect::<Vec<u32>>();
    let rows: Vec<Vec<u32>> = (0..(TRAINED / tokens).clamp(1, ROWS)).map(row).collect();
    let batch = TokenBatch::new(&rows.iter().cloned().map(TokenRow::all_scored).collect::<Vec<_>>())?;
    let mut train = f64::INFINITY;
    for _ in 0..2 {
        let clock = Clock::start();
        let scores = policy.forward(&batch, None)?;
        policy.backward(&vec![-1.0 / scores.logp.len() as f64; scores.logp.len()])?;
        policy.take_gradients()?;
        train = train.min(clock.seconds());
    }
    let clock = Clock::start();
    let options =
        GenerationOptions { temperature: 0.0, top_p: 1.0, max_new_tokens: WRITTEN, seed: 0, stops: BTreeSet::new() };
    let prompts: Vec<Vec<u32>> = (0..ANSWERS).map(|index| row(index)[..tokens / 2].to_vec()).collect();
    generate(policy.decoder(), policy.adapter_name(), &prompts, &options)?;
    Ok(Pace {
        load_seconds,
        train_seconds_per_token: train / (rows.len() * tokens) as f64,
        write_seconds_per_token: clock.seconds() / (ANSWERS * WRITTEN) as f64,
    })
}
