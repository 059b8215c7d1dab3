//! The decoder: embedding, blocks, final norm, LM head.

use super::attention::{Attention, soft_cap};
use super::layers::{Adapter, Matrix, linear};
use super::positions::Positions;
use super::rules::{rms_norm, rms_norm_trainable};
use crate::decoder::DropoutSeed;
use crate::dropout;
use crate::error::Result;
use crate::{Activation, DecoderSpec, ModelError, NamedTensor};
use candle_core::{Device, Tensor, Var};
use std::collections::BTreeMap;

/// The context of one pass through the model.
pub(super) struct Context<'a> {
    pub(super) adapter: Option<&'a Adapter>,
    pub(super) tape: bool,
    pub(super) dropout: Option<DropoutSeed>,
    pub(super) noise: Option<Noise<'a>>,
}

/// Uniform noise on the embeddings of a pass.
#[derive(Clone, Copy)]
pub(super) struct Noise<'a> {
    pub(super) strength: f64,
    pub(super) seed: DropoutSeed,
    /// Real tokens of each row.
    pub(super) lengths: &'a [usize],
}

impl Noise<'_> {
    /// Noise `[B, T, H]`, none on padding.
    fn draw(&self, rows: usize, width: usize, hidden: usize, device: &Device) -> Result<Tensor> {
        let mut values = Vec::with_capacity(rows * width * hidden);
        for (row, length) in self.lengths.iter().enumerate() {
            values.extend(dropout::noise(self.strength, self.seed, row, *length, hidden));
            values.resize((row + 1) * width * hidden, 0.0);
        }
        Ok(Tensor::from_vec(values, (rows, width, hidden), device)?)
    }
}

/// An RMSNorm: frozen, with the offset added once, or trained.
#[derive(Clone)]
struct Norm {
    weight: Tensor,
    offset: f64,
    epsilon: f64,
    trained: bool,
}

impl Norm {
    fn apply(&self, x: &Tensor, context: &Context) -> Result<Tensor> {
        let x = x.contiguous()?;
        if self.trained {
            return Ok(rms_norm_trainable(&x, &(&self.weight + self.offset)?, self.epsilon)?);
        }
        Ok(rms_norm(&x, &self.weight, self.epsilon, context.tape)?)
    }
}

/// One block.
#[derive(Clone)]
pub(super) struct Block {
    pub(super) path: String,
    norms: BTreeMap<String, Norm>,
    matrices: BTreeMap<&'static str, Matrix>,
}

/// All weights of the base model.
#[derive(Clone)]
pub(super) struct Weights {
    tensors: BTreeMap<String, Tensor>,
    embedding: Tensor,
    pub(super) blocks: Vec<Block>,
    final_norm: Norm,
    output: Matrix,
    spec: DecoderSpec,
    device: Device,
}

impl Weights {
    pub(super) fn new(spec: &DecoderSpec, tensors: BTreeMap<String, Tensor>, device: &Device) -> Result<Self> {
        Self::build(spec, tensors, device, false)
    }

    fn build(spec: &DecoderSpec, tensors: BTreeMap<String, Tensor>, device: &Device, trained: bool) -> Result<Self> {
        let get = |name: &str| {
            let found = tensors.get(name).cloned();
            found.ok_or_else(|| ModelError::MissingTensor { name: name.to_owned() })
        };
        let matrix = |path: &str, bias: bool| -> Result<Matrix> {
            let bias = if bias { Some(get(&format!("{path}.bias"))?) } else { None };
            Ok(Matrix { weight: get(&format!("{path}.weight"))?, bias, trained })
        };
        let norm = |path: &str| -> Result<Norm> {
            let (weight, epsilon) = (get(&format!("{path}.weight"))?, spec.norm_epsilon);
            if trained {
                return Ok(Norm { weight, offset: spec.norm_offset, epsilon, trained });
            }
            Ok(Norm { weight: (weight + spec.norm_offset)?, offset: 0.0, epsilon, trained })
        };
        let mut blocks = Vec::with_capacity(spec.layers);
        for layer in 0..spec.layers {
            let path = format!("model.layers.{layer}");
            let norms = spec
                .block_norms()
                .into_iter()
                .map(|(name, _)| norm(&format!("{path}.{name}")).map(|norm| (name.to_owned(), norm)));
            let matrices = spec.linears().into_iter().map(|linear| {
                matrix(&format!("{path}.{}", linear.path), linear.bias).map(|matrix| (linear.path, matrix))
            });
            blocks.push(Block {
                norms: norms.collect::<Result<_>>()?,
                matrices: matrices.collect::<Result<_>>()?,
                path,
            });
        }
        let embedding = get("model.embed_tokens.weight")?;
        let output = if spec.tied {
            Matrix { weight: embedding.clone(), bias: None, trained }
        } else {
            matrix("lm_head", false)?
        };
        let (final_norm, device) = (norm("model.norm")?, device.clone());
        Ok(Self { embedding, blocks, final_norm, output, spec: spec.clone(), device, tensors })
    }

    /// Makes every weight a variable, so that all of them get gradients.
    pub(super) fn make_variables(&mut self) -> Result<BTreeMap<String, Var>> {
        let variables = self.tensors.iter().map(|(name, tensor)| Ok((name.clone(), Var::from_tensor(tensor)?)));
        let variables = variables.collect::<Result<BTreeMap<_, _>>>()?;
        let shared = variables.iter().map(|(name, variable)| (name.clone(), variable.as_tensor().clone())).collect();
        *self = Self::build(&self.spec.clone(), shared, &self.device.clone(), true)?;
        Ok(variables)
    }

