//! The decoder interface that all back-ends implement. A training method never sees a tensor: it receives log-probabilities,
//! computes its loss as a plain function of them, and returns the coefficients ∂loss/∂logp.

use crate::adapter::AdapterWeights;
use crate::backend::Engine;
use crate::error::Result;
use crate::memory::{Footprint, Work};
use crate::{DecoderSpec, TokenBatch};
use alidade_domain::{Device, Precision};
use std::collections::BTreeMap;

/// Identifies the dropout masks of one forward pass, so that a resumed run draws the same ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DropoutSeed {
    /// Seed of the run.
    pub seed: u64,
    /// Optimizer step.
    pub step: u64,
    /// Micro-batch within the step.
    pub micro_batch: u64,
}

/// Activation checkpointing: which activations of each block a taped pass drops. The backward pass recomputes them, bit for
/// bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checkpointing {
    /// None: fastest.
    #[default]
    Off,
    /// The residual stream between the halves of a block.
    MiddleStream,
    /// Gate and up, the widest activations: about a sixth more time.
    GateUp,
    /// All but the input of the block: least memory, about a third more time.
    Blocks,
}

impl Checkpointing {
    /// A name for records ("everything").
    pub fn name(self) -> &'static str {
        match self {
            Checkpointing::Off => "everything",
            Checkpointing::MiddleStream => "trim",
            Checkpointing::GateUp => "slim",
            Checkpointing::Blocks => "inputs",
        }
    }
}

/// What a forward pass should do.
#[derive(Debug, Clone, Copy, Default)]
pub struct ForwardOptions<'a> {
    /// The adapter to apply; none for the bare base model.
    pub adapter: Option<&'a str>,
    /// Save the activations that `backward` needs.
    pub tape: bool,
    /// Draw dropout masks; none switches dropout off.
    pub dropout: Option<DropoutSeed>,
    /// Return the last hidden states of the scored positions as well.
    pub hidden: bool,
    /// Return hidden states alone: the LM head is not multiplied, and no log-probability is computed.
    pub hidden_only: bool,
    /// Divide the logits by this before they become log-probabilities, as sampling at that temperature does.
    pub temperature: Option<f64>,
    /// Add uniform noise of this strength to the embeddings, drawn by the dropout seed (NEFTune, arXiv 2310.05914).
    pub noise: Option<f64>,
}

/// What a forward pass found, one entry per scored token in batch order.
#[derive(Debug, Clone, Default)]
pub struct TokenScores {
    /// Log-probability of the token, in nats.
    pub logp: Vec<f64>,
    /// Entropy of the distribution that it was drawn from, in nats.
    pub entropy: Vec<f64>,
    /// True when the token was the likeliest one.
    pub top: Vec<bool>,
    /// Mean of the logits over the vocabulary.
    pub mean_logit: Vec<f64>,
    /// Final hidden states `[targets, H]` when requested, else empty.
    pub hidden: Vec<f32>,
}

/// The KV cache of a batch that is being generated.
pub trait Cache: Send {
    /// Feeds the prompts at first, then one more token per row, and returns what `next` makes of the logits of each row. A
    /// finished row is fed nothing from then on; its logits must not be read.
    ///
    /// # Errors
    /// When the tensor library fails or the context is full, and those of `next`.
    fn advance(&mut self, tokens: &[Vec<u32>], next: &mut NextTokens) -> Result<Option<Vec<Vec<u32>>>>;

    /// Feeds the prompts, then repeatedly the tokens that `next` chooses from the logits, until it returns `None`.
    ///
    /// # Errors
    /// As [`Cache::advance`].
    fn generate(&mut self, prompts: Vec<Vec<u32>>, next: &mut NextTokens) -> Result<()> {
        decode_loop(prompts, |tokens| self.advance(tokens, next))
    }
}

/// From the logits of each row to its next token; `None` ends generation.
pub type NextTokens<'a> = dyn FnMut(&[&[f32]]) -> Result<Option<Vec<Vec<u32>>>> + 'a;

/// The loop of [`Cache::generate`].
pub(crate) fn decode_loop(
    prompts: Vec<Vec<u32>>,
    mut advance: impl FnMut(&[Vec<u32>]) -> Result<Option<Vec<Vec<u32>>>>,
) -> Result<()> {
    let mut feed = Some(prompts);
    while let Some(tokens) = feed {
        feed = advance(&tokens)?;
    }
    Ok(())
}

/// A kind of adapter tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// LoRA pairs on the linear layers of blocks.
    Pairs,
    /// DoRA magnitudes of those pairs.
    Magnitudes,
    /// LoRA pairs on the embedding or the LM head.
    Tables,
    /// Full matrices that replace those of the base.
    Whole,
    /// A learned prefix of keys and values.
    Prefix,
}

impl Carried {
    /// All kinds.
    pub const ALL: &[Carried] =
        &[Carried::Pairs, Carried::Magnitudes, Carried::Tables, Carried::Whole, Carried::Prefix];
}

/// What runs a decoder, and what it supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// The engine, with its instructions or its device.
    pub engine: Engine,
    /// The number format that the matrices are rounded to; not every engine holds it.
    pub precision: Precision,
    /// Number formats that it holds weights in.
    pub precisions: &'static [Precision],
    /// Supported kinds of adapter tensors.
    pub adapters: &'static [Carried],
    /// True when it supports activation checkpointing.
    pub checkpointing: bool,
    /// True when adapters can be trained on it.
    pub training: bool,
    /// True when all weights can be trained, in the number format that they are held in.
    pub full: bool,
}

