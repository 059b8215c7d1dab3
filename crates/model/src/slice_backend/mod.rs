//! The slice back-end: the plain pre-norm block with LoRA pairs or all weights trained, on the CPU, over plain slices.
//!
//! It supports less than the candle back-end, but is faster and takes less memory: no graph, no padding, no gradients of
//! frozen weights, reused buffers. `backend.rs` decides which of the two runs. The compute kernels are in `kernels`.

mod adapter;
mod bf16_matmul;
mod block;
mod buffer_pool;
mod feed_forward;
mod kv_cache;
mod layout;
mod linear;
mod memory;
mod pass;
mod score;
mod weight_storage;
mod weights;

use crate::adapter::AdapterWeights;
use crate::backend::Engine;
use crate::decoder::{
    Cache, Capabilities, Carried, Checkpointing, Decoder, ForwardOptions, TokenScores, installing_order,
};
use crate::error::Result;
use crate::memory::{AdapterSize, Footprint};
use crate::source;
use crate::{Activation, BlockNorms, DecoderSpec, ModelError, NamedTensor, QueryKeyNorm, TokenBatch, dropout};
use adapter::Adapter;
use alidade_domain::{Precision, Wording, Words, wording};
use alidade_kernels::{InstructionSet, RotaryTable};
pub(crate) use memory::{keeps_pairs, logits_bytes, per_token, work_bytes};

use block::{SavedActivations, block_backward, block_forward, recompute_block};
use buffer_pool::BufferPool;
use layout::Layout;
use pass::{Dropout, Pass};
use score::Scored;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use weights::Weights;

/// True when this back-end can run models of this shape.
pub(crate) fn runs(spec: &DecoderSpec) -> bool {
    spec.norms == BlockNorms::PRE
        && spec.query_key_norm != QueryKeyNorm::WholeLayer
        && spec.activation == Activation::Silu
        && !spec.fused
        && [spec.embedding_scale, spec.residual_scale, spec.logit_divisor] == [1.0; 3]
        && spec.norm_offset == 0.0
        && spec.attention_cap.is_none()
        && spec.logit_cap.is_none()
        && spec.ropes.iter().all(|rope| rope.rotated == spec.head_dim)
}

/// True when this back-end can run this adapter.
pub(crate) fn carries(spec: &DecoderSpec, adapter: &AdapterWeights) -> bool {
    Adapter::build(spec, adapter, false).is_some()
}

/// Saved state of the last taped pass.
struct Tape {
    layout: Layout,
    adapter: Option<String>,
    dropout: Option<Dropout>,
    blocks: Vec<TapedBlock>,
    scored: Scored,
}

/// A block of the tape.
enum TapedBlock {
    /// What the backward pass reads, or most of it.
    Saved(Box<SavedActivations>),
    /// The input alone; the rest is recomputed.
    Input(Vec<f32>),
}

/// A decoder over slices.
pub(crate) struct SliceDecoder {
    spec: DecoderSpec,
    set: InstructionSet,
    weights: Arc<Weights>,
    /// Gradients of the base, buffer by buffer, in full training.
    gradients: Option<Vec<Vec<f32>>>,
    adapters: BTreeMap<String, Adapter>,
    /// Prefix of the tensor names of each trainable adapter.
    prefixes: BTreeMap<String, String>,
    tables: Vec<RotaryTable>,
    checkpointing: Checkpointing,
    tape: Option<Tape>,
    /// Adapters (none: the base) with gradients accumulated since they were last taken.
    learned: BTreeSet<Option<String>>,
    pool: BufferPool,
}

impl SliceDecoder {
    pub(crate) fn new(
        spec: DecoderSpec,
        mut source: source::Weights,
        precision: Precision,
        set: InstructionSet,
    ) -> Result<Self> {
        let weights = Arc::new(Weights::new(&spec, &mut source, precision, set)?);
        let tables = spec.ropes.iter().map(|rope| RotaryTable::new(rope.frequencies())).collect();
        Ok(Self {
            spec,
            set,
            weights,
            gradients: None,
            adapters: BTreeMap::new(),
            prefixes: BTreeMap::new(),
            tables,
            checkpointing: Checkpointing::default(),
            tape: None,
            learned: BTreeSet::new(),
            pool: BufferPool::default(),
        })
    }

