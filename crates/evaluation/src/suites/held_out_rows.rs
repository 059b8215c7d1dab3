//! Held-out rows: the likelihood of their answers, whether preferred answers are likelier, and the stack's own answers
//! to their prompts.

use super::{HELD_OUT_ROWS, LENGTH};
use crate::card::{MeasureCard, Unit};
use crate::item::Item;
use crate::observations::Observations;
use crate::suite::{Reply, Suite, SuiteCard};
use alidade_domain::{Better, Words};

/// The suite.
pub struct HeldOutRows;

static CARD: SuiteCard = SuiteCard {
    name: HELD_OUT_ROWS,
    title: Words::new("held-out rows", "留出数据"),
    explanation: Words::new(
        "Rows that were not used for training: the likelihood of their answers, and the model's own answers to their prompts.",
        "没有用于训练的样本：它们的回答有多大概率，以及模型自己对这些提问的回答。",
    ),
    judge: None,
    measures: &[PREFERENCE, LOSS, LENGTH],
    labels: &[],
};

const PREFERENCE: MeasureCard = MeasureCard {
    key: "preference_accuracy",
    unit: Unit::Rate,
    better: Better::Higher,
    title: Words::new("preferred answer is likelier", "偏好对判断正确率"),
    explanation: Words::new(
        "Share of held-out pairs in which the model finds the preferred answer likelier per token.",
        "在留出集的偏好对中，模型认为优选回答每词元概率更高的比例。",
    ),
};

const LOSS: MeasureCard = MeasureCard {
    key: "held_out_loss",
    unit: Unit::Nats,
    better: Better::Lower,
    title: Words::new("loss on held-out rows", "留出数据的损失"),
    explanation: Words::new(
        "Mean loss per token on answers that were not used for training. The lower, the likelier the model finds them.",
        "在没有用于训练的回答上，每个词元的平均损失。越低，模型认为它们的概率越高。",
    ),
};

impl Suite for HeldOutRows {
    fn card(&self) -> &'static SuiteCard {
        &CARD
    }

    fn observe(&self, item: &Item, reply: Reply, into: &mut Observations) {
        match reply {
            Reply::Answer(response, _) => into.push(item, LENGTH.key, Some(response.tokens as f64)),
            Reply::Row(row) => {
                into.push(item, LOSS.key, row.wanted.score.map(|likelihood| -likelihood));
                if row.other.is_some() {
                    into.flag(item, PREFERENCE.key, row.margin().map(|margin| margin > 0.0));
                }
            }
        }
    }

    fn shows_worst(&self) -> bool {
        true
    }
}
