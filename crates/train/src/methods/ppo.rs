//! Proximal policy optimisation (Schulman et al., arXiv 1707.06347) on answers that the policy generates, as in Ziegler et
//! al. (arXiv 1909.08593) and Ouyang et al. (arXiv 2203.02155).
//!
//! One step of the outer loop: answer the prompts of the batch, score the answers, subtract β·KL per token, estimate
//! advantages (GAE), and take `num_ppo_epochs` passes of clipped updates over them. The score is added at the answer's
//! last token. With a cost limit it is PPO-Lagrange (Dai et al., arXiv 2310.12773): the reward is (R − λ·C) / (1 + λ),
//! and λ rises while the mean cost is above its limit. One critic estimates the value of that reward. Only the KL
//! coefficient and λ carry over from step to step, so a checkpoint between steps resumes bit-exactly. Sampling uses no
//! filter; old, new and reference log-probabilities all come from the training path.

use super::watch::{ENTROPY, LENGTH, SCORE, kl, scored};
use crate::about::{About, Before, Goal, Needs, Starter};
use crate::declare::{Choice, choice, flag, number, options, settings, whole};
use crate::encode::{Encoder, Prepared};
use crate::error::Result;
use crate::heads::advantage::{deviation, gae, whiten};
use crate::heads::clip;
use crate::heads::kl::{AdaptiveKl, KlEstimator, k1, k3};
use crate::heads::lagrange::Lagrange;
use crate::method::{Method, Training};
use crate::passes::{AnswerPasses, PassesPerRow};
use crate::rollout::{
    Rollout, Sampling, batch, generate_rollouts, prompt_kinds, prompts, rollout_metrics, score_tokens,
};
use crate::session::{End, Session};
use crate::settings::{CommonSettings, Defaults, SamplingStrategy, common};
use crate::step::{StepContext, StepOutcome};
use alidade_domain::{
    Chart, Example, GoalWords, Metric, Problem, Purpose, SettingField,
    SettingValue::{Number, Text, Whole},
    Settings, Stream, Watch, Wording, Words,
};
use alidade_model::Critic;
use std::collections::BTreeMap;

/// The method.
pub(crate) struct Ppo;

const DEFAULTS: Defaults =
    Defaults { learning_rate: 3e-6, epochs: 1.0, warmup_ratio: 0.0, order: SamplingStrategy::Random };
/// State key of the KL coefficient.
const COEFFICIENT: &str = "kl_coef";
/// State key of ln λ, the cost multiplier.
const LN_MULTIPLIER: &str = "ln_lagrange";

options! {
    /// Where values come from.
    enum ValueModel { Head = "head", DetachedHead = "detached_head", Adapter = "adapter" }
}