    fn check(&self, ids: &[u32], width: usize) -> Result<()> {
        self.spec.check_ids(ids, width)
    }

    fn unknown(name: &str) -> ModelError {
        ModelError::Request(wording!(
            "There is no adapter called “{name}” on this model.",
            "这个模型上没有名为“{name}”的适配器。"
        ))
    }

    /// Adapter and tensor that a public name means.
    fn owner(&self, name: &str) -> Option<(&str, String)> {
        let named = self.prefixes.iter().filter(|(_, prefix)| !prefix.is_empty());
        let further =
            named.filter_map(|(adapter, prefix)| Some((adapter.as_str(), name.strip_prefix(prefix.as_str())?)));
        let first = self.prefixes.iter().filter(|(_, prefix)| prefix.is_empty());
        let first = first.map(|(adapter, _)| (adapter.as_str(), name));
        further.chain(first).next().map(|(adapter, tensor)| (adapter, tensor.to_owned()))
    }

    fn forward_here(&mut self, batch: &TokenBatch, options: &ForwardOptions) -> Result<TokenScores> {
        self.check(&batch.ids, batch.width)?;
        if batch.targets.is_empty() {
            return Err(ModelError::Request(wording!(
                "The batch has no token to score.",
                "这个批次没有可计分的词元。"
            )));
        }
        self.tape = None;
        let layout = Layout::new(batch);
        self.grow_tables(&layout);
        let Self { spec, set, weights, gradients, adapters, tables, pool, checkpointing, .. } = self;
        let adapter = match options.adapter {
            Some(name) => Some(adapters.get_mut(name).ok_or_else(|| Self::unknown(name))?),
            None => None,
        };
        let probability = adapter.as_ref().map_or(0.0, |adapter| adapter.config.lora_dropout);
        let padded_rows = batch.rows * batch.width;
        let dropout = options.dropout.filter(|_| probability > 0.0);
        let dropout = dropout.map(|seed| Dropout { seed, probability, padded_rows });
        let (layout, gradients) = (layout, gradients.as_mut());
        let (set, weights) = (*set, weights.as_ref());
        let mut pass =
            Pass { set, spec, weights, gradients, adapter, tables, layout: &layout, dropout, workers: None, pool };
        let x = embed(&mut pass, Some(batch), options);
        let mut blocks = Vec::with_capacity(if options.tape { pass.spec.layers } else { 0 });
        let x = run_blocks(&mut pass, x, |pass, mut saved| match (options.tape, *checkpointing) {
            (false, _) => discard(pass, saved),
            (true, Checkpointing::Off) => blocks.push(TapedBlock::Saved(Box::new(saved))),
            (true, Checkpointing::MiddleStream | Checkpointing::GateUp) => {
                match *checkpointing {
                    Checkpointing::MiddleStream => saved.drop_middle(pass),
                    _ => saved.drop_gate_up(pass),
                }
                blocks.push(TapedBlock::Saved(Box::new(saved)));
            }
            (true, Checkpointing::Blocks) => blocks.push(TapedBlock::Input(saved.release(pass))),
        });
        let (scores, scored) = score::score(&mut pass, &x, batch, options);
        pass.pool.give_stream(x);
        if options.tape {
            let adapter = options.adapter.map(str::to_owned);
            self.tape = Some(Tape { layout, adapter, dropout, blocks, scored });
        } else {
            scored.release(pass.pool);
        }
        Ok(scores)
    }

