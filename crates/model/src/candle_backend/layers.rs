//! Linear layers with and without LoRA, as tensors.

use super::block::Context;
use super::rules::frozen_matmul;
use crate::adapter::{AdapterConfig, AdapterWeights, NamedTensor, Part, parse_name};
use crate::decoder::DropoutSeed;
use crate::error::Result;
use alidade_domain::{Purpose, Stream};
use candle_core::{Device, Tensor, Var};
use std::collections::BTreeMap;

/// A LoRA pair on one linear layer.
#[derive(Clone)]
struct Pair {
    a: Tensor,
    b: Tensor,
    scale: f64,
    /// Number of the layer among the adapter's layers: keys its dropout stream.
    index: u64,
}

/// An adapter as tensors, by module path.
#[derive(Clone)]
pub(super) struct Adapter {
    config: AdapterConfig,
    pairs: BTreeMap<String, Pair>,
    /// Layers that are replaced whole (`modules_to_save`).
    full: BTreeMap<String, Tensor>,
    tensors: BTreeMap<String, Tensor>,
}

impl Adapter {
    pub(super) fn build(
        weights: &AdapterWeights,
        trainable: bool,
        device: &Device,
    ) -> Result<(Self, BTreeMap<String, Var>)> {
        let (mut tensors, mut variables) = (BTreeMap::new(), BTreeMap::new());
        for (name, tensor) in &weights.tensors {
            let values = Tensor::from_slice(&tensor.values, tensor.shape.as_slice(), device)?;
            let values = if trainable {
                let variable = Var::from_tensor(&values)?;
                let shared = variable.as_tensor().clone();
                variables.insert(name.clone(), variable);
                shared
            } else {
                values
            };
            tensors.insert(name.clone(), values);
        }
        let (mut pairs, mut full) = (BTreeMap::new(), BTreeMap::new());
        for (name, tensor) in &tensors {
            match parse_name(name) {
                Some((path, Part::A)) => {
                    let Some(b) = tensors.get(&name.replace("lora_A", "lora_B")) else { continue };
                    let scale = weights.config.scale(&path, tensor.dim(0)?);
                    let index = pairs.len() as u64;
                    pairs.insert(path, Pair { a: tensor.clone(), b: b.clone(), scale, index });
                }
                Some((path, Part::Full)) => drop(full.insert(path, tensor.clone())),
                _ => {}
            }
        }
        Ok((Self { config: weights.config.clone(), pairs, full, tensors }, variables))
    }

    pub(super) fn extract(&self) -> Result<AdapterWeights> {
        let values = |tensor: &Tensor| -> Result<NamedTensor> {
            Ok(NamedTensor { shape: tensor.dims().to_vec(), values: tensor.flatten_all()?.to_vec1()? })
        };
        let tensors = self.tensors.iter().map(|(name, tensor)| Ok((name.clone(), values(tensor)?)));
        Ok(AdapterWeights { config: self.config.clone(), tensors: tensors.collect::<Result<_>>()? })
    }

    /// The trained replacement of a whole layer, if the adapter has one.
    pub(super) fn full(&self, path: &str) -> Option<&Tensor> {
        self.full.get(path)
    }
}

/// A base weight: frozen, or trained whole.
#[derive(Clone)]
pub(super) struct Matrix {
    pub(super) weight: Tensor,
    pub(super) bias: Option<Tensor>,
    pub(super) trained: bool,
}

/// x·Wᵀ + bias + s·(drop(x)·Aᵀ)·Bᵀ for x `[n, in]`.
pub(super) fn linear(x: &Tensor, matrix: &Matrix, path: &str, context: &Context) -> Result<Tensor> {
    let full = context.adapter.and_then(|adapter| adapter.full(path));
    let mut y = match full {
        Some(weight) => x.matmul(&weight.t()?)?,
        None if matrix.trained => x.matmul(&matrix.weight.t()?)?,
        None => frozen_matmul(x, &matrix.weight, context.tape)?,
    };
    if let Some(bias) = &matrix.bias {
        y = y.broadcast_add(bias)?;
    }
    let Some((pair, adapter)) = context.adapter.and_then(|adapter| Some((adapter.pairs.get(path)?, adapter))) else {
        return Ok(y);
    };
    let input = match context.dropout.filter(|_| adapter.config.lora_dropout > 0.0) {
        Some(seed) => drop_out(x, adapter.config.lora_dropout, seed, pair.index)?,
        None => x.clone(),
    };
    let update = input.matmul(&pair.a.t()?)?.matmul(&pair.b.t()?)?;
    Ok((y + (update * pair.scale)?)?)
}

/// Zeroes each entry with the given probability and scales the rest up, by a stream that depends on the step alone.
fn drop_out(x: &Tensor, probability: f64, seed: DropoutSeed, layer: u64) -> Result<Tensor> {
    let mut stream = Stream::new(seed.seed, Purpose::Dropout, seed.step, (seed.micro_batch << 32) | layer);
    let keep = (1.0 / (1.0 - probability)) as f32;
    // Sixteen bits a number are enough for a mask, and four times cheaper than a draw each.
    let threshold = (probability * 65_536.0) as u64;
    let mut bits = 0;
    let mask = (0..x.elem_count()).map(|index| {
        bits = if index % 4 == 0 { stream.bits() } else { bits >> 16 };
        if bits & 0xffff < threshold { 0.0 } else { keep }
    });
    let mask: Vec<f32> = mask.collect();
    Ok((x * Tensor::from_vec(mask, x.shape(), x.device())?)?)
}
