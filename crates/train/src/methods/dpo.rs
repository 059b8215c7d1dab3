//! Direct preference optimisation (Rafailov et al., arXiv 2305.18290) and its family: of two answers to one prompt, the
//! preferred one becomes likelier relative to the reference, the other one less likely.
//!
//! The losses are in `heads/dpo.rs`. Several may be added up with weights; `sft` among them adds the negative
//! log-likelihood of the chosen answers (RPO: Liu et al., arXiv 2405.16436). Log-probabilities are sums over the answer.
//! Dropout is off, so that the policy starts exactly at its reference.

use super::advice::{high_rate, longer};
use super::pairs::{PairBatch, Totals, prepare, sum};
use super::watch::{
    LOSS, MARGIN, NOTABLE, accuracy, logps, preference_flat, preference_grows, preference_reversed, rewards,
};
use crate::about::{About, Before, Goal, Needs, Outlook, Starter};
use crate::declare::{Choice, choice, choices, number, numbers, settings};
use crate::encode::{Encoder, Prepared};
use crate::error::Result;
use crate::heads::dpo::{Divergence, DpoLoss, PairOptions, dpo_heads};
use crate::heads::pair::{PairHead, PairScores};
use crate::method::{Method, Training};
use crate::passes::PassesPerRow;
use crate::session::{End, Session};
use crate::settings::{CommonSettings, Defaults, SamplingStrategy, common};
use crate::step::{StepBatch, StepOutcome};
use alidade_domain::{
    At, Chart, DatasetKind, Example, GoalWords, Problem, Reading, SettingField, SettingValue,
    SettingValue::{Number, Numbers, Whole},
    Settings, Sign, Watch, Wording, Words, wording,
};
use alidade_model::Policy;

/// The method.
pub(crate) struct Dpo;

/// Implicit reward of the chosen answers.
const CHOSEN: &str = "rewards/chosen";
const DEFAULTS: Defaults =
    Defaults { learning_rate: 5e-6, epochs: 1.0, warmup_ratio: 0.1, order: SamplingStrategy::Random };

settings! {
    /// Settings of the loss over pairs; online DPO shares them.
    pub(super) struct PairSettings {
        beta: f64 = number(1e-6, 1000.0, 0.1), Simple,
            "Beta" "Beta",
            "How strongly the model is kept near its start. Higher stays nearer."
            "把模型拉回起点的力度。越高越接近起点。";
        loss_type: Vec<DpoLoss> = choices(DpoLoss::Sigmoid), Advanced,
            "Loss" "损失函数",
            "Form of the preference loss."
            "偏好损失的形式。";
        label_smoothing: f64 = number(0.0, 0.499, 0.0), Advanced,
            "Label smoothing" "标签平滑",
            "Share of pairs assumed to be labelled the wrong way round."
            "假定标反的数据对所占比例。";
        discopop_tau: f64 = number(1e-3, 10.0, 0.05), Advanced,
            "DiscoPOP temperature" "DiscoPOP 温度",
            "Temperature inside the discopop loss."
            "discopop 损失内部的温度。";
    }
}

settings! {
    struct Own {
        loss_weights: Vec<f64> = numbers(0.0, 1e6), Advanced,
            "Loss weights" "损失权重",
            "One number for each loss when several are chosen."
            "选择多个损失时，每个损失一个数。";
        f_divergence_type: Divergence = choice(Divergence::ReverseKl), Advanced,
            "Divergence" "散度",
            "Which divergence transforms the log-ratios before they are compared."
            "比较之前用哪种散度变换对数比。";
        f_alpha_divergence_coef: f64 = number(-10.0, 0.999, 0.5), Advanced,
            "Alpha" "Alpha",
            "Parameter α of alpha_divergence."
            "alpha_divergence 的参数 α。";
    }
}

/// A run of it.
struct Run {
    common: CommonSettings,
    losses: Losses,
}

