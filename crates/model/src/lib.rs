//! The language model: architectures, back-ends, adapters, tokenizer, chat template and generation.
//!
//! Methods see a [`Policy`]: token batches in, per-token log-probabilities out, and coefficients back in. The
//! back-end behind [`Decoder`] is our own kernels over slices, or candle. Not here: losses, optimizers, data.

mod adapter;
mod adapter_names;
mod architectures;
mod backend;
mod batch;
mod bounded;
mod candle_backend;
mod caught;
mod census;
mod chat_template;
mod chunk;
mod companions;
mod decoder;
mod dropout;
mod error;
mod folder;
mod folder_kind;
mod generate;
mod head;
mod memory;
mod merge;
mod peft;
mod peft_config;
mod policy;
mod pretrained;
mod python_pattern;
mod safetensors_folder;
mod slice_backend;
mod source;
mod spec;
mod targets;
mod tensor_file;
mod tokenizer;
mod train_tokenizer;
mod weights;

pub use adapter::{AdapterConfig, AdapterKind, AdapterWeights, NamedTensor};
pub use alidade_kernels::{InstructionSet, Level};
pub use architectures::{ARCHITECTURES, Architecture, read_spec};
pub use backend::{Backend, Engine, runs_on_slices};
pub use batch::{TokenBatch, TokenRow};
pub use bounded::{DATA, SMALL_TEXT, open_ordinary, read_bounded, read_text};
pub use chat_template::{ChatTemplate, Rendering, asks_what_day_it_is, stop_tokens, template_source};
pub use chunk::Chunk;
pub use decoder::{Cache, Capabilities, Carried, Checkpointing, Decoder, DropoutSeed, ForwardOptions, TokenScores};
pub use error::ModelError;
pub use folder::{adapter_config_sha256, adapter_sha256, file_sha256, model_sha256};
pub use generate::{Finish, Generation, GenerationOptions, generate, generate_seeded, generate_streaming};
pub use memory::{AdapterSize, Footprint, PerToken, Work};
pub use merge::{Merged, save_merged, save_model};
pub use peft::{load_adapter, save_adapter};
pub use policy::{Critic, Policy, ScorerKind};
pub use pretrained::{ModelFolder, RandomModel};
pub use source::ModelSource;
pub use spec::{
    Activation, BlockNorms, DecoderSpec, LayerKind, Linear, Llama3Scaling, QueryKeyNorm, Rope, RopeScaling,
};
pub use tensor_file::{FloatFormat, TensorData, read_tensors, write_tensors};
pub use tokenizer::TextTokenizer;
pub use train_tokenizer::train_byte_level_bpe;
