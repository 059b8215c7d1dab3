//! Which passes a run makes, as far as its settings say it: memory and time of a plan are computed from these numbers. Each
//! method states its own.

/// How often each row goes through the model, and how many rows at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PassesPerRow {
    /// Passes with gradients; per answer where the policy writes them.
    pub trained: f64,
    /// Passes without: a reference, the policy before it learns, a critic, a model that rates.
    pub read: f64,
    /// Sequences of a row that have gradients; further ones are only read.
    pub trained_sequences: usize,
    /// True when whole batches are read without gradients as well.
    pub reads_batches: bool,
    /// True when log-probabilities are wanted; a head that only scores never looks at the vocabulary.
    pub scores_tokens: bool,
    /// What the policy writes meanwhile.
    pub answers: Option<AnswerPasses>,
}

/// Answers that a policy writes while it learns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnswerPasses {
    /// To each prompt.
    pub each: usize,
    /// Written, and read, at a time.
    pub at_once: usize,
    /// In a pass with gradients, at most.
    pub trained_at_once: usize,
    /// Parts that the answers of a step are trained in, with an update after each.
    pub parts: usize,
    /// Most tokens of an answer.
    pub limit: usize,
    /// Temperature of the draws.
    pub temperature: f64,
}

impl PassesPerRow {
    /// One pass with gradients over each row, and nothing else.
    pub const ONE: Self = Self {
        trained: 1.0,
        read: 0.0,
        trained_sequences: usize::MAX,
        reads_batches: false,
        scores_tokens: true,
        answers: None,
    };
}
