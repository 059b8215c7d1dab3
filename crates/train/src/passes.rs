//! How many forward and backward passes a run makes, as far as its settings determine it: the memory and time of a plan are
//! computed from these numbers. Each method states its own.

/// How often each row goes through the model, and how many rows at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PassesPerRow {
    /// Passes with gradients; per answer where the policy generates answers.
    pub trained: f64,
    /// Forward passes without gradients: reference, policy before its update, critic, scorer.
    pub read: f64,
    /// Sequences of a row that have gradients; further ones only go through a forward pass.
    pub trained_sequences: usize,
    /// True when whole batches also go through a forward pass without gradients.
    pub reads_batches: bool,
    /// True when log-probabilities are needed; a scorer has a score head and no LM head.
    pub scores_tokens: bool,
    /// Answers that the policy generates during training.
    pub answers: Option<AnswerPasses>,
}

/// Answers that a policy generates during training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnswerPasses {
    /// Per prompt.
    pub each: usize,
    /// Generated, and scored, at a time.
    pub at_once: usize,
    /// At most, in a pass with gradients.
    pub trained_at_once: usize,
    /// Minibatches of a step's answers, with an optimizer update after each.
    pub parts: usize,
    /// Most tokens per answer.
    pub limit: usize,
    /// Sampling temperature.
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
