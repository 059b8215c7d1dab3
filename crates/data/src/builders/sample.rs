//! A model's own answers as rows to learn from: what a small model is to learn from a larger one, or a model from its aligned
//! self.

use super::{Builder, BuilderCard, Made, NO_PROMPT, Workshop, reply, sampling_fields, sampling_of};
use alidade_domain::{DatasetKind, Example, Problem, Sampling, SettingField, Settings, Words};

/// The builder.
pub(super) struct Sample;

static CARD: BuilderCard = BuilderCard {
    name: "sample",
    title: Words::new("One answer to each prompt", "每个提问一个回答"),
    explanation: Words::new(
        "Lets the model answer every prompt once and keeps its answers as rows to learn from.",
        "让模型对每个提问回答一次，并把回答保存为可供学习的数据。",
    ),
    makes: DatasetKind::Answers,
    needs_scorer: false,
};

impl Builder for Sample {
    fn card(&self) -> &'static BuilderCard {
        &CARD
    }

    fn fields(&self) -> Vec<SettingField> {
        sampling_fields(0.0)
    }

    fn draws(&self, settings: &Settings) -> (usize, Sampling) {
        (1, sampling_of(settings))
    }

    fn build(&self, row: &Example, workshop: &Workshop, settings: &Settings, seed: u64) -> Result<Made, Problem> {
        let Some(prompt) = row.prompt() else { return Ok(Made::Nothing { reason: NO_PROMPT }) };
        let answer = workshop.generator.generate(&prompt, &sampling_of(settings), seed)?.text;
        if answer.trim().is_empty() {
            return Ok(Made::Nothing { reason: Words::new("empty answer", "回答为空") });
        }
        let score = workshop.scorer.map(|scorer| scorer.score(&prompt, &answer)).transpose()?.flatten();
        let row = Example::Answer { prompt, completion: reply(&answer) };
        Ok(Made::Rows { rows: vec![row], answer, score })
    }
}
