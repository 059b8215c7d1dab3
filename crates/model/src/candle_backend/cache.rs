//! Generation with cached keys and values. Prompts are padded on the left, so that all rows grow at the same end.

use super::attention::Positions;
use super::block::{Context, Weights};
use super::layers::Adapter;
use crate::decoder::Cache;
use crate::error::Result;
use crate::{DecoderSpec, ModelError};
use candle_core::{Device, Tensor};
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
    fn advance(&mut self, tokens: &[Vec<u32>]) -> Result<Vec<Vec<f32>>> {
        let device = Device::Cpu;
        let width = tokens.iter().map(Vec::len).max().unwrap_or(0);
        if self.length == 0 {
            self.padding = tokens.iter().map(|row| width - row.len()).collect();
        }
        if self.length + width > self.spec.context {
            return Err(ModelError::Request(format!("The model's context of {} tokens is full.", self.spec.context)));
        }
        let ids: Vec<u32> = tokens
            .iter()
            .flat_map(|row| std::iter::repeat_n(0, width - row.len()).chain(row.iter().copied()))
            .collect();
        if let Some(id) = ids.iter().find(|id| **id as usize >= self.spec.vocabulary) {
            return Err(ModelError::Request(format!(
                "Token {id} is outside the model's vocabulary of {}.",
                self.spec.vocabulary
            )));
        }
        let place = |row: usize, column: usize| (self.length + column).saturating_sub(self.padding[row]);
        let places: Vec<Vec<usize>> =
            (0..tokens.len()).map(|row| (0..width).map(|column| place(row, column)).collect()).collect();
        let positions = Positions::padded(&self.spec, &places, self.length + width, &self.padding, &device)?;
        let context = Context { adapter: self.adapter.as_ref(), tape: false, dropout: None };
        let ids = Tensor::from_vec(ids, (tokens.len(), width), &device)?;
        let (spec, layers) = (&self.spec, &mut self.layers);
        let hidden = self.weights.run(&ids, &context, |block, x| {
            let attention = block.attention(spec, &context);
            let (query, key, value) = attention.project(x, &positions)?;
            let (keys, values) = layers[block.index].append(&key.contiguous()?, &value.contiguous()?)?;
            attention.combine(&query, &keys, &values, &positions)
        })?;
        self.length += width;
        let last = hidden.narrow(1, width - 1, 1)?.squeeze(1)?;
        Ok(self.weights.output(&last.contiguous()?, &context)?.to_vec2()?)
    }
}
