//! What a method trains: a decoder with one trainable adapter (or all weights), the frozen reference that belongs to it,
//! and, where a method needs them, a scalar head on the hidden states, a critic, and a reward model.
//!
//! One base model serves all roles. The reference costs no second model: for a fresh adapter it is the same weights with
//! the adapter off; when an adapter is continued it is a frozen copy of that adapter as it was at the start (methods:
//! "which reference"). The heads are computed here, in plain Rust; a back-end only sees ∂loss/∂hidden.

use crate::adapter::AdapterWeights;
use crate::adapter_names::PREFIX;
use crate::decoder::{Checkpointing, Decoder, DropoutSeed, ForwardOptions, TokenScores};
use crate::error::Result;
use crate::head::ScalarHead;
use crate::{ModelError, NamedTensor, TokenBatch, TokenRow};
use alidade_domain::wording;
use std::collections::BTreeMap;

const POLICY: &str = "policy";
const REFERENCE: &str = "reference";
const CRITIC: &str = "critic";
/// PEFT's module name of the scalar head of a reward model.
const SCORE: &str = "score";

/// What the policy is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reference {
    AdapterOff,
    FrozenCopy,
}

/// Where the value of a state comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Critic {
    /// A head on the policy's own hidden states; with `detached` its loss does not reach the policy's adapter.
    SharedHead {
        /// Stop the gradient at the hidden states.
        detached: bool,
    },
    /// A second adapter with a head of its own, on the same base.
    Adapter,
}

/// A model that scores the policy's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScorerKind {
    /// How good they are.
    Reward,
    /// How harmful they are.
    Cost,
}

impl ScorerKind {
    fn adapter(self) -> &'static str {
        match self {
            ScorerKind::Reward => "reward",
            ScorerKind::Cost => "cost",
        }
    }
}

/// A decoder under training.
pub struct Policy {
    decoder: Box<dyn Decoder>,
    adapter: Option<&'static str>,
    reference: Reference,
    score: Option<ScalarHead>,
    critic: Option<(Critic, ScalarHead)>,
    scorers: BTreeMap<ScorerKind, ScalarHead>,
}

impl Policy {
    fn over(decoder: Box<dyn Decoder>, adapter: Option<&'static str>, reference: Reference) -> Self {
        Self { decoder, adapter, reference, score: None, critic: None, scorers: BTreeMap::new() }
    }

    /// Trains a fresh adapter; the reference is the base model.
    ///
    /// # Errors
    /// When the adapter does not fit the model.
    pub fn fresh(mut decoder: Box<dyn Decoder>, adapter: &AdapterWeights) -> Result<Self> {
        let (adapter, score) = split_score(adapter, SCORE)?;
        decoder.install(POLICY, &adapter, true)?;
        Ok(Self { score, ..Self::over(decoder, Some(POLICY), Reference::AdapterOff) })
    }

    /// Goes on training an adapter; the reference is a frozen copy of it.
    ///
    /// # Errors
    /// When the adapter does not fit the model.
    pub fn continuing(mut decoder: Box<dyn Decoder>, adapter: &AdapterWeights) -> Result<Self> {
        let (adapter, score) = split_score(adapter, SCORE)?;
        decoder.install(REFERENCE, &adapter, false)?;
        decoder.install(POLICY, &adapter, true)?;
        Ok(Self { score, ..Self::over(decoder, Some(POLICY), Reference::FrozenCopy) })
    }

    /// Trains every weight of the base model.
    ///
    /// # Errors
    /// When the back-end fails.
    pub fn full(mut decoder: Box<dyn Decoder>) -> Result<Self> {
        decoder.train_base()?;
        Ok(Self::over(decoder, None, Reference::AdapterOff))
    }

    /// Scores with a tape for [`Policy::backward`].
    ///
    /// # Errors
    /// As [`Decoder::forward`].
    pub fn forward(&mut self, batch: &TokenBatch, dropout: Option<DropoutSeed>) -> Result<TokenScores> {
        let options = ForwardOptions { adapter: self.adapter, tape: true, dropout, ..ForwardOptions::default() };
        self.decoder.forward(batch, &options)
    }

    /// As [`Policy::forward`], with NEFTune noise of a strength on the embeddings.
    ///
    /// # Errors
    /// As [`Decoder::forward`].
    pub fn forward_noisy(&mut self, batch: &TokenBatch, dropout: DropoutSeed, strength: f64) -> Result<TokenScores> {
        let (adapter, noise) = (self.adapter, (strength > 0.0).then_some(strength));
        let options =
            ForwardOptions { adapter, tape: true, dropout: Some(dropout), noise, ..ForwardOptions::default() };
        self.decoder.forward(batch, &options)
    }

    /// As [`Policy::forward`] without dropout, with log-probabilities at a sampling temperature.
    ///
    /// # Errors
    /// As [`Decoder::forward`].
    pub fn forward_at(&mut self, batch: &TokenBatch, temperature: f64) -> Result<TokenScores> {
        let (adapter, temperature) = (self.adapter, Some(temperature));
        self.decoder.forward(batch, &ForwardOptions { adapter, tape: true, temperature, ..ForwardOptions::default() })
    }

