//! What stands in for `pairs` on processors without such instructions.

use crate::matrix::{Mat, MatMut};
use crate::{Crew, InstructionSet};

/// No such products are to be had here, so no instruction set leads to this call.
///
/// # Panics
/// Always.
pub fn pairs_forward(_: InstructionSet, _: Mat, _: &[u16], _: MatMut, _: bool) {
    panic!("no instructions for pairs");
}

/// As [`pairs_forward`].
///
/// # Panics
/// Always.
pub fn pairs_backward(_: InstructionSet, _: Mat, _: &[u16], _: MatMut, _: bool) {
    panic!("no instructions for pairs");
}

pub(crate) fn rows_times(
    _: &Crew,
    _: InstructionSet,
    _: Mat,
    _: &[u16],
    _: Vec<(usize, MatMut)>,
    _: impl Fn(&mut [f32], &[f32]) + Sync,
) {
    panic!("no instructions for pairs");
}