settings! {
    struct Own {
        response_length: usize = whole(1, 4096, 53), Simple,
            "Longest answer" "最长回答",
            "In tokens."
            "以词元计。";
        temperature: f64 = number(0.05, 5.0, 0.7), Advanced,
            "Temperature" "温度",
            "Of sampling in training; higher explores more."
            "训练中采样的温度；越高探索越多。";
        kl_coef: f64 = number(0.0, 100.0, 0.05), Simple,
            "KL coefficient" "KL 系数",
            "What each nat of KL divergence from the start takes off the reward. Higher stays nearer."
            "与起点的 KL 散度每 nat 从奖励中扣除多少。越高越接近起点。";
        kl_estimator: KlEstimator = choice(KlEstimator::K1), Advanced,
            "KL estimate" "KL 估计",
            "Which estimate of the KL divergence is taken off the reward."
            "从奖励中扣除哪种 KL 散度估计。";
        kl_target: f64 = number(0.0, 1e4, 0.0), Advanced,
            "KL target" "KL 目标",
            "KL per answer, in nats, that the coefficient is adapted towards; 0 keeps the coefficient fixed."
            "调整系数，使每个回答的 KL 接近这个 nat 数；0 表示系数固定。";
        kl_horizon: f64 = number(1.0, 1e9, 10_000.0), Advanced,
            "KL horizon" "KL 时域",
            "Number of answers over which the coefficient is corrected."
            "在多少个回答内修正系数。";
        cliprange: f64 = number(0.0, 10.0, 0.2), Advanced,
            "Clip range" "裁剪范围",
            "How far the probability of a token may move in one step."
            "一个词元的概率在一步中最多移动多少。";
        cliprange_value: f64 = number(0.0, 1e6, 0.2), Advanced,
            "Value clip range" "价值裁剪范围",
            "How far a value may move in one step."
            "一个价值在一步中最多移动多少。";
        vf_coef: f64 = number(0.0, 100.0, 0.1), Advanced,
            "Value weight" "价值权重",
            "Weight of the value loss."
            "价值损失的权重。";
        gamma: f64 = number(0.0, 1.0, 1.0), Advanced,
            "Discount" "折扣",
            "Discount of later rewards; 1 counts them fully."
            "对较晚的奖励；1 表示全额计入。";
        lam: f64 = number(0.0, 1.0, 0.95), Advanced,
            "Lambda" "Lambda",
            "Parameter of generalised advantage estimation."
            "广义优势估计的参数。";
        num_ppo_epochs: usize = whole(1, 100, 4), Advanced,
            "Passes per step" "每步轮数",
            "Passes over the answers of a step."
            "对一步的回答遍历的次数。";
        num_mini_batches: usize = whole(1, 1024, 1), Advanced,
            "Updates per pass" "每轮更新",
            "Minibatches, each with an optimizer update, in one pass over the answers."
            "一轮中的小批数，每个小批更新一次。";
        whiten_rewards: bool = flag(false), Advanced,
            "Scale rewards" "缩放奖励",
            "Scale rewards to variance 1 within a step."
            "在一步之内缩放到方差 1。";
        missing_eos_penalty: f64 = number(0.0, 1e6, 1.0), Advanced,
            "Penalty for not ending" "未结束的惩罚",
            "Taken off the score of an answer that reached the length limit."
            "回答达到长度上限而未结束时扣除的分数。";
        cost_limit: f64 = number(-1e3, 1e3, 0.0), Advanced,
            "Harm allowed" "允许的有害程度",
            "With a limit on harm: the mean cost that is allowed. With the oracle it is a share of answers."
            "限制有害程度时：允许的平均代价。由裁判限制时，它是回答的比例。";
        lagrange_init: f64 = number(1e-4, 1e3, 1.0), Advanced,
            "Initial weight of harm" "有害的初始权重",
            "With a limit on harm: initial weight λ of the cost against the score."
            "限制有害程度时：代价相对于分数的初始权重 λ。";
        lagrange_lr: f64 = number(0.0, 10.0, 0.1), Advanced,
            "Learning rate of that weight" "该权重的学习率",
            "With a limit on harm: how fast the weight rises while the limit is exceeded."
            "限制有害程度时：超限期间权重上升得多快。";
        value_model: ValueModel = choice(ValueModel::Head), Advanced,
            "Value model" "价值模型",
            "A head on the policy, a head without gradients into the policy, or a separate adapter."
            "策略上的一个头、不回传梯度的头，或独立的适配器。";
    }
}

/// A run of it.
struct Run {
    common: CommonSettings,
    own: Own,
}

impl Run {
    fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.own.temperature,
            max_new_tokens: self.own.response_length,
            each: 1,
            rows: self.common.per_device_train_batch_size,
        }
    }

    fn lagrange(&self) -> Lagrange {
        Lagrange::new(self.own.lagrange_init, self.own.lagrange_lr, self.own.cost_limit)
    }
}