    /// Scores without a tape, as in evaluation.
    ///
    /// # Errors
    /// As [`Decoder::forward`].
    pub fn scores(&mut self, batch: &TokenBatch, temperature: Option<f64>) -> Result<TokenScores> {
        self.decoder.forward(batch, &ForwardOptions { adapter: self.adapter, temperature, ..ForwardOptions::default() })
    }

    /// Scores of the reference.
    ///
    /// # Errors
    /// As [`Decoder::forward`]; also when all weights are trained, since nothing frozen is left to compare with.
    pub fn reference_scores(&mut self, batch: &TokenBatch, temperature: Option<f64>) -> Result<TokenScores> {
        let adapter = match (self.adapter, self.reference) {
            (None, _) => {
                return Err(ModelError::Request(wording!(
                    "Full training keeps no reference model to compare with.",
                    "全参数训练不保留用于比较的参考模型。"
                )));
            }
            (Some(_), Reference::AdapterOff) => None,
            (Some(_), Reference::FrozenCopy) => Some(REFERENCE),
        };
        self.decoder.forward(batch, &ForwardOptions { adapter, temperature, ..ForwardOptions::default() })
    }

    /// Adds the gradient of Σ `logp_gradient`·logp of the last taped pass.
    ///
    /// # Errors
    /// As [`Decoder::backward`].
    pub fn backward(&mut self, logp_gradient: &[f64]) -> Result<()> {
        self.decoder.backward(logp_gradient, None)
    }

    /// Gives the policy a fresh score head, N(0, 1/(H + 1)), unless its adapter brought one.
    pub fn ensure_score_head(&mut self, seed: u64) {
        let width = self.decoder.spec().hidden;
        self.score.get_or_insert_with(|| ScalarHead::random(&score_name(SCORE), width, seed));
    }

    /// Scores at the end of each row, with a tape for [`Policy::backward_ends`].
    ///
    /// # Errors
    /// As [`Decoder::forward`]; also without a score head.
    pub fn forward_ends(&mut self, rows: &[TokenRow], dropout: Option<DropoutSeed>) -> Result<Vec<f64>> {
        let (adapter, hidden_only) = (self.adapter, true);
        let options = ForwardOptions { adapter, tape: true, dropout, hidden_only, ..ForwardOptions::default() };
        let hidden = self.decoder.forward(&TokenBatch::ends(rows)?, &options)?.hidden;
        self.score.as_mut().ok_or_else(no_head).map(|head| head.forward(hidden))
    }

    /// Adds the gradient of Σ `gradient`·score of the last [`Policy::forward_ends`].
    ///
    /// # Errors
    /// As [`Decoder::backward`].
    pub fn backward_ends(&mut self, gradient: &[f64]) -> Result<()> {
        let hidden = self.score.as_mut().ok_or_else(no_head)?.backward(gradient);
        self.decoder.backward(&[], Some(&hidden))
    }

    /// Gives the policy a critic whose values begin at 0.
    ///
    /// # Errors
    /// When the critic's adapter does not fit the model.
    pub fn install_critic(&mut self, critic: Critic, adapter: Option<&AdapterWeights>) -> Result<()> {
        if let (Critic::Adapter, Some(adapter)) = (critic, adapter) {
            self.decoder.install(CRITIC, adapter, true)?;
        }
        let head = ScalarHead::zero("critic/value.weight", self.decoder.spec().hidden);
        self.critic = Some((critic, head));
        Ok(())
    }

    /// Values of the states before the scored tokens, without a tape.
    ///
    /// # Errors
    /// As [`Decoder::forward`]; also without a critic.
    pub fn values(&mut self, batch: &TokenBatch) -> Result<Vec<f64>> {
        let (critic, head) = self.critic.as_mut().ok_or_else(no_head)?;
        let adapter = if *critic == Critic::Adapter { Some(CRITIC) } else { self.adapter };
        let options = ForwardOptions { adapter, hidden_only: true, ..ForwardOptions::default() };
        Ok(head.apply(&self.decoder.forward(batch, &options)?.hidden))
    }

    /// One taped pass of actor and critic: `actor` maps log-probabilities, `critic` maps values to gradients of the loss,
    /// and both are backpropagated.
    ///
    /// # Errors
    /// As [`Decoder::forward`] and [`Decoder::backward`]; also without a critic.
    pub fn learn(
        &mut self,
        batch: &TokenBatch,
        temperature: f64,
        actor: &mut dyn FnMut(&TokenScores) -> Vec<f64>,
        critic: &mut dyn FnMut(&[f64]) -> Vec<f64>,
    ) -> Result<()> {
        let (kind, head) = self.critic.as_mut().ok_or_else(no_head)?;
        let shared = matches!(kind, Critic::SharedHead { .. });
        let temperature = Some(temperature);
        let options = ForwardOptions {
            adapter: self.adapter,
            tape: true,
            hidden: shared,
            temperature,
            ..ForwardOptions::default()
        };
        let scores = self.decoder.forward(batch, &options)?;
        let logp_gradient = actor(&scores);
        if !shared {
            self.decoder.backward(&logp_gradient, None)?;
            let options =
                ForwardOptions { adapter: Some(CRITIC), tape: true, hidden_only: true, ..ForwardOptions::default() };
            let values = head.forward(self.decoder.forward(batch, &options)?.hidden);
            let hidden = head.backward(&critic(&values));
            return self.decoder.backward(&[], Some(&hidden));
        }
        let values = head.forward(scores.hidden);
        let hidden = head.backward(&critic(&values));
        let detached = *kind == Critic::SharedHead { detached: true };
        self.decoder.backward(&logp_gradient, (!detached).then_some(&hidden[..]))
    }

