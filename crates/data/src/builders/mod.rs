//! The registry of builders: each turns one row into rows of a new data set, with a model that answers and, where it chooses
//! among answers, a scorer. Both are asked through the ports, so a script, a stack or a remote model will do.
//!
//! A builder sees one row at a time and keeps nothing in between: the job around it logs every row, and one that was killed goes
//! on at the row that it stopped at. Adding one is one file and one line here.

mod best_of;
mod sample;

use alidade_domain::{
    DatasetKind, Example, Generator, Message, Problem, Sampling, Scorer, SettingField, SettingKind, SettingLevel,
    SettingValue, Settings, Wording, Words, nearest_name, wording,
};
use serde::Serialize;
use ts_rs::TS;

/// What a builder is, for lists and forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
pub struct BuilderCard {
    /// Its name in recipes.
    pub name: &'static str,
    /// Its name for people.
    pub title: Words,
    /// One sentence on what it makes.
    pub explanation: Words,
    /// What its rows can teach.
    pub makes: DatasetKind,
    /// True when it chooses among answers by a score.
    pub needs_scorer: bool,
}

/// Who helps a builder.
pub struct Workshop<'a> {
    /// What answers prompts.
    pub generator: &'a dyn Generator,
    /// What scores answers.
    pub scorer: Option<&'a dyn Scorer>,
}

/// What a builder made of one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Made {
    /// Rows of the new set, with what a person is shown of them.
    Rows {
        /// The rows.
        rows: Vec<Example>,
        /// The answer that counts.
        answer: String,
        /// Its score, where it has one.
        score: Option<f64>,
    },
    /// Nothing could be made; a short reason, equal for equal causes.
    Nothing {
        /// The reason.
        reason: Words,
    },
}

/// One way of making rows.
pub trait Builder: Sync {
    /// What it is.
    fn card(&self) -> &'static BuilderCard;

    /// Its settings.
    fn fields(&self) -> Vec<SettingField>;

    /// How many answers it draws for a prompt, and how.
    fn draws(&self, settings: &Settings) -> (usize, Sampling);

    /// Makes rows of one. The draw depends on `seed` and on nothing else. Settings are resolved against [`Builder::fields`].
    ///
    /// # Errors
    /// When the generator or the scorer fails.
    fn build(&self, row: &Example, workshop: &Workshop, settings: &Settings, seed: u64) -> Result<Made, Problem>;
}

/// Every builder.
pub const BUILDERS: &[&dyn Builder] = &[&best_of::BestOf, &sample::Sample];

/// The builder of a name.
///
/// # Errors
/// When there is none; the names are told.
pub fn builder(name: &str) -> Result<&'static dyn Builder, Problem> {
    let names = || BUILDERS.iter().map(|builder| builder.card().name);
    BUILDERS.iter().copied().find(|builder| builder.card().name == name).ok_or_else(|| {
        let known = Wording::names(names());
        let problem = Problem::input(wording!(
            "There is no builder “{name}”. Known: {known}.",
            "没有名为“{name}”的构建方法。可用：{known}。";
            known
        ))
        .at("builder");
        match nearest_name(name, names()) {
            Some(near) => problem.hint(wording!("Did you mean {near}?", "是否想写 {near}？")),
            None => problem,
        }
    })
}

/// Why a row without a question is left out.
const NO_PROMPT: Words = Words::new("asks nothing", "没有提问");

/// The settings that say how answers are drawn, for every builder that draws some.
fn sampling_fields(temperature: f64) -> Vec<SettingField> {
    vec![
        SettingField {
            key: "temperature",
            kind: SettingKind::Number { low: 0.0, high: 2.0 },
            default: SettingValue::Number(temperature),
            level: SettingLevel::Simple,
            label: Words::new("Temperature", "温度"),
            help: Words::new(
                "How freely tokens are drawn; 0 always takes the likeliest one.",
                "抽取词元的自由程度；0 表示总取可能性最大的词元。",
            ),
        },
        SettingField {
            key: "top_p",
            kind: SettingKind::Number { low: 0.0, high: 1.0 },
            default: SettingValue::Number(1.0),
            level: SettingLevel::Advanced,
            label: Words::name("Top-p"),
            help: Words::new(
                "Only the likeliest tokens up to this share of the probability are drawn.",
                "只从累计概率达到此值的最可能词元中抽取。",
            ),
        },
        SettingField {
            key: "max_new_tokens",
            kind: SettingKind::Whole { low: 1, high: 8_192 },
            default: SettingValue::Whole(128),
            level: SettingLevel::Simple,
            label: Words::new("Longest answer", "最长回答"),
            help: Words::new("Tokens after which an answer is cut.", "回答超过这么多词元就截断。"),
        },
    ]
}

