//! The base weights of a model folder, checked against the shapes that its configuration promises.
//!
//! Tensors are read one at a time and in pieces, straight into where they will stay: neither a file nor a model is ever in
//! memory twice. (A memory map would not help: matrices are stacked, and mapped pages count as well.)

use crate::bounded::open_ordinary;
use crate::census::{Census, Entry};
use crate::error::Result;
use crate::tensor_file::{TensorData, broken, decode};
use crate::{DecoderSpec, ModelError, NamedTensor};
use safetensors::tensor::TensorView;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes read at a time; a whole number of every type.
const PIECE: usize = 1 << 20;

/// The tensors that a model needs, as they lie in its files.
pub(crate) struct WeightFiles {
    entries: BTreeMap<String, Entry>,
}

/// The file of a tensor, at its first byte.
fn at_start(entry: &Entry) -> Result<File> {
    let failed = |error: std::io::Error| ModelError::File { path: entry.path.clone(), found: error.to_string() };
    let mut file = open_ordinary(&entry.path).map_err(failed)?;
    file.seek(SeekFrom::Start(entry.start)).map_err(failed)?;
    Ok(file)
}

/// True when two tensors hold the same numbers in the same form.
pub(crate) fn same_bytes(one: &Entry, other: &Entry) -> Result<bool> {
    if one.dtype != other.dtype || one.shape != other.shape || one.bytes != other.bytes {
        return Ok(false);
    }
    let failed = |error: std::io::Error| ModelError::File { path: one.path.clone(), found: error.to_string() };
    let (mut first, mut second, mut left) = (at_start(one)?, at_start(other)?, one.bytes);
    let mut pieces = [vec![0; PIECE.min(left)], vec![0; PIECE.min(left)]];
    while left > 0 {
        let length = PIECE.min(left);
        let [a, b] = &mut pieces;
        first.read_exact(&mut a[..length]).map_err(failed)?;
        second.read_exact(&mut b[..length]).map_err(failed)?;
        if a[..length] != b[..length] {
            return Ok(false);
        }
        left -= length;
    }
    Ok(true)
}

impl WeightFiles {
    /// Finds every tensor that `spec` names; further tensors in the files are ignored.
    pub(crate) fn open(folder: &Path, spec: &DecoderSpec) -> Result<Self> {
        let (mut held, mut entries) = (Census::open(folder)?.entries, BTreeMap::new());
        for (name, expected) in spec.tensors() {
            match held.remove(&name) {
                Some(entry) if entry.shape == expected => drop(entries.insert(name, entry)),
                Some(entry) => return Err(ModelError::WrongShape { name, found: entry.shape, expected }),
                None => return Err(ModelError::MissingTensor { name }),
            }
        }
        Ok(Self { entries })
    }

    /// Reads a tensor piece by piece; gives its shape.
    pub(crate) fn read(&self, name: &str, sink: &mut dyn FnMut(&[f32])) -> Result<Vec<usize>> {
        let missing = || ModelError::MissingTensor { name: name.to_owned() };
        let entry = self.entries.get(name).ok_or_else(missing)?;
        let failed = |error: std::io::Error| ModelError::File { path: entry.path.clone(), found: error.to_string() };
        let mut file = at_start(entry)?;
        let (mut left, mut piece) = (entry.bytes, vec![0; PIECE.min(entry.bytes)]);
        while left > 0 {
            let bytes = &mut piece[..PIECE.min(left)];
            file.read_exact(bytes).map_err(failed)?;
            left -= bytes.len();
            let count = bytes.len() * 8 / entry.dtype.bitsize();
            let view = TensorView::new(entry.dtype, vec![count], bytes).map_err(|error| broken(&entry.path, &error))?;
            let Some(TensorData::Floats(values)) = decode(&view) else {
                let found = format!("{name} is of the type {:?}, which holds no floats", entry.dtype);
                return Err(broken(&entry.path, &found));
            };
            if values.iter().any(|value| !value.is_finite()) {
                return Err(ModelError::NotFinite { name: name.to_owned() });
            }
            sink(&values);
        }
        Ok(entry.shape.clone())
    }
}

impl WeightFiles {
    fn all(&self) -> Result<BTreeMap<String, NamedTensor>> {
        let load = |(name, entry): (&String, &Entry)| {
            let mut values = Vec::with_capacity(entry.shape.iter().product());
            let shape = self.read(name, &mut |piece| values.extend_from_slice(piece))?;
            Ok((name.clone(), NamedTensor { shape, values }))
        };
        self.entries.iter().map(load).collect()
    }
}

/// Where a decoder takes its weights from.
pub(crate) enum WeightSource {
    /// Numbers in memory; each is given up when it is read.
    Made(BTreeMap<String, NamedTensor>),
    /// The files of a model folder.
    Files(WeightFiles),
}

impl WeightSource {
    /// Reads a tensor piece by piece; gives its shape.
    pub(crate) fn read(&mut self, name: &str, sink: &mut dyn FnMut(&[f32])) -> Result<Vec<usize>> {
        match self {
            WeightSource::Files(files) => files.read(name, sink),
            WeightSource::Made(tensors) => {
                let missing = || ModelError::MissingTensor { name: name.to_owned() };
                let tensor = tensors.remove(name).ok_or_else(missing)?;
                tensor.values.chunks(PIECE / 4).for_each(sink);
                Ok(tensor.shape)
            }
        }
    }

    /// Every tensor in memory, as f32.
    pub(crate) fn all(self) -> Result<BTreeMap<String, NamedTensor>> {
        match self {
            WeightSource::Made(tensors) => Ok(tensors),
            WeightSource::Files(files) => files.all(),
        }
    }
}

/// Every tensor that `spec` names, as f32.
pub(crate) fn load_weights(folder: &Path, spec: &DecoderSpec) -> Result<BTreeMap<String, NamedTensor>> {
    WeightFiles::open(folder, spec)?.all()
}
