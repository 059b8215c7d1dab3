//! Quality of a scorer: how often it ranks held-out pairs as their source does, and whether it is biased by length.

use super::HELD_OUT_PAIRS;
use crate::card::{MeasureCard, Unit};
use crate::item::Item;
use crate::observations::Observations;
use crate::suite::{Reply, Suite, SuiteCard};
use alidade_domain::{Better, Sampling, Words};

/// The suite.
pub struct HeldOutPairs;

static CARD: SuiteCard = SuiteCard {
    name: HELD_OUT_PAIRS,
    title: Words::new("held-out pairs", "留出集偏好对"),
    explanation: Words::new(
        "Pairs that were not used for training, scored by a reward or cost model.",
        "没有用于训练的数据对，由奖励模型或代价模型打分。",
    ),
    judge: None,
    measures: &[RANKED, RANKED_WHEN_SHORTER_WINS, MARGIN],
    labels: &[],
};

const RANKED: MeasureCard = MeasureCard {
    key: "preference_accuracy",
    unit: Unit::Rate,
    better: Better::Higher,
    title: Words::new("preferred answer scores better", "偏好对判断正确率"),
    explanation: Words::new(
        "Share of held-out pairs in which the preferred answer gets the better score.",
        "在留出集的偏好对中，优选回答得分更好的比例。",
    ),
};

const RANKED_WHEN_SHORTER_WINS: MeasureCard = MeasureCard {
    key: "accuracy_when_shorter_wins",
    unit: Unit::Rate,
    better: Better::Higher,
    title: Words::new("ranked right where the shorter answer is preferred", "偏好较短回答时排序正确"),
    explanation: Words::new(
        "The same share among pairs whose preferred answer is the shorter one. If it is much lower, the model has learned length.",
        "只看优选回答较短的数据对。若低很多，说明模型学到的是长度。",
    ),
};

const MARGIN: MeasureCard = MeasureCard {
    key: "reward_margin",
    unit: Unit::Reward,
    better: Better::Higher,
    title: Words::new("score margin", "分数间隔"),
    explanation: Words::new(
        "By how much the preferred answer of a held-out pair scores better than the other one.",
        "留出集偏好对中，优选回答比另一个得分好多少。",
    ),
};

impl Suite for HeldOutPairs {
    fn card(&self) -> &'static SuiteCard {
        &CARD
    }

    fn prompts(&self, _: &crate::Material) -> Vec<crate::Prompt> {
        // A scorer generates no answers.
        Vec::new()
    }

    fn sampling(&self) -> Sampling {
        Sampling { temperature: 0.0, top_p: 1.0, max_new_tokens: 0, seed: 0 }
    }

    fn observe(&self, item: &Item, reply: Reply, into: &mut Observations) {
        let Reply::Row(row) = reply else { return };
        let Some(other) = &row.other else { return };
        let ranked = row.margin().map(|margin| margin > 0.0);
        into.flag(item, RANKED.key, ranked);
        into.push(item, MARGIN.key, row.margin());
        // Pairs whose preferred answer is shorter show whether the model has merely learned length.
        if row.wanted.tokens < other.tokens {
            into.flag(item, RANKED_WHEN_SHORTER_WINS.key, ranked);
        }
    }
}
