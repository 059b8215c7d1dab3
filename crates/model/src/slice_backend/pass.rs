//! The context of one pass through the model, and small steps that several modules share.

use super::adapter::Adapter;
use super::buffer_pool::BufferPool;
use super::layout::Layout;
use super::weights::{Buffer, Group, Weights};
use crate::decoder::DropoutSeed;
use crate::{DecoderSpec, dropout};
use alidade_domain::Precision;
use alidade_kernels as kernels;
use kernels::{
    AttentionShape, Direction, InstructionSet, Mat, MatMut, Operands, Panels, Place, RotaryTable, RoundedRows, Rows,
    ThreadPool, Threads, matmul,
};

/// One pass.
pub(super) struct Pass<'a> {
    pub(super) set: InstructionSet,
    pub(super) spec: &'a DecoderSpec,
    pub(super) weights: &'a Weights,
    /// Gradients of the base, buffer by buffer, when it is trained.
    pub(super) gradients: Option<&'a mut Vec<Vec<f32>>>,
    pub(super) adapter: Option<&'a mut Adapter>,
    pub(super) tables: &'a [RotaryTable],
    pub(super) layout: &'a Layout,
    pub(super) dropout: Option<Dropout>,
    /// In generation: the thread pool, with which each row is computed independently. In training, matmuls take all rows at
    /// once.
    pub(super) workers: Option<&'a ThreadPool<'a>>,
    pub(super) pool: &'a mut BufferPool,
}

/// Dropout of a pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dropout {
    pub(super) seed: DropoutSeed,
    pub(super) probability: f64,
    /// Rows of the padded batch, for which masks are drawn.
    pub(super) padded_rows: usize,
}

impl Dropout {
    /// Multiplies x `[n, w]` by the mask of an adapted layer.
    pub(super) fn apply(&self, layer: u64, padded: &[usize], x: &mut [f32]) {
        let width = x.len() / padded.len().max(1);
        let mask = dropout::mask(self.probability, self.seed, layer, self.padded_rows * width);
        for (x, row) in x.chunks_exact_mut(width.max(1)).zip(padded) {
            x.iter_mut().zip(&mask[row * width..]).for_each(|(value, keep)| *value *= keep);
        }
    }
}

