//! Stub of `pairs` for targets other than x86-64, so that the rest of the crate compiles unchanged.

use crate::arena::Arena;
use crate::attention::{AttentionShape, Segment};
use crate::matrix::{Mat, MatMut, Threads};
use crate::{InstructionSet, ThreadPool};
use std::marker::PhantomData;

/// Uninhabited: no instruction set of this target takes bf16 pairs.
#[derive(Debug, Clone)]
pub enum Panels {}

impl Panels {
    /// Never called.
    ///
    /// # Panics
    /// Always.
    pub fn new(_: &mut Arena, _: InstructionSet, _: usize, _: usize) -> Self {
        panic!("no instructions for bf16 pairs");
    }

    /// Zero.
    pub fn bytes_for(_: usize, _: usize) -> usize {
        0
    }

    /// Never called.
    pub fn len(&self) -> usize {
        match *self {}
    }

    /// Never called.
    pub fn is_empty(&self) -> bool {
        match *self {}
    }

    /// Never called.
    pub fn push(&mut self, _: &[f32]) {
        match *self {}
    }

    /// Never called.
    pub fn push_rounded(&mut self, _: &[u16]) {
        match *self {}
    }

    /// Never called.
    pub fn widen(&self, _: usize, _: &mut [f32]) {
        match *self {}
    }
}

/// As [`Panels`].
#[derive(Debug, Clone)]
pub(crate) struct Bf16Head(());

impl Bf16Head {
    pub(crate) fn new(_: InstructionSet, _: usize) -> Self {
        panic!("no instructions for bf16 pairs");
    }

    pub(crate) fn len(&self) -> usize {
        self.0;
        panic!("no instructions for bf16 pairs");
    }

    pub(crate) fn reserve(&mut self, _: usize) {
        panic!("no instructions for bf16 pairs");
    }

    pub(crate) fn push(&mut self, _: &[f32], _: &[f32]) {
        panic!("no instructions for bf16 pairs");
    }

    pub(crate) fn attend(
        &self,
        _: f32,
        _: std::ops::Range<usize>,
        _: &[f32],
        _: &mut [f32],
        _: impl Fn(&mut [f32]) -> f32,
    ) {
        panic!("no instructions for bf16 pairs");
    }
}

/// Never called.
pub fn pairs_forward(_: InstructionSet, _: Mat, w: &Panels, _: MatMut, _: bool) {
    match *w {}
}

/// Never called.
pub fn pairs_decode(_: &ThreadPool, _: InstructionSet, _: Mat, w: &Panels, _: MatMut, _: bool) {
    match *w {}
}

/// Never called.
pub fn pairs_backward(_: InstructionSet, _: Mat, w: &Panels, _: MatMut, _: bool) {
    match *w {}
}

/// Never called: no instruction set of this target takes bf16 pairs.
///
/// # Panics
/// Always.
pub fn pairs_matmul(_: InstructionSet, _: MatMut, _: bool, _: f32, _: Mat, _: Mat, _: Threads) {
    panic!("no instructions for bf16 pairs");
}

/// Saved activations of attention.
#[derive(Clone, Copy)]
pub struct SavedRoundedAttention<'a> {
    /// As in `pairs`.
    pub qkv: &'a [u16],
    /// As in `pairs`.
    pub out: &'a [u16],
    /// As in `pairs`.
    pub log_sums: &'a [f32],
}

/// As [`pairs_matmul`].
///
/// # Panics
/// Always.
pub fn rounded_attention(
    _: InstructionSet,
    _: &AttentionShape,
    _: &[Segment],
    _: &[u16],
    _: MatMut<u16>,
    _: &mut [f32],
) {
    panic!("no instructions for bf16 pairs");
}

/// As [`pairs_matmul`].
///
/// # Panics
/// Always.
pub fn rounded_attention_backward(
    _: InstructionSet,
    _: &AttentionShape,
    _: &[Segment],
    _: SavedRoundedAttention,
    _: &[u16],
    _: MatMut,
) {
    panic!("no instructions for bf16 pairs");
}

/// Uninhabited, as [`Panels`].
#[derive(Debug)]
pub enum RoundedRows {}

/// As [`RoundedRows`].
#[derive(Debug, Clone, Copy)]
pub enum Place {}

/// An operand that is never multiplied.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a>(PhantomData<&'a f32>);

/// As [`RoundedRows`].
#[derive(Debug, Clone)]
pub enum Term<'a> {
    /// Never made.
    Never(std::convert::Infallible, PhantomData<&'a f32>),
}

impl RoundedRows {
    /// As [`pairs_matmul`].
    ///
    /// # Panics
    /// Always.
    pub fn new(_: InstructionSet, _: usize, _: impl IntoIterator<Item = usize>) -> Self {
        panic!("no instructions for bf16 pairs");
    }

    /// Never called.
    pub fn columns(&self, _: Place, _: usize, _: usize) -> Source<'_> {
        match *self {}
    }

    /// Never called.
    pub fn push(&mut self, _: Mat, _: f32, _: Threads) -> Place {
        match *self {}
    }

    /// Never called.
    pub fn push_rounded(&mut self, _: &[u16], _: usize) -> Place {
        match *self {}
    }

    /// Never called.
    pub fn push_with<T: Send>(&mut self, _: usize, _: &mut [T], _: impl Fn(usize, &mut [u16], &mut T) + Sync) -> Place {
        match *self {}
    }

    /// Never called.
    pub fn rows(&self) -> usize {
        match *self {}
    }

    /// Never called.
    pub fn times_rounded(&self, _: &[Term], _: MatMut<u16>) {
        match *self {}
    }

    /// Never called.
    pub fn times(&self, _: &[Term], _: MatMut, _: bool, _: f32, _: Threads) {
        match *self {}
    }
}

impl Place {
    /// Never called.
    #[must_use]
    pub fn part(self, _: usize, _: usize) -> (Self, usize) {
        match self {}
    }
}

impl<'a> Source<'a> {
    /// Stores nothing.
    pub fn bf16(_: &'a [u16], _: usize, _: usize, _: usize) -> Self {
        Self(PhantomData)
    }

    /// Stores nothing.
    pub fn rounded(_: Mat<'a>, _: f32) -> Self {
        Self(PhantomData)
    }
}

impl<'a> Term<'a> {
    /// Never called.
    pub fn transposed(a: Place, _: Source<'a>, _: usize) -> Self {
        match a {}
    }

    /// Never called.
    pub fn plain(a: Place, _: Source<'a>, _: usize) -> Self {
        match a {}
    }

    /// Never called.
    pub fn packed_transposed(a: Place, _: &'a Panels) -> Self {
        match a {}
    }

    /// Never called.
    pub fn packed_plain(a: Place, _: &'a Panels) -> Self {
        match a {}
    }
}
