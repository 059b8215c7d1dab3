//! Conversion between f32 and bf16, which is the upper half of an f32.

use crate::InstructionSet;
use crate::instruction_set::dispatch;
use rayon::prelude::*;

/// Elements that one task converts.
const BLOCK: usize = 16_384;

/// Rounds to the nearest bf16, ties to even. NaN stays NaN.
///
/// # Panics
/// When the lengths differ.
pub fn round_bf16(set: InstructionSet, values: &[f32], out: &mut [u16]) {
    assert_eq!(values.len(), out.len(), "lengths differ");
    out.par_chunks_mut(BLOCK).zip(values.par_chunks(BLOCK)).for_each(|(out, values)| round_block(set, values, out));
}

/// Widens bf16 to f32, exactly.
///
/// # Panics
/// When the lengths differ.
pub fn widen_bf16(set: InstructionSet, values: &[u16], out: &mut [f32]) {
    assert_eq!(values.len(), out.len(), "lengths differ");
    if values.len() <= BLOCK {
        return widen_block(set, values, out);
    }
    out.par_chunks_mut(BLOCK).zip(values.par_chunks(BLOCK)).for_each(|(out, values)| widen_block(set, values, out));
}

dispatch!(pub(crate) fn round_block(values: &[f32], out: &mut [u16]) = round_body);
dispatch!(pub(crate) fn widen_block(values: &[u16], out: &mut [f32]) = widen_body);

/// One value rounded as [`round_bf16`] does.
#[inline(always)]
pub(crate) fn round(value: f32) -> u16 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    if value.is_nan() { 0x7fc0 } else { rounded as u16 }
}

/// One value widened.
#[inline(always)]
pub(crate) fn widen(value: u16) -> f32 {
    f32::from_bits(u32::from(value) << 16)
}

#[inline(always)]
fn round_body<const FMA: bool>(values: &[f32], out: &mut [u16]) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = round(*value);
    }
}

#[inline(always)]
fn widen_body<const FMA: bool>(values: &[u16], out: &mut [f32]) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = widen(*value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_agrees_with_the_library_on_every_level() {
        let mut values: Vec<f32> = (0..4000).map(|i| (i as f32 * 0.731).sin() * 10f32.powi(i % 60 - 30)).collect();
        values.extend([0.0, -0.0, f32::MAX, f32::MIN_POSITIVE, f32::INFINITY, 1.003_906_3, 1.011_718_8]);
        for set in InstructionSet::all() {
            let mut bits = vec![0; values.len()];
            round_bf16(set, &values, &mut bits);
            let expected: Vec<u16> = values.iter().map(|value| half::bf16::from_f32(*value).to_bits()).collect();
            assert_eq!(bits, expected, "{set:?}");
            let mut wide = vec![0.0; values.len()];
            widen_bf16(set, &bits, &mut wide);
            assert!(wide.iter().zip(&bits).all(|(wide, bits)| *wide == half::bf16::from_bits(*bits).to_f32()));
        }
        let mut out = [0];
        round_bf16(InstructionSet::best(), &[f32::NAN], &mut out);
        assert!(half::bf16::from_bits(out[0]).is_nan());
    }
}
