//! CPO (Xu et al., arXiv 2401.08417) and SimPO (Meng et al., arXiv 2405.14734): preference losses without a reference
//! model, plus the negative log-likelihood of the chosen answers.
//!
//! `cpo_alpha` is the weight of that term; its default is 1, so plain SimPO is `loss_type = "simpo"` with
//! `cpo_alpha = 0`. `simpo_gamma` is the margin after scaling by β, as in TRL; papers quote γ/β.

use super::advice::{high_rate, longer};
use super::pairs::{PairBatch, Totals, prepare, sum};
use super::watch::{LOSS, MARGIN, accuracy, contrast, likelihood};
use crate::about::{About, Before, Goal, Outlook, Starter};
use crate::declare::{Choice, choice, number, settings};
use crate::encode::{Encoder, Prepared};
use crate::error::Result;
use crate::heads::cpo::{CpoLoss, CpoOptions, cpo_head};
use crate::heads::pair::PairScores;
use crate::method::{Method, Training};
use crate::session::{End, Session};
use crate::settings::{CommonSettings, Defaults, SamplingStrategy, common};
use crate::step::{StepBatch, StepOutcome};
use alidade_domain::{
    Chart, DatasetKind, Example, Problem, SettingField,
    SettingValue::{Number, Text, Whole},
    Settings, Watch, Words, wording,
};
use alidade_model::Policy;

/// The method.
pub(crate) struct Cpo;

const DEFAULTS: Defaults =
    Defaults { learning_rate: 5e-6, epochs: 1.0, warmup_ratio: 0.1, order: SamplingStrategy::Random };

settings! {
    struct Own {
        beta: f64 = number(1e-6, 1000.0, 0.1), Simple,
            "Sharpness" "β（区分强度）",
            "How strongly the difference between the answers counts; 2 to 2.5 for simpo."
            "两个回答之差计入的力度；simpo 用 2 到 2.5。";
        loss_type: CpoLoss = choice(CpoLoss::Sigmoid), Simple,
            "Loss" "损失函数",
            "Form of the preference loss."
            "偏好损失的形式。";
        label_smoothing: f64 = number(0.0, 0.499, 0.0), Advanced,
            "Label smoothing" "标签平滑",
            "Share of pairs assumed to be labelled the wrong way round."
            "假定标反的数据对所占比例。";
        simpo_gamma: f64 = number(0.0, 100.0, 0.5), Advanced,
            "SimPO margin" "SimPO 间隔",
            "Margin required of the chosen answer, after scaling by beta."
            "要求优选回答领先的间隔，已乘以 beta。";
        cpo_alpha: f64 = number(0.0, 1000.0, 1.0), Advanced,
            "Likelihood weight" "似然权重",
            "Weight of the likelihood of chosen answers; 0 for plain SimPO."
            "优选回答似然的权重；纯 SimPO 用 0。";
    }
}

/// A run of it.
struct Run {
    common: CommonSettings,
    own: Own,
}

