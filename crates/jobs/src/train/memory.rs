//! How much memory a run needs, and what its passes therefore keep. Every term names a buffer that is really taken: by the slice
//! back-end in passes and in writing, by the loop that trains, by comparing afterwards. The candle back-end keeps more and is
//! estimated from above.

use crate::train::passes::Passes;
use alidade_domain::{Precision, Problem};
use alidade_model::InstructionSet;
use alidade_model::{Checkpointing, Critic, DecoderSpec, QueryKeyNorm, logit_rows};
use alidade_train::CommonSettings;

/// Pages of code, stacks and scratch of threads that training and writing touch for the first time.
pub const CODE_BYTES: u64 = 2 << 20;
/// Products of f32 numbers pack the matrix that they read, as much of it as a large last cache holds.
const PACKED_BYTES: u64 = 24 << 20;
/// What a program holds beside its files before it reads anything.
pub const FRESH_BYTES: u64 = 2 << 20;
/// Numbers that go with each trained one: value, its copy in the loop, gradient, its copy, two moments, and one more copy while
/// an adapter is read or written.
const PER_TRAINED: u64 = 7;
/// Numbers of an adapter while the policy writes: its cache has a copy, gradients included.
const PER_WRITING: u64 = 2;
/// Numbers of an adapter while stacks are compared: those of both, and one in a cache.
const PER_COMPARED: u64 = 3;
/// Share of the free memory that a run may take when it chooses by itself.
const SHARE: f64 = 0.7;
/// Bytes of activations per token, layer and hidden unit that the candle back-end keeps.
const CANDLE_BYTES: u64 = 4 * 24;
/// Most rows of answers at a time while stacks are compared: from some tens on, more are no faster.
pub const MOST_ROWS: usize = 64;

/// What the memory of a run depends on.
#[derive(Debug, Clone, Copy)]
pub struct Need<'a> {
    /// Shape of the model.
    pub spec: &'a DecoderSpec,
    /// Number format of the frozen weights.
    pub precision: Precision,
    /// Instructions of the kernels.
    pub set: InstructionSet,
    /// The program itself with a tokenizer and rows, in bytes.
    pub program: u64,
    /// A tokenizer with its chat template; comparing opens another.
    pub words: u64,
    /// Trained numbers: the policy's, and those of a critic with an adapter of its own.
    pub trained: u64,
    /// Numbers of adapters that stand beside it: a frozen reference, models that rate.
    pub beside: u64,
    /// Rows of inner values of the adapter per layer: about the sum of its ranks.
    pub inner: u64,
    /// The largest passes.
    pub passes: Passes,
    /// What is compared afterwards.
    pub compared: Compared,
    /// True when our kernels run it.
    pub slices: bool,
    /// True when the adapter drops inputs.
    pub dropout: bool,
    /// True when every weight is trained.
    pub full: bool,
}

/// What comparing reads and writes, in tokens where nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compared {
    /// Prompts that are answered.
    pub rows: u64,
    /// Their tokens.
    pub read: u64,
    /// Most tokens of all answers.
    pub written: u64,
    /// Tokens of held-out rows.
    pub scored: u64,
}

impl Compared {
    /// More than any batch may take: the bounds of comparing are what counts then.
    pub const MUCH: Self = Self { rows: MOST_ROWS as u64, read: 1 << 32, written: 1 << 32, scored: 1 << 32 };
}

/// Numbers that stand beside a policy of so many trained ones: those of a critic with an adapter of its own, which are trained as
/// well, and frozen ones: the reference of an adapter that is continued, and models that rate.
pub fn beside(policy: u64, critic: Option<Critic>, continues: bool, raters: u64) -> [u64; 2] {
    let critic = if critic == Some(Critic::Adapter) { policy } else { 0 };
    [critic, policy * (u64::from(continues) + raters)]
}

/// Rows of inner values of an adapter in a layer: the ranks of its pairs, from the sizes of the tensors in the first layer.
pub fn inner<'t>(spec: &DecoderSpec, tensors: impl Iterator<Item = (&'t str, usize)>) -> u64 {
    let rank = |(name, size): (&str, usize)| {
        let path = name.strip_suffix(".lora_A.weight")?.strip_prefix("base_model.model.")?;
        path.starts_with("model.layers.0.")
            .then(|| spec.linear_shape(path).map_or(0, |(_, inputs)| size / inputs.max(1)))
    };
    tensors.filter_map(rank).sum::<usize>() as u64
}