    fn backward_here(&mut self, logp_gradient: &[f64], hidden_gradient: Option<&[f32]>) -> Result<()> {
        let no_tape = || {
            ModelError::Request(wording!(
                "Backward was asked for without a taped forward pass.",
                "反向传播之前没有记录过前向传播。"
            ))
        };
        let Tape { layout, adapter, dropout, blocks, scored } = self.tape.take().ok_or_else(no_tape)?;
        scored.check(logp_gradient, hidden_gradient)?;
        let Self { spec, set, weights, gradients, adapters, tables, pool, .. } = self;
        self.learned.insert(adapter.clone());
        let adapter = adapter.and_then(|name| adapters.get_mut(&name));
        let (set, weights, gradients) = (*set, weights.as_ref(), gradients.as_mut());
        let mut pass =
            Pass { set, spec, weights, gradients, adapter, tables, layout: &layout, dropout, workers: None, pool };
        let mut dx = score::score_backward(&mut pass, scored, logp_gradient, hidden_gradient);
        for (layer, stage) in blocks.into_iter().enumerate().rev() {
            let saved = match stage {
                TapedBlock::Saved(saved) => *saved,
                TapedBlock::Input(input) => recompute_block(&mut pass, layer, input),
            };
            dx = block_backward(&mut pass, layer, saved, dx, layer > 0);
        }
        let (embedding, hidden) = (pass.weights.embedding, pass.spec.hidden);
        if let Some(gradients) = pass.gradients.as_mut() {
            for (gradient, id) in dx.chunks_exact(hidden).zip(&layout.ids) {
                let row = &mut gradients[embedding][*id as usize * hidden..][..hidden];
                row.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value);
            }
        }
        pass.pool.give([dx]);
        Ok(())
    }

    fn grow_tables(&mut self, layout: &Layout) {
        self.tables.iter_mut().for_each(|table| table.grow(layout.longest()));
    }
}

/// Runs a pass as a task of the rayon pool. From outside, each of its many small parallel steps would submit a task and
/// block until it is done.
fn in_pool<R: Send>(pass: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| pass())
}

/// Embedding lookup, with NEFTune noise where requested.
fn embed(pass: &mut Pass, batch: Option<&TokenBatch>, options: &ForwardOptions) -> Vec<f32> {
    let hidden = pass.spec.hidden;
    let embedding = &pass.weights.buffers[pass.weights.embedding];
    let mut x = pass.pool.take_stream(pass.layout.rows() * hidden);
    for (row, id) in x.chunks_exact_mut(hidden).zip(&pass.layout.ids) {
        embedding.copy(pass.set, *id as usize * hidden, row);
    }
    let (Some(batch), Some(strength), Some(seed)) = (batch, options.noise, options.dropout) else { return x };
    let lengths = batch.lengths.iter().enumerate();
    let noise: Vec<_> = lengths.map(|(row, length)| dropout::noise(strength, seed, row, *length, hidden)).collect();
    for (x, place) in x.chunks_exact_mut(hidden).zip(&pass.layout.padded) {
        let (row, column) = (place / batch.width, place % batch.width);
        x.iter_mut().zip(&noise[row][column * hidden..]).for_each(|(value, noise)| *value += noise);
    }
    x
}

/// Runs all blocks; `keep` receives the saved activations of each.
fn run_blocks(pass: &mut Pass, x: Vec<f32>, mut keep: impl FnMut(&mut Pass, SavedActivations)) -> Vec<f32> {
    (0..pass.spec.layers).fold(x, |x, layer| {
        let (y, saved) = block_forward(pass, layer, x);
        keep(pass, saved);
        y
    })
}

/// Returns all buffers of a block to the pool.
fn discard(pass: &mut Pass, saved: SavedActivations) {
    let input = saved.release(pass);
    pass.pool.give_stream(input);
}

impl Decoder for SliceDecoder {
    fn spec(&self) -> &DecoderSpec {
        &self.spec
    }

    fn capabilities(&self) -> Capabilities {
        let precision = self.weights.precision;
        Capabilities {
            engine: Engine::Slices(self.set),
            precision,
            precisions: &Precision::ALL,
            adapters: &[Carried::Pairs],
            checkpointing: true,
            training: true,
            full: precision == Precision::F32,
        }
    }

