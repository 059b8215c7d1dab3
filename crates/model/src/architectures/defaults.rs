//! Defaults of absent configuration keys: those of each family's class in transformers 5.24, which wrote most of these
//! files. They differ between families in ways that change every result (Qwen 3's heads are 128 wide whatever the width of
//! the model; Gemma's LM head and embedding are tied).

/// Defaults of one family.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Defaults {
    pub(super) vocabulary: usize,
    pub(super) hidden: usize,
    pub(super) intermediate: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    /// None: as many as query heads.
    pub(super) kv_heads: Option<usize>,
    /// None: the width of the model divided by the heads.
    pub(super) head_dim: Option<usize>,
    pub(super) context: usize,
    pub(super) epsilon: f64,
    pub(super) theta: f64,
    pub(super) tied: bool,
}

/// Those of Llama, from which most families start.
pub(super) const LLAMA: Defaults = Defaults {
    vocabulary: 32_000,
    hidden: 4_096,
    intermediate: 11_008,
    layers: 32,
    heads: 32,
    kv_heads: None,
    head_dim: None,
    context: 2_048,
    epsilon: 1e-6,
    theta: 10_000.0,
    tied: false,
};
