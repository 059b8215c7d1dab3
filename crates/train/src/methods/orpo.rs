//! ORPO (Hong et al., arXiv 2403.07691): fine-tunes on the chosen answer and, in the same step, raises its odds against the
//! rejected one. There is no reference model.
//!
//! loss = nll(chosen) − β·mean log σ(log-odds ratio). As in TRL the nll runs over prompt and answer by default; with
//! `orpo_nll = "answer"` it runs over the answer, as in the paper. Log-odds use averages per answer token.

use super::advice::longer;
use super::pairs::{PairBatch, Totals, prepare, sum};
use super::watch::{LOSS, MARGIN, accuracy, contrast, likelihood};
use crate::about::{About, Goal, Outlook, Starter};
use crate::declare::{choice, number, options, settings};
use crate::encode::{Encoder, Prepared};
use crate::error::Result;
use crate::heads::orpo::odds_head;
use crate::heads::pair::PairScores;
use crate::method::{Method, Training};
use crate::session::{End, Session};
use crate::settings::{CommonSettings, Defaults, SamplingStrategy, common};
use crate::step::{StepBatch, StepOutcome};
use alidade_domain::{
    Chart, DatasetKind, Example, GoalWords, Metric, Problem, SettingField,
    SettingValue::{Number, Whole},
    Settings, Watch, Words,
};
use alidade_model::Policy;

/// The method.
pub(crate) struct Orpo;

const ODDS: Metric = Metric::new("log_odds_chosen", "log-odds of chosen over rejected", "优选对劣选的对数几率");
const DEFAULTS: Defaults =
    Defaults { learning_rate: 8e-6, epochs: 3.0, warmup_ratio: 0.1, order: SamplingStrategy::Random };

options! {
    /// Which tokens of the chosen row are learned by likelihood.
    enum Likelihood { All = "all", Answer = "answer" }
}

settings! {
    struct Own {
        beta: f64 = number(1e-6, 1000.0, 0.1), Simple,
            "Weight of the odds ratio" "几率比权重",
            "How much the odds ratio counts beside the likelihood of the chosen answer (λ in the paper)."
            "在优选回答的似然之外，几率比计入多少（论文中的 λ）。";
        orpo_nll: Likelihood = choice(Likelihood::All), Advanced,
            "Likelihood over" "似然范围",
            "All tokens of the chosen row, as in TRL, or the answer alone, as in the paper."
            "优选样本的全部词元（同 TRL），或只有回答（同论文）。";
    }
}

/// A run of it.
struct Run {
    common: CommonSettings,
    own: Own,
}

impl Method for Orpo {
    fn name(&self) -> &'static str {
        "orpo"
    }

    fn about(&self) -> About {
        About {
            label: Words::name("ORPO"),
            title: Words::new("Odds ratio preference optimisation", "几率比偏好优化"),
            summary: Words::new(
                "Learns good answers and avoids bad ones in one step, without a reference model and without SFT before it.",
                "一步之中学习好的回答并避开差的，不需要参考模型，之前也不需要 SFT。",
            ),
            why: Words::new(
                "learns the better answers and avoids the worse ones in the same step; lighter than SFT plus DPO.",
                "在同一步里学习较好的回答并避开较差的；比 SFT 加 DPO 更轻。",
            ),
            paper: "Hong et al., ORPO: Monolithic Preference Optimization without Reference Model, 2024",
            learns_from: vec![DatasetKind::Pairs],
            variants: Vec::new(),
        }
    }

    fn fields(&self) -> Vec<SettingField> {
        [common(&DEFAULTS), Own::fields()].concat()
    }

    fn watch(&self) -> Watch {
        Watch {
            charts: vec![Chart::of(ODDS), likelihood(), accuracy(), Chart::of(LOSS)],
            needs: vec![ODDS.key],
            readings: contrast(ODDS.key),
            margin: Some(MARGIN.key),
        }
    }

    fn starter(&self) -> Starter {
        let settings = vec![
            ("learning_rate", Number(1e-3)),
            ("num_train_epochs", Number(3.0)),
            ("per_device_train_batch_size", Whole(16)),
            ("beta", Number(0.5)),
        ];
        let goals = vec![Goal {
            id: "one_go",
            before: &[],
            settings: vec![],
            words: Some(GoalWords {
                name: Words::new("Learn and prefer in one step", "一步完成学习与偏好"),
                text: Words::new(
                    "ORPO needs only pairs: no SFT before it, no reference model.",
                    "ORPO 只需要偏好对：之前不做 SFT，也没有参考模型。",
                ),
                title: Words::new("Does ORPO replace SFT and DPO?", "ORPO 能代替 SFT 和 DPO 吗？"),
                question: Words::new(
                    "How often does the model answer well after learning from pairs alone?",
                    "只从偏好对学习之后，模型有多常回答得好？",
                ),
            }),
        }];
        Starter { settings, goals }
    }

    fn read(&self, settings: &Settings) -> std::result::Result<Box<dyn Training>, Problem> {
        Ok(Box::new(Run { common: CommonSettings::of(settings)?, own: Own::read(settings)? }))
    }
}

