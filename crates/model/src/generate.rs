//! Generation: batched, with a KV cache, greedy or sampled. Each row has its own random stream, keyed by the seed and the
//! row, so that an answer does not depend on which rows happen to share its batch.

use crate::ModelError;
use crate::decoder::Decoder;
use crate::error::Result;
use alidade_domain::{row_seed, wording};
use candle_core::{Device, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling as TokenSampling};
use std::collections::BTreeSet;

/// Options of generation.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerationOptions {
    /// 0 takes the likeliest token.
    pub temperature: f64,
    /// Nucleus sampling: keep the likeliest tokens up to this probability mass; 1 keeps all.
    pub top_p: f64,
    /// Maximum number of new tokens.
    pub max_new_tokens: usize,
    /// Seed of the draws.
    pub seed: u64,
    /// Tokens that end a row; empty generates up to the limit.
    pub stops: BTreeSet<u32>,
}

/// How a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// With a stop token (which is not part of the answer).
    Stop,
    /// At the limit.
    Length,
    /// The caller cancelled.
    Cancelled,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// New tokens, without the stop token.
    pub ids: Vec<u32>,
    /// How it ended.
    pub finish: Finish,
    /// The stop token that ended it.
    pub stop: Option<u32>,
}

/// Answers to prompts, in order.
///
/// # Errors
/// When a prompt is empty or longer than the context, or the back-end fails.
pub fn generate(
    decoder: &dyn Decoder,
    adapter: Option<&str>,
    prompts: &[Vec<u32>],
    options: &GenerationOptions,
) -> Result<Vec<Generation>> {
    generate_streaming(decoder, adapter, prompts, options, &mut |_, _| true)
}

/// As [`generate`], reporting every new token as (row, id); a row ends when the listener returns false.
///
/// # Errors
/// As [`generate`].
pub fn generate_streaming(
    decoder: &dyn Decoder,
    adapter: Option<&str>,
    prompts: &[Vec<u32>],
    options: &GenerationOptions,
    listener: &mut dyn FnMut(usize, u32) -> bool,
) -> Result<Vec<Generation>> {
    let seeds: Vec<u64> = (0..prompts.len()).map(|index| row_seed(options.seed, index)).collect();
    generate_seeded(decoder, adapter, prompts, &seeds, options, listener)
}

/// As [`generate_streaming`], with a seed for each row, so that a row draws the same tokens in any batch.
///
/// # Errors
/// As [`generate`].
pub fn generate_seeded(
    decoder: &dyn Decoder,
    adapter: Option<&str>,
    prompts: &[Vec<u32>],
    seeds: &[u64],
    options: &GenerationOptions,
    listener: &mut dyn FnMut(usize, u32) -> bool,
) -> Result<Vec<Generation>> {
    let room = room(decoder.spec().context, prompts, options.max_new_tokens)?;
    let rows = seeds.iter().enumerate().map(|(index, seed)| Row::new(index + 1, *seed, options));
    let mut rows: Vec<Row> = rows.collect();
    if room == 0 {
        return Ok(rows.into_iter().map(Row::end).collect());
    }
    let mut cache = decoder.cache(adapter)?;
    let mut left = room;
    cache.generate(prompts.to_vec(), &mut |logits| {
        let mut feed = Vec::with_capacity(rows.len());
        for (index, (row, logits)) in rows.iter_mut().zip(logits).enumerate() {
            feed.push(row.take(logits, &options.stops)?.into_iter().collect());
            if let (None, Some(id)) = (row.finish, row.ids.last())
                && !listener(index, *id)
            {
                row.finish = Some(Finish::Cancelled);
            }
        }
        left -= 1;
        Ok((left > 0 && rows.iter().any(|row| row.finish.is_none())).then_some(feed))
    })?;
    Ok(rows.into_iter().map(Row::end).collect())
}

fn room(context: usize, prompts: &[Vec<u32>], wanted: usize) -> Result<usize> {
    let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
    if prompts.iter().any(Vec::is_empty) {
        return Err(ModelError::Request(wording!(
            "A prompt without any token cannot be answered.",
            "没有任何词元的提问无法回答。"
        )));
    }
    if longest >= context {
        return Err(ModelError::Request(wording!(
            "The prompt has {longest} tokens; the model's context holds {context}.",
            "提问有 {longest} 个词元，而模型的上下文只有 {context} 个。"
        )));
    }
    Ok(wanted.min(context - longest + 1))
}

