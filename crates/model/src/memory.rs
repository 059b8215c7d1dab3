//! Memory of weights and passes, counted before anything is loaded. Each back-end counts its own buffers, in a file beside the
//! code that allocates them; this is the interface to both. Optimizer, data and the program itself are not counted here.

use crate::adapter_names::{Part, parse_name};
use crate::backend::Engine;
use crate::decoder::Checkpointing;
use crate::{DecoderSpec, candle_backend, slice_backend};
use alidade_domain::Precision;

/// Work whose buffers are counted; sizes are in tokens unless stated otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A forward pass with its backward pass.
    Taped {
        /// Tokens of all rows.
        tokens: u64,
        /// The same with all rows padded to the longest.
        padded: u64,
        /// Scored tokens among them.
        scored: u64,
        /// The longest row.
        longest: u64,
        /// Which activations are saved.
        keep: Checkpointing,
    },
    /// A forward pass alone; nothing is saved.
    Read {
        /// Tokens of all rows.
        tokens: u64,
        /// The same with all rows padded to the longest.
        padded: u64,
        /// Scored tokens among them.
        scored: u64,
        /// The longest row.
        longest: u64,
    },
    /// A batch of answers, generated from a KV cache.
    Written {
        /// Number of answers.
        rows: u64,
        /// Tokens of all prompts.
        asked: u64,
        /// Most tokens of an answer.
        answer: u64,
    },
}

/// Bytes per token of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerToken {
    /// Transient buffers of a forward pass.
    pub passing: u64,
    /// In addition for a scored token, where the logits of all rows exist at the same time.
    pub scored: u64,
    /// In the KV caches of all layers.
    pub cached: u64,
}

/// What an adapter adds to a pass; sizes are sums over the adapted layers of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AdapterSize {
    /// Sum of the ranks.
    pub inner: u64,
    /// Sum of the output sizes.
    pub outputs: u64,
    /// Sum of the input sizes.
    pub inputs: u64,
    /// True when there are DoRA magnitudes.
    pub magnitudes: bool,
    /// Positions of a learned prefix.
    pub prefix: u64,
    /// True with dropout.
    pub dropout: bool,
}

impl AdapterSize {
    /// From the names and sizes of an adapter's tensors; pairs are counted in the first block alone.
    pub fn of<'t>(spec: &DecoderSpec, tensors: impl Iterator<Item = (&'t str, usize)>, dropout: bool) -> Self {
        let mut found = Self { dropout, ..Self::default() };
        for (name, size) in tensors {
            match parse_name(name) {
                Some((path, Part::A)) if path.starts_with("model.layers.0.") => {
                    let (outputs, inputs) = spec.linear_shape(&path).unwrap_or((0, 1));
                    found.inner += (size / inputs.max(1)) as u64;
                    found.outputs += outputs as u64;
                    found.inputs += inputs as u64;
                }
                Some((_, Part::Magnitude)) => found.magnitudes = true,
                Some((_, Part::Prompt)) => {
                    found.prefix = (size / (2 * spec.layers * spec.kv_heads * spec.head_dim).max(1)) as u64;
                }
                _ => {}
            }
        }
        found
    }
}

/// What the memory of a model depends on, loaded or not: its shape, the engine, the number format and the adapter.
#[derive(Debug, Clone, Copy)]
pub struct Footprint<'a> {
    pub(crate) spec: &'a DecoderSpec,
    pub(crate) engine: Engine,
    pub(crate) precision: Precision,
    pub(crate) adapter: AdapterSize,
    /// True when every weight is trained.
    pub(crate) full: bool,
}

impl<'a> Footprint<'a> {
    /// Of a model with an adapter; an engine that does not hold this number format holds f32. With `full` all weights are trained.
    pub fn new(spec: &'a DecoderSpec, engine: Engine, precision: Precision, adapter: AdapterSize, full: bool) -> Self {
        let held = if full || !engine.holds(precision) { Precision::F32 } else { precision };
        Self { spec, engine, precision: held, adapter, full }
    }

