//! How fast this machine trains and generates with a model: measured on a few tokens, expressed per operation so that one
//! figure serves runs of other lengths, and cached on disk by everything that it depends on.

use crate::Clock;
use alidade_domain::{LoraSpec, Precision, Problem};
use alidade_model::InstructionSet;
use alidade_model::{
    AdapterWeights, Backend, Checkpointing, DecoderSpec, Finish, Generation, GenerationOptions, ModelFolder, Policy,
    TokenBatch, TokenRow, generate_streaming,
};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// Operations of the first training pass. It touches every weight for the first time and determines the size of the second.
const FIRST_OPERATIONS: f64 = 15e9;
/// Operations that the prompts of the generation probe may take.
const READING_OPERATIONS: f64 = 40e9;
/// Seconds that the second pass, and the generation probe, may take.
const PATIENCE: f64 = 0.7;
/// Fewest and most tokens of a training pass that is measured, and of one that is asked for.
const LEAST: usize = 8;
const MOST: usize = 512;
const LARGEST: usize = 8_192;
/// Decoding steps before patience may end: the first reads the prompts, the second is timed.
const ROUNDS: usize = 3;

/// Two figures each, by everything that they depend on.
pub type Paces = BTreeMap<String, [f64; 2]>;

/// A model as it is measured.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its folder.
    pub folder: &'a Path,
    /// SHA-256 of the model.
    pub sha256: &'a str,
    /// Number format of the frozen weights.
    pub precision: Precision,
    /// Instructions of the kernels.
    pub set: InstructionSet,
}

impl Subject<'_> {
    fn key(&self) -> String {
        let (set, threads) = (self.set.name(), std::thread::available_parallelism().map_or(1, usize::from));
        format!("{} {} {set} {threads}", self.sha256, self.precision.name())
    }
}

/// Prompts to be answered, and how.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Prompts as tokens.
    pub prompts: Vec<Vec<u32>>,
    /// Maximum number of tokens of an answer.
    pub limit: usize,
    /// Temperature of the draws.
    pub temperature: f64,
    /// Tokens that end an answer.
    pub stops: BTreeSet<u32>,
}

/// Speed of training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Training {
    /// Seconds per floating-point operation.
    pub seconds_per_operation: f64,
    /// Seconds of loading the model.
    pub load_seconds: f64,
}

/// Speed of generation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GenerationPace {
    /// Seconds of one generated token.
    pub seconds_per_token: f64,
    /// Tokens of an answer; the limit when none ended during the probe.
    pub answer_tokens: f64,
}

/// Measures what is not known yet. A model stays loaded until another one is measured.
#[derive(Default)]
pub struct Gauge {
    paces: Paces,
    loaded: Option<(String, Policy, f64)>,
}

impl Gauge {
    /// Starts with earlier measurements.
    pub fn knowing(paces: Paces) -> Self {
        Self { paces, loaded: None }
    }

    /// All measurements.
    pub fn into_paces(self) -> Paces {
        self.paces
    }

    /// Speed of training in passes of about `tokens` tokens in rows of `row`.
    pub fn training(
        &mut self,
        subject: &Subject,
        keep: Checkpointing,
        tokens: usize,
        row: usize,
    ) -> Result<Training, Problem> {
        let wanted = tokens.next_power_of_two().clamp(2 * LEAST, LARGEST);
        let key = format!("{} train {} {wanted}", subject.key(), keep.name());
        if let Some([seconds_per_operation, load_seconds]) = self.paces.get(&key).copied() {
            return Ok(Training { seconds_per_operation, load_seconds });
        }
        let (policy, load_seconds) = self.load(subject)?;
        policy.set_checkpointing(keep);
        let seconds_per_operation = train(policy, wanted, row.clamp(2, wanted))?;
        self.paces.insert(key, [seconds_per_operation, load_seconds]);
        Ok(Training { seconds_per_operation, load_seconds })
    }

    /// Speed of generating answers to all these prompts in one batch.
    pub fn generation(&mut self, subject: &Subject, asked: &Asked) -> Result<GenerationPace, Problem> {
        let mut hasher = DefaultHasher::new();
        (&asked.prompts, asked.limit, asked.temperature.to_bits(), &asked.stops).hash(&mut hasher);
        let key = format!("{} write {:x}", subject.key(), hasher.finish());
        if let Some([seconds_per_token, answer_tokens]) = self.paces.get(&key).copied() {
            return Ok(GenerationPace { seconds_per_token, answer_tokens });
        }
        let (policy, _) = self.load(subject)?;
        let found = generate(policy, asked)?;
        self.paces.insert(key, [found.seconds_per_token, found.answer_tokens]);
        Ok(found)
    }

