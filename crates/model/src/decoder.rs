//! The block interface that every back-end shares. A method never sees a tensor: it gets log-probabilities, computes its
//! loss as a plain function of them, and hands the coefficients ∂loss/∂logp back.

use crate::adapter::AdapterWeights;
use crate::error::Result;
use crate::{DecoderSpec, TokenBatch};
use std::collections::BTreeMap;

/// Names the dropout masks of one forward pass, so that a resumed run draws the same ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DropoutSeed {
    /// Seed of the run.
    pub seed: u64,
    /// Optimizer step.
    pub step: u64,
    /// Micro-batch within the step.
    pub micro_batch: u64,
}

/// What a taped pass keeps of each block for the way back. What it does not keep is computed again, to the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// Everything: fastest.
    #[default]
    Everything,
    /// All but the stream between the halves of a block.
    Trim,
    /// All but the widest rows, those of gate and up: about a sixth more time.
    Slim,
    /// The input alone: least memory, for about a third more time.
    Inputs,
}

impl Keep {
    /// A name for records ("everything").
    pub fn name(self) -> &'static str {
        match self {
            Keep::Everything => "everything",
            Keep::Trim => "trim",
            Keep::Slim => "slim",
            Keep::Inputs => "inputs",
        }
    }
}

/// What a forward pass should do.
#[derive(Debug, Clone, Copy, Default)]
pub struct ForwardOptions<'a> {
    /// The adapter to apply; none for the bare base model.
    pub adapter: Option<&'a str>,
    /// Keep what `backward` needs.
    pub tape: bool,
    /// Draw dropout masks; none switches dropout off.
    pub dropout: Option<DropoutSeed>,
    /// Return the last hidden rows of the scored positions as well.
    pub hidden: bool,
    /// Return hidden rows alone: the output matrix is not touched, and no log-probability is computed.
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
    /// Final hidden rows `[targets, H]` when asked for, else empty.
    pub hidden: Vec<f32>,
}

/// Keys and values of earlier positions of a batch that is being generated.
pub trait Cache: Send {
    /// Feeds the prompts at first, and then one more token per row, and gives what `next` makes of the logits of each row. A
    /// row that has ended is fed nothing from then on; what stands in its place is not to be read.
    ///
    /// # Errors
    /// When the tensor library fails or the context is full, and those of `next`.
    fn advance(&mut self, tokens: &[Vec<u32>], next: &mut NextTokens) -> Result<Option<Vec<Vec<u32>>>>;

    /// Feeds the prompts and then, again and again, what `next` makes of the logits, until it makes nothing of them.
    ///
    /// # Errors
    /// As [`Cache::advance`].
    fn generate(&mut self, prompts: Vec<Vec<u32>>, next: &mut NextTokens) -> Result<()> {
        decode_loop(prompts, |tokens| self.advance(tokens, next))
    }
}

/// From the logits of each row to its next token; `None` ends the writing.
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

/// A decoder with adapters, on some back-end.
pub trait Decoder: Send {
    /// Shape of the model.
    fn spec(&self) -> &DecoderSpec;

    /// Which arithmetic runs, for logs: back-end, instruction set, number type ("slices, avx512, f32").
    fn path(&self) -> String;

    /// What taped passes keep from now on. A back-end without this keeps everything.
    fn keep(&mut self, _keep: Keep) {}

    /// Puts an adapter beside the base under a name; `trainable` ones get gradients, each in the passes that it is used in.
    ///
    /// # Errors
    /// When its tensors do not fit the model.
    fn install(&mut self, name: &str, adapter: &AdapterWeights, trainable: bool) -> Result<()>;

    /// Names of the adapters in the order of their tensors' names: the first trainable one first; and which are trained.
    fn installed(&self) -> Vec<(String, bool)>;

    /// Takes an adapter out as it stands now.
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
    /// When there is no tape, the lengths do not match, or a trainable tensor of the pass's adapter was not reached.
    fn backward(&mut self, logp_gradient: &[f64], hidden_gradient: Option<&[f32]>) -> Result<()>;

    /// Names and sizes of the trainable tensors, in name order. Tensors of the adapter that was installed first have their
    /// own names; those of a further one are preceded by its name and a slash.
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

    /// The gradients added up since the last call, by tensor name.
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

    /// The base weights as they stand now, by checkpoint name (after full training).
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