impl Method for Ppo {
    fn name(&self) -> &'static str {
        "ppo"
    }

    fn about(&self) -> About {
        About {
            label: Words::name("PPO"),
            title: Words::new("Proximal policy optimisation", "近端策略优化"),
            summary: Words::new(
                "Lets the model answer, scores the answers, and makes those with high scores likelier while it stays near its start.",
                "让模型作答，给回答打分，使高分回答更可能，同时留在起点附近。",
            ),
            why: Words::new(
                "lets the model answer, has the answers scored, and makes those with high scores likelier while it stays near its start.",
                "让模型作答，给回答打分，使高分回答更可能，同时不远离起点。",
            ),
            paper: "Schulman et al., Proximal Policy Optimization Algorithms, 2017; Ouyang et al., 2022",
            learns_from: prompt_kinds(),
            variants: Vec::new(),
        }
    }

    fn fields(&self) -> Vec<SettingField> {
        [common(&DEFAULTS), Own::fields()].concat()
    }

    fn watch(&self) -> Watch {
        Watch {
            charts: vec![
                Chart::of(SCORE),
                kl(),
                Chart::beside(LENGTH),
                Chart::beside(ENTROPY),
                Chart::of(Metric::new("objective/costs", "cost of the answers", "回答的代价")),
                Chart::beside(Metric::new("objective/lagrange", "weight of harm (λ)", "有害的权重（λ）")),
                Chart::beside(Metric::new("policy/clipfrac_avg", "share of clipped tokens", "被裁剪词元的比例"))
                    .usually(0.0, 0.2),
                Chart::beside(Metric::new("val/ratio", "probability ratio new to old", "新旧概率之比"))
                    .usually(0.9, 1.1),
                Chart::beside(Metric::new("loss/value_avg", "value loss", "价值损失")),
                Chart::beside(Metric::new(
                    "val/explained_variance",
                    "explained variance of the values",
                    "价值的解释方差",
                ))
                .usually(0.0, 1.0),
            ],
            needs: vec![SCORE.key],
            readings: scored(),
            margin: None,
        }
    }

    fn starter(&self) -> Starter {
        let settings = vec![
            ("learning_rate", Number(3e-4)),
            ("per_device_train_batch_size", Whole(64)),
            ("max_steps", Whole(40)),
            // At 1e-3 and 0.1 the policy finds answers that please the reward model and nobody else.
            ("kl_coef", Number(0.3)),
            ("value_model", Text(ValueModel::DetachedHead.name().to_owned())),
            ("response_length", Whole(40)),
            ("temperature", Number(1.0)),
        ];
        let goals = vec![
            Goal {
                id: "reward",
                before: &[Before::Answers, Before::Scorer],
                settings: vec![],
                words: Some(GoalWords {
                    name: Words::new("Learn from a reward model", "从奖励模型学习"),
                    text: Words::new(
                        "A short SFT teaches the model to answer. A reward model learns which answers the comparisons prefer, and PPO lets the model answer and be scored by it.",
                        "先用很短的 SFT 教模型作答。奖励模型从比较数据中学会偏好，PPO 再让模型作答，由它打分。",
                    ),
                    title: Words::new(
                        "What does a reward model make of the starter model?",
                        "奖励模型会把入门模型变成什么样？",
                    ),
                    question: Words::new(
                        "How much better are the answers after PPO on a learned reward, and what does the reward miss?",
                        "用学到的奖励做 PPO 之后，回答好了多少？奖励又漏掉了什么？",
                    ),
                }),
            },
            Goal { id: "ppo_oracle", before: &[Before::Answers], settings: vec![], words: None },
        ];
        Starter { settings, goals }
    }

    fn needs(&self) -> Needs {
        Needs { reward: true, cost: true, reference: true }
    }

    fn read(&self, settings: &Settings) -> std::result::Result<Box<dyn Training>, Problem> {
        Ok(Box::new(Run { common: CommonSettings::of(settings)?, own: Own::read(settings)? }))
    }
}

impl Training for Run {
    fn common(&self) -> &CommonSettings {
        &self.common
    }

    fn passes(&self) -> PassesPerRow {
        let answers = Some(AnswerPasses { parts: self.own.num_mini_batches, ..self.sampling().passes() });
        PassesPerRow { trained: self.own.num_ppo_epochs as f64, read: 4.0, answers, ..PassesPerRow::ONE }
    }

