//! Metrics, charts and readings that several methods share.

use alidade_domain::{At, Chart, Metric, Reading, Sign, Tone, Watch, Words};

pub(super) const LOSS: Metric = Metric::new("loss", "loss (nats)", "损失（nat）");
pub(super) const MARGIN: Metric = Metric::new("rewards/margins", "reward margin", "奖励间隔");
pub(super) const KL: Metric =
    Metric::new("objective/kl", "KL from the start (nats per answer)", "与起点的 KL（每个回答的nat 数）");
pub(super) const SCORE: Metric = Metric::new("objective/scores", "score of the answers", "回答的分数");
pub(super) const LENGTH: Metric =
    Metric::new("completions/mean_length", "length of answers (tokens)", "回答长度（词元）");
pub(super) const ENTROPY: Metric = Metric::new("objective/entropy", "entropy (nats)", "熵（nat）");
const ACCURACY: Metric = Metric::new("rewards/accuracies", "accuracy", "准确率");
const LIKELIHOOD: Metric = Metric::new("nll_loss", "loss on chosen answers (nats)", "优选回答的损失（nat）");
const GROUP_SCORE: Metric = Metric::new("reward", "score of the answers", "回答的分数");
const TOKEN_KL: Metric = Metric::new("kl", "KL (nats)", "KL（nat）");
const TOKEN_ENTROPY: Metric = Metric::new("entropy", "entropy (nats)", "熵（nat）");
const CLIPPED: Metric = Metric::new("clip_ratio/region_mean", "share of clipped tokens", "被裁剪词元的比例");
const ZERO_STD: Metric =
    Metric::new("frac_reward_zero_std", "share of groups with equal scores", "分数全部相同的组的比例");

/// Rewards closer to zero than this count as noise.
pub(super) const NOTABLE: f64 = 0.05;

