//! From hidden states to log-probabilities of the scored tokens, forward and backward.
//!
//! Only rows whose next token is scored are multiplied with the LM head, by far the widest matmul of the model.

use super::block::{Context, Weights};
use super::rules::{token_logp, wide};
use crate::decoder::{ForwardOptions, TokenScores};
use crate::error::Result;
use crate::{ModelError, TokenBatch};
use alidade_domain::wording;
use candle_core::backprop::GradStore;
use candle_core::{D, DType, Device, Tensor};

/// What the backward pass needs.
pub(super) struct Tape {
    /// Absent when only hidden states were requested.
    logp: Option<Tensor>,
    hidden: Tensor,
}

/// Scores the targets of the batch on hidden states `[B, T, H]`.
pub(super) fn score(
    weights: &Weights,
    hidden: Tensor,
    batch: &TokenBatch,
    context: &Context,
    options: &ForwardOptions,
) -> Result<(TokenScores, Tape)> {
    if batch.targets.is_empty() {
        return Err(ModelError::Request(wording!("The batch has no token to score.", "这个批次没有可计分的词元。")));
    }
    let device = hidden.device();
    let rows: Vec<u32> =
        batch.targets.iter().map(|target| (target.row * batch.width + target.position) as u32).collect();
    let ids: Vec<u32> = batch.targets.iter().map(|target| target.id).collect();
    let flat = hidden.flatten(0, 1)?.index_select(&Tensor::from_vec(rows, batch.targets.len(), device)?, 0)?;
    if options.hidden_only {
        let scores = TokenScores { hidden: flat.flatten_all()?.to_vec1()?, ..TokenScores::default() };
        return Ok((scores, Tape { logp: None, hidden: flat }));
    }
    let mut logits = weights.output(&flat, context)?;
    if let Some(temperature) = options.temperature {
        logits = (logits / temperature)?;
    }
    let (logp, log_probabilities) = token_logp(&logits, &Tensor::from_slice(&ids, ids.len(), device)?, context.tape)?;
    let entropy = (log_probabilities.exp()? * &log_probabilities)?.to_dtype(wide(device))?.sum(D::Minus1)?.neg()?;
    let top: Vec<u32> = log_probabilities.argmax(D::Minus1)?.to_vec1()?;
    let doubles =
        |tensor: &Tensor| -> Result<Vec<f64>> { Ok(tensor.to_vec1::<f32>()?.into_iter().map(f64::from).collect()) };
    let scores = TokenScores {
        logp: doubles(&logp.detach())?,
        entropy: entropy.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec1()?,
        top: top.iter().zip(&ids).map(|(top, id)| top == id).collect(),
        mean_logit: doubles(&logits.detach().mean(D::Minus1)?)?,
        hidden: if options.hidden { flat.flatten_all()?.to_vec1()? } else { Vec::new() },
    };
    Ok((scores, Tape { logp: Some(logp), hidden: flat }))
}

impl Tape {
    /// Gradients of Σ g·logp + Σ h·hidden.
    pub(super) fn backward(self, logp_gradient: &[f64], hidden_gradient: Option<&[f32]>) -> Result<GradStore> {
        let count = self.logp.as_ref().map_or(0, Tensor::elem_count);
        if logp_gradient.len() != count {
            let given = logp_gradient.len();
            return Err(ModelError::Request(wording!(
                "Backward got {given} coefficients for {count} scored tokens.",
                "反向传播得到 {given} 个系数，而计分的词元有 {count} 个。"
            )));
        }
        let mut terms = Vec::new();
        if let Some(logp) = &self.logp {
            let narrow: Vec<f32> = logp_gradient.iter().map(|value| *value as f32).collect();
            terms.push((logp * Tensor::from_vec(narrow, count, logp.device())?)?.sum_all()?);
        }
        if let Some(gradient) = hidden_gradient {
            let gradient = Tensor::from_slice(gradient, self.hidden.shape(), self.hidden.device())?;
            terms.push((&self.hidden * gradient)?.sum_all()?);
        }
        match &terms[..] {
            [] => Err(ModelError::Request(wording!(
                "Backward was asked for without any coefficient.",
                "反向传播没有得到任何系数。"
            ))),
            [one] => Ok(one.backward()?),
            [one, other, ..] => Ok((one + other)?.backward()?),
        }
    }
}
