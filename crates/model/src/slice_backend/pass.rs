//! What holds during one pass through the model, and the small steps that several places take.

use super::adapter::Adapter;
use super::layout::Layout;
use super::pool::Pool;
use super::weights::{Buffer, Group, Weights};
use crate::decoder::DropoutSeed;
use crate::{DecoderSpec, dropout};
use alidade_domain::Precision;
use alidade_kernels as kernels;
use kernels::{
    AttentionShape, Crew, Direction, InstructionSet, Mat, MatMut, Operands, Panels, Place, RotaryTable, RoundedRows,
    Rows, Threads, matmul,
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
    /// In generation: each row is computed as if it were alone, by these threads. In training products take all rows at once.
    pub(super) crew: Option<&'a Crew<'a>>,
    pub(super) pool: &'a mut Pool,
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
    /// The numbers of a base matrix when products with it round the other operand and take numbers in pairs.
    pub(super) fn paired(&self, matrix: Buffer) -> Option<&'a Panels> {
        self.weights.buffers[matrix].panels().filter(|_| self.crew.is_none())
    }

    /// The same where nothing has to be had as f32 beside: without dropout.
    pub(super) fn wholly_paired(&self, matrix: Buffer) -> Option<&'a Panels> {
        self.paired(matrix).filter(|_| self.dropout.is_none())
    }

    /// Gate and up, and down, where what lies between them is kept as bf16.
    pub(super) fn paired_feed_forward(&self, layer: usize) -> Option<[&'a Panels; 2]> {
        let groups = [Group::Widen, Group::Narrow].map(|group| self.weights.blocks[layer].groups[group as usize]);
        let plain = groups.iter().all(|group| group.bias.is_none());
        let [widen, narrow] = groups.map(|group| self.wholly_paired(group.matrix));
        Some([widen?, narrow?]).filter(|_| plain)
    }

    /// How products without a base matrix take their numbers: in training as those with one do, in writing rounded where
    /// the weights are.
    pub(super) fn operands(&self) -> Operands {
        let rounds = match (self.crew, self.weights.blocks.first()) {
            (Some(_), _) => self.set.takes_pairs() && self.weights.precision != Precision::Single,
            (None, Some(block)) => self.paired(block.groups[0].matrix).is_some(),
            (None, None) => false,
        };
        if rounds { Operands::Rounded } else { Operands::Single }
    }

    /// `out` (+)= x·Wᵀ for a base matrix.
    pub(super) fn product(&mut self, matrix: Buffer, out: MatMut, add: bool, x: Mat) {
        let numbers = &self.weights.buffers[matrix];
        match self.crew {
            Some(crew) => numbers.forward_rows(crew, self.set, out, add, x),
            None => numbers.forward(self.set, self.pool, out, add, x),
        }
    }

    /// `out` (+)= scale·x·Wᵀ for a matrix of an adapter.
    pub(super) fn small_product(&self, w: &[f32], out: MatMut, add: bool, scale: f32, x: Mat) {
        if let Some(crew) = self.crew {
            return kernels::rows_times(crew, self.set, x, Rows::Single(w), out, add, scale);
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

    /// The norm of x `[n, H]`, and the inverse size of each row.
    pub(super) fn norm(&mut self, x: &[f32], norm: Buffer) -> (Vec<f32>, Vec<f32>) {
        let weight = self.weights.floats(norm);
        let (mut y, mut inverse) = (self.pool.take(x.len()), self.pool.take(x.len() / weight.len()));
        kernels::rms_norm(self.set, x, weight, self.spec.norm_epsilon as f32, &mut y, &mut inverse);
        (y, inverse)
    }

    /// The norm as rows of bf16 beside what `rows` hold, and the inverse sizes.
    pub(super) fn norm_rounded(&mut self, x: &[f32], norm: Buffer, rows: &mut RoundedRows) -> (Place, Vec<f32>) {
        let weight = self.weights.floats(norm);
        let mut inverse = self.pool.take(x.len() / weight.len());
        let epsilon = self.spec.norm_epsilon as f32;
        (kernels::rms_norm_rounded(self.set, x, weight, epsilon, rows, &mut inverse), inverse)
    }

    /// Numbers of bf16 as f32.
    pub(super) fn widen(&mut self, half: &[u16]) -> Vec<f32> {
        let mut single = self.pool.take(half.len());
        kernels::widen_bf16(self.set, half, &mut single);
        single
    }

    /// Rounded to bf16.
    pub(super) fn round(&mut self, single: &[f32]) -> Vec<u16> {
        let mut half = self.pool.take_half(single.len());
        kernels::round_bf16(self.set, single, &mut half);
        half
    }

    /// Adds ∂/∂x of a norm to `dx`.
    pub(super) fn norm_back(&mut self, dy: &[f32], x: &[f32], norm: Buffer, inverse: &[f32], dx: &mut [f32]) {
        if let Some(gradients) = self.gradients.as_mut() {
            kernels::rms_norm_weight_gradient(self.set, dy, x, inverse, &mut gradients[norm]);
        }
        kernels::rms_norm_backward(self.set, dy, x, self.weights.floats(norm), inverse, dx);
    }

    /// Turns queries and keys on as [`Pass::turn`] does, and rounds all to bf16; `qkv` is used up.
    pub(super) fn turn_rounded(&mut self, layer: usize, mut qkv: Vec<f32>) -> Vec<u16> {
        let table = self.spec.kinds[layer].rope.map(|rope| &self.tables[rope]);
        let (heads, stride) = (self.spec.heads + self.spec.kv_heads, self.shape(layer).row());
        let mut half = self.pool.take_half(qkv.len());
        kernels::rotate_rounded(self.set, table, &self.layout.positions, heads, stride, &mut qkv, &mut half);
        self.pool.give([qkv]);
        half
    }

    /// Turns queries and keys in `qkv` by their positions, where the layer does so.
    pub(super) fn turn(&self, layer: usize, direction: Direction, qkv: &mut [f32]) {
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
