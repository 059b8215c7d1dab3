//! Preference pairs from a model's own answers: several are drawn for a prompt, the one with the highest score is preferred to
//! the one with the lowest.

use super::{Builder, BuilderCard, Made, NO_PROMPT, Workshop, number, reply, sampling_fields, sampling_of};
use alidade_domain::{
    DatasetKind, Example, PreferencePair, Problem, Sampling, SettingField, SettingKind, SettingLevel, SettingValue,
    Settings, Words, row_seed,
};

/// The builder.
pub(super) struct BestOf;

static CARD: BuilderCard = BuilderCard {
    name: "best_of",
    title: Words::new("Best against worst of several answers", "多个回答中的最佳与最差"),
    explanation: Words::new(
        "Draws several answers to each prompt, scores them, and pairs the best one with the worst one.",
        "对每个提问抽取多个回答并打分，将最好的与最差的组成一对。",
    ),
    makes: DatasetKind::Pairs,
    needs_scorer: true,
};

impl Builder for BestOf {
    fn card(&self) -> &'static BuilderCard {
        &CARD
    }

    fn fields(&self) -> Vec<SettingField> {
        let answers = SettingField {
            key: "answers",
            kind: SettingKind::Whole { low: 2, high: 64 },
            default: SettingValue::Whole(4),
            level: SettingLevel::Simple,
            label: Words::new("Answers per prompt", "每个提问的回答数"),
            help: Words::new(
                "How many answers are drawn for each prompt; more give clearer pairs and take longer.",
                "每个提问抽取多少个回答；越多，差别越明显，耗时也越长。",
            ),
        };
        [answers].into_iter().chain(sampling_fields(1.0)).collect()
    }

    fn draws(&self, settings: &Settings) -> (usize, Sampling) {
        (number(settings, "answers") as usize, sampling_of(settings))
    }

    fn build(&self, row: &Example, workshop: &Workshop, settings: &Settings, seed: u64) -> Result<Made, Problem> {
        let Some(prompt) = row.prompt() else { return Ok(Made::Nothing { reason: NO_PROMPT }) };
        let Some(scorer) = workshop.scorer else {
            return Err(Problem::input(Words::new(
                "This builder chooses among answers, and nothing is named that scores them.",
                "这种构建方法要从多个回答中挑选，但没有指定由谁打分。",
            ))
            .at("scorer"));
        };
        let (answers, sampling) = self.draws(settings);
        let seeds: Vec<u64> = (0..answers).map(|place| row_seed(seed, place)).collect();
        let prompts = vec![prompt.as_slice(); answers];
        let drawn = workshop.generator.generate_many(&prompts, &sampling, &seeds, &mut |_, _| true)?;
        let mut scored: Vec<(f64, String)> = Vec::with_capacity(drawn.len());
        for response in drawn {
            let score = scorer.score(&prompt, &response.text)?.filter(|score| score.is_finite());
            scored.extend(score.map(|score| (score, response.text)));
        }
        // Of equals the one that was drawn first counts.
        scored.sort_by(|one, other| other.0.total_cmp(&one.0));
        let [(high, chosen), .., (low, rejected)] = scored.as_slice() else {
            return Ok(Made::Nothing {
                reason: Words::new("no two answers with scores", "没有两个带得分的回答")
            });
        };
        if high == low {
            return Ok(Made::Nothing { reason: Words::new("all answers score alike", "所有回答得分相同") });
        }
        let pair = PreferencePair {
            chosen: reply(chosen),
            rejected: reply(rejected),
            margin: Some(high - low),
            harmful: None,
            prompt,
        };
        Ok(Made::Rows { rows: vec![Example::Pair(pair)], answer: chosen.clone(), score: Some(*high) })
    }
}
