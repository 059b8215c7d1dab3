//! Causal attention with grouped key and value heads. Query heads that share a key head are laid side by side, so that
//! keys are never copied per head.

use super::block::{Block, Context};
use super::rules::{rotate, softmax};
use crate::DecoderSpec;
use crate::error::Result;
use candle_core::{D, Device, Tensor};

/// Added to scores that must not be attended to; finite, so that a row without any allowed position stays defined.
const FORBIDDEN: f32 = -1e30;

/// Angles and mask for one pass.
pub(super) struct Positions {
    pub(super) cos: Tensor,
    pub(super) sin: Tensor,
    /// `[1 or B, 1, 1, T, S]`, added to the scores.
    pub(super) mask: Option<Tensor>,
}

impl Positions {
    /// Positions 0..T with the causal mask.
    pub(super) fn causal(spec: &DecoderSpec, width: usize, device: &Device) -> Result<Self> {
        let positions: Vec<usize> = (0..width).collect();
        let (cos, sin) = angles(spec, &positions, device)?;
        let allowed = |query: usize, key: usize| if key <= query { 0.0 } else { FORBIDDEN };
        let mask: Vec<f32> = (0..width * width).map(|index| allowed(index / width, index % width)).collect();
        let mask = Tensor::from_vec(mask, (1, 1, 1, width, width), device)?;
        Ok(Self { cos, sin, mask: (width > 1).then_some(mask) })
    }

    /// One position list per row (left-padded generation); `hidden_keys[b]` keys at the start of row b are padding.
    pub(super) fn padded(
        spec: &DecoderSpec,
        positions: &[Vec<usize>],
        keys: usize,
        hidden_keys: &[usize],
        device: &Device,
    ) -> Result<Self> {
        let (rows, width) = (positions.len(), positions.first().map_or(0, Vec::len));
        let flat: Vec<usize> = positions.iter().flatten().copied().collect();
        let (cos, sin) = angles(spec, &flat, device)?;
        let shape = (rows, width, spec.head_dim / 2);
        let first = keys - width;
        let mut mask = Vec::with_capacity(rows * width * keys);
        for hidden in hidden_keys {
            for query in 0..width {
                mask.extend((0..keys).map(|key| if key >= *hidden && key <= first + query { 0.0 } else { FORBIDDEN }));
            }
        }
        let mask = Tensor::from_vec(mask, (rows, 1, 1, width, keys), device)?;
        Ok(Self { cos: cos.reshape(shape)?, sin: sin.reshape(shape)?, mask: Some(mask) })
    }
}

/// cos and sin `[n, head_dim / 2]` of the given positions.
fn angles(spec: &DecoderSpec, positions: &[usize], device: &Device) -> Result<(Tensor, Tensor)> {
    let frequencies = spec.rope.frequencies(spec.head_dim);
    let table = |function: fn(f64) -> f64| -> Result<Tensor> {
        let values = positions.iter().flat_map(|p| frequencies.iter().map(move |f| function(*p as f64 * f) as f32));
        Ok(Tensor::from_vec(values.collect::<Vec<_>>(), (positions.len(), frequencies.len()), device)?)
    };
    Ok((table(f64::cos)?, table(f64::sin)?))
}

/// The attention of one block in one pass.
pub(super) struct Attention<'a> {
    pub(super) spec: &'a DecoderSpec,
    pub(super) block: &'a Block,
    pub(super) context: &'a Context<'a>,
}

impl Attention<'_> {
    /// Attention of x `[B, T, H]` within itself.
    pub(super) fn whole(&self, x: &Tensor, positions: &Positions) -> Result<Tensor> {
        let (query, key, value) = self.project(x, positions)?;
        self.combine(&query, &key, &value, positions)
    }

    /// Rotated queries `[B, heads, T, d]`, rotated keys and values `[B, kv, T, d]`.
    pub(super) fn project(&self, x: &Tensor, positions: &Positions) -> Result<(Tensor, Tensor, Tensor)> {
        let (rows, width, _) = x.dims3()?;
        let heads = |inner: &'static str, count: usize| -> Result<Tensor> {
            let flat = self.block.apply(inner, x, self.context)?;
            Ok(flat.reshape((rows, width, count, self.spec.head_dim))?.transpose(1, 2)?.contiguous()?)
        };
        let turn = |x: &Tensor| rotate(x, &positions.cos, &positions.sin, self.context.tape);
        let query = turn(&heads("self_attn.q_proj", self.spec.heads)?)?;
        let key = turn(&heads("self_attn.k_proj", self.spec.kv_heads)?)?;
        Ok((query, key, heads("self_attn.v_proj", self.spec.kv_heads)?))
    }

    /// softmax(q·kᵀ/√d + mask)·v, projected back to the residual stream.
    pub(super) fn combine(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        positions: &Positions,
    ) -> Result<Tensor> {
        let (rows, heads, width, head_dim) = query.dims4()?;
        let (keys, groups) = (key.dim(2)?, heads / self.spec.kv_heads);
        let grouped = query.reshape((rows, self.spec.kv_heads, groups * width, head_dim))?;
        let scale = 1.0 / (head_dim as f64).sqrt();
        let scores = (grouped * scale)?.matmul(&key.transpose(2, 3)?.contiguous()?)?;
        let scores = match &positions.mask {
            Some(mask) => scores.reshape((rows, self.spec.kv_heads, groups, width, keys))?.broadcast_add(mask)?,
            None => scores,
        };
        let weights = softmax(&scores.reshape((rows, self.spec.kv_heads, groups * width, keys))?, self.context.tape)?;
        debug_assert_eq!(weights.dim(D::Minus1)?, keys);
        let mixed = weights.matmul(&value.contiguous()?)?.reshape((rows, heads, width, head_dim))?;
        let flat = mixed.transpose(1, 2)?.reshape((rows, width, heads * head_dim))?;
        self.block.apply("self_attn.o_proj", &flat, self.context)
    }
}