    /// Shape of the model.
    pub fn spec(&self) -> &'a DecoderSpec {
        self.spec
    }

    /// Bytes of all weights.
    pub fn weights(&self) -> u64 {
        let sixteenths = match self.precision {
            Precision::F32 => 64,
            Precision::Bf16 => 32,
            // 32 numbers share a factor of four bytes.
            Precision::Q8_0 => 18,
            Precision::Q4_0 => 10,
        };
        self.spec.parameters() * sixteenths / 16
    }

    /// Bytes of the buffers that the work takes in addition to the weights.
    pub fn work(&self, work: &Work) -> u64 {
        match self.engine {
            Engine::Slices(set) => slice_backend::work_bytes(self, set, work),
            Engine::Candle(_) => candle_backend::work_bytes(self, work),
        }
    }

    /// Bytes per token of a batch.
    pub fn per_token(&self) -> PerToken {
        match self.engine {
            Engine::Slices(set) => slice_backend::per_token(self, set),
            Engine::Candle(_) => candle_backend::per_token(self),
        }
    }

    /// Bytes of the logits of so many scored tokens.
    pub fn logits(&self, scored: u64) -> u64 {
        match self.engine {
            Engine::Slices(set) => slice_backend::logits_bytes(self, set, scored),
            Engine::Candle(_) => candle_backend::logits_bytes(self, scored),
        }
    }

    /// The checkpointing levels that the engine supports, least checkpointing first.
    pub fn levels(&self) -> &'static [Checkpointing] {
        match self.engine {
            Engine::Slices(_) => {
                &[Checkpointing::Off, Checkpointing::MiddleStream, Checkpointing::GateUp, Checkpointing::Blocks]
            }
            Engine::Candle(_) => &[Checkpointing::Off],
        }
    }

    /// Those of them that count as checkpointing when a recipe asks for it: recomputing gate and up is not worth it where they
    /// are saved as bf16. Empty where the engine has no checkpointing.
    pub fn checkpointed(&self) -> &'static [Checkpointing] {
        match self.engine {
            Engine::Slices(set) if slice_backend::keeps_pairs(self, set) => {
                &[Checkpointing::MiddleStream, Checkpointing::GateUp, Checkpointing::Blocks]
            }
            Engine::Slices(_) => &[Checkpointing::GateUp, Checkpointing::Blocks],
            Engine::Candle(_) => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read_spec;
    use alidade_domain::Device;
    use serde_json::json;

    fn spec() -> DecoderSpec {
        read_spec(&json!({
            "model_type": "llama", "vocab_size": 100, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2,
        }))
        .unwrap()
    }

    #[test]
    fn an_adapter_is_measured_by_its_first_block() {
        let name = |layer: usize, rest: &str| format!("base_model.model.model.layers.{layer}.{rest}");
        let tensors = [
            (name(0, "self_attn.q_proj.lora_A.weight"), 4 * 16),
            (name(0, "self_attn.q_proj.lora_B.weight"), 16 * 4),
            (name(0, "self_attn.q_proj.lora_magnitude_vector"), 16),
            (name(0, "mlp.down_proj.lora_A.weight"), 4 * 32),
            (name(1, "mlp.down_proj.lora_A.weight"), 4 * 32),
        ];
        let found = AdapterSize::of(&spec(), tensors.iter().map(|(name, size)| (name.as_str(), *size)), true);
        let expected = AdapterSize { inner: 8, outputs: 32, inputs: 48, magnitudes: true, prefix: 0, dropout: true };
        assert_eq!(found, expected);
        let prompt = [("prompt_embeddings", 5 * 2 * 2 * 8)];
        assert_eq!(AdapterSize::of(&spec(), prompt.into_iter(), false).prefix, 5);
    }

    #[test]
    fn candle_holds_f32_whatever_is_asked_for_and_computes_nothing_again() {
        let spec = spec();
        let footprint = |engine| Footprint::new(&spec, engine, Precision::Bf16, AdapterSize::default(), false);
        let candle = footprint(Engine::Candle(Device::Cpu));
        let slices = footprint(Engine::Slices(alidade_kernels::InstructionSet::best()));
        assert_eq!(candle.weights(), 2 * slices.weights());
        assert!(candle.checkpointed().is_empty() && slices.checkpointed().ends_with(&[Checkpointing::Blocks]));
        let taped = |keep| slices.work(&Work::Taped { tokens: 64, padded: 64, scored: 64, longest: 16, keep });
        assert!(slices.levels().windows(2).all(|pair| taped(pair[0]) >= taped(pair[1])));
    }
}
