//! The pre-norm decoder: embedding, blocks, final norm, output matrix.

use super::attention::{Attention, Positions};
use super::layers::{Adapter, Matrix, linear};
use super::rules::{rms_norm, rms_norm_trainable};
use crate::decoder::DropoutSeed;
use crate::error::Result;
use crate::{DecoderSpec, ModelError, NamedTensor};
use candle_core::{Device, Tensor, Var};
use std::collections::BTreeMap;

/// What holds for one pass through the model.
pub(super) struct Context<'a> {
    pub(super) adapter: Option<&'a Adapter>,
    pub(super) tape: bool,
    pub(super) dropout: Option<DropoutSeed>,
}

/// One block.
#[derive(Clone)]
pub(super) struct Block {
    pub(super) path: String,
    attention_norm: Tensor,
    mlp_norm: Tensor,
    matrices: BTreeMap<&'static str, Matrix>,
}

/// All weights of the base model.
#[derive(Clone)]
pub(super) struct Weights {
    tensors: BTreeMap<String, Tensor>,
    embedding: Tensor,
    pub(super) blocks: Vec<Block>,
    final_norm: Tensor,
    output: Matrix,
    epsilon: f64,
    trained: bool,
    spec: DecoderSpec,
    device: Device,
}

impl Weights {
    pub(super) fn new(spec: &DecoderSpec, tensors: BTreeMap<String, Tensor>, device: &Device) -> Result<Self> {
        let get = |name: &str| {
            let found = tensors.get(name).cloned();
            found.ok_or_else(|| ModelError::MissingTensor { name: name.to_owned() })
        };
        let matrix = |path: &str, bias: bool| -> Result<Matrix> {
            let bias = if bias { Some(get(&format!("{path}.bias"))?) } else { None };
            Ok(Matrix { weight: get(&format!("{path}.weight"))?, bias, trained: false })
        };
        let mut blocks = Vec::with_capacity(spec.layers);
        for layer in 0..spec.layers {
            let path = format!("model.layers.{layer}");
            let matrices = spec.linears().into_iter().map(|linear| {
                matrix(&format!("{path}.{}", linear.path), linear.bias).map(|matrix| (linear.path, matrix))
            });
            blocks.push(Block {
                attention_norm: get(&format!("{path}.input_layernorm.weight"))?,
                mlp_norm: get(&format!("{path}.post_attention_layernorm.weight"))?,
                matrices: matrices.collect::<Result<_>>()?,
                path,
            });
        }
        let embedding = get("model.embed_tokens.weight")?;
        let output = if spec.tied {
            Matrix { weight: embedding.clone(), bias: None, trained: false }
        } else {
            matrix("lm_head", false)?
        };
        let (final_norm, epsilon, device) = (get("model.norm.weight")?, spec.norm_epsilon, device.clone());
        Ok(Self { embedding, blocks, final_norm, output, epsilon, trained: false, spec: spec.clone(), device, tensors })
    }

    /// Turns every weight into a variable; the graph then reaches all of them.
    pub(super) fn make_variables(&mut self) -> Result<BTreeMap<String, Var>> {
        let variables = self.tensors.iter().map(|(name, tensor)| Ok((name.clone(), Var::from_tensor(tensor)?)));
        let variables = variables.collect::<Result<BTreeMap<_, _>>>()?;
        let shared = variables.iter().map(|(name, variable)| (name.clone(), variable.as_tensor().clone())).collect();
        *self = Self::new(&self.spec.clone(), shared, &self.device.clone())?;
        self.trained = true;
        self.output.trained = true;
        self.blocks.iter_mut().flat_map(|block| block.matrices.values_mut()).for_each(|matrix| matrix.trained = true);
        Ok(variables)
    }

    pub(super) fn extract(&self) -> Result<BTreeMap<String, NamedTensor>> {
        let values = |tensor: &Tensor| -> Result<NamedTensor> {
            Ok(NamedTensor { shape: tensor.dims().to_vec(), values: tensor.flatten_all()?.to_vec1()? })
        };
        self.tensors.iter().map(|(name, tensor)| Ok((name.clone(), values(tensor)?))).collect()
    }

