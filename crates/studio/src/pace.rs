//! How fast this machine trains and writes with a model: measured once on a small probe, then kept.

use crate::Clock;
use crate::memory;
use crate::studio::{Studio, lock};
use crate::views::ModelView;
use alidade_domain::{LoraSpec, MethodName, Precision, Problem, Settings};
use alidade_model::{
    AdapterWeights, Backend, Finish, Generation, GenerationOptions, Keep, ModelFolder, Policy, TokenBatch, TokenRow,
    generate,
};
use alidade_train::Prepared;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// Tokens of the training probe, in rows like those of the run.
const TRAINED: usize = 512;
/// Most rows of it.
const ROWS: usize = 8;
/// Most answers of the writing probe, and their tokens when the run writes none.
const ANSWERS: usize = 16;
const WRITTEN: usize = 12;
/// Most tokens of an answer that are waited for; one that has not ended by then is taken to reach its limit.
const PATIENCE: usize = 48;

/// Measured speeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    /// Seconds to load the model.
    pub(crate) load_seconds: f64,
    /// Seconds of one forward and backward pass per token.
    pub(crate) train_seconds_per_token: f64,
    /// Seconds per written token in a batch.
    pub(crate) write_seconds_per_token: f64,
    /// Tokens of an answer to the prompts of the run; none when it writes none.
    pub(crate) answer_tokens: f64,
}

/// What is probed.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    tokens: usize,
    precision: Precision,
    keep: Keep,
    prompts: Vec<Vec<u32>>,
    limit: usize,
}

impl Probe {
    /// A probe for a run: rows about as long as its own (powers of two, so that one answer serves many runs), and some of its
    /// prompts where the model is to write answers.
    pub(crate) fn of_run(
        name: MethodName,
        settings: &Settings,
        prepared: &Prepared,
        precision: Precision,
        keep: Keep,
    ) -> Self {
        let sequences = || prepared.items.iter().flat_map(|item| &item.sequences);
        let mean = prepared.tokens() as usize / sequences().count().max(1);
        let limit = memory::answer_limit(name, settings) as usize;
        // As many at a time as in the run, up to a limit: a row alone takes nearly as long as several together.
        let batch = settings.whole("per_device_train_batch_size").clamp(1, ANSWERS as i64) as usize;
        let prompts = sequences().take(if limit > 0 { batch } else { 0 }).map(|sequence| sequence.ids.clone());
        let tokens = mean.next_power_of_two().clamp(16, TRAINED);
        Self { tokens, precision, keep, prompts: prompts.collect(), limit }
    }

    fn key(&self, sha256: &str) -> String {
        let mut prompts = DefaultHasher::new();
        (&self.prompts, self.limit).hash(&mut prompts);
        let (precision, keep, prompts) = (self.precision.name(), self.keep.name(), prompts.finish());
        format!("{sha256} {} {precision} {keep} {prompts:x}", self.tokens)
    }
}

impl Studio {
    /// The pace of a model on this machine.
    pub(crate) fn pace(&self, model: &ModelView, probe: &Probe) -> Result<Pace, Problem> {
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

pub(crate) fn measure(folder: &Path, probe: &Probe) -> Result<Pace, Problem> {
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
    let [write_seconds_per_token, answer_tokens] = write(&folder, &policy, probe, &row, tokens / 2)?;
    let train_seconds_per_token = train / (rows.len() * tokens) as f64;
    Ok(Pace { load_seconds, train_seconds_per_token, write_seconds_per_token, answer_tokens })
}

/// Seconds of a written token, and tokens of an answer.
fn write(
    folder: &ModelFolder,
    policy: &Policy,
    probe: &Probe,
    row: &dyn Fn(usize) -> Vec<u32>,
    length: usize,
) -> Result<[f64; 2], Problem> {
    let asked = !probe.prompts.is_empty();
    let made = || (0..ANSWERS).map(|index| row(index)[..length].to_vec()).collect();
    let prompts: Vec<Vec<u32>> = if asked { probe.prompts.clone() } else { made() };
    let options = GenerationOptions {
        temperature: if asked { 1.0 } else { 0.0 },
        top_p: 1.0,
        max_new_tokens: if asked { probe.limit.min(PATIENCE) } else { WRITTEN },
        seed: 0,
        stops: if asked { folder.tokenizer()?.stops().clone() } else { BTreeSet::new() },
    };
    let clock = Clock::start();
    let answers = generate(policy.decoder(), policy.adapter_name(), &prompts, &options)?;
    let seconds = clock.seconds();
    let written: usize = answers.iter().map(|answer| answer.ids.len() + 1).sum();
    let whole = |answer: &Generation| if answer.finish == Finish::Stop { answer.ids.len() + 1 } else { probe.limit };
    let tokens: usize = if asked { answers.iter().map(whole).sum() } else { 0 };
    Ok([seconds / written.max(1) as f64, tokens as f64 / answers.len().max(1) as f64])
}
