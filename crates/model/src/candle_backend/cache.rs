//! Generation with a KV cache. Prompts are padded on the left, so that all rows grow at the same end.

use super::attention::Projected;
use super::block::{Context, Weights};
use super::layers::Adapter;
use super::positions::{Layout, Positions};
use crate::decoder::{Cache, NextTokens};
use crate::error::Result;
use crate::{DecoderSpec, ModelError};
use alidade_domain::wording;
use candle_core::Tensor;
use candle_nn::kv_cache::KvCache;

/// Room for this many positions at first; candle grows it in steps of the same size.
const INITIAL_ROOM: usize = 256;

pub(super) struct CandleCache {
    spec: DecoderSpec,
    weights: Weights,
    adapter: Option<Adapter>,
    layers: Vec<KvCache>,
    /// Padding at the start of each row.
    padding: Vec<usize>,
    length: usize,
}

impl CandleCache {
    pub(super) fn new(spec: DecoderSpec, weights: Weights, adapter: Option<Adapter>) -> Self {
        let layers = (0..spec.layers).map(|_| KvCache::new(2, INITIAL_ROOM)).collect();
        Self { spec, weights, adapter, layers, padding: Vec::new(), length: 0 }
    }
}

impl Cache for CandleCache {
    fn advance(&mut self, tokens: &[Vec<u32>], next: &mut NextTokens) -> Result<Option<Vec<Vec<u32>>>> {
        let device = self.weights.device().clone();
        let width = tokens.iter().map(Vec::len).max().unwrap_or(0);
        if self.length == 0 {
            self.padding = tokens.iter().map(|row| width - row.len()).collect();
        }
        if self.length + width > self.spec.context {
            return Err(ModelError::Request(wording!(
                "The model's context of {context} tokens is full.",
                "模型的上下文（{context} 个词元）已满。",
                context = self.spec.context
            )));
        }
        let ids: Vec<u32> = tokens
            .iter()
            .flat_map(|row| std::iter::repeat_n(0, width - row.len()).chain(row.iter().copied()))
            .collect();
        if let Some(id) = ids.iter().find(|id| **id as usize >= self.spec.vocabulary) {
            return Err(ModelError::Request(wording!(
                "Token {id} is outside the model's vocabulary of {size}.",
                "词元 {id} 超出模型的词表（{size} 个）。",
                size = self.spec.vocabulary
            )));
        }
        let layout = Layout {
            rows: tokens.len(),
            width,
            earlier: self.length,
            prefix: self.adapter.as_ref().map_or(0, Adapter::prefix_length),
            padding: &self.padding,
            documents: &[],
        };
        let positions = Positions::new(&self.spec, &layout, &device)?;
        let context = Context { adapter: self.adapter.as_ref(), tape: false, dropout: None, noise: None };
        let ids = Tensor::from_vec(ids, (tokens.len(), width), &device)?;
        let (layers, first) = (&mut self.layers, self.length == 0);
        let hidden = self.weights.run(&ids, &context, |attention, x| {
            let Projected { query, key, value } = attention.project(x, &positions)?;
            let cache = &mut layers[attention.layer];
            if let Some((keys, values)) = if first { attention.prefix(tokens.len())? } else { None } {
                cache.append(&keys, &values)?;
            }
            let (keys, values) = cache.append(&key.contiguous()?, &value.contiguous()?)?;
            attention.combine(&query, &keys, &values, &positions)
        })?;
        self.length += width;
        let last = hidden.narrow(1, width - 1, 1)?.squeeze(1)?;
        let logits: Vec<Vec<f32>> = self.weights.output(&last.contiguous()?, &context)?.to_vec2()?;
        next(&logits.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }
}
