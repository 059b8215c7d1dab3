//! The candle back-end: correct on every device that candle knows, and the oracle for faster back-ends.
//!
//! Base weights are plain tensors, so that a pass with adapters off builds no graph. Fused forward kernels are used where
//! candle has them, each with a gradient rule of our own attached (`rules.rs`), because candle's fused operations have
//! none and would silently cut the graph.

mod attention;
mod block;
mod cache;
mod layers;
mod memory;
mod positions;
mod rules;
mod tape;

use crate::adapter::{AdapterWeights, NamedTensor};
use crate::backend::Engine;
use crate::decoder::{Cache, Capabilities, Carried, Decoder, ForwardOptions, TokenScores, installing_order};
use crate::error::Result;
use crate::memory::{AdapterSize, Footprint};
use crate::source;
use crate::{DecoderSpec, FloatFormat, ModelError, TokenBatch};
use alidade_domain::{Precision, wording};
use block::{Context, Noise, Weights};
use candle_core::{Device, Tensor, Var};
use layers::Adapter;
pub(crate) use memory::{logits_bytes, per_token, work_bytes};
use positions::{Layout, Positions};
use std::collections::{BTreeMap, BTreeSet};
use tape::Tape;

/// A decoder on candle.
pub(crate) struct CandleDecoder {
    engine: Engine,
    precision: Precision,
    spec: DecoderSpec,
    weights: Weights,
    adapters: BTreeMap<String, Adapter>,
    /// Trainable tensors by public name.
    variables: BTreeMap<String, Var>,
    /// Prefix of the tensor names of each trainable adapter.
    prefixes: BTreeMap<String, String>,
    gradients: BTreeMap<String, Tensor>,
    /// The last taped pass, and the adapter that it used.
    tape: Option<(Tape, Option<String>)>,
    /// Adapters whose gradients have been checked for completeness.
    reached: BTreeSet<Option<String>>,
    device: Device,
}

impl CandleDecoder {
    /// With bf16 matrices are rounded as the kernels round them, and held as f32.
    pub(crate) fn new(
        spec: DecoderSpec,
        mut source: source::Weights,
        precision: Precision,
        device: alidade_domain::Device,
    ) -> Result<Self> {
        let (engine, device) = (Engine::Candle(device), open(device)?);
        let mut tensors = BTreeMap::new();
        for (name, shape) in spec.tensors() {
            let mut values = Vec::with_capacity(shape.iter().product());
            source.read(&name, &mut |chunk| chunk.widen_into(&mut values))?;
            if precision == Precision::Bf16 && shape.len() > 1 {
                values.iter_mut().for_each(|value| *value = FloatFormat::Bf16.round(*value));
            }
            tensors.insert(name, Tensor::from_vec(values, shape, &device)?);
        }
        let weights = Weights::new(&spec, tensors, &device)?;
        Ok(Self {
            engine,
            precision,
            spec,
            weights,
            adapters: BTreeMap::new(),
            variables: BTreeMap::new(),
            prefixes: BTreeMap::new(),
            gradients: BTreeMap::new(),
            tape: None,
            reached: BTreeSet::new(),
            device,
        })
    }

    fn adapter(&self, name: Option<&str>) -> Result<Option<&Adapter>> {
        let Some(name) = name else { return Ok(None) };
        match self.adapters.get(name) {
            Some(adapter) => Ok(Some(adapter)),
            None => Err(ModelError::Request(wording!(
                "There is no adapter called “{name}” on this model.",
                "这个模型上没有名为“{name}”的适配器。"
            ))),
        }
    }

    /// Names of the trainable tensors that a pass with this adapter reaches.
    fn owned(&self, adapter: Option<&str>) -> Vec<String> {
        let Some(prefix) = adapter.and_then(|name| self.prefixes.get(name)) else {
            return self.variables.keys().cloned().collect();
        };
        let belongs = |name: &&String| match prefix.as_str() {
            "" => !self.prefixes.values().any(|other| !other.is_empty() && name.starts_with(other)),
            prefix => name.starts_with(prefix),
        };
        self.variables.keys().filter(belongs).cloned().collect()
    }

    fn positions(&self, rows: usize, width: usize, adapter: Option<&Adapter>, documents: &[u32]) -> Result<Positions> {
        let prefix = adapter.map_or(0, Adapter::prefix_length);
        let layout = Layout { rows, width, earlier: 0, prefix, padding: &[], documents };
        Positions::new(&self.spec, &layout, &self.device)
    }
}

/// The device of this name.
fn open(device: alidade_domain::Device) -> Result<Device> {
    let opened = match device {
        alidade_domain::Device::Cpu => Ok(Device::Cpu),
        alidade_domain::Device::Cuda(number) => Device::new_cuda(number),
        alidade_domain::Device::Metal(number) => Device::new_metal(number),
    };
    opened.map_err(|error| ModelError::Device { device: device.to_string(), found: error.to_string() })
}

