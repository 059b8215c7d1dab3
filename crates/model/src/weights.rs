//! Streaming tensors from safetensors files, piece by piece, straight to their destination: neither a file nor a model is
//! ever in memory twice. (A memory map would not help: matrices are stacked, and mapped pages count as well.)

use crate::ModelError;
use crate::bounded::open_ordinary;
use crate::census::Entry;
use crate::chunk::Chunk;
use crate::error::Result;
use crate::tensor_file::broken;
use alidade_domain::{why, wording};
use safetensors::tensor::Dtype;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

/// Bytes read at a time; a multiple of the size of every dtype.
const PIECE: usize = 1 << 20;

/// The file of a tensor, at its first byte.
fn at_start(entry: &Entry) -> Result<File> {
    let failed = |error: std::io::Error| ModelError::File { path: entry.path.clone(), found: why(&error) };
    let mut file = open_ordinary(&entry.path).map_err(failed)?;
    file.seek(SeekFrom::Start(entry.start)).map_err(failed)?;
    Ok(file)
}

/// True when two tensors hold the same elements in the same dtype.
pub(crate) fn same_bytes(one: &Entry, other: &Entry) -> Result<bool> {
    if one.dtype != other.dtype || one.shape != other.shape || one.bytes != other.bytes {
        return Ok(false);
    }
    let failed = |error: std::io::Error| ModelError::File { path: one.path.clone(), found: why(&error) };
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

/// Streams a tensor of a file; `name` is told in errors.
pub(crate) fn read_entry(name: &str, entry: &Entry, sink: &mut dyn FnMut(Chunk)) -> Result<()> {
    let failed = |error: std::io::Error| ModelError::File { path: entry.path.clone(), found: why(&error) };
    let mut file = at_start(entry)?;
    let (mut left, mut piece, mut room) = (entry.bytes, vec![0; PIECE.min(entry.bytes)], Room::default());
    while left > 0 {
        let bytes = &mut piece[..PIECE.min(left)];
        file.read_exact(bytes).map_err(failed)?;
        left -= bytes.len();
        let Some(chunk) = room.chunk(entry.dtype, bytes) else {
            let found = wording!(
                "{name} is of the type {kind:?}, which holds no floats",
                "{name} 的类型是 {kind:?}，不是浮点数",
                kind = entry.dtype
            );
            return Err(broken(&entry.path, &found));
        };
        if !chunk.is_finite() {
            return Err(ModelError::NotFinite { name: name.to_owned() });
        }
        sink(chunk);
    }
    Ok(())
}

/// Elements of a piece, in a buffer that all pieces share.
#[derive(Default)]
struct Room {
    wide: Vec<f32>,
    narrow: Vec<u16>,
}

impl Room {
    /// The bytes as elements, or `None` for a dtype that is not floating point.
    fn chunk(&mut self, dtype: Dtype, bytes: &[u8]) -> Option<Chunk<'_>> {
        self.wide.clear();
        self.narrow.clear();
        let pairs = || bytes.as_chunks().0.iter().map(|pair| u16::from_le_bytes(*pair));
        Some(match dtype {
            Dtype::F32 => {
                self.wide.extend(bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)));
                Chunk::F32(&self.wide)
            }
            Dtype::F64 => {
                self.wide.extend(bytes.as_chunks().0.iter().map(|eight| f64::from_le_bytes(*eight) as f32));
                Chunk::F32(&self.wide)
            }
            Dtype::F16 => {
                self.narrow.extend(pairs());
                Chunk::F16(&self.narrow)
            }
            Dtype::BF16 => {
                self.narrow.extend(pairs());
                Chunk::Bf16(&self.narrow)
            }
            _ => return None,
        })
    }
}