impl Training for Run {
    fn common(&self) -> &CommonSettings {
        &self.common
    }

    fn advice(&self, outlook: &Outlook) -> Vec<Problem> {
        let hint = Words::new(
            "look for pairs in which the better answer is not the longer one.",
            "请寻找较好的回答并不更长的偏好对。",
        );
        longer(outlook, hint, "dataset").into_iter().collect()
    }

    fn prepare(&self, rows: &[Example], encoder: &Encoder) -> Result<Prepared> {
        let mut prepared = prepare(rows, encoder, self.common.max_length)?;
        for item in &mut prepared.items {
            item.answer_tokens = item.sequences[0].scored_tokens();
            if self.own.orpo_nll == Likelihood::All {
                item.sequences[0].scored = (0..item.sequences[0].ids.len()).map(|place| place > 0).collect();
            }
        }
        Ok(prepared)
    }

    fn train(&self, session: &mut Session, prepared: &Prepared) -> Result<End> {
        session.optimise(&prepared.items, &self.common, &mut |policy, batch| step(policy, batch, self.own.beta))
    }
}

fn step(policy: &mut Policy, batch: &StepBatch, beta: f64) -> Result<StepOutcome> {
    let pairs = batch.items() as f64;
    let learned =
        batch.micro_batches.iter().flatten().map(|item| item.sequences[0].scored_tokens()).sum::<usize>() as f64;
    let (mut totals, mut nll) = (Totals::default(), 0.0);
    for micro_batch in &batch.micro_batches {
        let rows = PairBatch::new(micro_batch)?;
        totals.tokens += rows.real_tokens;
        let scores = policy.forward(&rows.tokens, None)?;
        let mut coefficients = vec![0.0; scores.logp.len()];
        for (pair, item) in micro_batch.iter().enumerate() {
            let (whole, rejected) = (rows.chosen(pair), rows.rejected(pair));
            let chosen = whole.end - item.answer_tokens..whole.end;
            let found = PairScores {
                chosen: sum(&scores.logp, chosen.clone()),
                rejected: sum(&scores.logp, rejected.clone()),
                chosen_tokens: chosen.len() as f64,
                rejected_tokens: rejected.len() as f64,
                ..PairScores::default()
            };
            let (head, odds) = odds_head(beta, &found);
            nll -= sum(&scores.logp, whole.clone());
            coefficients[whole].fill(-1.0 / learned);
            coefficients[chosen].iter_mut().for_each(|value| *value += head.chosen / pairs);
            coefficients[rejected].fill(head.rejected / pairs);
            let (a, b) = (found.chosen / found.chosen_tokens, found.rejected / found.rejected_tokens);
            totals.add_rewards(beta * a, beta * b);
            totals.add("logps/chosen", a);
            totals.add("logps/rejected", b);
            totals.add("log_odds_chosen", odds);
            totals.add("log_odds_ratio", -head.loss / beta);
            totals.add("loss", head.loss);
        }
        totals.add_tokens(&scores, rows.border());
        policy.backward(&coefficients)?;
    }
    let (odds, tokens) = (totals.sum("loss") / pairs, totals.tokens);
    let mut metrics = totals.metrics(pairs);
    metrics.insert("nll_loss".to_owned(), nll / learned);
    Ok(StepOutcome { loss: nll / learned + odds, metrics, tokens })
}
