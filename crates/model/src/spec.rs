//! A decoder architecture as data. A family is one small file that fills this in; the forward and backward passes exist
//! once per back-end, never per family.

use crate::ModelError;
use crate::error::Result;
use alidade_domain::wording;

/// Frequencies of the rotary position embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// Base of the geometric series of frequencies.
    pub theta: f64,
    /// How the frequencies are scaled for longer contexts.
    pub scaling: RopeScaling,
    /// Leading elements of a head that are rotated; even, at most the head's width.
    pub rotated: usize,
}

/// How rotary frequencies are scaled.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// All divided by one factor.
    Linear(f64),
    /// By Llama 3's rule.
    Llama3(Llama3Scaling),
}

/// Llama 3's rule for longer contexts: low frequencies are divided by `factor`, high ones kept, those between blended.
#[derive(Debug, Clone, PartialEq)]
pub struct Llama3Scaling {
    /// Divisor of the low frequencies.
    pub factor: f64,
    /// Wavelengths above `original_context / low_frequency_factor` are scaled fully.
    pub low_frequency_factor: f64,
    /// Wavelengths below `original_context / high_frequency_factor` are kept.
    pub high_frequency_factor: f64,
    /// Context length that the model was first trained with.
    pub original_context: f64,
}

impl Rope {
    /// Angular frequencies, `[rotated / 2]`, in radians per position.
    pub fn frequencies(&self) -> Vec<f64> {
        let plain = |i: usize| self.theta.powf(-(2.0 * i as f64) / self.rotated as f64);
        let stretched = |frequency: f64| match &self.scaling {
            RopeScaling::None => frequency,
            RopeScaling::Linear(factor) => frequency / factor,
            RopeScaling::Llama3(scaling) => scaling.apply(frequency),
        };
        (0..self.rotated / 2).map(plain).map(stretched).collect()
    }
}

impl Llama3Scaling {
    fn apply(&self, frequency: f64) -> f64 {
        let wavelength = 2.0 * std::f64::consts::PI / frequency;
        if wavelength > self.original_context / self.low_frequency_factor {
            return frequency / self.factor;
        }
        if wavelength < self.original_context / self.high_frequency_factor {
            return frequency;
        }
        let blend = (self.original_context / wavelength - self.low_frequency_factor)
            / (self.high_frequency_factor - self.low_frequency_factor);
        (1.0 - blend) * frequency / self.factor + blend * frequency
    }
}

/// Which linear layers of a block exist and which have a bias; the names are those of the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linear {
    /// Path within the block ("self_attn.q_proj").
    pub path: &'static str,
    /// Rows of the weight.
    pub outputs: usize,
    /// Columns of the weight.
    pub inputs: usize,
    /// True when a bias is added.
    pub bias: bool,
}

/// Where a block normalises the residual stream. The names are those of the checkpoint; an absent norm is not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockNorms {
    /// Of what attention reads.
    pub before_attention: Option<&'static str>,
    /// Of what attention adds to the stream.
    pub after_attention: Option<&'static str>,
    /// Of what the feed-forward layer reads.
    pub before_mlp: Option<&'static str>,
    /// Of what the feed-forward layer adds to the stream.
    pub after_mlp: Option<&'static str>,
}

impl BlockNorms {
    /// Norms before both halves of the block, as in Llama.
    pub const PRE: Self = Self {
        before_attention: Some("input_layernorm"),
        after_attention: None,
        before_mlp: Some("post_attention_layernorm"),
        after_mlp: None,
    };
    /// Norms after both halves, as in OLMo 2.
    pub const POST: Self = Self {
        before_attention: None,
        after_attention: Some("post_attention_layernorm"),
        before_mlp: None,
        after_mlp: Some("post_feedforward_layernorm"),
    };
    /// Norms on both sides of both halves, as in Gemma 2.
    pub const SANDWICH: Self = Self {
        before_attention: Some("input_layernorm"),
        after_attention: Some("post_attention_layernorm"),
        before_mlp: Some("pre_feedforward_layernorm"),
        after_mlp: Some("post_feedforward_layernorm"),
    };

    /// Those that exist.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        [self.before_attention, self.after_attention, self.before_mlp, self.after_mlp].into_iter().flatten()
    }
}

/// Whether queries and keys are normalised before they are rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryKeyNorm {
    /// They are not.
    None,
    /// Each head by itself, with one weight of the head's width.
    PerHead,
    /// All heads together, with one weight of the layer's width.
    WholeLayer,
}

/// The function of the gate in the feed-forward layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x·σ(x).
    Silu,
    /// The tanh approximation of the Gaussian error linear unit.
    GeluTanh,
}

/// What differs between the layers of one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerKind {
    /// Sliding window: positions that a token attends to, its own included; all when absent.
    pub window: Option<usize>,
    /// Which of [`DecoderSpec::ropes`] rotates queries and keys; none leaves them unchanged.
    pub rope: Option<usize>,
}

