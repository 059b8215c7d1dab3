//! The candle back-end: correct on every device that candle knows, and the oracle for faster back-ends.
//!
//! Base weights are plain tensors, so that a pass with adapters off builds no graph. Fused forward kernels are used where
//! candle has them, each with a gradient rule of our own attached (`rules.rs`), because candle's fused operations have
//! none and would cut the graph without a word.

mod attention;
mod block;
mod cache;
mod layers;
mod rules;
mod tape;

use crate::adapter::{AdapterWeights, NamedTensor};
use crate::decoder::{Cache, Decoder, ForwardOptions, TokenScores};
use crate::error::Result;
use crate::{DecoderSpec, ModelError, TokenBatch};
use block::{Context, Weights};
use candle_core::{Device, Tensor, Var};
use layers::Adapter;
use std::collections::BTreeMap;
use tape::Tape;

/// A decoder whose arithmetic candle does.
pub(crate) struct CandleDecoder {
    spec: DecoderSpec,
    weights: Weights,
    adapters: BTreeMap<String, Adapter>,
    variables: BTreeMap<String, Var>,
    gradients: BTreeMap<String, Tensor>,
    tape: Option<Tape>,
    first_backward_done: bool,
    device: Device,
}

impl CandleDecoder {
    pub(crate) fn new(spec: DecoderSpec, weights: BTreeMap<String, NamedTensor>) -> Result<Self> {
        let device = Device::Cpu;
        let tensors = weights
            .into_iter()
            .map(|(name, tensor)| Tensor::from_vec(tensor.values, tensor.shape, &device).map(|values| (name, values)));
        let weights = Weights::new(&spec, tensors.collect::<candle_core::Result<_>>()?, &device)?;
        Ok(Self {
            spec,
            weights,
            adapters: BTreeMap::new(),
            variables: BTreeMap::new(),
            gradients: BTreeMap::new(),
            tape: None,
            first_backward_done: false,
            device,
        })
    }

    fn adapter(&self, name: Option<&str>) -> Result<Option<&Adapter>> {
        let Some(name) = name else { return Ok(None) };
        match self.adapters.get(name) {
            Some(adapter) => Ok(Some(adapter)),
            None => Err(ModelError::Request(format!("There is no adapter called “{name}” on this model."))),
        }
    }

    fn check_ids(&self, ids: &[u32], width: usize) -> Result<()> {
        if let Some(id) = ids.iter().find(|id| **id as usize >= self.spec.vocabulary) {
            let size = self.spec.vocabulary;
            return Err(ModelError::Request(format!("Token {id} is outside the model's vocabulary of {size}.")));
        }
        if width > self.spec.context {
            let context = self.spec.context;
            return Err(ModelError::Request(format!(
                "A row of {width} tokens is longer than the model's context of {context}."
            )));
        }
        Ok(())
    }
}

impl Decoder for CandleDecoder {
    fn spec(&self) -> &DecoderSpec {
        &self.spec
    }

    fn install(&mut self, name: &str, adapter: &AdapterWeights, trainable: bool) -> Result<()> {
        let (built, variables) = Adapter::build(adapter, trainable, &self.device)?;
        self.adapters.insert(name.to_owned(), built);
        if trainable {
            self.variables = variables;
            self.gradients.clear();
            self.first_backward_done = false;
        }
        Ok(())
    }

    fn extract(&self, name: &str) -> Result<AdapterWeights> {
        match self.adapter(Some(name))? {
            Some(adapter) => adapter.extract(),
            None => Err(ModelError::Request("No adapter was named.".to_owned())),
        }
    }

    fn train_base(&mut self) -> Result<()> {
        self.variables = self.weights.make_variables()?;
        self.gradients.clear();
        self.first_backward_done = false;
        Ok(())
    }

    fn forward(&mut self, batch: &TokenBatch, options: &ForwardOptions) -> Result<TokenScores> {
        self.check_ids(&batch.ids, batch.width)?;
        let adapter = self.adapter(options.adapter)?;
        let context = Context { adapter, tape: options.tape, dropout: options.dropout };
        let ids = Tensor::from_slice(&batch.ids, (batch.rows, batch.width), &self.device)?;
        let hidden = self.weights.hidden_rows(&self.spec, &ids, &context)?;
        let (scores, tape) = tape::score(&self.weights, hidden, batch, &context, options.hidden)?;
        self.tape = options.tape.then_some(tape);
        Ok(scores)
    }

    fn backward(&mut self, logp_gradient: &[f64], hidden_gradient: Option<&[f32]>) -> Result<()> {
        let no_tape = || ModelError::Request("Backward was asked for without a taped forward pass.".to_owned());
        let tape = self.tape.take().ok_or_else(no_tape)?;
        let mut store = tape.backward(logp_gradient, hidden_gradient)?;
        let mut missing = Vec::new();
        for (name, variable) in &self.variables {
            let Some(gradient) = store.remove(variable.as_tensor()) else {
                missing.push(name.clone());
                continue;
            };
            let sum = match self.gradients.remove(name) {
                Some(earlier) => (earlier + gradient)?,
                None => gradient,
            };
            self.gradients.insert(name.clone(), sum);
        }
        if !missing.is_empty() && !self.first_backward_done {
            return Err(ModelError::NoGradient { names: missing });
        }
        self.first_backward_done = true;
        Ok(())
    }

    fn trainable(&self) -> Vec<(String, usize)> {
        self.variables.iter().map(|(name, variable)| (name.clone(), variable.elem_count())).collect()
    }

    fn read(&self, name: &str) -> Result<Vec<f32>> {
        let unknown = || ModelError::Request(format!("There is no trainable tensor called “{name}”."));
        Ok(self.variables.get(name).ok_or_else(unknown)?.flatten_all()?.to_vec1()?)
    }

    fn write(&mut self, name: &str, values: &[f32]) -> Result<()> {
        let unknown = || ModelError::Request(format!("There is no trainable tensor called “{name}”."));
        let variable = self.variables.get(name).ok_or_else(unknown)?;
        Ok(variable.set(&Tensor::from_slice(values, variable.shape(), &self.device)?)?)
    }

    fn take_gradients(&mut self) -> Result<BTreeMap<String, Vec<f32>>> {
        let gradients = std::mem::take(&mut self.gradients);
        gradients.into_iter().map(|(name, tensor)| Ok((name, tensor.flatten_all()?.to_vec1()?))).collect()
    }

    fn logits(&self, ids: &[Vec<u32>], adapter: Option<&str>) -> Result<Vec<f32>> {
        let width = ids.first().map_or(0, Vec::len);
        let flat: Vec<u32> = ids.iter().flatten().copied().collect();
        self.check_ids(&flat, width)?;
        let context = Context { adapter: self.adapter(adapter)?, tape: false, dropout: None };
        let ids = Tensor::from_vec(flat, (ids.len(), width), &self.device)?;
        let hidden = self.weights.hidden_rows(&self.spec, &ids, &context)?;
        Ok(self.weights.output(&hidden, &context)?.flatten_all()?.to_vec1()?)
    }

    fn cache(&self, adapter: Option<&str>) -> Result<Box<dyn Cache>> {
        let adapter = self.adapter(adapter)?.cloned();
        Ok(Box::new(cache::CandleCache::new(self.spec.clone(), self.weights.clone(), adapter)))
    }

    fn base_weights(&self) -> Result<BTreeMap<String, NamedTensor>> {
        self.weights.extract()
    }
}
