//! The base weights in the layout of the kernels: matrices with the same input are stacked (query, key and value; gate and
//! up), so that one matmul serves all of them. Names of the checkpoint map to ranges of these buffers.

use super::weight_storage::WeightStorage;
use crate::error::Result;
use crate::source;
use crate::{DecoderSpec, Linear, NamedTensor};
use alidade_domain::Precision;
use alidade_kernels::{Arena, InstructionSet};
use std::collections::BTreeMap;

/// Linear layers of a block that share their input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// Query, key and value.
    Qkv,
    /// The output projection of attention.
    Output,
    /// Gate and up.
    GateUp,
    /// The down projection.
    Down,
}

/// All groups, in the order of `Block::groups`.
pub(super) const GROUPS: [Group; 4] = [Group::Qkv, Group::Output, Group::GateUp, Group::Down];

impl Group {
    fn paths(self) -> &'static [&'static str] {
        match self {
            Group::Qkv => &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
            Group::Output => &["self_attn.o_proj"],
            Group::GateUp => &["mlp.gate_proj", "mlp.up_proj"],
            Group::Down => &["mlp.down_proj"],
        }
    }

    /// The group of a linear layer and its first row within the group.
    pub(super) fn of(spec: &DecoderSpec, inner: &str) -> Option<(Group, usize)> {
        let group = GROUPS.into_iter().find(|group| group.paths().contains(&inner))?;
        let linears = spec.linears();
        let rows = |path: &&str| linears.iter().find(|linear| linear.path == *path).map_or(0, |linear| linear.outputs);
        Some((group, group.paths().iter().take_while(|path| **path != inner).map(rows).sum()))
    }
}

/// Index of a buffer.
pub(super) type Buffer = usize;

/// A group's stacked matrix `[outputs, inputs]` and bias.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stacked {
    pub(super) matrix: Buffer,
    pub(super) bias: Option<Buffer>,
    pub(super) outputs: usize,
    pub(super) inputs: usize,
}

/// Buffers of one block.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) attention_norm: Buffer,
    pub(super) mlp_norm: Buffer,
    /// Norms of queries and keys, head by head.
    pub(super) head_norms: Option<[Buffer; 2]>,
    pub(super) groups: [Stacked; 4],
}

/// A tensor of the checkpoint within a buffer.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) buffer: Buffer,
    pub(super) start: usize,
    pub(super) shape: Vec<usize>,
}

impl Place {
    pub(super) fn range(&self) -> std::ops::Range<usize> {
        self.start..self.start + self.shape.iter().product::<usize>()
    }
}

/// Every weight of the base.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    set: InstructionSet,
    pub(super) buffers: Vec<WeightStorage>,
    pub(super) precision: Precision,
    pub(super) places: BTreeMap<String, Place>,
    pub(super) blocks: Vec<Block>,
    pub(super) embedding: Buffer,
    pub(super) final_norm: Buffer,
    /// The embedding again when they are tied.
    pub(super) output: Buffer,
}

/// Reads tensors into buffers piece by piece, so that there is never a second copy of the model.
struct Stacker<'a> {
    source: &'a mut source::Weights,
    arena: Arena,
    set: InstructionSet,
    precision: Precision,
    buffers: Vec<WeightStorage>,
    places: BTreeMap<String, Place>,
    /// A piece widened to f32, where it is converted to another dtype.
    scratch: Vec<f32>,
}

impl Stacker<'_> {
    fn stack(&mut self, names: &[(String, Vec<usize>)], precision: Precision, inputs: usize) -> Result<Buffer> {
        let buffer = self.buffers.len();
        let size = names.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        let mut values = WeightStorage::empty(&mut self.arena, self.set, precision, size, inputs);
        for (name, shape) in names {
            let start = values.len();
            self.source.read(name, &mut |chunk| values.push(self.set, chunk, &mut self.scratch))?;
            self.places.insert(name.clone(), Place { buffer, start, shape: shape.clone() });
        }
        self.buffers.push(values);
        Ok(buffer)
    }

    fn norm(&mut self, path: &str, width: usize) -> Result<Buffer> {
        self.stack(&[(format!("{path}.weight"), vec![width])], Precision::F32, width)
    }

    fn table(&mut self, path: &str, spec: &DecoderSpec, precision: Precision) -> Result<Buffer> {
        self.stack(&[(format!("{path}.weight"), vec![spec.vocabulary, spec.hidden])], precision, spec.hidden)
    }

    fn group(&mut self, spec: &DecoderSpec, path: &str, group: Group) -> Result<Stacked> {
        let linears: Vec<_> = spec.linears().into_iter().filter(|l| group.paths().contains(&l.path)).collect();
        let name = |linear: &Linear, ending: &str| format!("{path}.{}.{ending}", linear.path);
        let biases: Vec<_> = linears.iter().map(|linear| (name(linear, "bias"), vec![linear.outputs])).collect();
        let bias =
            linears.iter().all(|linear| linear.bias).then(|| self.stack(&biases, Precision::F32, 1)).transpose()?;
        let matrices: Vec<_> =
            linears.iter().map(|linear| (name(linear, "weight"), vec![linear.outputs, linear.inputs])).collect();
        Ok(Stacked {
            matrix: self.stack(&matrices, self.precision, linears.first().map_or(1, |linear| linear.inputs))?,
            bias,
            outputs: linears.iter().map(|linear| linear.outputs).sum(),
            inputs: linears.first().map_or(0, |linear| linear.inputs),
        })
    }
}