impl Need<'_> {
    /// Peak memory in bytes.
    pub fn bytes(&self, keep: Checkpointing) -> u64 {
        let per_weight = if self.precision == Precision::Bf16 && !self.full { 2 } else { 4 };
        let weights = self.spec.parameters() * per_weight;
        self.program + weights + self.training(keep).max(self.comparing())
    }

    /// What training takes beside the weights.
    fn training(&self, keep: Checkpointing) -> u64 {
        let beside = 4 * (self.trained * PER_TRAINED + self.beside);
        let passes = if self.slices { self.taped(keep).max(self.untaped(self.passes.read)) } else { self.on_candle() };
        // What passes gave back is kept for the next one; writing has buffers of its own.
        beside + passes + self.writing()
    }

    fn taped(&self, keep: Checkpointing) -> u64 {
        let (four, tokens) = (4, self.passes.taped);
        let kept = tokens * four * self.spec.layers as u64 * self.per_layer(keep);
        // Rows that are scored: before and after the norm, ∂logp/∂hidden, and what comes back.
        let scored = self.passes.scored * four * 4 * self.spec.hidden as u64;
        kept + tokens * four * self.passing() + scored + self.logits(self.passes.scored)
    }

    /// A pass that keeps nothing: one block's rows at a time.
    fn untaped(&self, tokens: u64) -> u64 {
        tokens * 4 * reading(self.spec, self.paired()) + self.logits(tokens)
    }

    /// Logits of the rows that are scored at a time, and what the kernels round of them.
    fn logits(&self, scored: u64) -> u64 {
        let matrix = (self.spec.vocabulary * self.spec.hidden * 4) as u64;
        let (rounded, packed) = match self.paired() {
            true => (2, 0),
            false => (0, if scored > 0 { matrix.min(PACKED_BYTES) } else { 0 }),
        };
        (logit_rows(self.spec.vocabulary) as u64).min(scored) * self.spec.vocabulary as u64 * (4 + rounded) + packed
    }

    /// Caches of a batch of answers, the pass that reads their prompts, the logits of a round, a copy of the adapter.
    fn writing(&self) -> u64 {
        let Passes { rows, asked, answer, .. } = self.passes;
        if rows == 0 {
            return 0;
        }
        let at_once = AtOnce::of(self.spec, self.precision, self.set);
        let round = rows * self.spec.vocabulary as u64 * 4;
        at_once.taken(asked, rows * answer) + round + 4 * self.trained * PER_WRITING
    }

    /// What comparing takes beside the weights: both adapters and copies of them, and batches that are bounded.
    fn comparing(&self) -> u64 {
        let Compared { rows, read, written, scored } = self.compared;
        if rows + scored == 0 {
            return 0;
        }
        let at_once = AtOnce::of(self.spec, self.precision, self.set);
        let writing = at_once.taken(read, written).min(at_once.bytes)
            + rows.min(MOST_ROWS as u64) * self.spec.vocabulary as u64 * 4;
        let scoring = scored.saturating_mul(at_once.passing).min(at_once.bytes) + self.logits(scored);
        self.words + 4 * self.trained * PER_COMPARED + writing.max(scoring)
    }

    fn on_candle(&self) -> u64 {
        let (spec, tokens) = (self.spec, self.passes.taped.max(self.passes.read));
        let wide = (spec.hidden + spec.intermediate) as u64;
        let kept = tokens * spec.layers as u64 * wide * CANDLE_BYTES;
        let scores = tokens * self.passes.longest * spec.heads as u64 * 4 * 3;
        kept + scores + tokens * spec.vocabulary as u64 * 4 * 3
    }

    /// Numbers of four bytes per token that a block leaves behind.
    fn per_layer(&self, keep: Checkpointing) -> u64 {
        let spec = self.spec;
        let (queries, keys) = ((spec.heads * spec.head_dim) as u64, (spec.kv_heads * spec.head_dim) as u64);
        let before = if spec.query_key_norm == QueryKeyNorm::None { 0 } else { queries + keys };
        let hidden = spec.hidden as u64;
        let attention = (2 * queries + 2 * keys) / if self.rounds() { 2 } else { 1 };
        let slim = 2 * hidden + attention + spec.heads as u64 + self.inner + before + 2;
        let widened = if self.paired() { spec.intermediate as u64 } else { 2 * spec.intermediate as u64 };
        match keep {
            Checkpointing::Blocks => hidden,
            Checkpointing::GateUp => slim,
            Checkpointing::MiddleStream => slim + widened - hidden,
            Checkpointing::Off => slim + widened,
        }
    }

    /// True when what attention reads and gives is kept as bf16.
    fn rounds(&self) -> bool {
        takes_pairs(self.precision, self.set) && !self.full
    }

    /// True when gate and up are kept as bf16.
    fn paired(&self) -> bool {
        self.rounds() && !self.dropout
    }

    /// Numbers per token that come and go with a block: its input and output and a normed row, queries, keys and values and what
    /// comes back to them, and two rows as wide as the gate, which are bf16 where products take pairs.
    fn passing(&self) -> u64 {
        passing(self.spec, self.paired())
    }
}

