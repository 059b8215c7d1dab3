//! A decoder as data. A family is one small file that fills this in; the arithmetic is written once per back-end and
//! never per family.

/// Frequencies of the rotary position embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// Base of the geometric series of frequencies.
    pub theta: f64,
    /// Llama 3's stretching of low frequencies, when the model uses it.
    pub scaling: Option<Llama3Scaling>,
}

/// Llama 3's rule for longer contexts: low frequencies are divided by `factor`, high ones kept, those between blended.
#[derive(Debug, Clone, PartialEq)]
pub struct Llama3Scaling {
    /// Divisor of the low frequencies.
    pub factor: f64,
    /// Wavelengths above `original_context / low_frequency_factor` are stretched fully.
    pub low_frequency_factor: f64,
    /// Wavelengths below `original_context / high_frequency_factor` are kept.
    pub high_frequency_factor: f64,
    /// Context length that the model was first trained with.
    pub original_context: f64,
}

impl Rope {
    /// Angular frequencies for one head, `[head_dim / 2]`, in radians per position.
    pub fn frequencies(&self, head_dim: usize) -> Vec<f64> {
        let plain = |i: usize| self.theta.powf(-(2.0 * i as f64) / head_dim as f64);
        (0..head_dim / 2).map(plain).map(|f| self.scaling.as_ref().map_or(f, |scaling| scaling.apply(f))).collect()
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

/// Everything that distinguishes one pre-norm decoder from another.
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
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Epsilon of the RMS norms.
    pub norm_epsilon: f64,
    /// Biases on the query, key and value layers.
    pub qkv_bias: bool,
    /// Bias on the attention's output layer.
    pub output_bias: bool,
    /// Biases in the feed-forward layer.
    pub mlp_bias: bool,
    /// Rotary embedding.
    pub rope: Rope,
    /// True when the output matrix is the embedding matrix.
    pub tied: bool,
    /// Longest sequence in tokens.
    pub context: usize,
}

impl DecoderSpec {
    /// The linear layers of one block, in computing order.
    pub fn linears(&self) -> [Linear; 7] {
        let (query, key) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let linear = |path, outputs, inputs, bias| Linear { path, outputs, inputs, bias };
        [
            linear("self_attn.q_proj", query, self.hidden, self.qkv_bias),
            linear("self_attn.k_proj", key, self.hidden, self.qkv_bias),
            linear("self_attn.v_proj", key, self.hidden, self.qkv_bias),
            linear("self_attn.o_proj", self.hidden, query, self.output_bias),
            linear("mlp.gate_proj", self.intermediate, self.hidden, self.mlp_bias),
            linear("mlp.up_proj", self.intermediate, self.hidden, self.mlp_bias),
            linear("mlp.down_proj", self.hidden, self.intermediate, self.mlp_bias),
        ]
    }

    /// Every tensor of the checkpoint with its shape, in a fixed order.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = vec![("model.embed_tokens.weight".to_owned(), vec![self.vocabulary, self.hidden])];
        for layer in 0..self.layers {
            let prefix = format!("model.layers.{layer}");
            for norm in ["input_layernorm", "post_attention_layernorm"] {
                list.push((format!("{prefix}.{norm}.weight"), vec![self.hidden]));
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

    /// Numbers in the whole model.
    pub fn parameters(&self) -> u64 {
        self.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>() as u64).sum()
    }
}