    pub(super) fn extract(&self) -> Result<BTreeMap<String, NamedTensor>> {
        let values = |tensor: &Tensor| -> Result<NamedTensor> {
            Ok(NamedTensor { shape: tensor.dims().to_vec(), values: tensor.flatten_all()?.to_vec1()? })
        };
        self.tensors.iter().map(|(name, tensor)| Ok((name.clone(), values(tensor)?))).collect()
    }

    /// The device that they are on.
    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// The frozen weight of a linear layer, by its full path.
    pub(super) fn weight(&self, path: &str) -> Option<&Tensor> {
        self.tensors.get(&format!("{path}.weight"))
    }

    /// Final hidden states `[B, T, H]` of ids `[B, T]`.
    pub(super) fn hidden_rows(&self, ids: &Tensor, context: &Context, positions: &Positions) -> Result<Tensor> {
        self.run(ids, context, |attention, x| attention.whole(x, positions))
    }

    /// The residual stream through all blocks, with attention supplied by the caller.
    pub(super) fn run(
        &self,
        ids: &Tensor,
        context: &Context,
        mut attend: impl FnMut(&Attention, &Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let (spec, norms) = (&self.spec, &self.spec.norms);
        let add = |x: &Tensor, y: &Tensor| match spec.residual_scale {
            1.0 => x + y,
            scale => x + (y * scale)?,
        };
        let mut x = self.embed(ids, context)?;
        for (layer, block) in self.blocks.iter().enumerate() {
            let read = block.norm(norms.before_attention, &x, context)?;
            let attention = Attention { spec, block, layer, context };
            let update = block.norm(norms.after_attention, &attend(&attention, &read)?, context)?;
            x = add(&x, &update)?;
            let read = block.norm(norms.before_mlp, &x, context)?;
            let update = block.norm(norms.after_mlp, &block.feed_forward(spec, &read, context)?, context)?;
            x = add(&x, &update)?;
        }
        self.final_norm.apply(&x, context)
    }

    fn embed(&self, ids: &Tensor, context: &Context) -> Result<Tensor> {
        let (rows, width) = ids.dims2()?;
        let ids = ids.flatten_all()?;
        let full = context.adapter.and_then(|adapter| adapter.full("model.embed_tokens"));
        let mut x = full.unwrap_or(&self.embedding).index_select(&ids, 0)?;
        if let Some(update) = context.adapter.map(|adapter| adapter.embedding_update(&ids)).transpose()?.flatten() {
            x = (x + update)?;
        }
        if self.spec.embedding_scale != 1.0 {
            x = (x * self.spec.embedding_scale)?;
        }
        let x = x.reshape((rows, width, self.spec.hidden))?;
        match &context.noise {
            Some(noise) => Ok((x + noise.draw(rows, width, self.spec.hidden, &self.device)?)?),
            None => Ok(x),
        }
    }

    /// Logits of hidden states `[..., H]` → `[..., V]`.
    pub(super) fn output(&self, hidden: &Tensor, context: &Context) -> Result<Tensor> {
        let mut shape = hidden.dims().to_vec();
        let width = shape.pop().unwrap_or(0);
        let mut flat = linear(&hidden.reshape(((), width))?, &self.output, "lm_head", context)?;
        if self.spec.logit_divisor != 1.0 {
            flat = (flat / self.spec.logit_divisor)?;
        }
        if let Some(cap) = self.spec.logit_cap {
            flat = soft_cap(&flat, cap)?;
        }
        shape.push(flat.dim(1)?);
        Ok(flat.reshape(shape)?)
    }
}

impl Block {
    /// Applies the norm of this name; without a name x passes unchanged.
    pub(super) fn norm(&self, name: Option<&'static str>, x: &Tensor, context: &Context) -> Result<Tensor> {
        let Some(name) = name else { return Ok(x.clone()) };
        let missing = || ModelError::MissingTensor { name: format!("{}.{name}", self.path) };
        self.norms.get(name).ok_or_else(missing)?.apply(x, context)
    }

    /// Applies the linear layer at `inner` to x `[B, T, in]`.
    pub(super) fn apply(&self, inner: &'static str, x: &Tensor, context: &Context) -> Result<Tensor> {
        let (rows, width, inputs) = x.dims3()?;
        let missing = || ModelError::MissingTensor { name: format!("{}.{inner}", self.path) };
        let matrix = self.matrices.get(inner).ok_or_else(missing)?;
        let flat = x.reshape((rows * width, inputs))?;
        let y = linear(&flat, matrix, &format!("{}.{inner}", self.path), context)?;
        Ok(y.reshape((rows, width, ()))?)
    }

    /// down(activation(gate x) ∘ up x)
    fn feed_forward(&self, spec: &DecoderSpec, x: &Tensor, context: &Context) -> Result<Tensor> {
        let [gate, up] = if spec.fused {
            let both = self.apply("mlp.gate_up_proj", x, context)?;
            [both.narrow(2, 0, spec.intermediate)?, both.narrow(2, spec.intermediate, spec.intermediate)?]
        } else {
            [self.apply("mlp.gate_proj", x, context)?, self.apply("mlp.up_proj", x, context)?]
        };
        let gate = match spec.activation {
            Activation::Silu => gate.silu()?,
            Activation::GeluTanh => gate.gelu()?,
        };
        self.apply("mlp.down_proj", &(gate * up)?, context)
    }
}