/// Two curves of chosen and rejected answers.
pub(super) fn both(title: Words, keys: [&'static str; 2]) -> Chart {
    let lines = [Metric::new(keys[0], "chosen", "优选"), Metric::new(keys[1], "rejected", "劣选")];
    Chart::several(title, [(lines[0], Tone::Accent), (lines[1], Tone::Dashed)])
}

pub(super) fn rewards() -> Chart {
    both(Words::new("rewards", "奖励"), ["rewards/chosen", "rewards/rejected"])
}

pub(super) fn logps() -> Chart {
    both(Words::new("log-probabilities (nats)", "对数概率（nat）"), ["logps/chosen", "logps/rejected"])
}

/// Share of pairs whose chosen answer has the higher reward.
pub(super) fn accuracy() -> Chart {
    Chart::of(ACCURACY).usually(0.6, 1.0)
}

pub(super) fn likelihood() -> Chart {
    Chart::of(LIKELIHOOD)
}

pub(super) fn kl() -> Chart {
    Chart::beside(KL).usually(0.0, 10.0)
}

pub(super) fn preference_flat<const N: usize>(when: [Sign; N]) -> Reading {
    Reading::calm(
        "margin_flat",
        when,
        "The margin hardly grows. The learning rate may be too low.",
        "间隔几乎没有增大。学习率可能太低。",
    )
}

pub(super) fn preference_reversed<const N: usize>(when: [Sign; N]) -> Reading {
    Reading::alarm(
        "margin_reversed",
        when,
        "The margin is negative: the model prefers the rejected answers. Check that chosen and rejected are not swapped.",
        "间隔为负：模型偏好劣选回答。请检查优选和劣选是否颠倒。",
    )
}

pub(super) fn preference_grows<const N: usize>(when: [Sign; N]) -> Reading {
    Reading::calm(
        "margin_grows",
        when,
        "The margin grows: the model tells better answers from worse ones.",
        "间隔在增大：模型能区分较好和较差的回答。",
    )
}

/// For losses without a reference: rewards are log-probabilities there, so only the change of `key` is meaningful.
pub(super) fn contrast(key: &'static str) -> Vec<Reading> {
    vec![
        preference_reversed([Sign::below(key, -NOTABLE), Sign::below(key, 0.0).plus(1.0, key, At::First)]),
        preference_grows([Sign::rose(key, NOTABLE)]),
        preference_flat([]),
    ]
}

/// KL, in nats per answer, beyond which a policy is far from its start.
const FAR_NATS: f64 = 20.0;
/// The same per token: short answers degrade long before their total KL is large.
const FAR_NATS_A_TOKEN: f64 = 0.1;

/// For methods that learn from scores. A score that rises while answers get much longer or the KL grows large is an alarm.
pub(super) fn scored() -> Vec<Reading> {
    let rises = Sign::rose(SCORE.key, NOTABLE);
    let swells = Sign::above(LENGTH.key, 2.0).plus(1.5, LENGTH.key, At::First);
    let far = [Sign::above(KL.key, FAR_NATS), Sign::above(KL.key, 0.0).plus(FAR_NATS_A_TOKEN, LENGTH.key, At::Last)];
    let exploited = |sign: Sign| {
        Reading::alarm(
            "reward_exploited",
            [rises, sign],
            "The score rises, but answers get much longer or move far from the start: the model may be exploiting the reward instead of getting better. Read the samples, raise the KL coefficient, or stop and keep an earlier checkpoint.",
            "分数在上升，但回答明显变长或远离起点：模型可能在钻奖励的空子，而不是变好。请阅读样例，提高 KL 系数，或停止并保留较早的检查点。",
        )
    };
    let left = |sign: Sign| {
        Reading::alarm(
            "far_from_start",
            [sign],
            "The model has moved far from its start. Raise the KL coefficient or lower the learning rate.",
            "模型已远离起点。请提高 KL 系数或降低学习率。",
        )
    };
    vec![
        exploited(swells),
        exploited(far[0]),
        exploited(far[1]),
        left(far[0]),
        left(far[1]),
        Reading::alarm(
            "answers_alike",
            [Sign::below(ENTROPY.key, 0.0).plus(0.2, ENTROPY.key, At::First)],
            "The answers are now nearly always the same. Raise the KL coefficient or the temperature.",
            "回答几乎总是相同。请提高 KL 系数或温度。",
        ),
        Reading::calm(
            "score_rises",
            [rises],
            "The score rises while the model stays near its start.",
            "分数在上升，模型仍在起点附近。",
        ),
        Reading::alarm(
            "score_falls",
            [Sign::fell(SCORE.key, NOTABLE)],
            "The score falls. The learning rate is probably too high.",
            "分数在下降。学习率很可能太高。",
        ),
        Reading::calm(
            "score_flat",
            [],
            "The score hardly moves. The learning rate may be too low, or the answers to one question may get equal scores.",
            "分数几乎不变。可能学习率太低，或者同一问题的各个回答得分相同。",
        ),
    ]
}

/// For methods that compare the answers of a group.
pub(super) fn groups() -> Watch {
    Watch {
        charts: vec![
            Chart::of(GROUP_SCORE),
            Chart::beside(TOKEN_KL).usually(0.0, 1.0),
            Chart::beside(LENGTH),
            Chart::beside(TOKEN_ENTROPY),
            Chart::beside(CLIPPED).usually(0.0, 0.2),
            Chart::beside(ZERO_STD).usually(0.0, 0.5),
        ],
        needs: vec![SCORE.key],
        readings: scored(),
        margin: None,
    }
}

#[cfg(test)]
mod tests {
    use crate::method::method;
    use alidade_domain::{At, Sign};

    /// The reading of a method for curves with the given first and last values.
    fn reading(name: &str, curves: &[(&str, f64, f64)]) -> &'static str {
        let watch = method(name).unwrap().watch();
        let value = |key: &str, at: At| {
            let curve = curves.iter().find(|(known, ..)| *known == key)?;
            Some(if at == At::First { curve.1 } else { curve.2 })
        };
        assert!(watch.needs.iter().all(|key| value(key, At::Last).is_some()), "{name} needs {:?}", watch.needs);
        let holds = |sign: &Sign| {
            let plus = sign.plus.map_or(Some(0.0), |plus| Some(plus.factor * value(plus.key, plus.at)?));
            let (Some(last), Some(plus)) = (value(sign.key, At::Last), plus) else { return false };
            if sign.above { last > sign.than + plus } else { last < sign.than + plus }
        };
        watch.readings.iter().find(|reading| reading.when.iter().all(holds)).unwrap().id
    }

    #[test]
    fn losses_and_margins_are_read_as_a_colleague_would() {
        let sft = |to| reading("sft", &[("loss", 2.0, to)]);
        assert_eq!([sft(1.0), sft(2.0), sft(3.0)], ["loss_falls", "loss_flat", "loss_rises"]);
        let dpo = |margin, chosen| reading("dpo", &[("rewards/margins", 0.0, margin), ("rewards/chosen", 0.0, chosen)]);
        assert_eq!([dpo(3.0, 1.0), dpo(3.0, -1.0)], ["margin_grows", "chosen_falls"]);
        assert_eq!(dpo(3.0, -9.0), "chosen_falls_far");
        assert_eq!([dpo(0.01, 0.0), dpo(-2.0, 0.0)], ["margin_flat", "margin_reversed"]);
        assert_eq!(reading("kto", &[("rewards/margins", 0.0, 2.0), ("kl", 0.0, 1.0)]), "margin_grows");
        assert_eq!(reading("orpo", &[("log_odds_chosen", -0.2, 1.0)]), "margin_grows");
        assert_eq!(reading("cpo", &[("rewards/margins", -0.5, 1.5)]), "margin_grows");
        assert_eq!(reading("reward_model", &[("accuracy", 0.5, 0.8)]), "ranks_well");
    }

    #[test]
    fn a_score_that_is_exploited_is_an_alarm() {
        let run = |score, kl, length| {
            let [scores, nats] = [("objective/scores", 0.0, score), ("objective/kl", 0.0, kl)];
            reading("ppo", &[scores, nats, ("completions/mean_length", 20.0, length), ("objective/entropy", 1.0, 0.8)])
        };
        assert_eq!(run(2.0, 1.0, 21.0), "score_rises");
        // Measured: a policy with short answers that exploited the reward model and no longer answered well.
        assert_eq!(run(2.6, 7.5, 10.4), "reward_exploited");
        assert_eq!([run(2.0, 60.0, 21.0), run(2.0, 3.0, 80.0)], ["reward_exploited"; 2]);
        assert_eq!([run(0.0, 60.0, 20.0), run(0.0, 1.0, 20.0)], ["far_from_start", "score_flat"]);
        assert_eq!(run(-2.0, 1.0, 20.0), "score_falls");
        assert_eq!(
            reading("grpo", &[("objective/scores", 0.0, 1.0), ("objective/entropy", 2.0, 0.1)]),
            "answers_alike"
        );
    }
}
