//! Direct preference optimisation (Rafailov et al., arXiv 2305.18290) and its family: of two answers to one prompt, the
//! preferred one becomes likelier relative to the reference, the other one less likely.
//!
//! The losses are in `heads/pair.rs`. Several may be added up with weights; `sft` among them adds the negative
//! log-likelihood of the chosen answers (RPO: Liu et al., arXiv 2405.16436). Log-probabilities are sums over the answer.
//! Dropout is off, so that the policy starts exactly at its reference.

use super::pairs::{PairBatch, Totals, prepare, sum};
use crate::encode::{Encoder, Prepared};
use crate::error::Result;
use crate::heads::pair::{BENDABLE, DIVERGENCES, DPO_LOSSES, PairHead, PairOptions, PairScores, SMOOTHED, dpo_heads};
use crate::method::{Method, Needs};
use crate::session::{End, Session};
use crate::settings::{Defaults, choice, choices, common, number, numbers};
use crate::step::{StepBatch, StepOutcome};
use alidade_domain::{
    DatasetKind, Example, MethodCard, MethodName, Problem, SettingField,
    SettingLevel::{Advanced, Simple},
    Settings,
};
use alidade_model::Policy;

/// The method.
pub(crate) struct Dpo;

const DEFAULTS: Defaults = Defaults { learning_rate: 5e-6, epochs: 1.0, warmup_ratio: 0.1 };

impl Method for Dpo {
    fn name(&self) -> MethodName {
        MethodName::Dpo
    }

    fn card(&self) -> MethodCard {
        let mut settings = common(&DEFAULTS);
        settings.extend(pair_settings());
        let weights = "Weights of the losses when loss_type names several; as many numbers as names.";
        settings.push(numbers("loss_weights", (0.0, 1e6), Advanced, weights));
        let divergence = "How log-ratios are bent before they are compared.";
        settings.push(choice("f_divergence_type", DIVERGENCES, "reverse_kl", Advanced, divergence));
        settings.push(number("f_alpha_divergence_coef", (-10.0, 0.999), 0.5, Advanced, "α of alpha_divergence."));
        settings.push(number("discopop_tau", (1e-3, 10.0), 0.05, Advanced, "Temperature inside the discopop loss."));
        MethodCard {
            name: MethodName::Dpo,
            title: "Direct preference optimisation",
            summary: "Shows the model pairs of answers and moves it towards the preferred ones.",
            paper: "Rafailov et al., Direct Preference Optimization: Your Language Model is Secretly a Reward Model, 2023",
            needs: vec![DatasetKind::Pairs],
            needs_reward: false,
            settings,
        }
    }

    fn needs(&self) -> Needs {
        Needs { reference: true, ..Needs::default() }
    }

    fn rules(&self, settings: &Settings) -> std::result::Result<(), Problem> {
        Losses::of(settings).map(drop)
    }

    fn prepare(&self, rows: &[Example], encoder: &Encoder, settings: &Settings) -> Result<Prepared> {
        prepare(rows, encoder, settings)
    }

    fn train(&self, session: &mut Session, prepared: &Prepared, settings: &Settings) -> Result<End> {
        let losses = Losses::of(settings).map_err(crate::TrainError::Observer)?;
        session.optimise(&prepared.items, settings, &mut |policy, batch| step(policy, batch, &losses))
    }
}

/// The settings that shape a loss over pairs; online DPO shares them.
pub(super) fn pair_settings() -> Vec<SettingField> {
    let beta = "How firmly the policy is held to its reference: smaller moves further.";
    let smoothing = "Share of labels taken to be wrong; read by robust, exo_pair and the aot losses.";
    vec![
        number("beta", (1e-6, 1000.0), 0.1, Simple, beta),
        choices("loss_type", DPO_LOSSES, "sigmoid", Advanced, "Which loss of the family, or several."),
        number("label_smoothing", (0.0, 0.499), 0.0, Advanced, smoothing),
    ]
}

/// The losses that are added up, with their weights.
pub(super) struct Losses {
    named: Vec<(String, f64)>,
    options: PairOptions,
}

