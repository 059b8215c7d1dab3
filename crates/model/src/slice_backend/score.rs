//! From hidden states to log-probabilities of the scored tokens, forward and backward.
//!
//! Only rows whose next token is scored are normalised and multiplied with the LM head, a few hundred at a time. With a
//! frozen LM head, ∂logp/∂hidden is computed in the forward pass already: the loss later supplies one coefficient a row.

use super::buffer_pool::BufferPool;
use super::pass::Pass;
use crate::decoder::{ForwardOptions, TokenScores};
use crate::error::Result;
use crate::{ModelError, TokenBatch};
use alidade_domain::wording;
use alidade_kernels::{Mat, MatMut, RowScore, Threads, logit_gradients, matmul, score_rows};

/// Logits per chunk, where they make more than the fewest rows: 48 megabytes. Every chunk packs the LM head anew, so larger
/// ones are faster.
const CHUNK_LOGITS: usize = 12 << 20;
/// Bounds of the rows per chunk of logits.
const CHUNK_ROWS: std::ops::RangeInclusive<usize> = 128..=256;

/// Rows per chunk of logits for a vocabulary.
pub(crate) fn logit_rows(vocabulary: usize) -> usize {
    (CHUNK_LOGITS / vocabulary.max(1)).clamp(*CHUNK_ROWS.start(), *CHUNK_ROWS.end())
}

/// What the backward pass from the scores reads.
pub(super) struct Scored {
    /// Scored rows before the final norm, and their inverse RMS.
    rows: Vec<f32>,
    inverse: Vec<f32>,
    /// The same rows after it.
    pub(super) hidden: Vec<f32>,
    /// ∂logp/∂hidden; empty when the LM head is trained or no log-probability was requested.
    unit_gradients: Vec<f32>,
    pub(super) targets: Vec<u32>,
    pub(super) scale: f32,
    scored: bool,
}

impl Scored {
    /// Refuses coefficients of the wrong length.
    pub(super) fn check(&self, logp_gradient: &[f64], hidden_gradient: Option<&[f32]>) -> Result<()> {
        let (given, count) = (logp_gradient.len(), if self.scored { self.targets.len() } else { 0 });
        if given != count {
            return Err(ModelError::Request(wording!(
                "Backward got {given} coefficients for {count} scored tokens.",
                "反向传播得到 {given} 个系数，而计分的词元有 {count} 个。"
            )));
        }
        match hidden_gradient {
            Some(gradient) if gradient.len() != self.hidden.len() => Err(ModelError::Request(wording!(
                "Backward got coefficients for another number of hidden rows.",
                "反向传播得到的系数对应的隐藏状态行数不符。"
            ))),
            None if !self.scored => Err(ModelError::Request(wording!(
                "Backward was asked for without any coefficient.",
                "反向传播没有得到任何系数。"
            ))),
            _ => Ok(()),
        }
    }

    /// Returns the buffers to the pool.
    pub(super) fn release(self, pool: &mut BufferPool) {
        pool.give([self.rows, self.inverse, self.hidden, self.unit_gradients]);
    }
}

/// Scores the targets of the batch on the residual stream x `[n, H]`.
pub(super) fn score(pass: &mut Pass, x: &[f32], batch: &TokenBatch, options: &ForwardOptions) -> (TokenScores, Scored) {
    let hidden_size = pass.spec.hidden;
    let mut rows = pass.pool.take(pass.layout.targets.len() * hidden_size);
    for (row, place) in rows.chunks_exact_mut(hidden_size).zip(&pass.layout.targets) {
        row.copy_from_slice(&x[place * hidden_size..][..hidden_size]);
    }
    let (hidden, inverse) = pass.norm(&rows, pass.weights.final_norm);
    let targets: Vec<u32> = batch.targets.iter().map(|target| target.id).collect();
    let scale = options.temperature.map_or(1.0, |temperature| 1.0 / temperature as f32);
    let scored = !options.hidden_only;
    let mut saved = Scored { rows, inverse, hidden, unit_gradients: Vec::new(), targets, scale, scored };
    let mut scores = TokenScores::default();
    if options.hidden || options.hidden_only {
        scores.hidden = saved.hidden.clone();
    }
    if scored {
        let unit_gradients = options.tape && !pass.trains_base();
        for found in score_chunks(pass, &mut saved, unit_gradients) {
            scores.logp.push(found.logp);
            scores.entropy.push(found.entropy);
            scores.top.push(found.top);
            scores.mean_logit.push(f64::from(found.mean));
        }
    }
    (scores, saved)
}