fn passing(spec: &DecoderSpec, paired: bool) -> u64 {
    let attention = 2 * (spec.heads + spec.kv_heads) * spec.head_dim;
    let gate = if paired { spec.intermediate } else { 2 * spec.intermediate };
    (attention + gate + 3 * spec.hidden) as u64
}

/// The same for a pass that keeps nothing: a block's input, middle and output and a normed row, queries, keys, values and what
/// attention gives, gate and up and what they become; the last three are bf16 where products take pairs.
fn reading(spec: &DecoderSpec, paired: bool) -> u64 {
    let attention = 2 * (spec.heads + spec.kv_heads) * spec.head_dim;
    let gate = 3 * spec.intermediate / if paired { 2 } else { 1 };
    (attention + gate + 4 * spec.hidden) as u64
}

/// What passes may keep, from most to least.
const LESS: [Checkpointing; 4] =
    [Checkpointing::Off, Checkpointing::MiddleStream, Checkpointing::GateUp, Checkpointing::Blocks];

/// True when products with weights of this precision take numbers in pairs.
fn takes_pairs(precision: Precision, set: InstructionSet) -> bool {
    precision == Precision::Bf16 && set.takes_pairs()
}

/// What checkpointing keeps where memory is no concern: gate and up in bf16 are not worth computing again.
pub fn checkpointed(precision: Precision, set: InstructionSet) -> Checkpointing {
    if takes_pairs(precision, set) { Checkpointing::MiddleStream } else { Checkpointing::GateUp }
}

/// The setting says whether something is computed again, and the free memory how much.
pub fn keep(settings: &CommonSettings, need: &Need, free_bytes: u64) -> Checkpointing {
    let room = (free_bytes as f64 * SHARE) as u64;
    let fits = |keep: &Checkpointing| need.bytes(*keep) <= room;
    let choices = match settings.gradient_checkpointing {
        Some(false) => return Checkpointing::Off,
        Some(true) if need.paired() => &LESS[1..],
        Some(true) => &LESS[2..],
        None => &LESS,
    };
    choices.iter().copied().find(fits).unwrap_or(Checkpointing::Blocks)
}

/// Why a run of this size cannot start, if it cannot.
pub fn refuse(needed_bytes: u64, free_bytes: u64) -> Option<Problem> {
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    (needed_bytes > free_bytes).then(|| {
        let (needed, free) = (gigabytes(needed_bytes), gigabytes(free_bytes));
        Problem::input(format!("The run needs about {needed:.1} GB of memory; {free:.1} GB are free."))
            .hint("Lower the batch size or max_length, set gradient_checkpointing or bf16, or close other programs.")
            .at("memory")
    })
}

/// How the frozen weights are held.
pub fn precision(settings: &CommonSettings) -> Precision {
    if settings.bf16 { Precision::Bf16 } else { Precision::F32 }
}

/// How many tokens a stack that answers may have at once: what it keeps and moves beside its weights stays below half of them,
/// or below a floor that is small beside the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtOnce {
    /// Bytes for all of it.
    pub bytes: u64,
    /// Bytes that a token takes on its way through a pass.
    pub passing: u64,
    /// Bytes that a token leaves in the caches of all layers.
    pub cached: u64,
}

/// Bytes that batches may take however small the model is.
const FLOOR: u64 = 64 << 20;

impl AtOnce {
    /// What batches of this model may take.
    pub fn of(spec: &DecoderSpec, precision: Precision, set: InstructionSet) -> Self {
        let pairs = takes_pairs(precision, set);
        let per_weight = if precision == Precision::Bf16 { 2 } else { 4 };
        let keys = (2 * spec.layers * spec.kv_heads * spec.head_dim) as u64;
        Self {
            bytes: (spec.parameters() * per_weight / 2).max(FLOOR),
            passing: 4 * reading(spec, pairs),
            // Keys and values are appended to vectors that double: half as much again on average.
            cached: keys * if pairs { 3 } else { 6 },
        }
    }

    /// True when so many tokens of prompts may be read and so many be written after them.
    pub fn writes(&self, read: usize, written: usize) -> bool {
        self.taken(read as u64, written as u64) <= self.bytes
    }

    /// True when so many tokens may go through one pass.
    pub fn reads(&self, tokens: usize) -> bool {
        tokens as u64 * self.passing <= self.bytes
    }

    /// Bytes of a batch that reads and writes so many tokens.
    fn taken(&self, read: u64, written: u64) -> u64 {
        read * self.passing + (read + written) * self.cached
    }
}
