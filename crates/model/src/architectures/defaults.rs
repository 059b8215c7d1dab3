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
pub(super) const MISTRAL: Defaults = Defaults { intermediate: 14_336, kv_heads: Some(8), context: 131_072, ..LLAMA };
pub(super) const QWEN2: Defaults =
    Defaults { vocabulary: 151_936, intermediate: 22_016, kv_heads: Some(32), context: 32_768, ..LLAMA };
pub(super) const QWEN3: Defaults = Defaults { head_dim: Some(128), ..QWEN2 };
pub(super) const GEMMA2: Defaults = Defaults {
    vocabulary: 256_000,
    hidden: 2_304,
    intermediate: 9_216,
    layers: 26,
    heads: 8,
    kv_heads: Some(4),
    head_dim: Some(256),
    context: 8_192,
    tied: true,
    ..LLAMA
};
pub(super) const GEMMA3: Defaults = Defaults { vocabulary: 262_208, context: 131_072, theta: 1_000_000.0, ..GEMMA2 };
pub(super) const PHI3: Defaults =
    Defaults { vocabulary: 32_064, hidden: 3_072, intermediate: 8_192, context: 4_096, epsilon: 1e-5, ..LLAMA };
pub(super) const SMOLLM3: Defaults = Defaults {
    vocabulary: 128_256,
    hidden: 2_048,
    layers: 36,
    heads: 16,
    kv_heads: Some(4),
    context: 32_768,
    theta: 2_000_000.0,
    tied: true,
    ..LLAMA
};
pub(super) const OLMO2: Defaults = Defaults { vocabulary: 50_304, epsilon: 1e-5, ..LLAMA };
