//! CPO (Xu et al., arXiv 2401.08417) and SimPO (Meng et al., arXiv 2405.14734): preference losses without a reference
//! model, with the likelihood of the chosen answers beside them.
//!
//! `cpo_alpha` weighs that likelihood; it is 1 unless said otherwise, so plain SimPO is `loss_type = "simpo"` with
//! `cpo_alpha = 0`. `simpo_gamma` is the margin after scaling by β, as in TRL; papers quote γ/β.

use super::pairs::{PairBatch, Totals, prepare, sum};
use crate::encode::{Encoder, Prepared};
use crate::error::Result;
use crate::heads::pair::{CPO_LOSSES, CPO_SMOOTHED, PairOptions, PairScores, cpo_averages, cpo_head};
use crate::method::Method;
use crate::session::{End, Session};
use crate::settings::{Defaults, choice, common, number};
use crate::step::{StepBatch, StepOutcome};
use alidade_domain::{
    DatasetKind, Example, MethodCard, MethodName, Problem,
    SettingLevel::{Advanced, Simple},
    Settings,
};
use alidade_model::Policy;

/// The method.
pub(crate) struct Cpo;

const DEFAULTS: Defaults = Defaults { learning_rate: 5e-6, epochs: 1.0, warmup_ratio: 0.1 };

/// What a run's losses are made of.
struct Shape {
    loss: String,
    options: PairOptions,
    gamma: f64,
    alpha: f64,
}

impl Method for Cpo {
    fn name(&self) -> MethodName {
        MethodName::Cpo
    }

    fn card(&self) -> MethodCard {
        let mut settings = common(&DEFAULTS);
        settings.push(number("beta", (1e-6, 1000.0), 0.1, Simple, "Sharpness of the preference; 2 to 2.5 for simpo."));
        settings.push(choice(
            "loss_type",
            CPO_LOSSES,
            "sigmoid",
            Simple,
            "Which loss; simpo compares averages per token.",
        ));
        settings.push(number("label_smoothing", (0.0, 0.499), 0.0, Advanced, "Share of labels taken to be wrong."));
        let gamma = "Margin that simpo asks of the chosen answer, after scaling by beta.";
        settings.push(number("simpo_gamma", (0.0, 100.0), 0.5, Advanced, gamma));
        let alpha = "Weight of the likelihood of chosen answers; 0 for plain SimPO.";
        settings.push(number("cpo_alpha", (0.0, 1000.0), 1.0, Advanced, alpha));
        MethodCard {
            name: MethodName::Cpo,
            title: "Contrastive preference optimisation, SimPO",
            summary: "Prefers chosen answers over rejected ones without a reference model: lighter than DPO, less anchored.",
            paper: "Xu et al., Contrastive Preference Optimization, 2024; Meng et al., SimPO, 2024",
            needs: vec![DatasetKind::Pairs],
            needs_reward: false,
            settings,
        }
    }

    fn rules(&self, settings: &Settings) -> std::result::Result<(), Problem> {
        let (loss, share) = (settings.text("loss_type"), settings.number("label_smoothing"));
        if share == 0.0 || CPO_SMOOTHED.contains(&loss) {
            return Ok(());
        }
        let message = format!("{loss} does not read label_smoothing, so {share} would change nothing.");
        Err(Problem::input(message).hint("Remove it, or use sigmoid or simpo.").at("settings.label_smoothing"))
    }

    fn prepare(&self, rows: &[Example], encoder: &Encoder, settings: &Settings) -> Result<Prepared> {
        prepare(rows, encoder, settings)
    }

    fn train(&self, session: &mut Session, prepared: &Prepared, settings: &Settings) -> Result<End> {
        let options = PairOptions {
            beta: settings.number("beta"),
            label_smoothing: settings.number("label_smoothing"),
            divergence: "reverse_kl".to_owned(),
            alpha: 1.0,
            tau: 1.0,
        };
        let (loss, gamma) = (settings.text("loss_type").to_owned(), settings.number("simpo_gamma"));
        let shape = Shape { loss, options, gamma, alpha: settings.number("cpo_alpha") };
        session.optimise(&prepared.items, settings, &mut |policy, batch| step(policy, batch, &shape))
    }
}

fn step(policy: &mut Policy, batch: &StepBatch, shape: &Shape) -> Result<StepOutcome> {
    let (pairs, beta) = (batch.items() as f64, shape.options.beta);
    let learned =
        batch.micro_batches.iter().flatten().map(|item| item.sequences[0].scored_tokens()).sum::<usize>() as f64;
    let (mut totals, mut nll) = (Totals::default(), 0.0);
    for micro_batch in &batch.micro_batches {
        let rows = PairBatch::new(micro_batch)?;
        totals.tokens += rows.real_tokens;
        let scores = policy.forward(&rows.tokens, None)?;
        let mut coefficients = vec![0.0; scores.logp.len()];
        for pair in 0..rows.pairs {
            let (chosen, rejected) = (rows.chosen(pair), rows.rejected(pair));
            let found = PairScores {
                chosen: sum(&scores.logp, chosen.clone()),
                rejected: sum(&scores.logp, rejected.clone()),
                chosen_tokens: chosen.len() as f64,
                rejected_tokens: rejected.len() as f64,
                ..PairScores::default()
            };
            let head = cpo_head(&shape.loss, &shape.options, shape.gamma, &found);
            coefficients[chosen].fill(head.chosen / pairs - shape.alpha / learned);
            coefficients[rejected].fill(head.rejected / pairs);
            nll -= found.chosen;
            let averages = cpo_averages(&shape.loss);
            let (n, m) = if averages { (found.chosen_tokens, found.rejected_tokens) } else { (1.0, 1.0) };
            let (a, b) = (found.chosen / n, found.rejected / m);
            totals.add_rewards(beta * a, beta * b);
            totals.add("logps/chosen", a);
            totals.add("logps/rejected", b);
            totals.add("loss", head.loss);
        }
        totals.add_tokens(&scores, rows.border());
        policy.backward(&coefficients)?;
    }
    let loss = totals.sum("loss") / pairs + shape.alpha * nll / learned;
    let tokens = totals.tokens;
    let mut metrics = totals.metrics(pairs);
    metrics.insert("nll_loss".to_owned(), if shape.alpha > 0.0 { nll / learned } else { 0.0 });
    Ok(StepOutcome { loss, metrics, tokens })
}