/// A row that is being generated.
struct Row {
    /// From 1.
    number: usize,
    ids: Vec<u32>,
    finish: Option<Finish>,
    stop: Option<u32>,
    /// None takes the likeliest token.
    sampler: Option<LogitsProcessor>,
}

impl Row {
    fn new(number: usize, seed: u64, options: &GenerationOptions) -> Self {
        let temperature = options.temperature;
        let sampling = if options.top_p < 1.0 {
            TokenSampling::TopP { p: options.top_p, temperature }
        } else {
            TokenSampling::All { temperature }
        };
        let sampler = (temperature > 0.0).then(|| LogitsProcessor::from_sampling(seed, sampling));
        Self { number, ids: Vec::new(), finish: None, stop: None, sampler }
    }

    fn end(self) -> Generation {
        Generation { ids: self.ids, finish: self.finish.unwrap_or(Finish::Length), stop: self.stop }
    }

    /// Samples the next token and returns what to feed next: nothing once the row has ended.
    fn take(&mut self, logits: &[f32], stops: &BTreeSet<u32>) -> Result<Option<u32>> {
        if self.finish.is_some() {
            return Ok(None);
        }
        if !usable(logits) {
            return Err(ModelError::NotFiniteScores { row: self.number, token: self.ids.len() + 1 });
        }
        let id = match &mut self.sampler {
            Some(sampler) => sampler.sample(&Tensor::from_slice(logits, logits.len(), &Device::Cpu)?)?,
            None => likeliest(logits),
        };
        if stops.contains(&id) {
            self.finish = Some(Finish::Stop);
            self.stop = Some(id);
            return Ok(None);
        }
        self.ids.push(id);
        Ok(Some(id))
    }
}

/// True when a token can be chosen from these logits: none is NaN or +∞, and not all are −∞ (single ones may be, for tokens
/// that the model masks out).
fn usable(logits: &[f32]) -> bool {
    // Without an early exit, so that it vectorises.
    let wrong = logits.iter().fold(false, |wrong, logit| wrong | logit.is_nan() | (*logit == f32::INFINITY));
    !wrong && logits.iter().any(|logit| logit.is_finite())
}

/// Index of the first maximum; in place, since copies of a large vocabulary cost more than the search.
fn likeliest(logits: &[f32]) -> u32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (chunks, rest) = logits.as_chunks::<16>();
    let mut lanes = [f32::NEG_INFINITY; 16];
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, logit)| *lane = larger(*lane, *logit));
    }
    let largest = lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |a, b| larger(a, *b));
    logits.iter().position(|logit| *logit == largest).unwrap_or(0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_largest_is_taken() {
        for count in [1, 15, 16, 17, 100] {
            for place in [0, count / 2, count - 1] {
                let mut logits = vec![-3.0; count];
                logits[place..].fill(-1.0);
                assert_eq!(likeliest(&logits), place as u32);
                logits[place] = 2.0;
                assert_eq!(likeliest(&logits), place as u32, "{count}");
            }
        }
        assert_eq!(likeliest(&[f32::NEG_INFINITY, f32::NAN]), 0);
    }

    #[test]
    fn non_finite_logits_are_an_error_at_every_temperature() {
        let (nan, far) = (f32::NAN, f32::INFINITY);
        for temperature in [0.0, 0.7] {
            let options =
                GenerationOptions { temperature, top_p: 1.0, max_new_tokens: 9, seed: 1, stops: BTreeSet::new() };
            let mut row = Row::new(3, 1, &options);
            assert_eq!(row.take(&[-far, 40.0, -far], &options.stops).unwrap(), Some(1));
            for logits in [[1.0, nan, 0.0], [nan; 3], [0.0, far, 0.0], [-far; 3]] {
                let error = row.take(&logits, &options.stops).err().unwrap().to_string();
                assert!(error.contains("token 2 of answer 3"), "{error}");
            }
        }
    }
}
