//! An opened model: inspected first, loaded onto a back-end on demand; or a new one with random weights.

use crate::architectures::read_spec;
use crate::backend::{Backend, decoder};
use crate::decoder::Decoder;
use crate::error::Result;
use crate::source::{self, ModelSource, Weights};
use crate::tensor_file::{FloatFormat, TensorData, write_tensors_as};
use crate::{ChatTemplate, DecoderSpec, ModelError, NamedTensor, TextTokenizer};
use alidade_domain::{LocalTime, Precision, Purpose, Stream, Wording};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A model at a path.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    /// Where it is.
    pub path: PathBuf,
    /// Shape according to config.json, checked against the weight files.
    pub spec: DecoderSpec,
    /// Notes for the user on how it was read.
    pub notes: Vec<Wording>,
    source: Arc<dyn ModelSource>,
}

impl ModelFolder {
    /// Opens the model at a path; the weights are read by [`ModelFolder::decoder`].
    ///
    /// # Errors
    /// When its configuration or its weights are missing, broken or of an unknown kind, or do not belong together.
    pub fn open(path: &Path) -> Result<Self> {
        let source = source::open(path)?;
        let (spec, notes) = (source.spec().clone(), source.notes().to_vec());
        Ok(Self { path: path.to_owned(), spec, notes, source })
    }

    /// The source it is read from.
    pub fn source(&self) -> &dyn ModelSource {
        self.source.as_ref()
    }

    /// Loads the weights.
    ///
    /// # Errors
    /// When a weight file is missing, cut off, or does not match the configuration.
    pub fn decoder(&self) -> Result<Box<dyn Decoder>> {
        self.decoder_on(Backend::default())
    }

    /// Loads the weights onto one back-end.
    ///
    /// # Errors
    /// As [`ModelFolder::decoder`].
    pub fn decoder_on(&self, backend: Backend) -> Result<Box<dyn Decoder>> {
        self.decoder_with(backend, Precision::F32)
    }

    /// Loads the weights onto one back-end, stored at a precision; a back-end without that stores f32.
    ///
    /// # Errors
    /// As [`ModelFolder::decoder`].
    pub fn decoder_with(&self, backend: Backend, precision: Precision) -> Result<Box<dyn Decoder>> {
        decoder(self.spec.clone(), Weights::Stored(Arc::clone(&self.source)), backend, precision)
    }

    /// Reads the tokenizer.
    ///
    /// # Errors
    /// When it is missing or broken, or has more tokens than the model.
    pub fn tokenizer(&self) -> Result<TextTokenizer> {
        self.source.tokenizer()
    }

    /// Reads the chat template, if there is one; `now` is the date it gets when it asks for one.
    ///
    /// # Errors
    /// When there is one that cannot be compiled.
    pub fn chat_template(&self, tokenizer: &TextTokenizer, now: LocalTime) -> Result<Option<ChatTemplate>> {
        self.source.chat_template(tokenizer, now)
    }
}

/// A Llama-shaped model that does not exist yet.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomModel {
    /// Vocabulary size.
    pub vocabulary: usize,
    /// Width.
    pub hidden: usize,
    /// Width of the feed-forward layer.
    pub intermediate: usize,
    /// Blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Longest sequence in tokens.
    pub context: usize,
    /// Id of the token that ends an answer.
    pub eos: u32,
}

impl RandomModel {
    fn config(&self) -> Value {
        json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "vocab_size": self.vocabulary, "hidden_size": self.hidden, "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers, "num_attention_heads": self.heads, "num_key_value_heads": self.kv_heads,
            "head_dim": self.hidden / self.heads, "max_position_embeddings": self.context, "rms_norm_eps": 1e-5,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}, "attention_bias": false, "mlp_bias": false,
            "tie_word_embeddings": true, "bos_token_id": null, "eos_token_id": self.eos, "torch_dtype": "float16",
        })
    }

    /// A decoder with weights from N(0, 0.02²), the two projections onto the residual stream scaled by 1/√(2L).
    ///
    /// # Errors
    /// When the sizes make no sense.
    pub fn decoder(&self, seed: u64, backend: Backend) -> Result<Box<dyn Decoder>> {
        let spec = read_spec(&self.config())?;
        let residual = 0.02 / (2.0 * spec.layers as f64).sqrt();
        let mut weights = BTreeMap::new();
        for (index, (name, shape)) in spec.tensors().into_iter().enumerate() {
            let mut stream = Stream::new(seed, Purpose::Initialise, 0, index as u64);
            let scale = if name.contains("o_proj") || name.contains("down_proj") { residual } else { 0.02 };
            let norm = name.contains("norm");
            let count = shape.iter().product();
            let values = (0..count).map(|_| if norm { 1.0 } else { (stream.normal() * scale) as f32 }).collect();
            weights.insert(name, NamedTensor { shape, values });
        }
        decoder(spec, Weights::Made(weights), backend, Precision::F32)
    }

    /// Writes config.json and the weights of `decoder` into an existing folder.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, decoder: &dyn Decoder, folder: &Path, stored: FloatFormat) -> Result<()> {
        let mut config = self.config();
        config["torch_dtype"] = json!(stored.name());
        let text = serde_json::to_string_pretty(&config)
            .map_err(|error| ModelError::Request(Wording::name(error.to_string())))?;
        let path = folder.join("config.json");
        std::fs::write(&path, text + "\n").map_err(|error| ModelError::Write { path, error })?;
        let tensors =
            decoder.base_weights()?.into_iter().map(|(name, t)| (name, (t.shape, TensorData::Floats(t.values))));
        write_tensors_as(&folder.join("model.safetensors"), &tensors.collect(), |_| stored)
    }
}
