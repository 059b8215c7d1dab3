//! Numbers of a weight as a file stores them, some at a time. A back-end takes them in the type that they have: what stays
//! bf16 is never widened on its way, and what is quantised need not become anything else first.

use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};

/// Numbers of a quantised block.
pub const BLOCK: usize = 32;
/// Bytes of a block of q8_0: a factor in f16, and 32 whole numbers of one byte.
pub const Q8_0_BYTES: usize = 2 + BLOCK;
/// Bytes of a block of q4_0: a factor in f16, and 32 whole numbers of half a byte, the first sixteen in the lower nibbles.
pub const Q4_0_BYTES: usize = 2 + BLOCK / 2;
/// Bytes of a block of q4_1: as q4_0, with a least number in f16 after the factor.
pub const Q4_1_BYTES: usize = 4 + BLOCK / 2;

/// Some numbers of a tensor, row after row.
#[derive(Debug, Clone, Copy)]
pub enum Chunk<'a> {
    /// f32.
    F32(&'a [f32]),
    /// Bits of IEEE's 16-bit floats.
    F16(&'a [u16]),
    /// Bits of bf16.
    Bf16(&'a [u16]),
    /// q8_0: factor · number.
    Q8_0(&'a [[u8; Q8_0_BYTES]]),
    /// q4_0: factor · (number − 8).
    Q4_0(&'a [[u8; Q4_0_BYTES]]),
    /// q4_1: factor · number + least.
    Q4_1(&'a [[u8; Q4_1_BYTES]]),
}

impl Chunk<'_> {
    /// How many numbers it holds.
    pub fn len(&self) -> usize {
        match self {
            Chunk::F32(values) => values.len(),
            Chunk::F16(bits) | Chunk::Bf16(bits) => bits.len(),
            Chunk::Q8_0(blocks) => blocks.len() * BLOCK,
            Chunk::Q4_0(blocks) => blocks.len() * BLOCK,
            Chunk::Q4_1(blocks) => blocks.len() * BLOCK,
        }
    }

    /// True when it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True when every number is one: neither infinite nor undefined.
    pub fn is_finite(&self) -> bool {
        match self {
            Chunk::F32(values) => values.iter().all(|value| value.is_finite()),
            // All bits of the exponent are set in what is not finite.
            Chunk::F16(bits) => bits.iter().all(|bits| bits & 0x7c00 != 0x7c00),
            Chunk::Bf16(bits) => bits.iter().all(|bits| bits & 0x7f80 != 0x7f80),
            Chunk::Q8_0(blocks) => blocks.iter().all(|block| number(block, 0).is_finite()),
            Chunk::Q4_0(blocks) => blocks.iter().all(|block| number(block, 0).is_finite()),
            Chunk::Q4_1(blocks) => {
                blocks.iter().all(|block| number(block, 0).is_finite() && number(block, 2).is_finite())
            }
        }
    }

    /// Appends the numbers as f32, exactly.
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
                    let factor = number(block, 0);
                    out.extend(block[2..].iter().map(|byte| factor * f32::from(*byte as i8)));
                }
            }
            Chunk::Q4_0(blocks) => {
                for block in *blocks {
                    let factor = number(block, 0);
                    out.extend(nibbles(&block[2..]).map(|nibble| factor * (f32::from(nibble) - 8.0)));
                }
            }
            Chunk::Q4_1(blocks) => {
                for block in *blocks {
                    let (factor, least) = (number(block, 0), number(block, 2));
                    out.extend(nibbles(&block[4..]).map(|nibble| factor * f32::from(nibble) + least));
                }
            }
        }
    }

    /// The numbers as f32: as they lie where they are that, else widened into `room`.
    pub fn widened<'r>(&'r self, room: &'r mut Vec<f32>) -> &'r [f32] {
        if let Chunk::F32(values) = self {
            return values;
        }
        room.clear();
        self.widen_into(room);
        room
    }
}

/// The f16 at a byte of a block.
fn number(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Numbers of half a byte: all lower nibbles, then all upper ones.
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
    fn halves_and_brains_widen_exactly() {
        let values = [0.0, 1.0, -2.5, 6.1e-5, 0.333];
        let half: Vec<u16> = values.iter().map(|value| f16::from_f32(*value).to_bits()).collect();
        let brain: Vec<u16> = values.iter().map(|value| half::bf16::from_f32(*value).to_bits()).collect();
        let expected = |round: fn(f32) -> f32| values.map(round).to_vec();
        assert_eq!(widened(Chunk::F16(&half)), expected(|value| f16::from_f32(value).to_f32()));
        assert_eq!(widened(Chunk::Bf16(&brain)), expected(|value| half::bf16::from_f32(value).to_f32()));
        assert_eq!(widened(Chunk::F32(&values)), values);
    }

    #[test]
    fn blocks_say_what_their_formulas_say() {
        let [low, high] = f16::from_f32(0.5).to_le_bytes();
        let mut eight = [0; Q8_0_BYTES];
        eight[..4].copy_from_slice(&[low, high, 3, 0xff]);
        assert_eq!(widened(Chunk::Q8_0(&[eight]))[..3], [1.5, -0.5, 0.0]);
        let mut four = [0x88; Q4_0_BYTES];
        four[..3].copy_from_slice(&[low, high, 0x1f]);
        let values = widened(Chunk::Q4_0(&[four]));
        assert_eq!([values[0], values[1], values[16], values[17]], [3.5, 0.0, -3.5, 0.0]);
        let mut from = [0; Q4_1_BYTES];
        from[..5].copy_from_slice(&[low, high, low, high, 0x21]);
        let values = widened(Chunk::Q4_1(&[from]));
        assert_eq!([values[0], values[1], values[16]], [1.0, 0.5, 1.5]);
    }

    #[test]
    fn what_is_not_finite_is_seen_in_every_type() {
        for value in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            let (half, brain) = (f16::from_f32(value).to_bits(), half::bf16::from_f32(value).to_bits());
            let [low, high] = half.to_le_bytes();
            let mut eight = [0; Q8_0_BYTES];
            eight[..2].copy_from_slice(&[low, high]);
            let mut four = [0; Q4_0_BYTES];
            four[..2].copy_from_slice(&[low, high]);
            let mut from = [0; Q4_1_BYTES];
            from[2..4].copy_from_slice(&[low, high]);
            let chunks = [Chunk::F32(&[1.0, value]), Chunk::F16(&[0, half]), Chunk::Bf16(&[0, brain])];
            let blocks = [Chunk::Q8_0(&[eight]), Chunk::Q4_0(&[four]), Chunk::Q4_1(&[from])];
            assert!(chunks.iter().chain(&blocks).all(|chunk| !chunk.is_finite()), "{value}");
        }
        assert!(Chunk::F16(&[0x7bff, 0xfbff]).is_finite() && Chunk::Bf16(&[0x7f7f, 0xff7f]).is_finite());
    }
}