fn score_chunks(pass: &mut Pass, saved: &mut Scored, unit_gradients: bool) -> Vec<RowScore> {
    let (width, vocabulary) = (pass.spec.hidden, pass.spec.vocabulary);
    let mut found = vec![RowScore::default(); saved.targets.len()];
    if unit_gradients {
        saved.unit_gradients = pass.pool.take(saved.hidden.len());
    }
    let output = &pass.weights.buffers[pass.weights.output];
    let mut own = pass.pool.take(width);
    let chunk = logit_rows(vocabulary);
    for start in (0..saved.targets.len()).step_by(chunk) {
        let rows = chunk.min(saved.targets.len() - start);
        let (targets, found) = (&saved.targets[start..start + rows], &mut found[start..start + rows]);
        let mut logits = logits(pass, &saved.hidden[start * width..][..rows * width]);
        score_rows(pass.set, &mut logits, targets, saved.scale, found);
        if unit_gradients {
            let unit_gradients = &mut saved.unit_gradients[start * width..][..rows * width];
            let weights = Mat::new(&logits, rows, vocabulary);
            output.backward(pass.set, pass.pool, MatMut::new(unit_gradients, rows, width), false, weights);
            for ((unit_gradient, target), found) in unit_gradients.chunks_exact_mut(width).zip(targets).zip(found) {
                output.copy(pass.set, *target as usize * width, &mut own);
                unit_gradient.iter_mut().zip(&own).for_each(|(u, e)| *u = saved.scale * (e - found.normaliser * *u));
            }
        }
        pass.pool.give([logits]);
    }
    pass.pool.give([own]);
    found
}

/// Logits `[n, V]` of hidden states.
pub(super) fn logits(pass: &mut Pass, hidden: &[f32]) -> Vec<f32> {
    let (width, vocabulary) = (pass.spec.hidden, pass.spec.vocabulary);
    let rows = hidden.len() / width;
    let mut logits = pass.pool.take(rows * vocabulary);
    pass.product(pass.weights.output, MatMut::new(&mut logits, rows, vocabulary), false, Mat::new(hidden, rows, width));
    logits
}

/// ∂/∂x `[n, H]` of the residual stream, given the coefficients of the log-probabilities and of the hidden states.
pub(super) fn score_backward(
    pass: &mut Pass,
    saved: Scored,
    logp_gradient: &[f64],
    hidden_gradient: Option<&[f32]>,
) -> Vec<f32> {
    let width = pass.spec.hidden;
    let mut gradient_rows = match hidden_gradient {
        Some(gradient) => pass.pool.copy(gradient),
        None => pass.pool.zeros(saved.hidden.len()),
    };
    let coefficients: Vec<f32> = logp_gradient.iter().map(|value| *value as f32).collect();
    if saved.scored && pass.trains_base() {
        train_output(pass, &saved, &coefficients, &mut gradient_rows);
    } else if saved.scored {
        let rows =
            gradient_rows.chunks_exact_mut(width).zip(saved.unit_gradients.chunks_exact(width)).zip(&coefficients);
        rows.for_each(|((row, unit_gradient), factor)| {
            row.iter_mut().zip(unit_gradient).for_each(|(s, u)| *s += factor * u)
        });
    }
    let mut rows = pass.pool.zeros(saved.rows.len());
    pass.norm_backward(&gradient_rows, &saved.rows, pass.weights.final_norm, &saved.inverse, &mut rows);
    let mut dx = pass.pool.zeros(pass.layout.rows() * width);
    for (row, place) in rows.chunks_exact(width).zip(&pass.layout.targets) {
        dx[place * width..][..width].iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    pass.pool.give([gradient_rows, rows, saved.rows, saved.inverse, saved.hidden, saved.unit_gradients]);
    dx
}

/// Recomputes the logits, chunk by chunk, for the gradient of the LM head as well.
fn train_output(pass: &mut Pass, saved: &Scored, coefficients: &[f32], gradient_rows: &mut [f32]) {
    let (width, vocabulary) = (pass.spec.hidden, pass.spec.vocabulary);
    let (weights, output) = (pass.weights, pass.weights.output);
    let chunk = logit_rows(vocabulary);
    let mut found = vec![RowScore::default(); chunk];
    for start in (0..saved.targets.len()).step_by(chunk) {
        let rows = chunk.min(saved.targets.len() - start);
        let (targets, found) = (&saved.targets[start..start + rows], &mut found[..rows]);
        let hidden = &saved.hidden[start * width..][..rows * width];
        let mut logits = logits(pass, hidden);
        score_rows(pass.set, &mut logits, targets, saved.scale, found);
        logit_gradients(pass.set, &mut logits, targets, found, &coefficients[start..start + rows], saved.scale);
        let spread = Mat::new(&logits, rows, vocabulary);
        let gradient_rows = MatMut::new(&mut gradient_rows[start * width..][..rows * width], rows, width);
        weights.buffers[output].backward(pass.set, pass.pool, gradient_rows, true, spread);
        if let Some(gradients) = pass.gradients.as_mut() {
            let target = MatMut::new(&mut gradients[output], vocabulary, width);
            matmul(pass.set, target, true, 1.0, spread.t(), Mat::new(hidden, rows, width), Threads::Pool);
        }
        pass.pool.give([logits]);
    }
}
