//! From hidden rows to log-probabilities of the scored tokens, and the way back.
//!
//! Only rows whose next token is scored are normalised and reach the output matrix, a few hundred at a time. With a frozen output
//! matrix, ∂logp/∂hidden is multiplied out in the forward pass already: what the loss supplies later is one number a row.

use super::pass::Pass;
use super::pool::Pool;
use crate::decoder::{ForwardOptions, TokenScores};
use crate::error::Result;
use crate::{ModelError, TokenBatch};
use alidade_kernels::{Mat, MatMut, RowScore, Threads, matmul, score_rows, spread_gradient};

/// Logits that exist at the same time, where they are more than the fewest rows have: 48 megabytes. Every chunk packs the
/// output matrix anew, so that larger ones are faster.
const CHUNK_LOGITS: usize = 12 << 20;
/// Rows whose logits exist at the same time.
const CHUNK_ROWS: std::ops::RangeInclusive<usize> = 128..=256;

/// How many rows that is.
pub fn logit_rows(vocabulary: usize) -> usize {
    (CHUNK_LOGITS / vocabulary.max(1)).clamp(*CHUNK_ROWS.start(), *CHUNK_ROWS.end())
}

/// What the way back from the scores needs.
pub(super) struct Scored {
    /// Rows that were scored, before the final norm, and their inverse sizes.
    rows: Vec<f32>,
    inverse: Vec<f32>,
    /// After it.
    pub(super) hidden: Vec<f32>,
    /// ∂logp/∂hidden; empty when the output matrix is trained or no log-probability was asked for.
    units: Vec<f32>,
    pub(super) targets: Vec<u32>,
    pub(super) scale: f32,
    scored: bool,
}