    /// Final hidden rows `[B, T, H]` of right-padded ids `[B, T]`.
    pub(super) fn hidden_rows(&self, spec: &DecoderSpec, ids: &Tensor, context: &Context) -> Result<Tensor> {
        let positions = Positions::causal(spec, ids.dim(1)?, &self.device)?;
        self.run(ids, context, |block, x| block.attend(spec, x, context, &positions))
    }

    /// The residual stream through all blocks, with attention supplied by the caller.
    pub(super) fn run(
        &self,
        ids: &Tensor,
        context: &Context,
        mut attend: impl FnMut(&AttendingBlock, &Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let (rows, width) = ids.dims2()?;
        let embedding =
            context.adapter.and_then(|adapter| adapter.full("model.embed_tokens")).unwrap_or(&self.embedding);
        let mut x = embedding.index_select(&ids.flatten_all()?, 0)?.reshape((rows, width, ()))?;
        for (index, block) in self.blocks.iter().enumerate() {
            let normal = self.norm(&x, &block.attention_norm, context)?;
            x = (&x + attend(&AttendingBlock { block, index }, &normal)?)?;
            let normal = self.norm(&x, &block.mlp_norm, context)?;
            x = (&x + block.feed_forward(&normal, context)?)?;
        }
        self.norm(&x, &self.final_norm, context)
    }

    /// Logits of hidden rows `[..., H]` → `[..., V]`.
    pub(super) fn output(&self, hidden: &Tensor, context: &Context) -> Result<Tensor> {
        let mut shape = hidden.dims().to_vec();
        let width = shape.pop().unwrap_or(0);
        let flat = linear(&hidden.reshape(((), width))?, &self.output, "lm_head", context)?;
        shape.push(flat.dim(1)?);
        Ok(flat.reshape(shape)?)
    }

    fn norm(&self, x: &Tensor, weight: &Tensor, context: &Context) -> Result<Tensor> {
        let x = x.contiguous()?;
        Ok(if self.trained {
            rms_norm_trainable(&x, weight, self.epsilon)?
        } else {
            rms_norm(&x, weight, self.epsilon, context.tape)?
        })
    }
}

/// A block and its number, as attention sees it.
pub(super) struct AttendingBlock<'a> {
    block: &'a Block,
    pub(super) index: usize,
}

impl AttendingBlock<'_> {
    fn attend(&self, spec: &DecoderSpec, x: &Tensor, context: &Context, positions: &Positions) -> Result<Tensor> {
        Attention { spec, block: self.block, context }.whole(x, positions)
    }

    pub(super) fn attention<'a>(&'a self, spec: &'a DecoderSpec, context: &'a Context<'a>) -> Attention<'a> {
        Attention { spec, block: self.block, context }
    }
}

impl Block {
    /// Applies the linear layer at `inner` to x `[B, T, in]`.
    pub(super) fn apply(&self, inner: &'static str, x: &Tensor, context: &Context) -> Result<Tensor> {
        let (rows, width, inputs) = x.dims3()?;
        let missing = || ModelError::MissingTensor { name: format!("{}.{inner}", self.path) };
        let matrix = self.matrices.get(inner).ok_or_else(missing)?;
        let flat = x.reshape((rows * width, inputs))?;
        let y = linear(&flat, matrix, &format!("{}.{inner}", self.path), context)?;
        Ok(y.reshape((rows, width, ()))?)
    }

    /// down(silu(gate x) ∘ up x)
    fn feed_forward(&self, x: &Tensor, context: &Context) -> Result<Tensor> {
        let gate = self.apply("mlp.gate_proj", x, context)?.silu()?;
        let up = self.apply("mlp.up_proj", x, context)?;
        self.apply("mlp.down_proj", &(gate * up)?, context)
    }
}