impl Decoder for CandleDecoder {
    fn spec(&self) -> &DecoderSpec {
        &self.spec
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            engine: self.engine,
            precision: self.precision,
            precisions: &[Precision::F32],
            adapters: Carried::ALL,
            checkpointing: false,
            training: true,
            full: true,
        }
    }

    fn footprint(&self) -> Footprint<'_> {
        let installed = self.installed();
        let counted = installed.iter().find(|(_, trained)| *trained).or(installed.first());
        let counted = counted.and_then(|(name, _)| self.adapters.get(name));
        let adapter = counted.map(|adapter| AdapterSize::of(&self.spec, adapter.sizes(), adapter.drops()));
        let full = self.prefixes.is_empty() && !self.variables.is_empty();
        Footprint::new(&self.spec, self.engine, self.precision, adapter.unwrap_or_default(), full)
    }

    fn install(&mut self, name: &str, adapter: &AdapterWeights, trainable: bool) -> Result<()> {
        let (built, variables) = Adapter::build(adapter, trainable, &self.device)?;
        self.adapters.insert(name.to_owned(), built);
        if trainable {
            let first = self.prefixes.keys().all(|other| other == name);
            let prefix = if first { String::new() } else { format!("{name}/") };
            self.variables
                .extend(variables.into_iter().map(|(tensor, variable)| (format!("{prefix}{tensor}"), variable)));
            self.prefixes.insert(name.to_owned(), prefix);
            self.gradients.clear();
            self.reached.clear();
        }
        Ok(())
    }

    fn installed(&self) -> Vec<(String, bool)> {
        installing_order(self.adapters.keys(), &self.prefixes)
    }

    fn extract(&self, name: &str) -> Result<AdapterWeights> {
        match self.adapter(Some(name))? {
            Some(adapter) => adapter.extract(),
            None => Err(ModelError::Request(wording!("No adapter was named.", "没有指定适配器。"))),
        }
    }

    fn train_base(&mut self) -> Result<()> {
        self.variables = self.weights.make_variables()?;
        self.gradients.clear();
        self.reached.clear();
        Ok(())
    }

    fn forward(&mut self, batch: &TokenBatch, options: &ForwardOptions) -> Result<TokenScores> {
        self.spec.check_ids(&batch.ids, batch.width)?;
        let adapter = self.adapter(options.adapter)?;
        let noise = options.noise.zip(options.dropout).map(|(strength, seed)| Noise {
            strength,
            seed,
            lengths: &batch.lengths,
        });
        let context = Context { adapter, tape: options.tape, dropout: options.dropout, noise };
        let ids = Tensor::from_slice(&batch.ids, (batch.rows, batch.width), &self.device)?;
        let positions = self.positions(batch.rows, batch.width, adapter, &batch.documents)?;
        let hidden = self.weights.hidden_rows(&ids, &context, &positions)?;
        let (scores, tape) = tape::score(&self.weights, hidden, batch, &context, options)?;
        self.tape = options.tape.then(|| (tape, options.adapter.map(str::to_owned)));
        Ok(scores)
    }

    fn backward(&mut self, logp_gradient: &[f64], hidden_gradient: Option<&[f32]>) -> Result<()> {
        let no_tape = || {
            ModelError::Request(wording!(
                "Backward was asked for without a taped forward pass.",
                "反向传播之前没有记录过前向传播。"
            ))
        };
        let (tape, adapter) = self.tape.take().ok_or_else(no_tape)?;
        let mut store = tape.backward(logp_gradient, hidden_gradient)?;
        let mut missing = Vec::new();
        let owned = self.owned(adapter.as_deref());
        for name in owned {
            let Some(gradient) = self.variables.get(&name).and_then(|variable| store.remove(variable.as_tensor()))
            else {
                missing.push(name);
                continue;
            };
            let sum = match self.gradients.remove(&name) {
                Some(earlier) => (earlier + gradient)?,
                None => gradient,
            };
            self.gradients.insert(name, sum);
        }
        if !missing.is_empty() && !self.reached.contains(&adapter) {
            return Err(ModelError::NoGradient { names: missing });
        }
        self.reached.insert(adapter);
        Ok(())
    }

    fn trainable(&self) -> Vec<(String, usize)> {
        self.variables.iter().map(|(name, variable)| (name.clone(), variable.elem_count())).collect()
    }

    fn read(&self, name: &str) -> Result<Vec<f32>> {
        let unknown = || {
            ModelError::Request(wording!(
                "There is no trainable tensor called “{name}”.",
                "没有名为“{name}”的可训练张量。"
            ))
        };
        Ok(self.variables.get(name).ok_or_else(unknown)?.flatten_all()?.to_vec1()?)
    }

    fn write(&mut self, name: &str, values: &[f32]) -> Result<()> {
        let unknown = || {
            ModelError::Request(wording!(
                "There is no trainable tensor called “{name}”.",
                "没有名为“{name}”的可训练张量。"
            ))
        };
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
        self.spec.check_ids(&flat, width)?;
        let context = Context { adapter: self.adapter(adapter)?, tape: false, dropout: None, noise: None };
        let positions = self.positions(ids.len(), width, context.adapter, &[])?;
        let ids = Tensor::from_vec(flat, (ids.len(), width), &self.device)?;
        let hidden = self.weights.hidden_rows(&ids, &context, &positions)?;
        Ok(self.weights.output(&hidden, &context)?.flatten_all()?.to_vec1()?)
    }

    fn cache(&self, adapter: Option<&str>) -> Result<Box<dyn Cache>> {
        let adapter = self.adapter(adapter)?.map(|adapter| adapter.frozen(&self.weights)).transpose()?;
        Ok(Box::new(cache::CandleCache::new(self.spec.clone(), self.weights.clone(), adapter)))
    }

    fn base_weight(&self, path: &str) -> Result<NamedTensor> {
        let missing = || ModelError::MissingTensor { name: format!("{path}.weight") };
        let tensor = self.weights.weight(path).ok_or_else(missing)?;
        Ok(NamedTensor { shape: tensor.dims().to_vec(), values: tensor.flatten_all()?.to_vec1()? })
    }

    fn base_weights(&self) -> Result<BTreeMap<String, NamedTensor>> {
        self.weights.extract()
    }
}
