//! What a method trains: a decoder with one trainable adapter (or all weights), and the frozen reference that belongs to it.
//!
//! The reference costs no second model: for a fresh adapter it is the same weights with the adapter off; when an adapter
//! is continued it is a frozen copy of that adapter as it was at the start (methods: "which reference").

use crate::adapter::AdapterWeights;
use crate::decoder::{Decoder, DropoutSeed, ForwardOptions, TokenScores};
use crate::error::Result;
use crate::{ModelError, TokenBatch};
use std::collections::BTreeMap;

const POLICY: &str = "policy";
const REFERENCE: &str = "reference";

/// What the policy is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reference {
    AdapterOff,
    FrozenCopy,
}

/// A decoder under training.
pub struct Policy {
    decoder: Box<dyn Decoder>,
    adapter: Option<&'static str>,
    reference: Reference,
}

impl Policy {
    /// Trains a fresh adapter; the reference is the base model.
    ///
    /// # Errors
    /// When the adapter does not fit the model.
    pub fn fresh(mut decoder: Box<dyn Decoder>, adapter: &AdapterWeights) -> Result<Self> {
        decoder.install(POLICY, adapter, true)?;
        Ok(Self { decoder, adapter: Some(POLICY), reference: Reference::AdapterOff })
    }

    /// Goes on training an adapter; the reference is a frozen copy of it.
    ///
    /// # Errors
    /// When the adapter does not fit the model.
    pub fn continuing(mut decoder: Box<dyn Decoder>, adapter: &AdapterWeights) -> Result<Self> {
        decoder.install(REFERENCE, adapter, false)?;
        decoder.install(POLICY, adapter, true)?;
        Ok(Self { decoder, adapter: Some(POLICY), reference: Reference::FrozenCopy })
    }

    /// Trains every weight of the base model.
    ///
    /// # Errors
    /// When the back-end fails.
    pub fn full(mut decoder: Box<dyn Decoder>) -> Result<Self> {
        decoder.train_base()?;
        Ok(Self { decoder, adapter: None, reference: Reference::AdapterOff })
    }

    /// Scores with a tape for [`Policy::backward`].
    ///
    /// # Errors
    /// As [`Decoder::forward`].
    pub fn forward(&mut self, batch: &TokenBatch, dropout: Option<DropoutSeed>) -> Result<TokenScores> {
        let options = ForwardOptions { adapter: self.adapter, tape: true, dropout, hidden: false };
        self.decoder.forward(batch, &options)
    }

    /// Scores without a tape, as in evaluation.
    ///
    /// # Errors
    /// As [`Decoder::forward`].
    pub fn scores(&mut self, batch: &TokenBatch) -> Result<TokenScores> {
        self.decoder.forward(batch, &ForwardOptions { adapter: self.adapter, ..ForwardOptions::default() })
    }

    /// Scores of the reference.
    ///
    /// # Errors
    /// As [`Decoder::forward`]; also when all weights are trained, since nothing frozen is left to compare with.
    pub fn reference_scores(&mut self, batch: &TokenBatch) -> Result<TokenScores> {
        let adapter = match (self.adapter, self.reference) {
            (None, _) => {
                return Err(ModelError::Request("Full training keeps no reference model to compare with.".to_owned()));
            }
            (Some(_), Reference::AdapterOff) => None,
            (Some(_), Reference::FrozenCopy) => Some(REFERENCE),
        };
        self.decoder.forward(batch, &ForwardOptions { adapter, ..ForwardOptions::default() })
    }

    /// Adds the gradient of Σ `logp_gradient`·logp of the last [`Policy::forward`].
    ///
    /// # Errors
    /// As [`Decoder::backward`].
    pub fn backward(&mut self, logp_gradient: &[f64]) -> Result<()> {
        self.decoder.backward(logp_gradient, None)
    }

    /// The gradients added up since the last call.
    ///
    /// # Errors
    /// When the back-end fails.
    pub fn take_gradients(&mut self) -> Result<BTreeMap<String, Vec<f32>>> {
        self.decoder.take_gradients()
    }

    /// Values of the trainable tensors by name.
    ///
    /// # Errors
    /// When the back-end fails.
    pub fn parameters(&self) -> Result<BTreeMap<String, Vec<f32>>> {
        self.decoder.trainable().into_iter().map(|(name, _)| Ok((name.clone(), self.decoder.read(&name)?))).collect()
    }

    /// Overwrites one trainable tensor.
    ///
    /// # Errors
    /// When there is none of this name or the length differs.
    pub fn set_parameter(&mut self, name: &str, values: &[f32]) -> Result<()> {
        self.decoder.write(name, values)
    }

    /// The adapter as it stands now; `None` in full training.
    ///
    /// # Errors
    /// When the back-end fails.
    pub fn adapter(&self) -> Result<Option<AdapterWeights>> {
        self.adapter.map(|name| self.decoder.extract(name)).transpose()
    }

    /// Name of the trained adapter on the decoder, for generation.
    pub fn adapter_name(&self) -> Option<&str> {
        self.adapter
    }

    /// The decoder itself.
    pub fn decoder(&self) -> &dyn Decoder {
        self.decoder.as_ref()
    }
}
