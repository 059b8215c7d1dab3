//! Linear layers with and without LoRA, as tensors.

use super::block::{Context, Weights};
use super::rules::{attach, frozen_matmul};
use crate::adapter::{AdapterConfig, AdapterWeights, NamedTensor};
use crate::adapter_names::{Part, parse_name};
use crate::decoder::DropoutSeed;
use crate::dropout;
use crate::error::Result;
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
    /// DoRA's magnitude m `[out]`.
    magnitude: Option<Tensor>,
    /// Row norms of W + s·B·A, when the adapter no longer changes.
    norms: Option<Tensor>,
}

/// An adapter as tensors, by module path.
#[derive(Clone)]
pub(super) struct Adapter {
    config: AdapterConfig,
    pairs: BTreeMap<String, Pair>,
    /// A `[r, V]`, B `[H, r]` and scale of an adapter on the embedding.
    embedding: Option<(Tensor, Tensor, f64)>,
    /// Layers that are replaced whole (`modules_to_save`).
    full: BTreeMap<String, Tensor>,
    /// Learned keys and values of prefix tuning `[n, 2·L·d]`.
    prompt: Option<Tensor>,
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
        let config = weights.config.clone();
        let (pairs, embedding, full, prompt) = (BTreeMap::new(), None, BTreeMap::new(), None);
        let mut adapter = Self { config, pairs, embedding, full, prompt, tensors };
        adapter.sort()?;
        Ok((adapter, variables))
    }

    /// Sorts the tensors into the fields that use them.
    fn sort(&mut self) -> Result<()> {
        for (name, tensor) in &self.tensors {
            let partner = |from: &str, to: &str| self.tensors.get(&name.replace(from, to)).cloned();
            match parse_name(name) {
                Some((path, Part::A)) => {
                    let Some(b) = partner("lora_A", "lora_B") else { continue };
                    let scale = self.config.scale(&path, tensor.dim(0)?)?;
                    let (index, a) = (self.pairs.len() as u64, tensor.clone());
                    let magnitude = partner("lora_A.weight", "lora_magnitude_vector");
                    self.pairs.insert(path, Pair { a, b, scale, index, magnitude, norms: None });
                }
                Some((path, Part::EmbeddingA)) => {
                    let Some(b) = partner("lora_embedding_A", "lora_embedding_B") else { continue };
                    self.embedding = Some((tensor.clone(), b, self.config.scale(&path, tensor.dim(0)?)?));
                }
                Some((path, part)) if part.replaces() => drop(self.full.insert(path, tensor.clone())),
                Some((_, Part::Prompt)) => self.prompt = Some(tensor.clone()),
                _ => {}
            }
        }
        Ok(())
    }

    /// The same adapter, with everything computed once that depends on its weights alone.
    pub(super) fn frozen(&self, weights: &Weights) -> Result<Self> {
        let mut frozen = self.clone();
        for (path, pair) in &mut frozen.pairs {
            if let (Some(_), Some(weight)) = (&pair.magnitude, weights.weight(path)) {
                pair.norms = Some(pair.row_norms(weight)?);
            }
        }
        Ok(frozen)
    }

    pub(super) fn extract(&self) -> Result<AdapterWeights> {
        let values = |tensor: &Tensor| -> Result<NamedTensor> {
            Ok(NamedTensor { shape: tensor.dims().to_vec(), values: tensor.flatten_all()?.to_vec1()? })
        };
        let tensors = self.tensors.iter().map(|(name, tensor)| Ok((name.clone(), values(tensor)?)));
        Ok(AdapterWeights { config: self.config.clone(), tensors: tensors.collect::<Result<_>>()? })
    }

    /// Names and sizes of its tensors.
    pub(super) fn sizes(&self) -> impl Iterator<Item = (&str, usize)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.elem_count()))
    }

    /// True when it has dropout.
    pub(super) fn drops(&self) -> bool {
        self.config.lora_dropout > 0.0
    }

    /// The trained replacement of a whole layer, if the adapter has one.
    pub(super) fn full(&self, path: &str) -> Option<&Tensor> {
        self.full.get(path)
    }

    /// Learned keys and values, if this is a prefix.
    pub(super) fn prompt(&self) -> Option<&Tensor> {
        self.prompt.as_ref()
    }

    /// Number of learned keys in front of every row.
    pub(super) fn prefix_length(&self) -> usize {
        self.prompt.as_ref().map_or(0, |prompt| prompt.dims()[0])
    }

    /// s·(Aᵀ)[ids]·Bᵀ, what an adapter on the embedding adds to the rows of `ids` `[n]`.
    pub(super) fn embedding_update(&self, ids: &Tensor) -> Result<Option<Tensor>> {
        let Some((a, b, scale)) = &self.embedding else { return Ok(None) };
        let rows = a.t()?.contiguous()?.index_select(ids, 0)?;
        Ok(Some((rows.matmul(&b.t()?)? * *scale)?))
    }
}

