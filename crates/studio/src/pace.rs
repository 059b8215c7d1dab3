//! How fast this machine trains and writes with a model: measured once on a small probe, then kept.

use crate::Clock;
use crate::studio::{Studio, lock};
use crate::views::ModelView;
use alidade_domain::{LoraSpec, Problem};
use alidade_model::{AdapterWeights, GenerationOptions, ModelFolder, Policy, TokenBatch, TokenRow, generate};
use std::collections::BTreeSet;
use std::path::Path;

/// Rows and tokens of the training probe.
const ROWS: usize = 8;
const TOKENS: usize = 48;
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

impl Studio {
    /// The pace of a model on this machine.
    pub(crate) fn pace(&self, model: &ModelView) -> Result<Pace, Problem> {
        let known = lock(&self.paces).get(&model.model.sha256).copied();
        if let Some(pace) = known {
            return Ok(pace);
        }
        let pace = measure(Path::new(&model.folder))?;
        lock(&self.paces).insert(model.model.sha256.clone(), pace);
        Ok(pace)
    }
}

fn measure(folder: &Path) -> Result<Pace, Problem> {
    let clock = Clock::start();
    let folder = ModelFolder::open(folder)?;
    let decoder = folder.decoder()?;
    let load_seconds = clock.seconds();
    let base = |path: &str| decoder.base_weight(path);
    let adapter = AdapterWeights::fresh(&folder.spec, &LoraSpec::default(), "probe", 0, &base)?;
    let mut policy = Policy::fresh(decoder, &adapter)?;
    let vocabulary = folder.spec.vocabulary as u32;
    let tokens = TOKENS.min(folder.spec.context.saturating_sub(WRITTEN).max(2));
    let row =
        |row: usize| (0..tokens).map(|place| ((row * 131 + place * 17) as u32) % vocabulary).collect::<Vec<u32>>();
    let rows: Vec<Vec<u32>> = (0..ROWS).map(row).collect();
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
        train_seconds_per_token: train / (ROWS * tokens) as f64,
        write_seconds_per_token: clock.seconds() / (ANSWERS * WRITTEN) as f64,
    })
}
