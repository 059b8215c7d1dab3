//! Which back-end runs a model: our kernels over slices where they can, candle for everything else.
//!
//! The choice depends on the model's shape, and changes when an adapter is installed that the kernels do not support; the
//! weights then move over, and exist twice only while they move.

use crate::adapter::{AdapterWeights, NamedTensor};
use crate::candle_backend::CandleDecoder;
use crate::decoder::{Cache, Capabilities, Carried, Checkpointing, Decoder, ForwardOptions, TokenScores};
use crate::error::Result;
use crate::memory::Footprint;
use crate::slice_backend::{SliceDecoder, carries, runs};
use crate::source::Weights;
use crate::{DecoderSpec, ModelError, TokenBatch};
use alidade_domain::{Device, Precision, wording};
use alidade_kernels::InstructionSet;
use std::collections::BTreeMap;

/// Which back-end computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// The kernels with these instructions where they can run the model; else candle, with weights as they are stored.
    Best(InstructionSet),
    /// The kernels with these instructions and nothing else: models and adapters that they do not support are refused (tests).
    Slices(InstructionSet),
    /// Candle on a device: for GPUs, and the oracle of tests. It rounds weights to bf16 where that is asked for, and holds f32.
    Candle(Device),
}

impl Default for Backend {
    /// The fastest instructions that the processor has.
    fn default() -> Self {
        Backend::Best(InstructionSet::best())
    }
}

impl Backend {
    /// The engine that runs a model of this shape with this adapter.
    pub fn engine(self, spec: &DecoderSpec, adapter: Option<&AdapterWeights>) -> Engine {
        match self {
            Backend::Best(set) | Backend::Slices(set) if runs_on_slices(spec, adapter) => Engine::Slices(set),
            Backend::Best(_) | Backend::Slices(_) => Engine::Candle(Device::Cpu),
            Backend::Candle(device) => Engine::Candle(device),
        }
    }

    /// The same back-end for a model that gets this adapter: where the kernels run the model but do not support the adapter,
    /// candle from the beginning, so that the weights do not have to move. The arithmetic is the same either way.
    pub fn carrying(self, spec: &DecoderSpec, adapter: Option<&AdapterWeights>) -> Self {
        match (self, self.engine(spec, adapter)) {
            (Backend::Best(_), Engine::Candle(device)) if runs(spec) => Backend::Candle(device),
            _ => self,
        }
    }
}

/// The implementation that runs a model, and what it runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The kernels, with these instructions.
    Slices(InstructionSet),
    /// Candle, on a device.
    Candle(Device),
}

impl Engine {
    /// The device that it computes on.
    pub fn device(self) -> Device {
        match self {
            Engine::Slices(_) => Device::Cpu,
            Engine::Candle(device) => device,
        }
    }

    /// True when it holds weights in this number format; otherwise it holds f32.
    pub fn holds(self, precision: Precision) -> bool {
        matches!(self, Engine::Slices(_)) || precision == Precision::F32
    }
}

/// True when the kernels run a model of this shape with this adapter.
pub fn runs_on_slices(spec: &DecoderSpec, adapter: Option<&AdapterWeights>) -> bool {
    runs(spec) && adapter.is_none_or(|adapter| carries(spec, adapter))
}

/// Opens a decoder on the chosen back-end.
pub(crate) fn decoder(
    spec: DecoderSpec,
    source: Weights,
    backend: Backend,
    precision: Precision,
) -> Result<Box<dyn Decoder>> {
    let set = match backend {
        Backend::Best(set) => Some(set).filter(|_| runs(&spec)),
        Backend::Slices(set) if runs(&spec) => Some(set),
        Backend::Slices(_) => {
            let family = spec.family;
            return Err(ModelError::Request(wording!(
                "The kernels do not run a {family} model of this shape.",
                "这些内核不能运行这种形状的 {family} 模型。"
            )));
        }
        Backend::Candle(_) => None,
    };
    let Some(set) = set else {
        let (device, precision) = match backend {
            Backend::Candle(device) if precision == Precision::Bf16 => (device, precision),
            Backend::Candle(device) => (device, Precision::F32),
            // A model that the kernels cannot run keeps its weights as they are stored.
            _ => (Device::Cpu, Precision::F32),
        };
        return Ok(Box::new(CandleDecoder::new(spec, source, precision, device)?));
    };
    let inner = Box::new(SliceDecoder::new(spec, source, precision, set)?);
    Ok(if let Backend::Slices(_) = backend { inner } else { Box::new(Switching { inner, slices: true }) })
}

