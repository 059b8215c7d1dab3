//! Reads evaluations from files and databases: the current format, and that of versions with one suite and two stacks,
//! before and after. Both become the same type; nothing is written in the earlier format.

use crate::{
    Better, Estimate, EvaluatedStack, Evaluation, Measure, MeasureWords, Message, PairShift, Sample, SampleAnswer,
    ScoreHistogram, Wording, WorstRow,
};
use serde::{Deserialize, Deserializer};

/// An evaluation in either format.
#[derive(Deserialize)]
pub(crate) struct EvaluationOnDisk {
    suite: String,
    #[serde(default)]
    title: Wording,
    #[serde(default)]
    stacks: Vec<EvaluatedStack>,
    #[serde(default)]
    baseline: usize,
    before_stack: Option<String>,
    after_stack: Option<String>,
    temperature: f64,
    seed: u64,
    measures: Vec<Measure>,
    samples: Vec<Sample>,
    #[serde(default)]
    worst: Vec<WorstRow>,
    #[serde(default)]
    scores: Option<ScoreHistogram>,
    #[serde(default)]
    pairs: Vec<PairShift>,
    seconds: f64,
}

impl From<EvaluationOnDisk> for Evaluation {
    fn from(found: EvaluationOnDisk) -> Self {
        let earlier = [found.before_stack, found.after_stack].into_iter().flatten();
        let earlier = earlier.map(|label| EvaluatedStack { label, key: String::new() });
        Self {
            title: if found.title.is_empty() { Wording::name(&found.suite) } else { found.title },
            suite: found.suite,
            stacks: if found.stacks.is_empty() { earlier.collect() } else { found.stacks },
            baseline: found.baseline,
            temperature: found.temperature,
            seed: found.seed,
            measures: found.measures,
            samples: found.samples,
            worst: found.worst,
            scores: found.scores,
            pairs: found.pairs,
            seconds: found.seconds,
        }
    }
}

/// A measure in either format.
#[derive(Deserialize)]
pub(crate) struct MeasureOnDisk {
    key: String,
    unit: String,
    better: Better,
    #[serde(default)]
    words: MeasureWords,
    values: Option<Vec<Option<Estimate>>>,
    changes: Option<Vec<Option<Estimate>>>,
    before: Option<Estimate>,
    after: Option<Estimate>,
    change: Option<Estimate>,
}

impl From<MeasureOnDisk> for Measure {
    fn from(found: MeasureOnDisk) -> Self {
        let mut words = found.words;
        if words.title.is_empty() {
            words.title = Wording::name(&found.key);
        }
        Self {
            key: found.key,
            unit: found.unit,
            better: found.better,
            words,
            values: found.values.unwrap_or_else(|| vec![found.before, found.after]),
            changes: found.changes.unwrap_or_else(|| vec![None, found.change]),
        }
    }
}

/// A sample in either format.
#[derive(Deserialize)]
pub(crate) struct SampleOnDisk {
    prompt: Vec<Message>,
    #[serde(default)]
    answers: Vec<SampleAnswer>,
    before: Option<String>,
    after: Option<String>,
    before_label: Option<Wording>,
    after_label: Option<Wording>,
    flagged: bool,
}

impl From<SampleOnDisk> for Sample {
    fn from(found: SampleOnDisk) -> Self {
        let answer = |(text, label): (Option<String>, Option<Wording>)| Some(SampleAnswer { text: text?, label });
        let earlier = [(found.before, found.before_label), (found.after, found.after_label)];
        let answers =
            if found.answers.is_empty() { earlier.into_iter().filter_map(answer).collect() } else { found.answers };
        Self { prompt: found.prompt, answers, flagged: found.flagged }
    }
}

/// Reads a list that was a single value, or null, in earlier versions; for `deserialize_with`.
///
/// # Errors
/// When it is none of these.
pub fn one_or_many<'de, T: Deserialize<'de>, D: Deserializer<'de>>(input: D) -> Result<Vec<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either<T> {
        Many(Vec<T>),
        One(Option<T>),
    }
    Ok(match Either::deserialize(input)? {
        Either::Many(many) => many,
        Either::One(one) => one.into_iter().collect(),
    })
}