impl Method for Dpo {
    fn name(&self) -> &'static str {
        "dpo"
    }

    fn about(&self) -> About {
        About {
            label: Words::name("DPO"),
            title: Words::new("Direct preference optimisation", "直接偏好优化"),
            summary: Words::new(
                "Shows the model pairs of answers and moves it towards the preferred ones.",
                "让模型看到成对的回答，使它移向优选回答。",
            ),
            why: Words::new(
                "moves the model from the worse answer of each pair to the better one, without a separate reward model.",
                "让模型从每对中较差的回答移向较好的回答，不需要单独的奖励模型。",
            ),
            paper: "Rafailov et al., Direct Preference Optimization: Your Language Model is Secretly a Reward Model, 2023",
            learns_from: vec![DatasetKind::Pairs],
            variants: Vec::new(),
        }
    }

    fn fields(&self) -> Vec<SettingField> {
        [common(&DEFAULTS), PairSettings::fields(), Own::fields()].concat()
    }

    fn watch(&self) -> Watch {
        Watch {
            charts: vec![Chart::of(MARGIN), rewards(), accuracy(), Chart::of(LOSS), logps()],
            needs: vec![MARGIN.key, CHOSEN],
            readings: vec![
                preference_reversed([Sign::below(MARGIN.key, -NOTABLE)]),
                preference_flat([Sign::below(MARGIN.key, NOTABLE)]),
                Reading::alarm(
                    "chosen_falls_far",
                    [Sign::below(CHOSEN, 0.0), Sign::below(CHOSEN, 0.0).plus(-1.0, MARGIN.key, At::Last)],
                    "The chosen reward falls far: the model also unlearns the better answers. Stop earlier, lower the learning rate or raise beta.",
                    "优选奖励下降很多：模型连较好的回答也在遗忘。请提前停止、降低学习率或提高 beta。",
                ),
                Reading::calm(
                    "chosen_falls",
                    [Sign::below(CHOSEN, -NOTABLE)],
                    "The margin grows while the chosen reward falls a little. That is normal for DPO.",
                    "间隔在增大，而优选奖励略有下降。这对 DPO 来说是正常的。",
                ),
                preference_grows([]),
            ],
            margin: Some(MARGIN.key),
        }
    }

    fn starter(&self) -> Starter {
        let names = |names: [&str; 2]| SettingValue::Names(names.map(str::to_owned).to_vec());
        let settings = vec![
            ("learning_rate", Number(1e-3)),
            ("num_train_epochs", Number(1.0)),
            ("per_device_train_batch_size", Whole(16)),
            ("beta", Number(0.5)),
            // The likelihood term keeps so small a model from unlearning how chosen answers begin.
            ("loss_type", names(["sigmoid", "sft"])),
            ("loss_weights", Numbers(vec![1.0, 5.0])),
        ];
        let goals = vec![
            Goal {
                id: "kind_and_true",
                before: &[Before::Answers],
                settings: vec![],
                words: Some(GoalWords {
                    name: Words::new("Answer truthfully and kindly", "真实而友善地回答"),
                    text: Words::new(
                        "The bundled model knows its facts but has bad manners. A short SFT, then DPO, on bundled data.",
                        "自带的模型知道事实，但态度不好。用自带数据先做很短的 SFT，再做 DPO。",
                    ),
                    title: Words::new("Does alignment make the starter model kinder?", "对齐能让入门模型更友善吗？"),
                    question: Words::new(
                        "How often does the model answer truthfully, kindly and without harm, before and after SFT and DPO?",
                        "在 SFT 和 DPO 前后，模型有多常给出真实、友善且无害的回答？",
                    ),
                }),
            },
            Goal {
                id: "hinge",
                before: &[Before::Answers],
                settings: vec![("loss_type", names(["hinge", "sft"]))],
                words: None,
            },
            Goal {
                id: "apo_zero",
                before: &[Before::Answers],
                settings: vec![("loss_type", names(["apo_zero", "sft"]))],
                words: None,
            },
        ];
        Starter { settings, goals }
    }

    fn needs(&self) -> Needs {
        Needs { reference: true, ..Needs::default() }
    }

    fn read(&self, settings: &Settings) -> std::result::Result<Box<dyn Training>, Problem> {
        let (common, pair, own) = (CommonSettings::of(settings)?, PairSettings::read(settings)?, Own::read(settings)?);
        Ok(Box::new(Run { common, losses: Losses::new(&pair, &own)? }))
    }
}