    fn load(&mut self, subject: &Subject) -> Result<(&mut Policy, f64), Problem> {
        let key = subject.key();
        let loaded = match self.loaded.take().filter(|(known, ..)| *known == key) {
            Some(loaded) => loaded,
            None => {
                let clock = Clock::start();
                let folder = ModelFolder::open(subject.folder)?;
                let decoder = folder.decoder_with(Backend::Best(subject.set), subject.precision)?;
                let seconds = clock.seconds();
                let base = |path: &str| decoder.base_weight(path);
                let adapter = AdapterWeights::fresh(&folder.spec, &LoraSpec::default(), "probe", 0, &base)?;
                (key, Policy::fresh(decoder, &adapter)?, seconds)
            }
        };
        let (_, policy, seconds) = self.loaded.insert(loaded);
        Ok((policy, *seconds))
    }
}

/// Floating-point operations of training one token in a row of so many: two for each weight in the forward pass, two for the
/// gradient of its input; attention sees half the row on average, and its backward pass costs twice its forward pass.
pub fn operations(spec: &DecoderSpec, row: f64) -> f64 {
    let attention = (spec.layers * 2 * spec.heads * spec.head_dim) as f64 * row / 2.0;
    2.0 * (2.0 * weights(spec) + 3.0 * attention)
}

/// Parameters of a model that a token is multiplied with.
fn weights(spec: &DecoderSpec) -> f64 {
    let linears: usize = spec.linears().iter().map(|linear| linear.inputs * linear.outputs).sum();
    (spec.layers * linears + spec.vocabulary * spec.hidden) as f64
}

/// Seconds per operation in passes of `wanted` tokens. A pass has a fixed cost whatever its length (weights are read and
/// packed once), so two sizes are measured and extrapolated linearly.
fn train(policy: &mut Policy, wanted: usize, row: usize) -> Result<f64, Problem> {
    let spec = policy.decoder().spec().clone();
    let count = |tokens: usize| {
        let length = row.min(tokens);
        (tokens / length * length) as f64 * operations(&spec, length as f64)
    };
    let first = ((FIRST_OPERATIONS / operations(&spec, row as f64)) as usize).clamp(LEAST, wanted.min(MOST));
    let short = warm(policy, &spec, first, row)?;
    let tokens = ((first as f64 * PATIENCE / short) as usize).clamp(first, wanted.min(MOST));
    let long = warm(policy, &spec, tokens, row)?;
    let direct = long / count(tokens);
    if tokens < 2 * first {
        return Ok(direct);
    }
    let slope = (long - short) / (count(tokens) - count(first));
    let extrapolated = slope + (short - slope * count(first)) / count(wanted);
    // Two short measurements are noisy; the extrapolation may go down to half of what the longer one says.
    Ok(extrapolated.clamp(direct / 2.0, direct))
}

/// The fastest of several passes; the first of a size also allocates its buffers, which most passes of a run do not.
fn warm(policy: &mut Policy, spec: &DecoderSpec, tokens: usize, row: usize) -> Result<f64, Problem> {
    let mut best = pass(policy, spec, tokens, row)?;
    let clock = Clock::start();
    loop {
        best = best.min(pass(policy, spec, tokens, row)?);
        // A single pass of some milliseconds is too noisy.
        if clock.seconds() > PATIENCE / 6.0 {
            return Ok(best);
        }
    }
}

/// Seconds of one forward and backward pass.
fn pass(policy: &mut Policy, spec: &DecoderSpec, tokens: usize, row: usize) -> Result<f64, Problem> {
    let length = row.min(tokens).min(spec.context).max(1);
    let vocabulary = spec.vocabulary as u32;
    let ids = |row: usize| (0..length).map(|place| ((row * 131 + place * 17) as u32) % vocabulary).collect();
    let rows: Vec<TokenRow> = (0..(tokens / length).max(1)).map(|row| TokenRow::all_scored(ids(row))).collect();
    let batch = TokenBatch::new(&rows)?;
    let clock = Clock::start();
    let scores = policy.forward(&batch, None)?;
    policy.backward(&vec![-1.0 / scores.logp.len() as f64; scores.logp.len()])?;
    policy.take_gradients()?;
    Ok(clock.seconds())
}