    fn footprint(&self) -> Footprint<'_> {
        let installed = self.installed();
        let counted = installed.iter().find(|(_, trained)| *trained).or(installed.first());
        let counted = counted.and_then(|(name, _)| self.adapters.get(name));
        let adapter = counted.map(|adapter| {
            let sizes = adapter.names().map(|name| (name.as_str(), adapter.values(name).map_or(0, <[f32]>::len)));
            AdapterSize::of(&self.spec, sizes, adapter.config.lora_dropout > 0.0)
        });
        let (engine, full) = (Engine::Slices(self.set), self.gradients.is_some());
        Footprint::new(&self.spec, engine, self.weights.precision, adapter.unwrap_or_default(), full)
    }

    fn set_checkpointing(&mut self, checkpointing: Checkpointing) {
        self.checkpointing = checkpointing;
    }

    fn install(&mut self, name: &str, adapter: &AdapterWeights, trainable: bool) -> Result<()> {
        let reason = || -> Wording {
            Words::new(
                "the slice back-end carries plain LoRA pairs on the layers of blocks only",
                "切片后端只支持各块层上的普通 LoRA 矩阵对",
            )
            .into()
        };
        let built = Adapter::build(&self.spec, adapter, trainable);
        let built = built.ok_or_else(|| ModelError::Adapter { reason: reason() })?;
        self.adapters.insert(name.to_owned(), built);
        if trainable {
            let first = self.prefixes.keys().all(|other| other == name);
            let prefix = if first { String::new() } else { format!("{name}/") };
            self.prefixes.insert(name.to_owned(), prefix);
        }
        Ok(())
    }

    fn installed(&self) -> Vec<(String, bool)> {
        installing_order(self.adapters.keys(), &self.prefixes)
    }

    fn extract(&self, name: &str) -> Result<AdapterWeights> {
        self.adapters.get(name).map(Adapter::extract).ok_or_else(|| Self::unknown(name))
    }

    fn train_base(&mut self) -> Result<()> {
        if self.weights.precision != Precision::F32 {
            return Err(ModelError::Request(wording!(
                "Every weight can be trained only when they are held as f32.",
                "只有权重以 f32 保存时才能训练全部权重。"
            )));
        }
        self.gradients = Some(self.weights.buffers.iter().map(|buffer| vec![0.0; buffer.len()]).collect());
        Ok(())
    }

    fn forward(&mut self, batch: &TokenBatch, options: &ForwardOptions) -> Result<TokenScores> {
        in_pool(|| self.forward_here(batch, options))
    }

    fn backward(&mut self, logp_gradient: &[f64], hidden_gradient: Option<&[f32]>) -> Result<()> {
        in_pool(|| self.backward_here(logp_gradient, hidden_gradient))
    }

    fn trainable(&self) -> Vec<(String, usize)> {
        if self.gradients.is_some() {
            let size = |name: &String| self.weights.places[name].range().len();
            return self.weights.places.keys().map(|name| (name.clone(), size(name))).collect();
        }
        let mut list = Vec::new();
        for (adapter, prefix) in &self.prefixes {
            let adapter = &self.adapters[adapter];
            list.extend(
                adapter.names().map(|name| (format!("{prefix}{name}"), adapter.values(name).map_or(0, <[f32]>::len))),
            );
        }
        list.sort();
        list
    }

    fn read(&self, name: &str) -> Result<Vec<f32>> {
        let base = || self.gradients.as_ref().and_then(|_| self.weights.tensor(name)).map(|tensor| tensor.values);
        let (adapter, tensor) = match self.owner(name) {
            Some(owner) if self.gradients.is_none() => owner,
            _ => return base().ok_or_else(|| no_tensor(name)),
        };
        let found = self.adapters[adapter].values(&tensor);
        found.map(<[f32]>::to_vec).ok_or_else(|| no_tensor(name))
    }

    fn write(&mut self, name: &str, values: &[f32]) -> Result<()> {
        let owner = self.owner(name).map(|(adapter, tensor)| (adapter.to_owned(), tensor));
        let place = self.weights.places.get(name).cloned();
        let target = match (owner, place, self.gradients.is_some()) {
            (Some((adapter, tensor)), _, false) => {
                self.adapters.get_mut(&adapter).and_then(|adapter| adapter.values_mut(&tensor))
            }
            (_, Some(place), true) => {
                let buffer = &mut Arc::make_mut(&mut self.weights).buffers[place.buffer];
                buffer.floats_mut().get_mut(place.range())
            }
            _ => None,
        };
        match target {
            Some(target) if target.len() == values.len() => target.copy_from_slice(values),
            _ => return Err(no_tensor(name)),
        }
        Ok(())
    }

    fn take_gradients(&mut self) -> Result<BTreeMap<String, Vec<f32>>> {
        let (mut taken, learned) = (BTreeMap::new(), std::mem::take(&mut self.learned));
        if let (Some(gradients), false) = (&mut self.gradients, learned.is_empty()) {
            for (name, place) in &self.weights.places {
                let values = &mut gradients[place.buffer][place.range()];
                taken.insert(name.clone(), values.to_vec());
                values.fill(0.0);
            }
            return Ok(taken);
        }
        for name in learned.iter().flatten() {
            let (Some(prefix), Some(adapter)) = (self.prefixes.get(name), self.adapters.get_mut(name)) else {
                continue;
            };
            let tensors: Vec<String> = adapter.names().cloned().collect();
            for tensor in tensors {
                if let Some(values) = adapter.take_gradient(&tensor) {
                    taken.insert(format!("{prefix}{tensor}"), values);
                }
            }
        }
        Ok(taken)
    }

    fn logits(&self, ids: &[Vec<u32>], adapter: Option<&str>) -> Result<Vec<f32>> {
        let width = ids.first().map_or(0, Vec::len);
        if width == 0 || ids.iter().any(|row| row.len() != width) {
            return Err(ModelError::Request(wording!(
                "Logits need rows of equal length, with a token at least.",
                "计算 logits 需要长度相同、至少有一个词元的各行。"
            )));
        }
        ids.iter().try_for_each(|row| self.check(row, width))?;
        let mut adapter = match adapter {
            Some(name) => Some(self.adapters.get(name).cloned().ok_or_else(|| Self::unknown(name))?),
            None => None,
        };
        let layout = Layout::whole(&vec![width; ids.len()], |row, column| ids[row][column], |_, _| 0);
        let (mut tables, mut pool) = (self.tables.clone(), BufferPool::default());
        tables.iter_mut().for_each(|table| table.grow(width));
        let mut pass = Pass {
            set: self.set,
            spec: &self.spec,
            weights: &self.weights,
            gradients: None,
            adapter: adapter.as_mut(),
            tables: &tables,
            layout: &layout,
            dropout: None,
            workers: None,
            pool: &mut pool,
        };
        let x = embed(&mut pass, None, &ForwardOptions::default());
        let x = run_blocks(&mut pass, x, discard);
        let (hidden, _) = pass.norm(&x, self.weights.final_norm);
        Ok(score::logits(&mut pass, &hidden))
    }

    fn cache(&self, adapter: Option<&str>) -> Result<Box<dyn Cache>> {
        let adapter = match adapter {
            Some(name) => Some(self.adapters.get(name).cloned().ok_or_else(|| Self::unknown(name))?),
            None => None,
        };
        Ok(Box::new(kv_cache::SliceCache::new(self.spec.clone(), self.set, Arc::clone(&self.weights), adapter)))
    }

    fn base_weight(&self, path: &str) -> Result<NamedTensor> {
        let name = format!("{path}.weight");
        self.weights.tensor(&name).ok_or(ModelError::MissingTensor { name })
    }

    fn base_weights(&self) -> Result<BTreeMap<String, NamedTensor>> {
        Ok(self.weights.tensors())
    }
}

fn no_tensor(name: &str) -> ModelError {
    ModelError::Request(wording!("There is no trainable tensor called “{name}”.", "没有名为“{name}”的可训练张量。"))
}