    fn critic(&self) -> Option<Critic> {
        Some(match self.own.value_model {
            ValueModel::Head => Critic::SharedHead { detached: false },
            ValueModel::DetachedHead => Critic::SharedHead { detached: true },
            ValueModel::Adapter => Critic::Adapter,
        })
    }

    fn prepare(&self, rows: &[Example], encoder: &Encoder) -> Result<Prepared> {
        prompts(rows, encoder, self.common.max_length, self.own.response_length)
    }

    fn train(&self, session: &mut Session, prepared: &Prepared) -> Result<End> {
        let steps = self.steps(prepared.items.len());
        session.iterate(&prepared.items, steps, &self.common, &mut |context| step(context, self))
    }
}

/// Per-token training targets of one answer.
struct Estimates {
    advantages: Vec<f64>,
    returns: Vec<f64>,
    values: Vec<f64>,
}

fn step(context: &mut StepContext, run: &Run) -> Result<StepOutcome> {
    let coefficient = *context.state.entry(COEFFICIENT.to_owned()).or_insert(run.own.kl_coef);
    let mut rollouts = generate_rollouts(context, run.sampling())?;
    score_tokens(context, &mut rollouts, run.sampling().temperature, run.sampling().rows)?;
    let mut values = Vec::with_capacity(rollouts.len());
    for chunk in rollouts.chunks(run.sampling().rows) {
        let batch = batch(chunk.iter())?;
        let found = context.policy.values(&batch)?;
        values.extend(batch.target_ranges().into_iter().map(|range| found[range].to_vec()));
    }
    context
        .check_answers(Wording::name("value"), rollouts.iter().zip(values.iter().map(|values| values.iter().sum())))?;
    let lagrange = update_multiplier(context, &rollouts, run);
    let reward =
        |rollout: &Rollout| lagrange.map_or(rollout.score, |lagrange| lagrange.penalised(rollout.score, rollout.cost));
    let scores: Vec<f64> = rollouts.iter().map(reward).collect();
    let (estimates, non_score) = estimates(&rollouts, &scores, values, run, coefficient);
    let totals = learn(context, &rollouts, &estimates, run)?;
    let mut controller = AdaptiveKl { coefficient, target: run.own.kl_target, horizon: run.own.kl_horizon };
    let mut metrics: BTreeMap<String, f64> = rollout_metrics(&rollouts).into_iter().collect();
    controller.update(metrics["objective/kl"], rollouts.len() as f64);
    context.state.insert(COEFFICIENT.to_owned(), controller.coefficient);
    metrics.insert("objective/kl_coef".to_owned(), coefficient);
    metrics.insert("objective/non_score_reward".to_owned(), non_score);
    let n = rollouts.len().max(1) as f64;
    metrics.insert("objective/rlhf_reward".to_owned(), non_score + scores.iter().sum::<f64>() / n);
    if let Some(lagrange) = lagrange {
        metrics.insert("objective/costs".to_owned(), rollouts.iter().map(|rollout| rollout.cost).sum::<f64>() / n);
        metrics.insert("objective/lagrange".to_owned(), lagrange.multiplier());
    }
    metrics.insert("val/num_eos_tokens".to_owned(), rollouts.iter().filter(|rollout| rollout.ended).count() as f64);
    metrics.insert("val/explained_variance".to_owned(), explained(&estimates));
    let loss = totals.metrics(&mut metrics, run);
    let tokens = rollouts.iter().map(|rollout| rollout.row.ids.len() as u64).sum();
    Ok(StepOutcome { loss, metrics, tokens })
}

/// Updates the cost multiplier by the answers of this step; `None` without a limit.
fn update_multiplier(context: &mut StepContext, rollouts: &[Rollout], run: &Run) -> Option<Lagrange> {
    context.rollouts.and_then(|rollouts| rollouts.cost)?;
    let mut lagrange = run.lagrange();
    let kept = context.state.entry(LN_MULTIPLIER.to_owned()).or_insert(lagrange.ln_multiplier);
    lagrange.ln_multiplier = *kept;
    lagrange.update(rollouts.iter().map(|rollout| rollout.cost).sum::<f64>() / rollouts.len().max(1) as f64);
    *kept = lagrange.ln_multiplier;
    Some(lagrange)
}