impl Losses {
    pub(super) fn of(settings: &Settings) -> std::result::Result<Self, Problem> {
        let (names, mut weights) = (settings.names("loss_type"), settings.numbers("loss_weights"));
        if weights.is_empty() {
            weights = vec![1.0; names.len()];
        }
        if names.is_empty() || names.len() != weights.len() {
            let message = format!("loss_type names {} losses, loss_weights {} numbers.", names.len(), weights.len());
            return Err(Problem::input(message).hint("Give one weight for each loss.").at("settings.loss_weights"));
        }
        if weights.iter().all(|weight| *weight == 0.0) {
            let problem = Problem::input("Every weight in loss_weights is 0, so no step moves a weight.");
            return Err(problem.hint("Leave one of them above 0.").at("settings.loss_weights"));
        }
        let divergence = settings.text("f_divergence_type");
        let divergence = if divergence.is_empty() { "reverse_kl" } else { divergence };
        if let Some(name) = names.iter().find(|name| divergence != "reverse_kl" && !BENDABLE.contains(&name.as_str())) {
            let message = format!("{name} is defined for reverse_kl only, not for {divergence}.");
            return Err(Problem::input(message).at("settings.f_divergence_type"));
        }
        smoothing(&names, settings.number("label_smoothing"))?;
        let options = PairOptions {
            beta: settings.number("beta"),
            label_smoothing: settings.number("label_smoothing"),
            divergence: divergence.to_owned(),
            alpha: settings.number("f_alpha_divergence_coef"),
            tau: settings.number("discopop_tau"),
        };
        Ok(Self { named: names.into_iter().zip(weights).collect(), options })
    }

    /// Heads of all losses over pairs, added up.
    fn heads(&self, pairs: &[PairScores]) -> Vec<PairHead> {
        let mut total = vec![PairHead::default(); pairs.len()];
        for (name, weight) in self.named.iter().filter(|(name, _)| name != "sft") {
            for (sum, head) in total.iter_mut().zip(dpo_heads(name, &self.options, pairs)) {
                sum.loss += weight * head.loss;
                sum.chosen += weight * head.chosen;
                sum.rejected += weight * head.rejected;
            }
        }
        total
    }

    /// Weight of the negative log-likelihood of chosen answers.
    fn likelihood(&self) -> f64 {
        self.named.iter().filter(|(name, _)| name == "sft").map(|(_, weight)| weight).sum()
    }
}

/// A share of wrong labels that no loss reads would change nothing; one loss is not defined without it.
fn smoothing(names: &[String], share: f64) -> std::result::Result<(), Problem> {
    let problem = |message: String, hint: &str| Err(Problem::input(message).hint(hint).at("settings.label_smoothing"));
    if share > 0.0 && !names.iter().any(|name| SMOOTHED.contains(&name.as_str())) {
        let message =
            format!("{} does not read label_smoothing, so {share} would change nothing.", names.join(" and "));
        return problem(message, "Remove it, or use robust, exo_pair, aot or aot_unpaired.");
    }
    if share == 0.0 && names.iter().any(|name| name == "exo_pair") {
        return problem("exo_pair needs a label_smoothing above 0.".to_owned(), "Its paper recommends 1e-3.");
    }
    Ok(())
}

