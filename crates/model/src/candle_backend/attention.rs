//! Causal grouped-query attention. Query heads that share a key head are placed side by side, so that keys are never copied
//! per head.

use super::block::{Block, Context};
use super::positions::Positions;
use super::rules::{rotate, softmax};
use crate::error::Result;
use crate::{DecoderSpec, LayerKind, QueryKeyNorm};
use candle_core::{D, Tensor};

/// The attention of one block in one pass.
pub(super) struct Attention<'a> {
    pub(super) spec: &'a DecoderSpec,
    pub(super) block: &'a Block,
    pub(super) layer: usize,
    pub(super) context: &'a Context<'a>,
}

/// Rotated queries `[B, heads, T, d]`, rotated keys and values `[B, kv, T, d]`.
pub(super) struct Projected {
    pub(super) query: Tensor,
    pub(super) key: Tensor,
    pub(super) value: Tensor,
}

impl Attention<'_> {
    /// Attention of x `[B, T, H]` within itself (and the learned prefix, where there is one).
    pub(super) fn whole(&self, x: &Tensor, positions: &Positions) -> Result<Tensor> {
        let Projected { query, key, value } = self.project(x, positions)?;
        match self.prefix(x.dim(0)?)? {
            None => self.combine(&query, &key, &value, positions),
            Some((keys, values)) => {
                let (key, value) = (Tensor::cat(&[&keys, &key], 2)?, Tensor::cat(&[&values, &value], 2)?);
                self.combine(&query, &key, &value, positions)
            }
        }
    }

    /// Learned keys and values `[B, kv, n, d]` that precede this layer's own; they are not rotated.
    pub(super) fn prefix(&self, rows: usize) -> Result<Option<(Tensor, Tensor)>> {
        let Some(prompt) = self.context.adapter.and_then(|adapter| adapter.prompt()) else { return Ok(None) };
        let (kv, head_dim, count) = (self.spec.kv_heads, self.spec.head_dim, prompt.dim(0)?);
        let slot = |index: usize| -> Result<Tensor> {
            let width = kv * head_dim;
            let flat = prompt.narrow(1, index * width, width)?.reshape((1, count, kv, head_dim))?;
            Ok(flat.transpose(1, 2)?.broadcast_as((rows, kv, count, head_dim))?.contiguous()?)
        };
        Ok(Some((slot(2 * self.layer)?, slot(2 * self.layer + 1)?)))
    }

    fn kind(&self) -> LayerKind {
        self.spec.kinds[self.layer]
    }

    pub(super) fn project(&self, x: &Tensor, positions: &Positions) -> Result<Projected> {
        let (heads, kv, head_dim) = (self.spec.heads, self.spec.kv_heads, self.spec.head_dim);
        let [query, key, value] = if self.spec.fused {
            let all = self.block.apply("self_attn.qkv_proj", x, self.context)?;
            let (query, key) = (heads * head_dim, kv * head_dim);
            let part = |start, width| all.narrow(2, start, width);
            [part(0, query)?, part(query, key)?, part(query + key, key)?]
        } else {
            let layer = |inner| self.block.apply(inner, x, self.context);
            [layer("self_attn.q_proj")?, layer("self_attn.k_proj")?, layer("self_attn.v_proj")?]
        };
        let query = self.rotate(&self.heads(&query, heads, Some("self_attn.q_norm"))?, positions)?;
        let key = self.rotate(&self.heads(&key, kv, Some("self_attn.k_norm"))?, positions)?;
        Ok(Projected { query, key, value: self.heads(&value, kv, None)? })
    }

    /// `[B, T, count·d]` → `[B, count, T, d]`, normalised where the family does so.
    fn heads(&self, flat: &Tensor, count: usize, norm: Option<&'static str>) -> Result<Tensor> {
        let (rows, width, _) = flat.dims3()?;
        let norm = norm.filter(|_| self.spec.query_key_norm != QueryKeyNorm::None);
        let whole = norm.filter(|_| self.spec.query_key_norm == QueryKeyNorm::WholeLayer);
        let flat = self.block.norm(whole, flat, self.context)?;
        let split = flat.reshape((rows, width, count, self.spec.head_dim))?;
        let each = norm.filter(|_| self.spec.query_key_norm == QueryKeyNorm::PerHead);
        Ok(self.block.norm(each, &split, self.context)?.transpose(1, 2)?.contiguous()?)
    }

    fn rotate(&self, x: &Tensor, positions: &Positions) -> Result<Tensor> {
        let Some(rope) = self.kind().rope else { return Ok(x.clone()) };
        let ((cos, sin), rotated) = (&positions.angles[rope], self.spec.ropes[rope].rotated);
        let head_dim = self.spec.head_dim;
        if rotated == head_dim {
            return Ok(rotate(x, cos, sin, self.context.tape)?);
        }
        let turned = rotate(&x.narrow(3, 0, rotated)?.contiguous()?, cos, sin, self.context.tape)?;
        Ok(Tensor::cat(&[&turned, &x.narrow(3, rotated, head_dim - rotated)?.contiguous()?], 3)?)
    }

    /// softmax(scale·q·kᵀ + mask)·v, projected back to the residual stream.
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
        let mut scores = (grouped * self.spec.attention_scale)?.matmul(&key.transpose(2, 3)?.contiguous()?)?;
        if let Some(cap) = self.spec.attention_cap {
            scores = soft_cap(&scores, cap)?;
        }
        if let Some(mask) = positions.mask(self.kind().window) {
            scores = scores.reshape((rows, self.spec.kv_heads, groups, width, keys))?.broadcast_add(mask)?;
        }
        let weights = softmax(&scores.reshape((rows, self.spec.kv_heads, groups * width, keys))?, self.context.tape)?;
        debug_assert_eq!(weights.dim(D::Minus1)?, keys);
        let mixed = weights.matmul(&value.contiguous()?)?.reshape((rows, heads, width, head_dim))?;
        let flat = mixed.transpose(1, 2)?.reshape((rows, width, heads * head_dim))?;
        self.block.apply("self_attn.o_proj", &flat, self.context)
    }
}

/// c·tanh(x/c): soft-caps values at ±c.
pub(super) fn soft_cap(x: &Tensor, cap: f64) -> Result<Tensor> {
    Ok(((x / cap)?.tanh()? * cap)?)
}