impl Pair {
    /// Row norms `[out]` of W + s·B·A; a constant in the gradient (Liu et al., arXiv 2402.09353, section 4.3).
    fn row_norms(&self, weight: &Tensor) -> Result<Tensor> {
        let update = (self.b.detach().matmul(&self.a.detach())? * self.scale)?;
        Ok((weight.detach() + update)?.sqr()?.sum(1)?.sqrt()?)
    }
}

/// A base weight: frozen or trained.
#[derive(Clone)]
pub(super) struct Matrix {
    pub(super) weight: Tensor,
    pub(super) bias: Option<Tensor>,
    pub(super) trained: bool,
}

/// x·Wᵀ + s·(drop(x)·Aᵀ)·Bᵀ + bias for x `[n, in]`; with DoRA the first two terms are weighted by row, see [`weighted`].
pub(super) fn linear(x: &Tensor, matrix: &Matrix, path: &str, context: &Context) -> Result<Tensor> {
    let full = context.adapter.and_then(|adapter| adapter.full(path));
    let base = |x: &Tensor| -> Result<Tensor> {
        Ok(match full {
            Some(weight) => x.matmul(&weight.t()?)?,
            None if matrix.trained => x.matmul(&matrix.weight.t()?)?,
            None => frozen_matmul(x, &matrix.weight, context.tape)?,
        })
    };
    let mut y = base(x)?;
    if let Some((pair, adapter)) = context.adapter.and_then(|adapter| Some((adapter.pairs.get(path)?, adapter))) {
        let dropped = match context.dropout.filter(|_| adapter.config.lora_dropout > 0.0) {
            Some(seed) => Some(drop_out(x, adapter.config.lora_dropout, seed, pair.index, context.tape)?),
            None => None,
        };
        let input = dropped.as_ref().unwrap_or(x);
        let update = (input.matmul(&pair.a.t()?)?.matmul(&pair.b.t()?)? * pair.scale)?;
        y = match &pair.magnitude {
            None => (y + update)?,
            Some(magnitude) => {
                let norms = match &pair.norms {
                    Some(norms) => norms.clone(),
                    None => pair.row_norms(&matrix.weight)?,
                };
                let ratio = (magnitude / norms)?;
                let again = dropped.as_ref().map(base).transpose()?;
                weighted(&y, again.as_ref().unwrap_or(&y), &update, &ratio)?
            }
        };
    }
    match &matrix.bias {
        Some(bias) => Ok(y.broadcast_add(bias)?),
        None => Ok(y),
    }
}

/// DoRA: W·x + (m/n − 1)∘(W·drop(x)) + (m/n)∘(s·B·A·drop(x)), with `ratio` = m/n `[out]`.
fn weighted(base: &Tensor, dropped: &Tensor, update: &Tensor, ratio: &Tensor) -> Result<Tensor> {
    let correction = dropped.broadcast_mul(&(ratio - 1.0)?)?;
    Ok(((base + correction)? + update.broadcast_mul(ratio)?)?)
}

/// Zeroes each entry with the given probability and scales the rest up.
fn drop_out(x: &Tensor, probability: f64, seed: DropoutSeed, layer: u64, tape: bool) -> Result<Tensor> {
    let mask = dropout::mask(probability, seed, layer, x.elem_count());
    let mask = Tensor::from_vec(mask, x.shape(), x.device())?;
    let value = (x.detach() * &mask)?;
    if !tape {
        return Ok(value);
    }
    // Candle's own rule would compute a gradient of the mask too, and keep it until the backward pass ends.
    Ok(attach(x, value, move |gradient| gradient * &mask)?)
}