/// Everything that distinguishes one decoder from another.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderSpec {
    /// Registered family name.
    pub family: &'static str,
    /// Vocabulary size V.
    pub vocabulary: usize,
    /// Width H of the residual stream.
    pub hidden: usize,
    /// Width of the gated feed-forward layer.
    pub intermediate: usize,
    /// Number of blocks L.
    pub layers: usize,
    /// Kind of each block, `[L]`.
    pub kinds: Vec<LayerKind>,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Epsilon of RMSNorm.
    pub norm_epsilon: f64,
    /// Added to every norm weight before it is applied (Gemma stores w − 1).
    pub norm_offset: f64,
    /// Where blocks normalise.
    pub norms: BlockNorms,
    /// Norms of queries and keys.
    pub query_key_norm: QueryKeyNorm,
    /// Function of the gate.
    pub activation: Activation,
    /// True when query, key and value, and gate and up, are one layer each in the checkpoint.
    pub fused: bool,
    /// Biases on the query, key and value layers.
    pub qkv_bias: bool,
    /// Bias on the attention's output layer.
    pub output_bias: bool,
    /// Biases in the feed-forward layer.
    pub mlp_bias: bool,
    /// Rotary embeddings that layers choose from.
    pub ropes: Vec<Rope>,
    /// Factor of the embedding rows.
    pub embedding_scale: f64,
    /// Factor of query·key.
    pub attention_scale: f64,
    /// Factor of what each half of a block adds to the stream.
    pub residual_scale: f64,
    /// Divisor of the logits.
    pub logit_divisor: f64,
    /// c of c·tanh(x/c) on attention scores.
    pub attention_cap: Option<f64>,
    /// c of c·tanh(x/c) on logits.
    pub logit_cap: Option<f64>,
    /// True when LM head and embedding are tied.
    pub tied: bool,
    /// Longest sequence in tokens.
    pub context: usize,
}

impl DecoderSpec {
    /// The linear layers of one block, in computing order.
    pub fn linears(&self) -> Vec<Linear> {
        let (query, key) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let linear = |path, outputs, inputs, bias| Linear { path, outputs, inputs, bias };
        let output = linear("self_attn.o_proj", self.hidden, query, self.output_bias);
        let down = linear("mlp.down_proj", self.hidden, self.intermediate, self.mlp_bias);
        if self.fused {
            let qkv = linear("self_attn.qkv_proj", query + 2 * key, self.hidden, self.qkv_bias);
            let gate_up = linear("mlp.gate_up_proj", 2 * self.intermediate, self.hidden, self.mlp_bias);
            return vec![qkv, output, gate_up, down];
        }
        vec![
            linear("self_attn.q_proj", query, self.hidden, self.qkv_bias),
            linear("self_attn.k_proj", key, self.hidden, self.qkv_bias),
            linear("self_attn.v_proj", key, self.hidden, self.qkv_bias),
            output,
            linear("mlp.gate_proj", self.intermediate, self.hidden, self.mlp_bias),
            linear("mlp.up_proj", self.intermediate, self.hidden, self.mlp_bias),
            down,
        ]
    }

    /// Names and widths of the norms of one block.
    pub(crate) fn block_norms(&self) -> Vec<(&'static str, usize)> {
        let mut norms: Vec<(&str, usize)> = self.norms.names().map(|name| (name, self.hidden)).collect();
        let widths = match self.query_key_norm {
            QueryKeyNorm::None => return norms,
            QueryKeyNorm::PerHead => [self.head_dim; 2],
            QueryKeyNorm::WholeLayer => [self.heads * self.head_dim, self.kv_heads * self.head_dim],
        };
        norms.extend(["self_attn.q_norm", "self_attn.k_norm"].into_iter().zip(widths));
        norms
    }

    /// Every tensor of the checkpoint with its shape, in a fixed order.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = vec![("model.embed_tokens.weight".to_owned(), vec![self.vocabulary, self.hidden])];
        for layer in 0..self.layers {
            let prefix = format!("model.layers.{layer}");
            for (norm, width) in self.block_norms() {
                list.push((format!("{prefix}.{norm}.weight"), vec![width]));
            }
            for linear in self.linears() {
                list.push((format!("{prefix}.{}.weight", linear.path), vec![linear.outputs, linear.inputs]));
                if linear.bias {
                    list.push((format!("{prefix}.{}.bias", linear.path), vec![linear.outputs]));
                }
            }
        }
        list.push(("model.norm.weight".to_owned(), vec![self.hidden]));
        if !self.tied {
            list.push(("lm_head.weight".to_owned(), vec![self.vocabulary, self.hidden]));
        }
        list
    }

    /// Shape `(outputs, inputs)` of the linear layer at a full path, or `None` when there is none.
    pub fn linear_shape(&self, path: &str) -> Option<(usize, usize)> {
        if path == "lm_head" {
            return Some((self.vocabulary, self.hidden));
        }
        let (layer, inner) = path.strip_prefix("model.layers.")?.split_once('.')?;
        layer.parse::<usize>().ok().filter(|layer| *layer < self.layers)?;
        self.linears().iter().find(|linear| linear.path == inner).map(|linear| (linear.outputs, linear.inputs))
    }

    /// Refuses ids outside the vocabulary, and rows that are longer than the context.
    pub(crate) fn check_ids(&self, ids: &[u32], width: usize) -> Result<()> {
        if let Some(id) = ids.iter().find(|id| **id as usize >= self.vocabulary) {
            let size = self.vocabulary;
            return Err(ModelError::Request(wording!(
                "Token {id} is outside the model's vocabulary of {size}.",
                "词元 {id} 超出模型的词表（{size} 个）。"
            )));
        }
        if width > self.context {
            let context = self.context;
            return Err(ModelError::Request(wording!(
                "A row of {width} tokens is longer than the model's context of {context}.",
                "一条有 {width} 个词元，超过模型的上下文 {context}。"
            )));
        }
        Ok(())
    }

    /// Number of parameters.
    pub fn parameters(&self) -> u64 {
        self.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>() as u64).sum()
    }
}
