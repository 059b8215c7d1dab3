//! The base weights of a model folder, checked against the shapes that its configuration promises.
//!
//! Tensors are read one at a time and in pieces, straight into where they will stay: neither a file nor a model is ever in
//! memory twice. (A memory map would not help: matrices are stacked, and mapped pages count as well.)

use crate::error::Result;
use crate::folder::weight_files;
use crate::tensor_file::{TensorData, broken, decode};
use crate::{DecoderSpec, ModelError, NamedTensor};
use safetensors::tensor::{Dtype, Metadata, TensorView};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes read at a time; a whole number of every type.
const PIECE: usize = 1 << 20;
/// A longer header is no header.
const LONGEST_HEADER: u64 = 100 << 20;

/// Where a tensor lies.
struct Entry {
    path: PathBuf,
    start: u64,
    bytes: usize,
    dtype: Dtype,
    shape: Vec<usize>,
}

/// The tensors that a model needs, as they lie in its files.
pub(crate) struct WeightFiles {
    entries: BTreeMap<String, Entry>,
}

impl WeightFiles {
    /// Finds every tensor that `spec` names; further tensors in the files are ignored.
    pub(crate) fn open(folder: &Path, spec: &DecoderSpec) -> Result<Self> {
        let wanted: BTreeMap<String, Vec<usize>> = spec.tensors().into_iter().collect();
        let mut entries = BTreeMap::new();
        for path in weight_files(folder)? {
            let (start, length, metadata) = header(&path)?;
            for (name, info) in metadata.tensors() {
                let Some(expected) = wanted.get(&name) else { continue };
                if info.shape != *expected {
                    let found = info.shape.clone();
                    return Err(ModelError::WrongShape { name, found, expected: expected.clone() });
                }
                let (first, last) = info.data_offsets;
                let count: usize = info.shape.iter().product();
                let bytes = count.checked_mul(info.dtype.bitsize()).map(|bits| bits / 8);
                if first > last || last as u64 > length || bytes != Some(last - first) {
                    return Err(broken(&path, &format!("{name} reaches beyond the file or has another size")));
                }
                let (start, bytes, dtype) = (start + first as u64, last - first, info.dtype);
                entries.insert(name, Entry { path: path.clone(), start, bytes, dtype, shape: info.shape.clone() });
            }
        }
        match wanted.keys().find(|name| !entries.contains_key(*name)) {
            Some(name) => Err(ModelError::MissingTensor { name: name.clone() }),
            None => Ok(Self { entries }),
        }
    }

    /// Reads a tensor piece by piece; gives its shape.
    pub(crate) fn read(&self, name: &str, sink: &mut dyn FnMut(&[f32])) -> Result<Vec<usize>> {
        let missing = || ModelError::MissingTensor { name: name.to_owned() };
        let entry = self.entries.get(name).ok_or_else(missing)?;
        let failed = |error: std::io::Error| ModelError::File { path: entry.path.clone(), found: error.to_string() };
        let mut file = File::open(&entry.path).map_err(failed)?;
        file.seek(SeekFrom::Start(entry.start)).map_err(failed)?;
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

/// Where the data of a file begins, how long it is, and what it says of itself.
fn header(path: &Path) -> Result<(u64, u64, Metadata)> {
    let failed = |error: std::io::Error| ModelError::File { path: path.to_owned(), found: error.to_string() };
    let mut file = File::open(path).map_err(failed)?;
    let whole = file.metadata().map_err(failed)?.len();
    let mut size = [0; 8];
    file.read_exact(&mut size).map_err(|error| broken(path, &error))?;
    let size = u64::from_le_bytes(size);
    let Some(length) = whole.checked_sub(8).and_then(|rest| rest.checked_sub(size)) else {
        return Err(broken(path, &"the file ends within its header"));
    };
    if size > LONGEST_HEADER {
        return Err(broken(path, &"its header is too long"));
    }
    let mut text = vec![0; size as usize];
    file.read_exact(&mut text).map_err(|error| broken(path, &error))?;
    let metadata: Metadata = serde_json::from_slice(&text).map_err(|error| broken(path, &error))?;
    if (metadata.data_len() as u64) > length {
        return Err(broken(path, &"the file is cut off"));
    }
    Ok((8 + size, length, metadata))
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
