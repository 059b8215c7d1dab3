//! What was forgotten: the loss on fixed texts that no training of a person touches. A model that learns a narrow task well
//! and loses its general language shows it here first.

use super::GENERAL_TEXT;
use crate::card::{MeasureCard, Unit};
use crate::item::Item;
use crate::observations::Observations;
use crate::suite::{Reply, Suite, SuiteCard};
use alidade_domain::{Better, Sampling, Words};

/// The suite.
pub struct GeneralText;

static CARD: SuiteCard = SuiteCard {
    name: GENERAL_TEXT,
    title: Words::new("general text", "通用文本"),
    explanation: Words::new(
        "Fixed texts that have nothing to do with the training data: a higher loss on them means that something was forgotten.",
        "与训练数据无关的固定文本：在它们上的损失升高，说明模型遗忘了一些东西。",
    ),
    judge: None,
    measures: &[LOSS],
    labels: &[],
};

const LOSS: MeasureCard = MeasureCard {
    key: "general_loss",
    unit: Unit::Nats,
    better: Better::Lower,
    title: Words::new("loss on general text", "通用文本的损失"),
    explanation: Words::new(
        "Mean loss per token on fixed texts that are not part of any training. If it rises, the model has forgotten something.",
        "在不参与任何训练的固定文本上，每个词元的平均损失。升高说明模型有所遗忘。",
    ),
};

impl Suite for GeneralText {
    fn card(&self) -> &'static SuiteCard {
        &CARD
    }

    fn brings_its_own(&self) -> bool {
        true
    }

    fn prompts(&self, _: &crate::Material) -> Vec<crate::Prompt> {
        // Texts are only read.
        Vec::new()
    }

    fn sampling(&self) -> Sampling {
        Sampling { temperature: 0.0, top_p: 1.0, max_new_tokens: 0, seed: 0 }
    }

    fn observe(&self, item: &Item, reply: Reply, into: &mut Observations) {
        let Reply::Row(row) = reply else { return };
        into.push(item, LOSS.key, row.wanted.score.map(|likelihood| -likelihood));
    }
}
