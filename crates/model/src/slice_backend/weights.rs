//! The base weights as the kernels want them: matrices that read the same rows lie under one another (query, key and value;
//! gate and up), so that one product serves all of them. Names of the checkpoint map to places in these buffers.

use crate::error::Result;
use crate::{DecoderSpec, ModelError, NamedTensor};
use std::collections::BTreeMap;

/// Products of a block that share their input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// Query, key and value.
    Attend,
    /// Back to the stream after attention.
    Output,
    /// Gate and up.
    Widen,
    /// Back to the stream after the feed-forward layer.
    Narrow,
}

/// All groups, in the order of `Block::groups`.
pub(super) const GROUPS: [Group; 4] = [Group::Attend, Group::Output, Group::Widen, Group::Narrow];

impl Group {
    fn paths(self) -> &'static [&'static str] {
        match self {
            Group::Attend => &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
            Group::Output => &["self_attn.o_proj"],
            Group::Widen => &["mlp.gate_proj", "mlp.up_proj"],
            Group::Narrow => &["mlp.down_proj"],
        }
    }

    /// The group of a linear layer and the first of its rows in there.
    pub(super) fn of(spec: &DecoderSpec, inner: &str) -> Option<(Group, usize)> {
        let group = GROUPS.into_iter().find(|group| group.paths().contains(&inner))?;
        let linears = spec.linears();
        let rows = |path: &&str| linears.iter().find(|linear| linear.path == *path).map_or(0, |linear| linear.outputs);
        Some((group, group.paths().iter().take_while(|path| **path != inner).map(rows).sum()))
    }
}

/// Number of a buffer.
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
    pub(super) buffers: Vec<Vec<f32>>,
    pub(super) places: BTreeMap<String, Place>,
    pub(super) blocks: Vec<Block>,
    pub(super) embedding: Buffer,
    pub(super) final_norm: Buffer,
    /// The embedding again when they are tied.
    pub(super) output: Buffer,
}

/// Moves tensors into buffers, one at a time: a second copy of the model never exists.
struct Stacker {
    tensors: BTreeMap<String, NamedTensor>,
    buffers: Vec<Vec<f32>>,
    places: BTreeMap<String, Place>,
}

impl Stacker {
    fn stack(&mut self, names: &[String]) -> Result<Buffer> {
        let buffer = self.buffers.len();
        let mut values = Vec::new();
        for name in names {
            let missing = || ModelError::MissingTensor { name: name.clone() };
            let tensor = self.tensors.remove(name).ok_or_else(missing)?;
            let place = Place { buffer, start: values.len(), shape: tensor.shape };
            if values.is_empty() {
                values = tensor.values;
            } else {
                values.extend_from_slice(&tensor.values);
            }
            self.places.insert(name.clone(), place);
        }
        values.shrink_to_fit();
        self.buffers.push(values);
        Ok(buffer)
    }

    fn one(&mut self, path: &str) -> Result<Buffer> {
        self.stack(&[format!("{path}.weight")])
    }

    fn group(&mut self, spec: &DecoderSpec, path: &str, group: Group) -> Result<Stacked> {
        let linears: Vec<_> = spec.linears().into_iter().filter(|l| group.paths().contains(&l.path)).collect();
        let names = |ending: &str| linears.iter().map(|l| format!("{path}.{}.{ending}", l.path)).collect::<Vec<_>>();
        let bias = linears.iter().all(|linear| linear.bias).then(|| self.stack(&names("bias"))).transpose()?;
        Ok(Stacked {
            matrix: self.stack(&names("weight"))?,
            bias,
            outputs: linears.iter().map(|linear| linear.outputs).sum(),
            inputs: linears.first().map_or(0, |linear| linear.inputs),
        })
    }
}

impl Weights {
    pub(super) fn new(spec: &DecoderSpec, tensors: BTreeMap<String, NamedTensor>) -> Result<Self> {
        let mut stacker = Stacker { tensors, buffers: Vec::new(), places: BTreeMap::new() };
        let embedding = stacker.one("model.embed_tokens")?;
        let mut blocks = Vec::with_capacity(spec.layers);
        for layer in 0..spec.layers {
            let path = format!("model.layers.{layer}");
            let norm = |name: Option<&str>| format!("{path}.{}", name.unwrap_or_default());
            let attention_norm = stacker.one(&norm(spec.norms.before_attention))?;
            let mlp_norm = stacker.one(&norm(spec.norms.before_mlp))?;
            let head_norms = match spec.query_key_norm {
                crate::QueryKeyNorm::None => None,
                _ => {
                    Some([stacker.one(&norm(Some("self_attn.q_norm")))?, stacker.one(&norm(Some("self_attn.k_norm")))?])
                }
            };
            let mut group = |group| stacker.group(spec, &path, group);
            let [attend, output, widen, narrow] = GROUPS;
            let groups = [group(attend)?, group(output)?, group(widen)?, group(narrow)?];
            blocks.push(Block { attention_norm, mlp_norm, head_norms, groups });
        }
        let final_norm = stacker.one("model.norm")?;
        let output = if spec.tied { embedding } else { stacker.one("lm_head")? };
        let Stacker { buffers, places, .. } = stacker;
        Ok(Self { buffers, places, blocks, embedding, final_norm, output })
    }

    /// The tensor of this name.
    pub(super) fn tensor(&self, name: &str) -> Option<NamedTensor> {
        let place = self.places.get(name)?;
        Some(NamedTensor { shape: place.shape.clone(), values: self.buffers[place.buffer][place.range()].to_vec() })
    }

    /// Every tensor by name.
    pub(super) fn tensors(&self) -> BTreeMap<String, NamedTensor> {
        self.places.keys().filter_map(|name| Some((name.clone(), self.tensor(name)?))).collect()
    }
}