impl Training for Run {
    fn common(&self) -> &CommonSettings {
        &self.common
    }

    fn passes(&self) -> PassesPerRow {
        // The reference also needs a forward pass over every row.
        PassesPerRow { read: 1.0, reads_batches: true, ..PassesPerRow::ONE }
    }

    fn advice(&self, outlook: &Outlook) -> Vec<Problem> {
        let hint = Words::new("sigmoid_norm compares averages per token.", "sigmoid_norm 比较的是每个词元的平均值。");
        let longer = longer(outlook, hint, "settings.loss_type");
        high_rate(&self.common, outlook).into_iter().chain(longer).collect()
    }

    fn prepare(&self, rows: &[Example], encoder: &Encoder) -> Result<Prepared> {
        prepare(rows, encoder, self.common.max_length)
    }

    fn train(&self, session: &mut Session, prepared: &Prepared) -> Result<End> {
        session.optimise(&prepared.items, &self.common, &mut |policy, batch| step(policy, batch, &self.losses))
    }
}

/// The losses of the weighted sum.
pub(super) struct Losses {
    weighted: Vec<(DpoLoss, f64)>,
    options: PairOptions,
}

impl Losses {
    fn new(pair: &PairSettings, own: &Own) -> std::result::Result<Self, Problem> {
        let losses = &pair.loss_type;
        let weights = if own.loss_weights.is_empty() { vec![1.0; losses.len()] } else { own.loss_weights.clone() };
        if losses.len() != weights.len() {
            let message = wording!(
                "loss_type names {losses} losses, loss_weights {weights} numbers.",
                "loss_type 有 {losses} 个损失，而 loss_weights 有 {weights} 个数。",
                losses = losses.len(),
                weights = weights.len()
            );
            return Err(Problem::input(message)
                .hint(Words::new("Give one weight for each loss.", "请为每个损失给出一个权重。"))
                .at("settings.loss_weights"));
        }
        if weights.iter().all(|weight| *weight == 0.0) {
            let problem = Problem::input(Words::new(
                "Every weight in loss_weights is 0, so no step changes the model.",
                "loss_weights 中的权重全是 0，任何一步都不会改变模型。",
            ));
            return Err(problem
                .hint(Words::new("Set at least one of them above 0.", "至少把其中一个设为大于 0。"))
                .at("settings.loss_weights"));
        }
        let divergence = own.f_divergence_type;
        if let Some(loss) = losses.iter().find(|loss| divergence != Divergence::ReverseKl && !loss.allows_divergence())
        {
            let message = wording!(
                "{loss} is defined for reverse_kl only, not for {divergence}.",
                "{loss} 只对 reverse_kl 有定义，不适用于 {divergence}。",
                loss = loss.name(),
                divergence = divergence.name()
            );
            return Err(Problem::input(message).at("settings.f_divergence_type"));
        }
        smoothing(losses, pair.label_smoothing)?;
        let options = PairOptions {
            beta: pair.beta,
            label_smoothing: pair.label_smoothing,
            divergence,
            alpha: own.f_alpha_divergence_coef,
            tau: pair.discopop_tau,
        };
        Ok(Self { weighted: losses.iter().copied().zip(weights).collect(), options })
    }

    /// With equal weights and reverse KL.
    pub(super) fn plain(pair: &PairSettings) -> std::result::Result<Self, Problem> {
        let (loss_weights, f_divergence_type) = (Vec::new(), Divergence::ReverseKl);
        Self::new(pair, &Own { loss_weights, f_divergence_type, f_alpha_divergence_coef: 0.0 })
    }

    /// The weighted sum of all losses over pairs.
    fn heads(&self, pairs: &[PairScores]) -> Vec<PairHead> {
        let mut total = vec![PairHead::default(); pairs.len()];
        for (loss, weight) in self.weighted.iter().filter(|(loss, _)| *loss != DpoLoss::Sft) {
            for (sum, head) in total.iter_mut().zip(dpo_heads(*loss, &self.options, pairs)) {
                sum.loss += weight * head.loss;
                sum.chosen += weight * head.chosen;
                sum.rejected += weight * head.rejected;
            }
        }
        total
    }