/// Sampling as the settings say it.
fn sampling_of(settings: &Settings) -> Sampling {
    Sampling {
        temperature: number(settings, "temperature"),
        top_p: number(settings, "top_p"),
        max_new_tokens: number(settings, "max_new_tokens") as usize,
        seed: 0,
    }
}

/// A number of resolved settings.
fn number(settings: &Settings, key: &str) -> f64 {
    match settings.0.get(key) {
        Some(SettingValue::Number(value)) => *value,
        Some(SettingValue::Whole(value)) => *value as f64,
        // Resolved settings hold every field of their builder in its kind; the tests read each.
        _ => f64::NAN,
    }
}

/// The reply to a prompt, as the last turn.
fn reply(text: &str) -> Vec<Message> {
    vec![Message::assistant(text)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use alidade_domain::row_seed;
    use alidade_testkit::{Dice, LargestNumber};
    use std::collections::BTreeSet;

    fn asked(text: &str) -> Example {
        Example::Prompt { prompt: vec![Message::user(text)] }
    }

    #[test]
    fn every_builder_makes_rows_of_its_kind_from_its_defaults_and_the_seed_alone() {
        let mut names = BTreeSet::new();
        for builder in BUILDERS {
            let card = builder.card();
            assert!(names.insert(card.name), "{} stands twice", card.name);
            let settings = Settings::default().resolve(&builder.fields()).unwrap();
            let (answers, sampling) = builder.draws(&settings);
            assert!(answers > 0 && sampling.max_new_tokens == 128 && sampling.top_p == 1.0, "{}", card.name);
            let workshop = Workshop { generator: &Dice, scorer: card.needs_scorer.then_some(&LargestNumber) };
            let make = |seed| builder.build(&asked("n"), &workshop, &settings, row_seed(seed, 3)).unwrap();
            let Made::Rows { rows, answer, .. } = make(7) else { panic!("{} made nothing", card.name) };
            assert!(!answer.is_empty() && make(7) == make(7), "{}", card.name);
            for row in rows {
                let kind = match row {
                    Example::Pair(_) => DatasetKind::Pairs,
                    Example::Answer { .. } => DatasetKind::Answers,
                    other => panic!("{other:?}"),
                };
                assert_eq!(kind, card.makes, "{}", card.name);
            }
            let text = Example::Text { text: "no question".to_owned() };
            let left = builder.build(&text, &workshop, &settings, 1).unwrap();
            assert_eq!(left, Made::Nothing { reason: NO_PROMPT });
        }
        assert!(builder("best_off").err().unwrap().hints[0].en.contains("best_of"));
    }

    #[test]
    fn the_best_and_the_worst_become_a_pair_and_the_unreadable_neither() {
        let best_of = builder("best_of").unwrap();
        let mut settings = Settings::default();
        settings.0.insert("answers".to_owned(), SettingValue::Whole(6));
        let settings = settings.resolve(&best_of.fields()).unwrap();
        let workshop = Workshop { generator: &Dice, scorer: Some(&LargestNumber) };
        let Made::Rows { rows, score, .. } = best_of.build(&asked("n"), &workshop, &settings, 11).unwrap() else {
            panic!()
        };
        let [Example::Pair(pair)] = rows.as_slice() else { panic!("{rows:?}") };
        let value = |turns: &[Message]| LargestNumber.score(&[], &turns[0].content).unwrap().unwrap();
        let drawn: Vec<f64> = (0..6).map(|place| (row_seed(11, place) % 100) as f64).collect();
        let (low, high) = drawn.iter().fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
        assert_eq!((value(&pair.rejected), value(&pair.chosen)), (low, high));
        assert_eq!((pair.margin, score), (Some(high - low), Some(high)));
        let spoilt = best_of.build(&asked("x"), &workshop, &settings, 11).unwrap();
        assert_eq!(spoilt, Made::Nothing { reason: Words::new("no two answers with scores", "没有两个带得分的回答") });
    }

    #[test]
    fn answers_that_are_equally_good_make_no_pair() {
        let best_of = builder("best_of").unwrap();
        let mut settings = Settings::default();
        settings.0.insert("temperature".to_owned(), SettingValue::Number(0.0));
        let settings = settings.resolve(&best_of.fields()).unwrap();
        let workshop = Workshop { generator: &Dice, scorer: Some(&LargestNumber) };
        let made = best_of.build(&asked("n"), &workshop, &settings, 11).unwrap();
        assert_eq!(made, Made::Nothing { reason: Words::new("all answers score alike", "所有回答得分相同") });
    }
}
