//! Sources of models: shape, weights in their stored dtype, tokenizer and chat template. Each file format is one
//! implementation; back-ends, merging and export do not depend on the format.
//!
//! Weights are streamed in the dtype that they are stored in, see [`Chunk`]. `open` picks the format of a path.

use crate::chunk::Chunk;
use crate::error::Result;
use crate::safetensors_folder::SafetensorsFolder;
use crate::{ChatTemplate, DecoderSpec, FloatFormat, NamedTensor, TextTokenizer};
use alidade_domain::{LocalTime, Wording};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

/// A model on disk that has been inspected but not loaded.
pub trait ModelSource: Debug + Send + Sync {
    /// Its shape; every tensor that it names exists.
    fn spec(&self) -> &DecoderSpec;

    /// Notes for the user on how it was read.
    fn notes(&self) -> &[Wording];

    /// Streams the elements of a tensor of the spec, row after row, in whole quantised blocks.
    ///
    /// # Errors
    /// When there is no such tensor, its file cannot be read, or an element is not finite.
    fn read(&self, name: &str, sink: &mut dyn FnMut(Chunk)) -> Result<()>;

    /// The float format of a tensor in a model derived from this one; that of the embedding where no tensor has this name.
    fn stored(&self, name: &str) -> FloatFormat;

    /// Its tokenizer.
    ///
    /// # Errors
    /// When it is missing or broken.
    fn tokenizer(&self) -> Result<TextTokenizer>;

    /// Its chat template, if there is one; `now` is the date it gets when it asks for one.
    ///
    /// # Errors
    /// When there is one that cannot be compiled.
    fn chat_template(&self, tokenizer: &TextTokenizer, now: LocalTime) -> Result<Option<ChatTemplate>>;

    /// SHA-256 of everything that its weights depend on, in lower-case hexadecimal.
    ///
    /// # Errors
    /// When a file cannot be read.
    fn sha256(&self) -> Result<String>;

    /// Writes the files beside the weights of a model derived from this one into its folder: configuration, tokenizer, chat
    /// template, licence.
    ///
    /// # Errors
    /// When something cannot be read or written.
    fn write_companions(&self, spec: &DecoderSpec, stored: FloatFormat, folder: &Path) -> Result<()>;
}

/// Opens the model at a path without loading its weights.
///
/// # Errors
/// When there is none, or it is broken or of a kind that cannot be run.
pub(crate) fn open(path: &Path) -> Result<Arc<dyn ModelSource>> {
    Ok(Arc::new(SafetensorsFolder::open(path)?))
}

/// Every tensor of a source in memory, as f32.
///
/// # Errors
/// As [`ModelSource::read`].
pub(crate) fn read_all(source: &dyn ModelSource) -> Result<BTreeMap<String, NamedTensor>> {
    let load = |(name, shape): (String, Vec<usize>)| {
        let mut values = Vec::with_capacity(shape.iter().product());
        source.read(&name, &mut |chunk| chunk.widen_into(&mut values))?;
        Ok((name, NamedTensor { shape, values }))
    };
    source.spec().tensors().into_iter().map(load).collect()
}

/// Where a decoder reads its weights from.
pub(crate) enum Weights {
    /// Tensors in memory; each is freed when it is read.
    Made(BTreeMap<String, NamedTensor>),
    /// A model on disk.
    Stored(Arc<dyn ModelSource>),
}

/// Elements per chunk of a tensor in memory; a multiple of the quantised block.
const PIECE: usize = 1 << 18;

impl Weights {
    /// Streams the elements of a tensor.
    pub(crate) fn read(&mut self, name: &str, sink: &mut dyn FnMut(Chunk)) -> Result<()> {
        match self {
            Weights::Stored(source) => source.read(name, sink),
            Weights::Made(tensors) => {
                let missing = || crate::ModelError::MissingTensor { name: name.to_owned() };
                let tensor = tensors.remove(name).ok_or_else(missing)?;
                tensor.values.chunks(PIECE).for_each(|piece| sink(Chunk::F32(piece)));
                Ok(())
            }
        }
    }
}
