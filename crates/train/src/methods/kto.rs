//! KTO (Ethayarajh et al., arXiv 2402.01306): learns from single answers with a thumb up or down.
//!
//! How far the policy has drifted from its reference is estimated on mismatched rows, prompt i with answer i − 1 (the
//! first takes the last), formed in file order within chunks of the batch size, before any shuffle, as TRL does. So a
//! batch needs at least two rows; below four the estimate says little.

use crate::encode::{Encoded, Encoder, Item, Prepared, Skipped};
use crate::error::{Result, TrainError};
use crate::heads::unpaired::{KTO_LOSSES, drift, kto_head};
use crate::method::{Method, Needs};
use crate::session::{End, Session, StepBatch, StepOutcome};
use crate::settings::{Defaults, choice, common, number};
use alidade_domain::{
    DatasetKind, Example, Message, MethodCard, MethodName, Problem,
    SettingLevel::{Advanced, Simple},
    Settings,
};
use alidade_model::{Policy, TokenBatch, TokenRow};
use std::collections::BTreeMap;

/// The method.
pub(crate) struct Kto;

const DEFAULTS: Defaults = Defaults { learning_rate: 5e-6, epochs: 1.0, warmup_ratio: 0.1 };
/// Fewer rows in a batch leave the drift without an estimate.
const SMALLEST_BATCH: i64 = 2;

/// What shapes the loss.
struct Shape {
    loss: String,
    beta: f64,
    desirable: f64,
    undesirable: f64,
}

impl Method for Kto {
    fn name(&self) -> MethodName {
        MethodName::Kto
    }

    fn card(&self) -> MethodCard {
        let mut settings = common(&DEFAULTS);
        let beta = "How firmly the policy is held to its reference: smaller moves further.";
        settings.push(number("beta", (1e-6, 1000.0), 0.1, Simple, beta));
        settings.push(choice("loss_type", KTO_LOSSES, "kto", Advanced, "Which loss over single answers."));
        let weight = "Weight of this kind of answer; wanted and unwanted ones should weigh about the same in sum.";
        settings.push(number("desirable_weight", (0.0, 1000.0), 1.0, Advanced, weight));
        settings.push(number("undesirable_weight", (0.0, 1000.0), 1.0, Advanced, weight));
        MethodCard {
            name: MethodName::Kto,
            title: "Kahneman–Tversky optimisation",
            summary: "Learns from single answers with a thumb up or down; no pairs are needed.",
            paper: "Ethayarajh et al., KTO: Model Alignment as Prospect Theoretic Optimization, 2024",
            needs: vec![DatasetKind::Ratings],
            needs_reward: false,
            settings,
        }
    }

    fn needs(&self) -> Needs {
        Needs { reference: true, ..Needs::default() }
    }

    fn check(&self, settings: &Settings) -> std::result::Result<(), Problem> {
        if settings.whole("per_device_train_batch_size") >= SMALLEST_BATCH {
            return Ok(());
        }
        let message = "KTO compares each prompt with its neighbour's answer, and a batch of one has no neighbour.";
        let problem = Problem::input(message).hint("Use a batch of at least 4.");
        Err(problem.at("settings.per_device_train_batch_size"))
    }

    fn prepare(&self, rows: &[Example], encoder: &Encoder, settings: &Settings) -> Result<Prepared> {
        let (limit, size) =
            (settings.whole("max_length").max(1) as usize, settings.whole("per_device_train_batch_size"));
        let mut rated = Vec::new();
        let mut prepared = Prepared::default();
        for (index, example) in rows.iter().enumerate() {
            match example {
                Example::Rated { prompt, completion, label } => rated.push((index + 1, prompt, completion, *label)),
                _ => prepared.skipped.push(Skipped { row: index + 1, reason: "it has no thumb up or down" }),
            }
        }
        for chunk in rated.chunks(size.max(1) as usize) {
            for (place, (row, prompt, completion, label)) in chunk.iter().enumerate() {
                let other = chunk[(place + chunk.len() - 1) % chunk.len()].2;
                match sequences(encoder, prompt, completion, other, limit, &mut prepared)? {
                    Ok(sequences) => {
                        let label = f64::from(u8::from(*label));
                        prepared.items.push(Item { label, ..Item::new(*row, sequences) });
                    }
                    Err(reason) => prepared.skipped.push(Skipped { row: *row, reason }),
                }
            }
        }
        prepared.or_nothing(rows.len())
    }

    fn train(&self, session: &mut Session, prepared: &Prepared, settings: &Settings) -> Result<End> {
        self.check(settings).map_err(TrainError::Observer)?;
        let shape = Shape {
            loss: settings.text("loss_type").to_owned(),
            beta: settings.number("beta"),
            desirable: settings.number("desirable_weight"),
            undesirable: settings.number("undesirable_weight"),
        };
        session.optimise(&prepared.items, settings, &mut |policy, batch| step(policy, batch, &shape))
    }
}

