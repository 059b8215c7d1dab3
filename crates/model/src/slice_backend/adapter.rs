//! LoRA pairs in the layout of the kernels: the A matrices of layers with the same input are stacked, so that one matmul
//! computes all their inner values.

use super::weights::{GROUPS, Group};
use crate::DecoderSpec;
use crate::adapter::{AdapterConfig, AdapterKind, AdapterWeights, NamedTensor};
use crate::adapter_names::{Part, parse_name};
use std::collections::BTreeMap;

/// One adapted layer within its group.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    /// First output of this layer within the group's output, and their number.
    pub(super) start: usize,
    pub(super) outputs: usize,
    /// First row of the stacked A, and the rank.
    pub(super) inner: usize,
    pub(super) rank: usize,
    pub(super) scale: f32,
    /// Number of the layer among the adapter's layers: keys its dropout stream.
    pub(super) index: u64,
    /// B `[outputs, rank]`.
    pub(super) b: Vec<f32>,
    pub(super) b_gradient: Vec<f32>,
    names: [String; 2],
}

/// The adapted layers of one group.
#[derive(Debug, Clone, Default)]
pub(super) struct GroupPairs {
    pub(super) pairs: Vec<Pair>,
    /// A `[Σ rank, inputs]`.
    pub(super) a: Vec<f32>,
    pub(super) a_gradient: Vec<f32>,
    pub(super) inputs: usize,
}

impl GroupPairs {
    /// The rank of each layer.
    pub(super) fn ranks(&self) -> Vec<usize> {
        self.pairs.iter().map(|pair| pair.rank).collect()
    }

    /// Σ rank.
    pub(super) fn inner(&self) -> usize {
        self.pairs.iter().map(|pair| pair.rank).sum()
    }
}

/// An adapter of LoRA pairs on the linear layers of blocks.
#[derive(Debug, Clone)]
pub(super) struct Adapter {
    pub(super) config: AdapterConfig,
    pub(super) layers: Vec<[GroupPairs; 4]>,
    /// Index of each tensor: layer, group, pair.
    places: BTreeMap<String, (usize, usize, usize)>,
}

impl Adapter {
    /// `None` when the adapter holds anything but plain pairs on the linear layers of blocks.
    pub(super) fn build(spec: &DecoderSpec, weights: &AdapterWeights, trainable: bool) -> Option<Self> {
        if weights.config.kind != AdapterKind::Lora {
            return None;
        }
        let (mut layers, mut places) = (vec![<[GroupPairs; 4]>::default(); spec.layers], BTreeMap::new());
        let (mut index, mut pairs) = (0, 0);
        for (name, a) in &weights.tensors {
            match parse_name(name) {
                Some((path, Part::A)) => {
                    let b_name = name.replace("lora_A", "lora_B");
                    let b = weights.tensors.get(&b_name)?;
                    let (layer, inner) = path.strip_prefix("model.layers.")?.split_once('.')?;
                    let layer: usize = layer.parse().ok()?;
                    let (group, start) = Group::of(spec, inner)?;
                    let slot = GROUPS.iter().position(|other| *other == group)?;
                    let [rank, inputs] = a.shape[..] else { return None };
                    let pairs = layers.get_mut(layer)?.get_mut(slot)?;
                    pairs.inputs = inputs;
                    let names = [name.clone(), b_name];
                    places.extend(names.clone().map(|name| (name, (layer, slot, pairs.pairs.len()))));
                    pairs.pairs.push(Pair {
                        start,
                        outputs: b.shape[0],
                        inner: pairs.inner(),
                        rank,
                        scale: weights.config.scale(&path, rank).ok()? as f32,
                        index,
                        b: b.values.clone(),
                        b_gradient: vec![0.0; if trainable { b.values.len() } else { 0 }],
                        names,
                    });
                    pairs.a.extend_from_slice(&a.values);
                    if trainable {
                        pairs.a_gradient.resize(pairs.a.len(), 0.0);
                    }
                    index += 1;
                }
                Some((_, Part::B)) => pairs += 1,
                _ => return None,
            }
        }
        (index == pairs).then_some(Self { config: weights.config.clone(), layers, places })
    }

    pub(super) fn extract(&self) -> AdapterWeights {
        let tensors = self.places.keys().filter_map(|name| Some((name.clone(), self.tensor(name)?)));
        AdapterWeights { config: self.config.clone(), tensors: tensors.collect() }
    }

    fn tensor(&self, name: &str) -> Option<NamedTensor> {
        let (layer, slot, pair) = *self.places.get(name)?;
        let group = &self.layers[layer][slot];
        let pair = &group.pairs[pair];
        let shape = if pair.names[0] == name { [pair.rank, group.inputs] } else { [pair.outputs, pair.rank] };
        Some(NamedTensor { shape: shape.to_vec(), values: self.values(name)?.to_vec() })
    }

    /// Names of the tensors, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.places.keys()
    }

    /// Values of a tensor.
    pub(super) fn values(&self, name: &str) -> Option<&[f32]> {
        let (layer, slot, pair) = *self.places.get(name)?;
        let group = &self.layers[layer][slot];
        let pair = &group.pairs[pair];
        Some(if pair.names[0] == name { &group.a[pair.range(group.inputs)] } else { &pair.b })
    }

    /// Mutable values of a tensor.
    pub(super) fn values_mut(&mut self, name: &str) -> Option<&mut [f32]> {
        let (layer, slot, pair) = *self.places.get(name)?;
        let group = &mut self.layers[layer][slot];
        let pair = &mut group.pairs[pair];
        Some(if pair.names[0] == name { &mut group.a[pair.range(group.inputs)] } else { &mut pair.b })
    }

    /// Takes the gradient of a tensor and zeroes it.
    pub(super) fn take_gradient(&mut self, name: &str) -> Option<Vec<f32>> {
        let (layer, slot, pair) = *self.places.get(name)?;
        let group = &mut self.layers[layer][slot];
        let pair = &mut group.pairs[pair];
        let values = if pair.names[0] == name {
            &mut group.a_gradient[pair.range(group.inputs)]
        } else {
            &mut pair.b_gradient[..]
        };
        let taken = values.to_vec();
        values.fill(0.0);
        Some(taken)
    }
}

impl Pair {
    fn range(&self, inputs: usize) -> std::ops::Range<usize> {
        self.inner * inputs..(self.inner + self.rank) * inputs
    }
}
