//! How much memory a run needs, and what its passes therefore keep. Each back-end counts the buffers of its own passes
//! (`alidade_model::Footprint`); here the optimizer loop, the comparison afterwards and the program itself are added.

use crate::train::passes::Passes;
use alidade_domain::{Precision, Problem, Words, wording};
use alidade_model::{Checkpointing, Critic, Footprint, PerToken, Work};
use alidade_train::CommonSettings;

/// Pages of code, stacks and scratch of threads that training and writing touch for the first time.
pub const CODE_BYTES: u64 = 2 << 20;
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
/// Most rows of answers at a time while stacks are compared: from some tens on, more are no faster.
pub const MOST_ROWS: usize = 64;

/// What the memory of a run depends on.
#[derive(Debug, Clone, Copy)]
pub struct Need<'a> {
    /// The model with the adapter that is trained.
    pub model: Footprint<'a>,
    /// The program itself with a tokenizer and rows, in bytes.
    pub program: u64,
    /// A tokenizer with its chat template; comparing opens another.
    pub words: u64,
    /// Trained numbers: the policy's, and those of a critic with an adapter of its own.
    pub trained: u64,
    /// Numbers of adapters that stand beside it: a frozen reference, models that rate.
    pub beside: u64,
    /// The largest passes.
    pub passes: Passes,
    /// What is compared afterwards.
    pub compared: Compared,
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

impl Need<'_> {
    /// Peak memory in bytes.
    pub fn bytes(&self, keep: Checkpointing) -> u64 {
        self.program + self.model.weights() + self.training(keep).max(self.comparing())
    }

    /// What training takes beside the weights.
    fn training(&self, keep: Checkpointing) -> u64 {
        let Passes { taped, scored, read, padded: [taped_padded, read_padded], longest, .. } = self.passes;
        let beside = 4 * (self.trained * PER_TRAINED + self.beside);
        let learned = self.model.work(&Work::Taped { tokens: taped, padded: taped_padded, scored, longest, keep });
        let passes =
            learned.max(self.model.work(&Work::Read { tokens: read, padded: read_padded, scored: read, longest }));
        // What passes gave back is kept for the next one; writing has buffers of its own.
        beside + passes + self.writing()
    }

    /// A batch of answers, and a copy of the adapter.
    fn writing(&self) -> u64 {
        let Passes { rows, asked, answer, .. } = self.passes;
        if rows == 0 {
            return 0;
        }
        self.model.work(&Work::Written { rows, asked, answer }) + 4 * self.trained * PER_WRITING
    }

    /// What comparing takes beside the weights: both adapters and copies of them, and batches that are bounded.
    fn comparing(&self) -> u64 {
        let Compared { rows, read, written, scored } = self.compared;
        if rows + scored == 0 {
            return 0;
        }
        let at_once = AtOnce::of(&self.model);
        let round = rows.min(MOST_ROWS as u64) * self.model.spec().vocabulary as u64 * 4;
        let writing = at_once.taken(read, written).min(at_once.bytes) + round;
        let PerToken { passing, scored: wanted, .. } = at_once.per_token;
        let most = scored.min(at_once.bytes / (passing + wanted).max(1));
        let scoring = most * passing + self.model.logits(most);
        self.words + 4 * self.trained * PER_COMPARED + writing.max(scoring)
    }
}

/// The setting says whether something is computed again, and the free memory how much.
pub fn keep(settings: &CommonSettings, need: &Need, free_bytes: u64) -> Checkpointing {
    let room = (free_bytes as f64 * SHARE) as u64;
    let choices = match settings.gradient_checkpointing {
        Some(false) => return Checkpointing::Off,
        Some(true) => need.model.checkpointed(),
        None => need.model.levels(),
    };
    let fits = |keep: &&Checkpointing| need.bytes(**keep) <= room;
    choices.iter().find(fits).or(choices.last()).copied().unwrap_or(Checkpointing::Off)
}

/// Why a run of this size cannot start, if it cannot.
pub fn refuse(needed_bytes: u64, free_bytes: u64) -> Option<Problem> {
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    (needed_bytes > free_bytes).then(|| {
        let (needed, free) = (gigabytes(needed_bytes), gigabytes(free_bytes));
        Problem::input(wording!(
            "The run needs about {needed:.1} GB of memory; {free:.1} GB are free.",
            "运行约需 {needed:.1} GB 内存，可用 {free:.1} GB。"
        ))
        .hint(Words::new(
            "Lower the batch size or max_length, set gradient_checkpointing or bf16, or close other programs.",
            "请减小批大小或 max_length，启用 gradient_checkpointing 或 bf16，或关闭其他程序。",
        ))
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
    /// Bytes of a token.
    per_token: PerToken,
}

/// Bytes that batches may take however small the model is.
const FLOOR: u64 = 64 << 20;

impl AtOnce {
    /// What batches of this model may take.
    pub fn of(model: &Footprint) -> Self {
        Self { bytes: (model.weights() / 2).max(FLOOR), per_token: model.per_token() }
    }

    /// True when so many tokens of prompts may be read and so many be written after them.
    pub fn generates(&self, read: usize, written: usize) -> bool {
        self.taken(read as u64, written as u64) <= self.bytes
    }

    /// True when so many tokens may go through one pass.
    pub fn reads(&self, tokens: usize) -> bool {
        tokens as u64 * (self.per_token.passing + self.per_token.scored) <= self.bytes
    }

    /// Bytes of a batch that reads and writes so many tokens.
    pub fn taken(&self, read: u64, written: u64) -> u64 {
        read * self.per_token.passing + (read + written) * self.per_token.cached
    }
}