/// Advantages and returns of all answers with rewards `scores`, and the mean KL penalty per answer.
fn estimates(
    rollouts: &[Rollout],
    scores: &[f64],
    values: Vec<Vec<f64>>,
    run: &Run,
    coefficient: f64,
) -> (Vec<Estimates>, f64) {
    let mut non_score = 0.0;
    let mut rewards: Vec<Vec<f64>> = Vec::with_capacity(rollouts.len());
    for (rollout, score) in rollouts.iter().zip(scores) {
        let estimate = |(logp, reference): (&f64, &f64)| match run.own.kl_estimator {
            KlEstimator::K3 => k3(*logp, *reference).0,
            KlEstimator::K1 => k1(*logp, *reference),
        };
        let tokens = rollout.old.iter().zip(&rollout.reference);
        let mut own: Vec<f64> = tokens.map(|pair| -coefficient * estimate(pair)).collect();
        non_score += own.iter().sum::<f64>();
        let penalty = if rollout.ended { 0.0 } else { run.own.missing_eos_penalty };
        if let Some(last) = own.last_mut() {
            *last += score - penalty;
        }
        rewards.push(own);
    }
    if run.own.whiten_rewards {
        let scale = 1.0 / (deviation(&rewards.concat()).powi(2) + 1e-8).sqrt();
        rewards.iter_mut().flatten().for_each(|reward| *reward *= scale);
    }
    let mut estimates: Vec<Estimates> = rewards
        .iter()
        .zip(values)
        .map(|(rewards, values)| {
            let (advantages, returns) = gae(rewards, &values, run.own.gamma, run.own.lam);
            Estimates { advantages, returns, values }
        })
        .collect();
    let mut all: Vec<f64> = estimates.iter().flat_map(|estimate| estimate.advantages.iter().copied()).collect();
    whiten(&mut all);
    let mut rest = all.into_iter();
    estimates.iter_mut().flat_map(|estimate| &mut estimate.advantages).for_each(|a| *a = rest.next().unwrap_or(*a));
    (estimates, non_score / rollouts.len().max(1) as f64)
}

/// Sums over all updates of a step.
#[derive(Default)]
struct Totals {
    tokens: f64,
    policy: f64,
    value: f64,
    drift: f64,
    clipped: f64,
    value_clipped: f64,
    ratio: f64,
    ratio_squared: f64,
    entropy: f64,
    /// Mean ratio and clipped share of the first minibatch: 1 and 0, unless two code paths disagree.
    first: Option<(f64, f64)>,
}

impl Totals {
    fn metrics(&self, metrics: &mut BTreeMap<String, f64>, run: &Run) -> f64 {
        let n = self.tokens.max(1.0);
        let ratio = self.ratio / n;
        let (first_ratio, first_clipped) = self.first.unwrap_or((1.0, 0.0));
        let named = [
            ("policy/approxkl_avg", self.drift / n),
            ("policy/clipfrac_avg", self.clipped / n),
            ("policy/entropy_avg", self.entropy / n),
            ("loss/policy_avg", self.policy / n),
            ("loss/value_avg", self.value / n),
            ("val/clipfrac_avg", self.value_clipped / n),
            ("val/ratio", ratio),
            ("val/ratio_var", (self.ratio_squared / n - ratio * ratio).max(0.0)),
            ("val/first_ratio", first_ratio),
            ("policy/first_clipfrac", first_clipped),
        ];
        metrics.extend(named.map(|(name, value)| (name.to_owned(), value)));
        (self.policy + run.own.vf_coef * self.value) / n
    }
}