pub(super) fn step(policy: &mut Policy, batch: &StepBatch, losses: &Losses) -> Result<StepOutcome> {
    let (pairs, beta) = (batch.items() as f64, losses.options.beta);
    let answers = batch.micro_batches.iter().flatten().map(|item| item.sequences[0].scored_tokens());
    let likelihood = losses.likelihood() / answers.sum::<usize>() as f64;
    let mut totals = Totals::default();
    for micro_batch in &batch.micro_batches {
        let rows = PairBatch::new(micro_batch)?;
        totals.tokens += rows.real_tokens;
        let reference = policy.reference_scores(&rows.tokens, None)?;
        let scores = policy.forward(&rows.tokens, None)?;
        let of_pair = |pair: usize| {
            let (chosen, rejected) = (rows.chosen(pair), rows.rejected(pair));
            PairScores {
                chosen_tokens: chosen.len() as f64,
                rejected_tokens: rejected.len() as f64,
                chosen: sum(&scores.logp, chosen.clone()),
                rejected: sum(&scores.logp, rejected.clone()),
                reference_chosen: sum(&reference.logp, chosen),
                reference_rejected: sum(&reference.logp, rejected),
            }
        };
        let found: Vec<PairScores> = (0..rows.pairs).map(of_pair).collect();
        let mut coefficients = vec![0.0; scores.logp.len()];
        for (pair, (scores, head)) in found.iter().zip(losses.heads(&found)).enumerate() {
            coefficients[rows.chosen(pair)].fill(head.chosen / pairs - likelihood);
            coefficients[rows.rejected(pair)].fill(head.rejected / pairs);
            totals.add("loss", head.loss - likelihood * pairs * scores.chosen);
            let reward = |policy: f64, reference: f64| beta * (policy - reference);
            totals.add_rewards(
                reward(scores.chosen, scores.reference_chosen),
                reward(scores.rejected, scores.reference_rejected),
            );
            totals.add("logps/chosen", scores.chosen);
            totals.add("logps/rejected", scores.rejected);
        }
        totals.add_tokens(&scores, rows.border());
        policy.backward(&coefficients)?;
    }
    Ok(StepOutcome { loss: totals.sum("loss") / pairs, tokens: totals.tokens, metrics: totals.metrics(pairs) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alidade_domain::SettingValue;

    fn settings(change: &[(&str, SettingValue)]) -> Settings {
        let said = change.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        Settings(said).resolve(&Dpo.card().settings).unwrap()
    }

    #[test]
    fn several_losses_need_as_many_weights() {
        let names = SettingValue::Names(vec!["sigmoid".to_owned(), "sft".to_owned()]);
        let both = Losses::of(&settings(&[("loss_type", names.clone())])).unwrap();
        assert_eq!((both.named.len(), both.likelihood()), (2, 1.0));
        let weights = SettingValue::Numbers(vec![1.0]);
        let problem = Losses::of(&settings(&[("loss_type", names), ("loss_weights", weights)])).err().unwrap();
        assert_eq!(problem.field.as_deref(), Some("settings.loss_weights"));
        let nothing = settings(&[("loss_weights", SettingValue::Numbers(vec![0.0]))]);
        assert_eq!(Losses::of(&nothing).err().unwrap().field.as_deref(), Some("settings.loss_weights"));
    }

    #[test]
    fn a_divergence_is_refused_where_it_means_nothing() {
        let text = |text: &str| SettingValue::Text(text.to_owned());
        let wrong = settings(&[("loss_type", text("nca_pair")), ("f_divergence_type", text("forward_kl"))]);
        assert_eq!(Losses::of(&wrong).err().unwrap().field.as_deref(), Some("settings.f_divergence_type"));
        assert!(Losses::of(&settings(&[("f_divergence_type", text("forward_kl"))])).is_ok());
        assert!(
            Losses::of(&settings(&[("loss_type", text("ipo")), ("f_divergence_type", text("forward_kl"))])).is_ok()
        );
    }

    #[test]
    fn label_smoothing_is_refused_where_no_loss_reads_it() {
        for loss in DPO_LOSSES {
            let with = |share: f64| {
                let loss = ("loss_type", SettingValue::Text((*loss).to_owned()));
                Dpo.check(&settings(&[loss, ("label_smoothing", SettingValue::Number(share))])).err()
            };
            let refused = |problem: Option<Problem>| problem.and_then(|problem| problem.field);
            let expected = (!SMOOTHED.contains(loss)).then(|| "settings.label_smoothing".to_owned());
            assert_eq!(refused(with(0.1)), expected, "{loss}");
            assert_eq!(with(0.0).is_some(), *loss == "exo_pair", "{loss}");
        }
        let names = SettingValue::Names(vec!["sigmoid".to_owned(), "robust".to_owned()]);
        assert!(Dpo.check(&settings(&[("loss_type", names), ("label_smoothing", SettingValue::Number(0.1))])).is_ok());
    }
}