/// The slice back-end for as long as it supports every adapter, then candle.
struct Switching {
    inner: Box<dyn Decoder>,
    slices: bool,
}

impl Switching {
    /// Moves weights and adapters over to candle.
    fn leave_slices(&mut self) -> Result<()> {
        let (spec, weights) = (self.inner.spec().clone(), self.inner.base_weights()?);
        let installed = self.inner.installed();
        let adapters = installed.into_iter().map(|(name, trained)| Ok((self.inner.extract(&name)?, name, trained)));
        let adapters = adapters.collect::<Result<Vec<_>>>()?;
        // The weights are those that the kernels held, rounded already.
        let precision = self.inner.capabilities().precision;
        self.inner = Box::new(CandleDecoder::new(spec, Weights::Made(weights), precision, Device::Cpu)?);
        self.slices = false;
        adapters.iter().try_for_each(|(weights, name, trained)| self.inner.install(name, weights, *trained))
    }
}

impl Decoder for Switching {
    fn spec(&self) -> &DecoderSpec {
        self.inner.spec()
    }

    fn capabilities(&self) -> Capabilities {
        // The model moves to candle for adapters that the kernels do not support.
        let adapters = if self.slices { Carried::ALL } else { self.inner.capabilities().adapters };
        Capabilities { adapters, ..self.inner.capabilities() }
    }

    fn footprint(&self) -> Footprint<'_> {
        self.inner.footprint()
    }

    fn set_checkpointing(&mut self, checkpointing: Checkpointing) {
        self.inner.set_checkpointing(checkpointing);
    }

    fn install(&mut self, name: &str, adapter: &AdapterWeights, trainable: bool) -> Result<()> {
        if self.slices && !carries(self.inner.spec(), adapter) {
            self.leave_slices()?;
        }
        self.inner.install(name, adapter, trainable)
    }

    fn installed(&self) -> Vec<(String, bool)> {
        self.inner.installed()
    }

    fn extract(&self, name: &str) -> Result<AdapterWeights> {
        self.inner.extract(name)
    }

    fn train_base(&mut self) -> Result<()> {
        self.inner.train_base()
    }

    fn forward(&mut self, batch: &TokenBatch, options: &ForwardOptions) -> Result<TokenScores> {
        self.inner.forward(batch, options)
    }

    fn backward(&mut self, logp_gradient: &[f64], hidden_gradient: Option<&[f32]>) -> Result<()> {
        self.inner.backward(logp_gradient, hidden_gradient)
    }

    fn trainable(&self) -> Vec<(String, usize)> {
        self.inner.trainable()
    }

    fn read(&self, name: &str) -> Result<Vec<f32>> {
        self.inner.read(name)
    }

    fn write(&mut self, name: &str, values: &[f32]) -> Result<()> {
        self.inner.write(name, values)
    }

    fn take_gradients(&mut self) -> Result<BTreeMap<String, Vec<f32>>> {
        self.inner.take_gradients()
    }

    fn logits(&self, ids: &[Vec<u32>], adapter: Option<&str>) -> Result<Vec<f32>> {
        self.inner.logits(ids, adapter)
    }

    fn cache(&self, adapter: Option<&str>) -> Result<Box<dyn Cache>> {
        self.inner.cache(adapter)
    }

    fn base_weight(&self, path: &str) -> Result<NamedTensor> {
        self.inner.base_weight(path)
    }

    fn base_weights(&self) -> Result<BTreeMap<String, NamedTensor>> {
        self.inner.base_weights()
    }
}