    /// Installs a reward or cost model beside the policy, on the same base.
    ///
    /// # Errors
    /// When it does not fit the model or has no score head.
    pub fn install_scorer(&mut self, scorer: ScorerKind, adapter: &AdapterWeights) -> Result<()> {
        let (adapter, head) = split_score(adapter, SCORE)?;
        self.scorers.insert(scorer, head.ok_or_else(no_head)?);
        self.decoder.install(scorer.adapter(), &adapter, false)
    }

    /// Scores of whole rows by a scorer, read at their last token.
    ///
    /// # Errors
    /// As [`Decoder::forward`]; also without such a scorer.
    pub fn score_with(&mut self, scorer: ScorerKind, rows: &[TokenRow]) -> Result<Vec<f64>> {
        let head = self.scorers.get(&scorer).ok_or_else(no_head)?;
        let options =
            ForwardOptions { adapter: Some(scorer.adapter()), hidden_only: true, ..ForwardOptions::default() };
        Ok(head.apply(&self.decoder.forward(&TokenBatch::ends(rows)?, &options)?.hidden))
    }

    /// Takes the gradients accumulated since the last call.
    ///
    /// # Errors
    /// When the back-end fails.
    pub fn take_gradients(&mut self) -> Result<BTreeMap<String, Vec<f32>>> {
        let mut gradients = self.decoder.take_gradients()?;
        gradients.extend(self.heads_mut().filter_map(ScalarHead::take_gradient));
        Ok(gradients)
    }

    /// Values of the trainable tensors by name.
    ///
    /// # Errors
    /// When the back-end fails.
    pub fn parameters(&self) -> Result<BTreeMap<String, Vec<f32>>> {
        let own = self.decoder.trainable().into_iter().map(|(name, _)| Ok((name.clone(), self.decoder.read(&name)?)));
        let heads = self.score.iter().chain(self.critic.as_ref().map(|(_, head)| head));
        own.chain(heads.map(|head| Ok((head.name.clone(), head.weight.clone())))).collect()
    }

    /// Overwrites one trainable tensor.
    ///
    /// # Errors
    /// When there is none of this name or the length differs.
    pub fn set_parameter(&mut self, name: &str, values: &[f32]) -> Result<()> {
        if let Some(head) = self.heads_mut().find(|head| head.name == name && head.weight.len() == values.len()) {
            head.weight.copy_from_slice(values);
            return Ok(());
        }
        self.decoder.write(name, values)
    }

    fn heads_mut(&mut self) -> impl Iterator<Item = &mut ScalarHead> {
        self.score.iter_mut().chain(self.critic.as_mut().map(|(_, head)| head))
    }

    /// The current adapter, with its score head where it has one; `None` in full training.
    ///
    /// # Errors
    /// When the back-end fails.
    pub fn adapter(&self) -> Result<Option<AdapterWeights>> {
        let Some(name) = self.adapter else { return Ok(None) };
        let mut weights = self.decoder.extract(name)?;
        if let Some(head) = &self.score {
            weights.mark_as_scorer(SCORE);
            let tensor = NamedTensor { shape: vec![1, head.weight.len()], values: head.weight.clone() };
            weights.tensors.insert(head.name.clone(), tensor);
        }
        Ok(Some(weights))
    }

    /// Sets activation checkpointing for taped passes from now on.
    pub fn set_checkpointing(&mut self, checkpointing: Checkpointing) {
        self.decoder.set_checkpointing(checkpointing);
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

fn score_name(module: &str) -> String {
    format!("{PREFIX}{module}.weight")
}

fn no_head() -> ModelError {
    ModelError::Adapter {
        reason: wording!("it has no score head, so it cannot score answers", "它没有打分头，因此不能给回答打分"),
    }
}

/// Takes the scalar head out of an adapter; a back-end never sees it.
fn split_score(adapter: &AdapterWeights, module: &str) -> Result<(AdapterWeights, Option<ScalarHead>)> {
    let (mut rest, name) = (adapter.clone(), score_name(module));
    let Some(tensor) = rest.tensors.remove(&name) else { return Ok((rest, None)) };
    if tensor.shape[0] != 1 {
        let reason = wording!(
            "its score head has {outputs} outputs; a reward model has one",
            "它的打分头有 {outputs} 个输出，而奖励模型只有一个",
            outputs = tensor.shape[0]
        );
        return Err(ModelError::Adapter { reason });
    }
    Ok((rest, Some(ScalarHead::new(&name, tensor.values))))
}