/// Generates for a moment. The first step, which reads the prompts, is not timed.
fn generate(policy: &Policy, asked: &Asked) -> Result<GenerationPace, Problem> {
    let spec = policy.decoder().spec();
    let (prompts, whole) = affordable(&asked.prompts, READING_OPERATIONS / (2.0 * weights(spec)));
    let options = GenerationOptions {
        temperature: asked.temperature,
        top_p: 1.0,
        max_new_tokens: asked.limit,
        seed: 0,
        stops: asked.stops.clone(),
    };
    let clock = Clock::start();
    let (mut rounds, mut last): (Vec<(f64, usize)>, _) = (Vec::new(), usize::MAX);
    let mut listener = |row: usize, _: u32| {
        if row <= last {
            rounds.push((clock.seconds(), 0));
        }
        last = row;
        let (begun, here) = (rounds[0].0, rounds.len());
        rounds[here - 1].1 += 1;
        here < ROUNDS || rounds[here - 1].0 - begun < PATIENCE
    };
    let answers = generate_streaming(policy.decoder(), policy.adapter_name(), &prompts, &options, &mut listener)?;
    let seconds = clock.seconds();
    let generated: usize = answers.iter().map(|answer| answer.ids.len() + 1).sum();
    let timed: usize = rounds.iter().rev().skip(1).map(|(_, tokens)| tokens).sum();
    let seconds_per_token = match (rounds.first(), rounds.last()) {
        (Some((begun, _)), Some((ended, _))) if timed > 0 => (ended - begun) / timed as f64,
        _ => seconds / generated.max(1) as f64,
    };
    let answer_tokens = if whole { expected_length(&answers, asked.limit) } else { asked.limit as f64 };
    Ok(GenerationPace { seconds_per_token, answer_tokens })
}

/// The prompts, or as many tokens from their ends as the probe may read; and whether they are complete.
fn affordable(prompts: &[Vec<u32>], budget: f64) -> (Vec<Vec<u32>>, bool) {
    let all: usize = prompts.iter().map(Vec::len).sum();
    if all as f64 <= budget {
        return (prompts.to_vec(), true);
    }
    let each = ((budget / prompts.len().max(1) as f64) as usize).max(1);
    (prompts.iter().map(|prompt| prompt[prompt.len().saturating_sub(each)..].to_vec()).collect(), false)
}

/// Mean length of answers of which some were cut short: the probability that a token is the last one, estimated from those
/// that ended, gives the mean of a geometric distribution truncated at the limit.
fn expected_length(answers: &[Generation], limit: usize) -> f64 {
    let ended = answers.iter().filter(|answer| answer.finish == Finish::Stop).count() as f64;
    let generated: usize =
        answers.iter().map(|answer| answer.ids.len() + usize::from(answer.finish == Finish::Stop)).sum();
    let chance = ended / generated.max(1) as f64;
    if chance == 0.0 { limit as f64 } else { (1.0 - (1.0 - chance).powf(limit as f64)) / chance }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(tokens: usize, finish: Finish) -> Generation {
        Generation { ids: vec![1; tokens], finish, stop: None }
    }

    #[test]
    fn lengths_of_answers_that_were_cut_short_are_estimated() {
        let cut = [answer(4, Finish::Cancelled), answer(4, Finish::Cancelled)];
        assert_eq!(expected_length(&cut, 96), 96.0);
        let ended = [answer(9, Finish::Stop), answer(9, Finish::Stop)];
        assert!((expected_length(&ended, 1000) - 10.0).abs() < 1e-9);
        let some = [answer(9, Finish::Stop), answer(10, Finish::Cancelled)];
        assert!((expected_length(&some, 1000) - 20.0).abs() < 1e-9);
        assert!(expected_length(&some, 16) < 12.0);
    }

    #[test]
    fn long_prompts_are_read_in_part() {
        let prompts = vec![vec![1, 2, 3, 4], vec![5, 6, 7, 8]];
        assert_eq!(affordable(&prompts, 8.0), (prompts.clone(), true));
        assert_eq!(affordable(&prompts, 5.0), (vec![vec![3, 4], vec![7, 8]], false));
        assert_eq!(affordable(&prompts, 0.1), (vec![vec![4], vec![8]], false));
    }
}