/// Precision of the LM head, and of the embedding where they are tied: four bits are too few for the matrix that every token
/// is chosen by, so it has eight where the others have four.
fn output_precision(precision: Precision) -> Precision {
    if precision == Precision::Q4_0 { Precision::Q8_0 } else { precision }
}

/// Precision of the embedding.
fn embedding_precision(spec: &DecoderSpec, precision: Precision) -> Precision {
    if spec.tied { output_precision(precision) } else { precision }
}

/// An arena for all matrices.
fn arena(spec: &DecoderSpec, precision: Precision, set: InstructionSet) -> Arena {
    let bytes = |outputs: usize, inputs: usize| WeightStorage::bytes_for(set, precision, outputs * inputs, inputs);
    let table = |precision| WeightStorage::bytes_for(set, precision, spec.vocabulary * spec.hidden, spec.hidden);
    let linears = spec.linears();
    let group = |group: Group| {
        let own = || linears.iter().filter(|linear| group.paths().contains(&linear.path));
        bytes(own().map(|linear| linear.outputs).sum(), own().next().map_or(1, |linear| linear.inputs))
    };
    let head = if spec.tied { 0 } else { table(output_precision(precision)) };
    let tables = table(embedding_precision(spec, precision)) + head;
    let matrices = spec.layers * GROUPS.into_iter().map(group).sum::<usize>() + tables;
    // Norms and biases are a small part, and untouched pages take no memory.
    Arena::new(matrices + matrices / 32)
}

impl Weights {
    /// The elements of a norm or a bias, which are always f32.
    pub(super) fn floats(&self, buffer: Buffer) -> &[f32] {
        self.buffers[buffer].floats()
    }

    pub(super) fn new(
        spec: &DecoderSpec,
        source: &mut source::Weights,
        precision: Precision,
        set: InstructionSet,
    ) -> Result<Self> {
        let arena = arena(spec, precision, set);
        let mut stacker = Stacker {
            source,
            arena,
            set,
            precision,
            buffers: Vec::new(),
            places: BTreeMap::new(),
            scratch: Vec::new(),
        };
        let embedding = stacker.table("model.embed_tokens", spec, embedding_precision(spec, precision))?;
        let mut blocks = Vec::with_capacity(spec.layers);
        for layer in 0..spec.layers {
            let path = format!("model.layers.{layer}");
            let norm = |name: Option<&str>| format!("{path}.{}", name.unwrap_or_default());
            let attention_norm = stacker.norm(&norm(spec.norms.before_attention), spec.hidden)?;
            let mlp_norm = stacker.norm(&norm(spec.norms.before_mlp), spec.hidden)?;
            let head_norms = match spec.query_key_norm {
                crate::QueryKeyNorm::None => None,
                _ => {
                    let mut one = |name| stacker.norm(&norm(Some(name)), spec.head_dim);
                    Some([one("self_attn.q_norm")?, one("self_attn.k_norm")?])
                }
            };
            let mut group = |group| stacker.group(spec, &path, group);
            let [qkv, output, gate_up, down] = GROUPS;
            let groups = [group(qkv)?, group(output)?, group(gate_up)?, group(down)?];
            blocks.push(Block { attention_norm, mlp_norm, head_norms, groups });
        }
        let final_norm = stacker.norm("model.norm", spec.hidden)?;
        let output = match spec.tied {
            true => embedding,
            false => stacker.table("lm_head", spec, output_precision(precision))?,
        };
        let Stacker { buffers, places, .. } = stacker;
        Ok(Self { set, buffers, precision, places, blocks, embedding, final_norm, output })
    }

    /// The tensor of this name.
    pub(super) fn tensor(&self, name: &str) -> Option<NamedTensor> {
        let place = self.places.get(name)?;
        let mut values = vec![0.0; place.range().len()];
        self.buffers[place.buffer].copy(self.set, place.start, &mut values);
        Some(NamedTensor { shape: place.shape.clone(), values })
    }

    /// Every tensor by name.
    pub(super) fn tensors(&self) -> BTreeMap<String, NamedTensor> {
        self.places.keys().filter_map(|name| Some((name.clone(), self.tensor(name)?))).collect()
    }
}