/// The row itself, and its prompt with another row's answer.
fn sequences(
    encoder: &Encoder,
    prompt: &[Message],
    own: &[Message],
    other: &[Message],
    limit: usize,
    prepared: &mut Prepared,
) -> Result<std::result::Result<Vec<TokenRow>, &'static str>> {
    let both: [Encoded; 2] = [encoder.answer(prompt, own)?, encoder.answer(prompt, other)?];
    prepared.moved_borders += usize::from(both[0].moved_border);
    let [Some((own, cut)), Some((other, _))] = both.map(|encoded| encoded.fit(limit)) else {
        return Ok(Err("its prompt alone fills max_length"));
    };
    let rows = vec![own.row(), other.row()];
    if rows.iter().any(|row| row.scored_tokens() == 0) {
        return Ok(Err("its answer is empty"));
    }
    prepared.truncated += usize::from(cut);
    Ok(Ok(rows))
}

fn step(policy: &mut Policy, batch: &StepBatch, shape: &Shape) -> Result<StepOutcome> {
    let rows = batch.items() as f64;
    let mut totals = Totals::default();
    for micro_batch in &batch.micro_batches {
        let side =
            |side: usize| -> Vec<TokenRow> { micro_batch.iter().map(|item| item.sequences[side].clone()).collect() };
        let (own, mismatched) = (side(0), TokenBatch::new(&side(1))?);
        let z = match shape.loss.as_str() {
            "apo_zero_unpaired" => 0.0,
            _ => drift(&sums(
                &policy.scores(&mismatched, None)?.logp,
                &mismatched,
                &policy.reference_scores(&mismatched, None)?.logp,
            )),
        };
        let tokens = TokenBatch::new(&own)?;
        let reference = policy.reference_scores(&tokens, None)?;
        let scores = policy.forward(&tokens, None)?;
        let ratios = sums(&scores.logp, &tokens, &reference.logp);
        let mut coefficients = vec![0.0; scores.logp.len()];
        for (place, (item, range)) in micro_batch.iter().zip(tokens.target_ranges()).enumerate() {
            let wanted = item.label > 0.0;
            let weight = if wanted { shape.desirable } else { shape.undesirable };
            let (loss, slope) = kto_head(&shape.loss, shape.beta, weight, wanted, ratios[place], z);
            coefficients[range.clone()].fill(slope / rows);
            let logits = scores.mean_logit[range.clone()].iter().sum();
            let logp = scores.logp[range.clone()].iter().sum();
            totals.loss += loss;
            totals.side(wanted).add(shape.beta * ratios[place], logp, logits, range.len());
        }
        totals.entropy += scores.entropy.iter().sum::<f64>();
        totals.tokens += own.iter().map(|row| row.ids.len() as u64).sum::<u64>();
        totals.drift += z * micro_batch.len() as f64;
        policy.backward(&coefficients)?;
    }
    Ok(StepOutcome { loss: totals.loss / rows, tokens: totals.tokens, metrics: totals.metrics(rows) })
}

/// Σ logπ − Σ logref of each row.
fn sums(policy: &[f64], batch: &TokenBatch, reference: &[f64]) -> Vec<f64> {
    let difference = |range: std::ops::Range<usize>| range.map(|at| policy[at] - reference[at]).sum();
    batch.target_ranges().into_iter().map(difference).collect()
}

/// Sums over a step.
#[derive(Default)]
struct Totals {
    loss: f64,
    drift: f64,
    entropy: f64,
    tokens: u64,
    wanted: Side,
    unwanted: Side,
}

/// Sums over the wanted or the unwanted answers.
#[derive(Default)]
struct Side {
    rows: f64,
    reward: f64,
    logp: f64,
    logits: f64,
    tokens: f64,
}

impl Side {
    fn add(&mut self, reward: f64, logp: f64, logits: f64, tokens: usize) {
        self.rows += 1.0;
        self.reward += reward;
        self.logp += logp;
        self.logits += logits;
        self.tokens += tokens as f64;
    }
}

impl Totals {
    fn side(&mut self, wanted: bool) -> &mut Side {
        if wanted { &mut self.wanted } else { &mut self.unwanted }
    }

    /// A side that no row of the step belongs to has no figures.
    fn metrics(&self, rows: f64) -> BTreeMap<String, f64> {
        let mut metrics = BTreeMap::from([
            ("kl".to_owned(), self.drift / rows),
            ("entropy".to_owned(), self.entropy / (self.wanted.tokens + self.unwanted.tokens).max(1.0)),
        ]);
        for (name, side) in [("chosen", &self.wanted), ("rejected", &self.unwanted)] {
            if side.rows > 0.0 {
                metrics.insert(format!("rewards/{name}"), side.reward / side.rows);
                metrics.insert(format!("logps/{name}"), side.logp / side.rows);
                metrics.insert(format!("logits/{name}"), side.logits / side.tokens);
            }
        }
        if let (Some(chosen), Some(rejected)) = (metrics.get("rewards/chosen"), metrics.get("rewards/rejected")) {
            let margin = chosen - rejected;
            metrics.insert("rewards/margins".to_owned(), margin);
        }
        metrics
    }
}
