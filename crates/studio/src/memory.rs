//! How much memory a run needs, and what its passes therefore keep. The figures are counted from the buffers that the slice
//! back-end really takes; the candle back-end keeps more and is estimated from above.

use alidade_domain::{MethodName, Precision, Problem, Settings};
use alidade_kernels::InstructionSet;
use alidade_model::{DecoderSpec, Keep, QueryKeyNorm, logit_rows};
use alidade_train::{Prepared, Steps, batch_of};

/// The program itself with tokenizer and rows.
const PROGRAM_BYTES: u64 = 18_000_000;
/// Numbers that go with each trained one: value, its copy in the loop, gradient, its copy, two moments, and one more copy while
/// an adapter is read or written.
const PER_TRAINED: u64 = 7;
/// Share of the free memory that a run may take when it chooses by itself.
const SHARE: f64 = 0.7;
/// Bytes of activations per token, layer and hidden unit that the candle back-end keeps.
const CANDLE_BYTES: u64 = 4 * 24;

/// What the memory of a run depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need<'a> {
    pub(crate) spec: &'a DecoderSpec,
    pub(crate) precision: Precision,
    /// Trained numbers.
    pub(crate) trained: u64,
    /// Rows of inner values of the adapter per layer: about the sum of its ranks.
    pub(crate) inner: u64,
    /// Tokens of the largest forward pass.
    pub(crate) tokens: u64,
    /// Tokens of its longest row.
    pub(crate) longest: u64,
    /// True when our kernels run it.
    pub(crate) slices: bool,
    /// True when the adapter drops inputs.
    pub(crate) dropout: bool,
    /// True when every weight is trained.
    pub(crate) full: bool,
}

impl Need<'_> {
    /// Peak memory in bytes.
    pub(crate) fn bytes(&self, keep: Keep) -> u64 {
        let (spec, four) = (self.spec, 4);
        let per_weight = if self.precision == Precision::Half && !self.full { 2 } else { 4 };
        let weights = spec.parameters() * per_weight;
        let rounded = if self.paired() { 2 } else { 0 };
        let logits = (logit_rows(spec.vocabulary) as u64).min(self.tokens) * spec.vocabulary as u64 * (four + rounded);
        let trained = self.trained * PER_TRAINED * four;
        if !self.slices {
            let wide = (spec.hidden + spec.intermediate) as u64;
            let kept = self.tokens * spec.layers as u64 * wide * CANDLE_BYTES;
            let scores = self.tokens * self.longest * spec.heads as u64 * four * 3;
            let logits = self.tokens * spec.vocabulary as u64 * four * 3;
            return PROGRAM_BYTES + weights + trained + kept + scores + logits;
        }
        let kept = self.tokens * four * spec.layers as u64 * self.per_layer(keep);
        PROGRAM_BYTES + weights + trained + kept + self.tokens * four * self.passing() + logits
    }

    /// Numbers of four bytes per token that a block leaves behind.
    fn per_layer(&self, keep: Keep) -> u64 {
        let spec = self.spec;
        let (queries, keys) = ((spec.heads * spec.head_dim) as u64, (spec.kv_heads * spec.head_dim) as u64);
        let before = if spec.query_key_norm == QueryKeyNorm::None { 0 } else { queries + keys };
        let hidden = spec.hidden as u64;
        let attention = (2 * queries + 2 * keys) / if self.rounds() { 2 } else { 1 };
        let slim = 2 * hidden + attention + spec.heads as u64 + self.inner + before + 2;
        let widened = if self.paired() { spec.intermediate as u64 } else { 2 * spec.intermediate as u64 };
        match keep {
            Keep::Inputs => hidden,
            Keep::Slim => slim,
            Keep::Trim => slim + widened - hidden,
            Keep::Everything => slim + widened,
        }
    }

    /// True when what attention reads and gives is kept as bf16.
    fn rounds(&self) -> bool {
        takes_pairs(self.precision) && !self.full
    }

    /// True when gate and up are kept as bf16.
    fn paired(&self) -> bool {
        self.rounds() && !self.dropout
    }

    /// Numbers per token that come and go: one block's buffers, and those around the scores.
    fn passing(&self) -> u64 {
        let spec = self.spec;
        self.per_layer(Keep::Slim) + (4 * spec.intermediate + 6 * spec.hidden) as u64
    }
}

/// What passes may keep, from most to least.
const LESS: [Keep; 4] = [Keep::Everything, Keep::Trim, Keep::Slim, Keep::Inputs];

/// True when products with weights of this precision take numbers in pairs.
fn takes_pairs(precision: Precision) -> bool {
    precision == Precision::Half && InstructionSet::best().takes_pairs()
}

