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
        "Rows that nothing was trained on: the likelihood of their answers, and the stack's own answers to their prompts.",
        "没有用于训练的行：它们的回答有多大概率，以及堆栈对同样提问的回答。",
    ),
    judge: None,
    measures: &[PREFERENCE, LOSS, LENGTH],
};

const PREFERENCE: MeasureCard = MeasureCard {
    key: "preference_accuracy",
    unit: Unit::Rate,
    better: Better::Higher,
    title: Words::new("preferred answer is likelier", "更看好被偏好的回答"),
    explanation: Words::new(
        "Share of held-out pairs in which the model finds the preferred answer likelier per token.",
        "在留出的成对数据中，模型认为被偏好的回答每词元概率更高的比例。",
    ),
};

const LOSS: MeasureCard = MeasureCard {
    key: "held_out_loss",
    unit: Unit::Nats,
    better: Better::Lower,
    title: Words::new("loss on held-out rows", "留出数据的损失"),
    explanation: Words::new(
        "Mean surprise per token of answers that were not trained on. Lower means the model expects them.",
        "对未训练过的回答，每个词元的平均意外程度。越低，说明模型越预料到它。",
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