impl Scored {
    /// Refuses coefficients that do not fit.
    pub(super) fn check(&self, logp_gradient: &[f64], hidden_gradient: Option<&[f32]>) -> Result<()> {
        let (given, count) = (logp_gradient.len(), if self.scored { self.targets.len() } else { 0 });
        if given != count {
            return Err(ModelError::Request(format!("Backward got {given} coefficients for {count} scored tokens.")));
        }
        match hidden_gradient {
            Some(gradient) if gradient.len() != self.hidden.len() => {
                Err(ModelError::Request("Backward got coefficients for another number of hidden rows.".to_owned()))
            }
            None if !self.scored => {
                Err(ModelError::Request("Backward was asked for without any coefficient.".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Gives the buffers back.
    pub(super) fn release(self, pool: &mut Pool) {
        pool.give([self.rows, self.inverse, self.hidden, self.units]);
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
    let mut kept = Scored { rows, inverse, hidden, units: Vec::new(), targets, scale, scored };
    let mut scores = TokenScores::default();
    if options.hidden || options.hidden_only {
        scores.hidden = kept.hidden.clone();
    }
    if scored {
        let units = options.tape && !pass.trains_base();
        for found in score_chunks(pass, &mut kept, units) {
            scores.logp.push(found.logp);
            scores.entropy.push(found.entropy);
            scores.top.push(found.top);
            scores.mean_logit.push(f64::from(found.mean));
        }
    }
    (scores, kept)
}

fn score_chunks(pass: &mut Pass, kept: &mut Scored, units: bool) -> Vec<RowScore> {
    let (width, vocabulary) = (pass.spec.hidden, pass.spec.vocabulary);
    let mut found = vec![RowScore::default(); kept.targets.len()];
    if units {
        kept.units = pass.pool.take(kept.hidden.len());
    }
    let output = &pass.weights.buffers[pass.weights.output];
    let mut own = pass.pool.take(width);
    let chunk = logit_rows(vocabulary);
    for start in (0..kept.targets.len()).step_by(chunk) {
        let rows = chunk.min(kept.targets.len() - start);
        let (targets, found) = (&kept.targets[start..start + rows], &mut found[start..start + rows]);
        let mut logits = logits(pass, &kept.hidden[start * width..][..rows * width]);
        score_rows(pass.set, &mut logits, targets, kept.scale, found);
        if units {
            let units = &mut kept.units[start * width..][..rows * width];
            let weights = Mat::new(&logits, rows, vocabulary);
            output.backward(pass.set, pass.pool, MatMut::new(units, rows, width), false, weights);
            for ((unit, target), found) in units.chunks_exact_mut(width).zip(targets).zip(found) {
                output.copy(pass.set, *target as usize * width, &mut own);
                unit.iter_mut().zip(&own).for_each(|(u, e)| *u = kept.scale * (e - found.normaliser * *u));
            }
        }
        pass.pool.give([logits]);
    }
    pass.pool.give([own]);
    found
}

/// Logits `[n, V]` of hidden rows.
pub(super) fn logits(pass: &mut Pass, hidden: &[f32]) -> Vec<f32> {
    let (width, vocabulary) = (pass.spec.hidden, pass.spec.vocabulary);
    let rows = hidden.len() / width;
    let mut logits = pass.pool.take(rows * vocabulary);
    pass.product(pass.weights.output, MatMut::new(&mut logits, rows, vocabulary), false, Mat::new(hidden, rows, width));
    logits
}

/// ∂/∂x `[n, H]` of the residual stream, given the coefficients of the log-probabilities and of the hidden rows.
pub(super) fn score_back(
    pass: &mut Pass,
    kept: Scored,
    logp_gradient: &[f64],
    hidden_gradient: Option<&[f32]>,
) -> Vec<f32> {
    let width = pass.spec.hidden;
    let mut slopes = match hidden_gradient {
        Some(gradient) => pass.pool.copy(gradient),
        None => pass.pool.zeros(kept.hidden.len()),
    };
    let coefficients: Vec<f32> = logp_gradient.iter().map(|value| *value as f32).collect();
    if kept.scored && pass.trains_base() {
        train_output(pass, &kept, &coefficients, &mut slopes);
    } else if kept.scored {
        let rows = slopes.chunks_exact_mut(width).zip(kept.units.chunks_exact(width)).zip(&coefficients);
        rows.for_each(|((slope, unit), factor)| slope.iter_mut().zip(unit).for_each(|(s, u)| *s += factor * u));
    }
    let mut rows = pass.pool.zeros(kept.rows.len());
    pass.norm_back(&slopes, &kept.rows, pass.weights.final_norm, &kept.inverse, &mut rows);
    let mut dx = pass.pool.zeros(pass.layout.rows() * width);
    for (row, place) in rows.chunks_exact(width).zip(&pass.layout.targets) {
        dx[place * width..][..width].iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    pass.pool.give([slopes, rows, kept.rows, kept.inverse, kept.hidden, kept.units]);
    dx
}

/// Computes the logits again, chunk by chunk, for the gradient of the output matrix as well.
fn train_output(pass: &mut Pass, kept: &Scored, coefficients: &[f32], slopes: &mut [f32]) {
    let (width, vocabulary) = (pass.spec.hidden, pass.spec.vocabulary);
    let (weights, output) = (pass.weights, pass.weights.output);
    let chunk = logit_rows(vocabulary);
    let mut found = vec![RowScore::default(); chunk];
    for start in (0..kept.targets.len()).step_by(chunk) {
        let rows = chunk.min(kept.targets.len() - start);
        let (targets, found) = (&kept.targets[start..start + rows], &mut found[..rows]);
        let hidden = &kept.hidden[start * width..][..rows * width];
        let mut logits = logits(pass, hidden);
        score_rows(pass.set, &mut logits, targets, kept.scale, found);
        spread_gradient(pass.set, &mut logits, targets, found, &coefficients[start..start + rows], kept.scale);
        let spread = Mat::new(&logits, rows, vocabulary);
        let slopes = MatMut::new(&mut slopes[start * width..][..rows * width], rows, width);
        weights.buffers[output].backward(pass.set, pass.pool, slopes, true, spread);
        if let Some(gradients) = pass.gradients.as_mut() {
            let target = MatMut::new(&mut gradients[output], vocabulary, width);
            matmul(pass.set, target, true, 1.0, spread.t(), Mat::new(hidden, rows, width), Threads::Pool);
        }
        pass.pool.give([logits]);
    }
}