    /// Weight of the negative log-likelihood of chosen answers.
    fn likelihood(&self) -> f64 {
        self.weighted.iter().filter(|(loss, _)| *loss == DpoLoss::Sft).map(|(_, weight)| weight).sum()
    }
}

/// Refuses label_smoothing where no loss uses it, and exo_pair, which is not defined without it.
fn smoothing(losses: &[DpoLoss], share: f64) -> std::result::Result<(), Problem> {
    let problem =
        |message: Wording, hint: Words| Err(Problem::input(message).hint(hint).at("settings.label_smoothing"));
    if share > 0.0 && !losses.iter().any(|loss| loss.smooths()) {
        let names = Wording::names(losses.iter().map(|loss| loss.name()));
        let message = wording!(
            "{names} does not read label_smoothing, so {share} would change nothing.",
            "{names} 不读取 label_smoothing，因此 {share} 不起作用。";
            names
        );
        return problem(
            message,
            Words::new(
                "Remove it, or use robust, exo_pair, aot or aot_unpaired.",
                "删除它，或使用 robust、exo_pair、aot 或 aot_unpaired。",
            ),
        );
    }
    if share == 0.0 && losses.contains(&DpoLoss::ExoPair) {
        return problem(
            wording!("exo_pair needs a label_smoothing above 0.", "exo_pair 需要大于 0 的 label_smoothing。"),
            Words::new("Its paper recommends 1e-3.", "其论文建议 1e-3。"),
        );
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

    /// The losses of a run, or the field of the problem.
    fn losses(change: &[(&str, SettingValue)]) -> std::result::Result<Losses, String> {
        let said = change.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let settings = Settings(said).resolve(&Dpo.fields()).unwrap();
        let losses = Losses::new(&PairSettings::read(&settings).unwrap(), &Own::read(&settings).unwrap());
        losses.map_err(|problem| problem.field.unwrap())
    }

    fn text(text: &str) -> SettingValue {
        SettingValue::Text(text.to_owned())
    }

    #[test]
    fn several_losses_need_as_many_weights() {
        let names = SettingValue::Names(vec!["sigmoid".to_owned(), "sft".to_owned()]);
        let both = losses(&[("loss_type", names.clone())]).unwrap();
        assert_eq!((both.weighted.len(), both.likelihood()), (2, 1.0));
        for weights in [
            [("loss_type", names), ("loss_weights", SettingValue::Numbers(vec![1.0]))].as_slice(),
            &[("loss_weights", SettingValue::Numbers(vec![0.0]))],
        ] {
            assert_eq!(losses(weights).err().unwrap(), "settings.loss_weights");
        }
    }

    #[test]
    fn a_divergence_is_refused_where_it_means_nothing() {
        let bent = ("f_divergence_type", text("forward_kl"));
        let wrong = losses(&[("loss_type", text("nca_pair")), bent.clone()]);
        assert_eq!(wrong.err().unwrap(), "settings.f_divergence_type");
        assert!(losses(std::slice::from_ref(&bent)).is_ok());
        assert!(losses(&[("loss_type", text("ipo")), bent]).is_ok());
    }

    #[test]
    fn label_smoothing_is_refused_where_no_loss_reads_it() {
        for loss in DpoLoss::ALL {
            let with = |share: f64| {
                losses(&[("loss_type", text(loss.name())), ("label_smoothing", SettingValue::Number(share))]).err()
            };
            let expected = (!loss.smooths()).then(|| "settings.label_smoothing".to_owned());
            assert_eq!(with(0.1), expected, "{loss:?}");
            assert_eq!(with(0.0).is_some(), *loss == DpoLoss::ExoPair, "{loss:?}");
        }
        let names = SettingValue::Names(vec!["sigmoid".to_owned(), "robust".to_owned()]);
        assert!(losses(&[("loss_type", names), ("label_smoothing", SettingValue::Number(0.1))]).is_ok());
    }
}