/// A decoder with adapters, on some back-end.
pub trait Decoder: Send {
    /// Shape of the model.
    fn spec(&self) -> &DecoderSpec;

    /// What runs it, and what it supports.
    fn capabilities(&self) -> Capabilities;

    /// What its memory depends on: the model as it is loaded, with the trained adapter.
    fn footprint(&self) -> Footprint<'_>;

    /// Bytes of the buffers that the work takes in addition to the weights.
    fn memory(&self, work: &Work) -> u64 {
        self.footprint().work(work)
    }

    /// Which arithmetic runs, for logs: back-end, instruction set, dtype ("slices, avx512, f32"). Read [`Decoder::capabilities`]
    /// to decide anything.
    fn path(&self) -> String {
        let Capabilities { engine, precision, .. } = self.capabilities();
        let held = if engine.holds(precision) { "" } else { " held as f32" };
        match engine {
            Engine::Slices(set) => format!("slices, {}, {}", set.name(), precision.name()),
            Engine::Candle(Device::Cpu) => format!("candle, {}{held}", precision.name()),
            Engine::Candle(device) => format!("candle, {device}, {}{held}", precision.name()),
        }
    }

    /// Sets activation checkpointing for taped passes from now on. A back-end without it saves all activations.
    fn set_checkpointing(&mut self, _checkpointing: Checkpointing) {}

    /// Installs an adapter on the base under a name; `trainable` ones get gradients in the passes that use them.
    ///
    /// # Errors
    /// When its tensors do not fit the model.
    fn install(&mut self, name: &str, adapter: &AdapterWeights, trainable: bool) -> Result<()>;

    /// Names of the adapters in the order of their tensors' names: the first trainable one first; and which are trained.
    fn installed(&self) -> Vec<(String, bool)>;

    /// The current weights of an adapter.
    ///
    /// # Errors
    /// When there is none of this name.
    fn extract(&self, name: &str) -> Result<AdapterWeights>;

    /// Makes every weight of the base trainable (full training).
    ///
    /// # Errors
    /// When the tensor library fails.
    fn train_base(&mut self) -> Result<()>;

    /// Log-probabilities of the scored tokens.
    ///
    /// # Errors
    /// When a token is outside the vocabulary or a row longer than the context.
    fn forward(&mut self, batch: &TokenBatch, options: &ForwardOptions) -> Result<TokenScores>;

    /// Adds the gradient of Σ `logp_gradient`·logp (+ Σ `hidden_gradient`·hidden) of the last taped forward pass to the
    /// gradients of the trainable tensors, and drops the tape.
    ///
    /// # Errors
    /// When there is no tape, the lengths do not match, or a trainable tensor of the pass's adapter got no gradient.
    fn backward(&mut self, logp_gradient: &[f64], hidden_gradient: Option<&[f32]>) -> Result<()>;

    /// Names and sizes of the trainable tensors, in name order. Tensors of the adapter that was installed first keep their
    /// names; those of further ones are prefixed with the adapter's name and a slash.
    fn trainable(&self) -> Vec<(String, usize)>;

    /// Values of a trainable tensor.
    ///
    /// # Errors
    /// When there is none of this name.
    fn read(&self, name: &str) -> Result<Vec<f32>>;

    /// Overwrites a trainable tensor.
    ///
    /// # Errors
    /// When there is none of this name or the length differs.
    fn write(&mut self, name: &str, values: &[f32]) -> Result<()>;

    /// Takes the gradients accumulated since the last call, by tensor name.
    ///
    /// # Errors
    /// When the tensor library fails.
    fn take_gradients(&mut self) -> Result<BTreeMap<String, Vec<f32>>>;

    /// Logits `[B, T, V]` of whole rows of equal length, row-major.
    ///
    /// # Errors
    /// As [`Decoder::forward`].
    fn logits(&self, ids: &[Vec<u32>], adapter: Option<&str>) -> Result<Vec<f32>>;

    /// A fresh cache for generation.
    ///
    /// # Errors
    /// When the adapter does not exist.
    fn cache(&self, adapter: Option<&str>) -> Result<Box<dyn Cache>>;

    /// The weight of the base's linear layer at a path.
    ///
    /// # Errors
    /// When there is none.
    fn base_weight(&self, path: &str) -> Result<crate::NamedTensor>;

    /// The current base weights, by checkpoint name (after full training).
    ///
    /// # Errors
    /// When the tensor library fails.
    fn base_weights(&self) -> Result<BTreeMap<String, crate::NamedTensor>>;
}

/// Adapters in an order that names their tensors alike when they are installed again: the trained one whose tensors have no
/// prefix goes first. True for those that are trained.
pub(crate) fn installing_order<'a>(
    names: impl Iterator<Item = &'a String>,
    prefixes: &BTreeMap<String, String>,
) -> Vec<(String, bool)> {
    let mut list: Vec<_> = names.map(|name| (name.clone(), prefixes.get(name))).collect();
    list.sort_by_key(|(_, prefix)| !prefix.is_some_and(String::is_empty));
    list.into_iter().map(|(name, prefix)| (name, prefix.is_some())).collect()
}