/// What checkpointing keeps where memory is no concern: gate and up in bf16 are not worth computing again.
pub(crate) fn checkpointed(precision: Precision) -> Keep {
    if takes_pairs(precision) { Keep::Trim } else { Keep::Slim }
}

/// The setting says whether something is computed again, and the free memory how much.
pub(crate) fn keep(settings: &Settings, need: &Need, free_bytes: u64) -> Keep {
    let room = (free_bytes as f64 * SHARE) as u64;
    let fits = |keep: &Keep| need.bytes(*keep) <= room;
    let choices = match settings.flag("gradient_checkpointing") {
        Some(false) => return Keep::Everything,
        Some(true) if need.paired() => &LESS[1..],
        Some(true) => &LESS[2..],
        None => &LESS,
    };
    choices.iter().copied().find(fits).unwrap_or(Keep::Inputs)
}

/// Why a run of this size cannot start, if it cannot.
pub(crate) fn refuse(needed_bytes: u64, free_bytes: u64) -> Option<Problem> {
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    (needed_bytes > free_bytes).then(|| {
        let (needed, free) = (gigabytes(needed_bytes), gigabytes(free_bytes));
        Problem::input(format!("The run needs about {needed:.1} GB of memory; {free:.1} GB are free."))
            .hint("Lower the batch size or max_length, set gradient_checkpointing or bf16, or close other programs.")
            .at("memory")
    })
}

/// How the frozen weights are held.
pub(crate) fn precision(settings: &Settings) -> Precision {
    if settings.flag("bf16") == Some(true) { Precision::Half } else { Precision::Single }
}

/// Most tokens of an answer that the model writes in training; none when it writes none.
pub(crate) fn answer_limit(name: MethodName, settings: &Settings) -> u64 {
    let keys = ["response_length", "max_completion_length", "max_new_tokens"];
    let limits = keys.iter().filter(|key| settings.0.contains_key(**key));
    let longest = limits.map(|key| settings.whole(key).max(0) as u64).max();
    longest.filter(|_| alidade_train::method(name).needs().reward).unwrap_or(0)
}

/// Tokens of the largest forward pass of a run, and of its longest row.
pub(crate) fn largest_pass(
    name: MethodName,
    settings: &Settings,
    prepared: &Prepared,
    steps: &Steps,
    seed: u64,
) -> [u64; 2] {
    // Methods that let the model write measure whole answers, a batch of them at a time.
    let answer = answer_limit(name, settings);
    let size = |index: &usize| -> u64 {
        prepared.items[*index].sequences.iter().map(|sequence| sequence.ids.len() as u64 + answer).sum()
    };
    let per_epoch = steps.per_epoch.min(steps.total).min(2_000);
    let batches = (0..per_epoch).flat_map(|step| batch_of(steps, seed, step));
    let tokens = batches.map(|batch| batch.iter().map(size).sum::<u64>()).max().unwrap_or(0);
    let pairs = if name == MethodName::OnlineDpo { 2 } else { 1 };
    [tokens * pairs, prepared.longest() as u64 + answer]
}

/// How many tokens a stack that answers may have at once: what it keeps and moves beside its weights stays below half of them,
/// or below a floor that is small beside the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AtOnce {
    /// Bytes for all of it.
    pub(crate) bytes: u64,
    /// Bytes that a token takes on its way through a pass.
    pub(crate) passing: u64,
    /// Bytes that a token leaves in the caches of all layers.
    pub(crate) cached: u64,
}

/// Bytes that batches may take however small the model is.
const FLOOR: u64 = 64 << 20;

impl AtOnce {
    pub(crate) fn of(spec: &DecoderSpec, precision: Precision) -> Self {
        let per_weight = if precision == Precision::Half { 2 } else { 4 };
        let keys = (2 * spec.layers * spec.kv_heads * spec.head_dim) as u64;
        let queries = ((spec.heads + 2 * spec.kv_heads) * spec.head_dim) as u64;
        Self {
            bytes: (spec.parameters() * per_weight / 2).max(FLOOR),
            passing: 4 * (2 * queries + (4 * spec.intermediate + 6 * spec.hidden) as u64),
            cached: keys * if takes_pairs(precision) { 2 } else { 4 },
        }
    }

    /// True when so many tokens of prompts may be read and so many be written after them.
    pub(crate) fn writes(&self, read: usize, written: usize) -> bool {
        self.taken(read, written) <= self.bytes
    }

    /// True when so many tokens may go through one pass.
    pub(crate) fn reads(&self, tokens: usize) -> bool {
        tokens as u64 * self.passing <= self.bytes
    }

    fn taken(&self, read: usize, written: usize) -> u64 {
        read as u64 * self.passing.max(self.cached) + (read + written) as u64 * self.cached
    }
}