fn learn(context: &mut StepContext, rollouts: &[Rollout], estimates: &[Estimates], run: &Run) -> Result<Totals> {
    let mut totals = Totals::default();
    for epoch in 0..run.own.num_ppo_epochs {
        let mut order: Vec<usize> = (0..rollouts.len()).collect();
        let (seed, step) = (context.batch.seed(), context.batch.step());
        Stream::new(seed, Purpose::Minibatch, step, epoch as u64).shuffle(&mut order);
        for minibatch in order.chunks(rollouts.len().div_ceil(run.own.num_mini_batches).max(1)) {
            let tokens: f64 = minibatch.iter().map(|index| rollouts[*index].old.len() as f64).sum();
            let before = (totals.tokens, totals.ratio, totals.clipped);
            for part in minibatch.chunks(run.sampling().rows) {
                pass(context, part, (rollouts, estimates), tokens, run, &mut totals)?;
            }
            let n = (totals.tokens - before.0).max(1.0);
            totals.first.get_or_insert(((totals.ratio - before.1) / n, (totals.clipped - before.2) / n));
            context.check_finite(Wording::name("loss"), totals.policy + totals.value)?;
            context.update()?;
        }
    }
    Ok(totals)
}

/// Forward and backward pass over a part of a minibatch of `tokens` tokens.
fn pass(
    context: &mut StepContext,
    part: &[usize],
    (rollouts, estimates): (&[Rollout], &[Estimates]),
    tokens: f64,
    run: &Run,
    totals: &mut Totals,
) -> Result<()> {
    let flat = |of: &dyn Fn(usize) -> Vec<f64>| -> Vec<f64> { part.iter().flat_map(|index| of(*index)).collect() };
    let old = flat(&|index| rollouts[index].old.clone());
    let advantages = flat(&|index| estimates[index].advantages.clone());
    let (targets, values) =
        (flat(&|index| estimates[index].returns.clone()), flat(&|index| estimates[index].values.clone()));
    let rows = batch(part.iter().map(|index| &rollouts[*index]))?;
    let mut value_sums = (0.0, 0.0);
    let mut actor = |scores: &alidade_model::TokenScores| -> Vec<f64> {
        let heads = scores.logp.iter().zip(&old).zip(&advantages);
        let gradients = heads.map(|((new, old), advantage)| {
            let head = clip::policy(*new, *old, *advantage, run.own.cliprange, run.own.cliprange);
            totals.tokens += 1.0;
            totals.policy += head.loss;
            totals.drift += 0.5 * (new - old).powi(2);
            totals.clipped += f64::from(u8::from(head.clipped));
            totals.ratio += head.ratio;
            totals.ratio_squared += head.ratio * head.ratio;
            head.gradient / tokens
        });
        let gradients = gradients.collect();
        totals.entropy += scores.entropy.iter().sum::<f64>();
        gradients
    };
    let mut critic = |found: &[f64]| -> Vec<f64> {
        let heads = found.iter().zip(&values).zip(&targets);
        let gradients = heads.map(|((new, old), target)| {
            let head = clip::value(*new, *old, *target, run.own.cliprange_value);
            value_sums.0 += head.loss;
            value_sums.1 += f64::from(u8::from(head.clipped));
            run.own.vf_coef * head.gradient / tokens
        });
        gradients.collect()
    };
    context.policy.learn(&rows, run.sampling().temperature, &mut actor, &mut critic)?;
    totals.value += value_sums.0;
    totals.value_clipped += value_sums.1;
    Ok(())
}

/// Explained variance: share of the variance of the returns that the values predict.
fn explained(estimates: &[Estimates]) -> f64 {
    let returns: Vec<f64> = estimates.iter().flat_map(|estimate| estimate.returns.iter().copied()).collect();
    let errors =
        estimates.iter().flat_map(|estimate| estimate.returns.iter().zip(&estimate.values).map(|(r, v)| r - v));
    let (total, rest) = (deviation(&returns).powi(2), deviation(&errors.collect::<Vec<_>>()).powi(2));
    if total > 0.0 { 1.0 - rest / total } else { 0.0 }
}
