//! Where a model comes from: its shape, its numbers as they are stored, its tokenizer and its chat template. A kind of file is
//! one implementation; back-ends, merging and export know none of them.
//!
//! Numbers are streamed, in the type that they are stored in: see [`Chunk`]. Which kind of file lies at a path, `open` decides.

use crate::chunk::Chunk;
use crate::error::Result;
use crate::safetensors_folder::SafetensorsFolder;
use crate::{ChatTemplate, DecoderSpec, NamedTensor, Stored, TextTokenizer};
use alidade_domain::LocalTime;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

/// A model that lies somewhere, looked into and not loaded.
pub trait ModelSource: Debug + Send + Sync {
    /// Its shape; every tensor that it names is there.
    fn spec(&self) -> &DecoderSpec;

    /// What a person should know of how it was read.
    fn notes(&self) -> &[String];

    /// Streams the numbers of a tensor of the spec, row after row, in whole quantised blocks.
    ///
    /// # Errors
    /// When there is no such tensor, its file cannot be read, or a number is not finite.
    fn read(&self, name: &str, sink: &mut dyn FnMut(Chunk)) -> Result<()>;

    /// How a tensor's floats are stored in a model that is made from this one; as those of the embedding where there is none of
    /// this name.
    fn stored(&self, name: &str) -> Stored;

    /// Its tokenizer.
    ///
    /// # Errors
    /// When it is missing or broken.
    fn tokenizer(&self) -> Result<TextTokenizer>;

    /// Its chat template, if there is one; `now` is what it is told when it asks for the day.
    ///
    /// # Errors
    /// When there is one that cannot be compiled.
    fn chat_template(&self, tokenizer: &TextTokenizer, now: LocalTime) -> Result<Option<ChatTemplate>>;

    /// SHA-256 of everything that its numbers depend on, in lower-case hexadecimal.
    ///
    /// # Errors
    /// When a file cannot be read.
    fn sha256(&self) -> Result<String>;

    /// Writes what stands beside the weights of a model that is made from this one into its folder: configuration, tokenizer,
    /// chat template, licence.
    ///
    /// # Errors
    /// When something cannot be read or written.
    fn write_companions(&self, spec: &DecoderSpec, stored: Stored, folder: &Path) -> Result<()>;
}

/// Looks into the model at a path.
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

/// Where a decoder takes its weights from.
pub(crate) enum Weights {
    /// Numbers in memory; each is given up when it is read.
    Made(BTreeMap<String, NamedTensor>),
    /// A model that lies somewhere.
    Stored(Arc<dyn ModelSource>),
}

/// Numbers of a tensor in memory that are handed on at a time; a whole number of quantised blocks.
const PIECE: usize = 1 << 18;

impl Weights {
    /// Streams the numbers of a tensor.
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

    /// Every tensor in memory, as f32.
    pub(crate) fn all(self) -> Result<BTreeMap<String, NamedTensor>> {
        match self {
            Weights::Made(tensors) => Ok(tensors),
            Weights::Stored(source) => read_all(source.as_ref()),
        }
    }
}
