//! Elements of a weight in the dtype of its file, a chunk at a time. Back-ends consume that dtype directly: bf16 that stays
//! bf16 is never widened, and quantised blocks need no conversion first.

use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};

/// Elements of a quantised block.
pub const BLOCK: usize = 32;
/// Bytes of a block of q8_0: a scale in f16, and 32 quants of one byte.
pub const Q8_0_BYTES: usize = 2 + BLOCK;
/// Bytes of a block of q4_0: a scale in f16, and 32 quants as nibbles, the first sixteen in the low ones.
pub const Q4_0_BYTES: usize = 2 + BLOCK / 2;
/// Bytes of a block of q4_1: as q4_0, with a minimum in f16 after the scale.
pub const Q4_1_BYTES: usize = 4 + BLOCK / 2;

/// Some elements of a tensor, row after row.
#[derive(Debug, Clone, Copy)]
pub enum Chunk<'a> {
    /// f32.
    F32(&'a [f32]),
    /// Bits of f16.
    F16(&'a [u16]),
    /// Bits of bf16.
    Bf16(&'a [u16]),
    /// q8_0: scale · quant.
    Q8_0(&'a [[u8; Q8_0_BYTES]]),
    /// q4_0: scale · (quant − 8).
    Q4_0(&'a [[u8; Q4_0_BYTES]]),
    /// q4_1: scale · quant + minimum.
    Q4_1(&'a [[u8; Q4_1_BYTES]]),
}

impl Chunk<'_> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Chunk::F32(values) => values.len(),
            Chunk::F16(bits) | Chunk::Bf16(bits) => bits.len(),
            Chunk::Q8_0(blocks) => blocks.len() * BLOCK,
            Chunk::Q4_0(blocks) => blocks.len() * BLOCK,
            Chunk::Q4_1(blocks) => blocks.len() * BLOCK,
        }
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True when no element is infinite or NaN.
    pub fn is_finite(&self) -> bool {
        match self {
            Chunk::F32(values) => values.iter().all(|value| value.is_finite()),
            // All exponent bits are set in non-finite values.
            Chunk::F16(bits) => bits.iter().all(|bits| bits & 0x7c00 != 0x7c00),
            Chunk::Bf16(bits) => bits.iter().all(|bits| bits & 0x7f80 != 0x7f80),
            Chunk::Q8_0(blocks) => blocks.iter().all(|block| f16_at(block, 0).is_finite()),
            Chunk::Q4_0(blocks) => blocks.iter().all(|block| f16_at(block, 0).is_finite()),
            Chunk::Q4_1(blocks) => {
                blocks.iter().all(|block| f16_at(block, 0).is_finite() && f16_at(block, 2).is_finite())
            }
        }
    }

    /// Appends the elements as f32, exactly.
    pub fn widen_into(&self, out: &mut Vec<f32>) {
        match self {
            Chunk::F32(values) => out.extend_from_slice(values),
            Chunk::Bf16(bits) => out.extend(bits.iter().map(|bits| f32::from_bits(u32::from(*bits) << 16))),
            Chunk::F16(bits) => {
                let begin = out.len();
                out.resize(begin + bits.len(), 0.0);
                bits.reinterpret_cast::<f16>().convert_to_f32_slice(&mut out[begin..]);
            }
            Chunk::Q8_0(blocks) => {
                for block in *blocks {
                    let scale = f16_at(block, 0);
                    out.extend(block[2..].iter().map(|byte| scale * f32::from(*byte as i8)));
                }
            }
            Chunk::Q4_0(blocks) => {
                for block in *blocks {
                    let scale = f16_at(block, 0);
                    out.extend(nibbles(&block[2..]).map(|nibble| scale * (f32::from(nibble) - 8.0)));
                }
            }
            Chunk::Q4_1(blocks) => {
                for block in *blocks {
                    let (scale, minimum) = (f16_at(block, 0), f16_at(block, 2));
                    out.extend(nibbles(&block[4..]).map(|nibble| scale * f32::from(nibble) + minimum));
                }
            }
        }
    }

    /// The elements as f32: borrowed where they are f32, else widened into `scratch`.
    pub fn widened<'r>(&'r self, scratch: &'r mut Vec<f32>) -> &'r [f32] {
        if let Chunk::F32(values) = self {
            return values;
        }
        scratch.clear();
        self.widen_into(scratch);
        scratch
    }
}

/// The f16 at a byte of a block.
fn f16_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// The nibbles: all low ones, then all high ones.
fn nibbles(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.iter().map(|byte| byte & 15).chain(bytes.iter().map(|byte| byte >> 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widened(chunk: Chunk) -> Vec<f32> {
        let mut out = Vec::new();
        chunk.widen_into(&mut out);
        assert_eq!(out.len(), chunk.len());
        assert_eq!(chunk.widened(&mut Vec::new()), out);
        out
    }

    #[test]
    fn f16_and_bf16_widen_exactly() {
        let values = [0.0, 1.0, -2.5, 6.1e-5, 0.333];
        let f16_bits: Vec<u16> = values.iter().map(|value| f16::from_f32(*value).to_bits()).collect();
        let bf16_bits: Vec<u16> = values.iter().map(|value| half::bf16::from_f32(*value).to_bits()).collect();
        let expected = |round: fn(f32) -> f32| values.map(round).to_vec();
        assert_eq!(widened(Chunk::F16(&f16_bits)), expected(|value| f16::from_f32(value).to_f32()));
        assert_eq!(widened(Chunk::Bf16(&bf16_bits)), expected(|value| half::bf16::from_f32(value).to_f32()));
        assert_eq!(widened(Chunk::F32(&values)), values);
    }

    #[test]
    fn quantised_blocks_widen_by_their_formulas() {
        let [low, high] = f16::from_f32(0.5).to_le_bytes();
        let mut q8_0 = [0; Q8_0_BYTES];
        q8_0[..4].copy_from_slice(&[low, high, 3, 0xff]);
        assert_eq!(widened(Chunk::Q8_0(&[q8_0]))[..3], [1.5, -0.5, 0.0]);
        let mut q4_0 = [0x88; Q4_0_BYTES];
        q4_0[..3].copy_from_slice(&[low, high, 0x1f]);
        let values = widened(Chunk::Q4_0(&[q4_0]));
        assert_eq!([values[0], values[1], values[16], values[17]], [3.5, 0.0, -3.5, 0.0]);
        let mut q4_1 = [0; Q4_1_BYTES];
        q4_1[..5].copy_from_slice(&[low, high, low, high, 0x21]);
        let values = widened(Chunk::Q4_1(&[q4_1]));
        assert_eq!([values[0], values[1], values[16]], [1.0, 0.5, 1.5]);
    }

    #[test]
    fn non_finite_values_are_found_in_every_dtype() {
        for value in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            let (f16_bits, bf16_bits) = (f16::from_f32(value).to_bits(), half::bf16::from_f32(value).to_bits());
            let [low, high] = f16_bits.to_le_bytes();
            let mut q8_0 = [0; Q8_0_BYTES];
            q8_0[..2].copy_from_slice(&[low, high]);
            let mut q4_0 = [0; Q4_0_BYTES];
            q4_0[..2].copy_from_slice(&[low, high]);
            let mut q4_1 = [0; Q4_1_BYTES];
            q4_1[2..4].copy_from_slice(&[low, high]);
            let chunks = [Chunk::F32(&[1.0, value]), Chunk::F16(&[0, f16_bits]), Chunk::Bf16(&[0, bf16_bits])];
            let blocks = [Chunk::Q8_0(&[q8_0]), Chunk::Q4_0(&[q4_0]), Chunk::Q4_1(&[q4_1])];
            assert!(chunks.iter().chain(&blocks).all(|chunk| !chunk.is_finite()), "{value}");
        }
        assert!(Chunk::F16(&[0x7bff, 0xfbff]).is_finite() && Chunk::Bf16(&[0x7f7f, 0xff7f]).is_finite());
    }
}