impl<'a> Pass<'a> {
    /// The panels of a base matrix when matmuls with it round the other operand and take bf16 pairs.
    pub(super) fn packed_bf16(&self, matrix: Buffer) -> Option<&'a Panels> {
        self.weights.buffers[matrix].panels().filter(|_| self.workers.is_none())
    }

    /// The same without dropout, which needs x in f32 as well.
    pub(super) fn packed_bf16_no_dropout(&self, matrix: Buffer) -> Option<&'a Panels> {
        self.packed_bf16(matrix).filter(|_| self.dropout.is_none())
    }

    /// Panels of gate and up, and of down, where the activations between them are bf16.
    pub(super) fn packed_feed_forward(&self, layer: usize) -> Option<[&'a Panels; 2]> {
        let groups = [Group::GateUp, Group::Down].map(|group| self.weights.blocks[layer].groups[group as usize]);
        let plain = groups.iter().all(|group| group.bias.is_none());
        let [gate_up, down] = groups.map(|group| self.packed_bf16_no_dropout(group.matrix));
        Some([gate_up?, down?]).filter(|_| plain)
    }

    /// Number format of matmuls without a base matrix: in training that of matmuls with one, in generation bf16 unless the
    /// weights are f32.
    pub(super) fn operands(&self) -> Operands {
        let rounds = match (self.workers, self.weights.blocks.first()) {
            (Some(_), _) => self.set.takes_pairs() && self.weights.precision != Precision::F32,
            (None, Some(block)) => self.packed_bf16(block.groups[0].matrix).is_some(),
            (None, None) => false,
        };
        if rounds { Operands::Bf16 } else { Operands::F32 }
    }

    /// `out` (+)= x·Wᵀ for a base matrix.
    pub(super) fn product(&mut self, matrix: Buffer, out: MatMut, add: bool, x: Mat) {
        let weights = &self.weights.buffers[matrix];
        match self.workers {
            Some(workers) => weights.forward_rows(workers, self.set, out, add, x),
            None => weights.forward(self.set, self.pool, out, add, x),
        }
    }

    /// `out` (+)= scale·x·Wᵀ for a matrix of an adapter.
    pub(super) fn small_product(&self, w: &[f32], out: MatMut, add: bool, scale: f32, x: Mat) {
        if let Some(workers) = self.workers {
            return kernels::rows_times(workers, self.set, x, Rows::F32(w), out, add, scale);
        }
        let w = Mat::new(w, out.columns(), x.columns());
        matmul(self.set, out, add, scale, x, w.t(), Threads::Pool);
    }

    /// True when the weights of the base are trained.
    pub(super) fn trains_base(&self) -> bool {
        self.gradients.is_some()
    }

    /// Heads of a layer.
    pub(super) fn shape(&self, layer: usize) -> AttentionShape {
        shape(self.spec, layer)
    }

    /// The norm of x `[n, H]`, and the inverse RMS of each row.
    pub(super) fn norm(&mut self, x: &[f32], norm: Buffer) -> (Vec<f32>, Vec<f32>) {
        let weight = self.weights.floats(norm);
        let (mut y, mut inverse) = (self.pool.take(x.len()), self.pool.take(x.len() / weight.len()));
        kernels::rms_norm(self.set, x, weight, self.spec.norm_epsilon as f32, &mut y, &mut inverse);
        (y, inverse)
    }

    /// The norm in bf16, appended to `rows`, and the inverse RMS of each row.
    pub(super) fn norm_rounded(&mut self, x: &[f32], norm: Buffer, rows: &mut RoundedRows) -> (Place, Vec<f32>) {
        let weight = self.weights.floats(norm);
        let mut inverse = self.pool.take(x.len() / weight.len());
        let epsilon = self.spec.norm_epsilon as f32;
        (kernels::rms_norm_rounded(self.set, x, weight, epsilon, rows, &mut inverse), inverse)
    }

    /// Widens bf16 to f32.
    pub(super) fn widen(&mut self, bits: &[u16]) -> Vec<f32> {
        let mut floats = self.pool.take(bits.len());
        kernels::widen_bf16(self.set, bits, &mut floats);
        floats
    }

    /// Rounds f32 to bf16.
    pub(super) fn round(&mut self, floats: &[f32]) -> Vec<u16> {
        let mut bits = self.pool.take_bf16(floats.len());
        kernels::round_bf16(self.set, floats, &mut bits);
        bits
    }

    /// Adds ∂/∂x of a norm to `dx`.
    pub(super) fn norm_backward(&mut self, dy: &[f32], x: &[f32], norm: Buffer, inverse: &[f32], dx: &mut [f32]) {
        if let Some(gradients) = self.gradients.as_mut() {
            kernels::rms_norm_weight_gradient(self.set, dy, x, inverse, &mut gradients[norm]);
        }
        kernels::rms_norm_backward(self.set, dy, x, self.weights.floats(norm), inverse, dx);
    }

    /// Rotates queries and keys as [`Pass::rotate`] does, and rounds everything to bf16.
    pub(super) fn rotate_rounded(&mut self, layer: usize, mut qkv: Vec<f32>) -> Vec<u16> {
        let table = self.spec.kinds[layer].rope.map(|rope| &self.tables[rope]);
        let (heads, stride) = (self.spec.heads + self.spec.kv_heads, self.shape(layer).row());
        let mut bits = self.pool.take_bf16(qkv.len());
        kernels::rotate_rounded(self.set, table, &self.layout.positions, heads, stride, &mut qkv, &mut bits);
        self.pool.give([qkv]);
        bits
    }

    /// Applies RoPE to queries and keys in `qkv`, where the layer has it.
    pub(super) fn rotate(&self, layer: usize, direction: Direction, qkv: &mut [f32]) {
        let Some(rope) = self.spec.kinds[layer].rope else { return };
        let (heads, stride) = (self.spec.heads + self.spec.kv_heads, self.shape(layer).row());
        kernels::rotate(self.set, &self.tables[rope], &self.layout.positions, direction, heads, stride, qkv);
    }
}

/// Heads of a layer.
pub(super) fn shape(spec: &DecoderSpec, layer: usize) -> AttentionShape {
    AttentionShape {
        heads: spec.heads,
        kv_heads: spec.kv_heads,
        head_dim: spec.head_dim,
        scale: spec.attention_scale as f32,
        window: spec.kinds[layer].window,
    }
}
