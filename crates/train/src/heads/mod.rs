//! Losses as pure functions of log-probabilities in f64, which return the loss and its gradients. No model, no batch, no
//! tensor; each is checked against finite differences and against reference values of other programs.

pub(crate) mod advantage;
pub(crate) mod clip;
pub(crate) mod cpo;
pub(crate) mod dpo;
pub(crate) mod kl;
pub(crate) mod lagrange;
pub(crate) mod orpo;
pub(crate) mod pair;
pub(crate) mod reward;
pub(crate) mod scalar;
pub(crate) mod unpaired;

#[cfg(test)]
mod golden;