impl Method for Cpo {
    fn name(&self) -> &'static str {
        "cpo"
    }

    fn about(&self) -> About {
        About {
            label: Words::name("CPO / SimPO"),
            title: Words::new("Contrastive preference optimisation, SimPO", "对比偏好优化，SimPO"),
            summary: Words::new(
                "Prefers chosen answers over rejected ones without a reference model: lighter than DPO, less tied to the start.",
                "不用参考模型，使优选回答胜过劣选回答：比 DPO 更轻，与起点的联系也更松。",
            ),
            why: Words::new(
                "compares answers without a reference model: less memory, less tied to the start. SimPO compares averages per token.",
                "不用参考模型来比较回答：内存更少，与起点的联系也更松。SimPO 比较每个词元的平均值。",
            ),
            paper: "Xu et al., Contrastive Preference Optimization, 2024; Meng et al., SimPO, 2024",
            learns_from: vec![DatasetKind::Pairs],
            variants: Vec::new(),
        }
    }

    fn fields(&self) -> Vec<SettingField> {
        [common(&DEFAULTS), Own::fields()].concat()
    }

    fn watch(&self) -> Watch {
        Watch {
            charts: vec![Chart::of(MARGIN), accuracy(), likelihood(), Chart::of(LOSS)],
            needs: vec![MARGIN.key],
            readings: contrast(MARGIN.key),
            margin: Some(MARGIN.key),
        }
    }

    fn starter(&self) -> Starter {
        let settings = vec![
            ("learning_rate", Number(1e-3)),
            ("num_train_epochs", Number(1.0)),
            ("per_device_train_batch_size", Whole(16)),
            ("loss_type", Text("simpo".to_owned())),
            ("beta", Number(2.0)),
            ("simpo_gamma", Number(0.5)),
            // The likelihood of chosen answers; at 0.5 a tenth of the harmless requests was refused.
            ("cpo_alpha", Number(2.0)),
        ];
        let goals = vec![Goal { id: "simpo", before: &[Before::Answers], settings: vec![], words: None }];
        Starter { settings, goals }
    }

    fn read(&self, settings: &Settings) -> std::result::Result<Box<dyn Training>, Problem> {
        let (common, own) = (CommonSettings::of(settings)?, Own::read(settings)?);
        let (loss, share) = (own.loss_type, own.label_smoothing);
        if share != 0.0 && !loss.smooths() {
            let message = wording!(
                "{name} does not read label_smoothing, so {share} would change nothing.",
                "{name} 不读取 label_smoothing，因此 {share} 不起作用。",
                name = loss.name()
            );
            let problem = Problem::input(message)
                .hint(Words::new("Remove it, or use sigmoid or simpo.", "删除它，或使用 sigmoid 或 simpo。"));
            return Err(problem.at("settings.label_smoothing"));
        }
        Ok(Box::new(Run { common, own }))
    }
}

impl Training for Run {
    fn common(&self) -> &CommonSettings {
        &self.common
    }

    fn advice(&self, outlook: &Outlook) -> Vec<Problem> {
        let longer = longer(
            outlook,
            Words::new("simpo compares averages per token.", "simpo 比较的是每个词元的平均值。"),
            "settings.loss_type",
        );
        high_rate(&self.common, outlook).into_iter().chain(longer).collect()
    }

    fn prepare(&self, rows: &[Example], encoder: &Encoder) -> Result<Prepared> {
        prepare(rows, encoder, self.common.max_length)
    }

    fn train(&self, session: &mut Session, prepared: &Prepared) -> Result<End> {
        session.optimise(&prepared.items, &self.common, &mut |policy, batch| step(policy, batch, &self.own))
    }
}

fn step(policy: &mut Policy, batch: &StepBatch, own: &Own) -> Result<StepOutcome> {
    let (pairs, beta) = (batch.items() as f64, own.beta);
    let options = CpoOptions { beta, label_smoothing: own.label_smoothing, gamma: own.simpo_gamma };
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
            let head = cpo_head(own.loss_type, &options, &found);
            coefficients[chosen].fill(head.chosen / pairs - own.cpo_alpha / learned);
            coefficients[rejected].fill(head.rejected / pairs);
            nll -= found.chosen;
            let (n, m) =
                if own.loss_type.averages() { (found.chosen_tokens, found.rejected_tokens) } else { (1.0, 1.0) };
            let (a, b) = (found.chosen / n, found.rejected / m);
            totals.add_rewards(beta * a, beta * b);
            totals.add("logps/chosen", a);
            totals.add("logps/rejected", b);
            totals.add("loss", head.loss);
        }
        totals.add_tokens(&scores, rows.border());
        policy.backward(&coefficients)?;
    }
    let loss = totals.sum("loss") / pairs + own.cpo_alpha * nll / learned;
    let tokens = totals.tokens;
    let mut metrics = totals.metrics(pairs);
    metrics.insert("nll_loss".to_owned(), if own.cpo_alpha > 0.0 { nll / learned } else { 0.0 });
    Ok(StepOutcome { loss, metrics, tokens })
}
