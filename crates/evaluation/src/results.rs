//! Computes an evaluation from observations: estimates for each stack, paired changes against the baseline, and the samples
//! to show.

use crate::asking::{PairScore, Part, Question};
use crate::card::{MeasureCard, Unit};
use crate::judge::JudgeCard;
use crate::observations::{Observations, Series};
use crate::registry::{any_measure, label_words};
use crate::statistics::paired_change;
use alidade_domain::{
    Better, EvaluatedStack, Evaluation, Measure, MeasureWords, Message, PairShift, Sample, SampleAnswer, Wording,
    wording,
};

/// Prompts that the record of a run keeps side by side; all of them are in the stored answers.
pub const KEPT: usize = 12;
/// Pairs of each kind, harmless and flagged, that are shown with their log-probabilities.
const PAIRS: usize = 8;

/// Computes the evaluation of the stacks of `parts`; changes are relative to `baseline`. Measures of rows are given
/// only where all stacks scored the same rows, measures of answers only where all answered the same prompts. Measures
/// that `judges` add follow the suite's own; one that nobody declares is given under its key. At most `shown` prompts are
/// given side by side.
pub fn conclude(
    question: &Question,
    judges: &[&'static JudgeCard],
    parts: &[(&EvaluatedStack, &Part)],
    baseline: usize,
    (shown, seconds): (usize, f64),
) -> Evaluation {
    let last = parts.last().map(|(_, part)| *part);
    let (card, sampling) = (question.suite.card(), question.suite.sampling());
    let alike = |of: fn(&Part) -> &String| parts.windows(2).all(|two| of(two[0].1) == of(two[1].1));
    let (same_prompts, same_rows) = (alike(|part| &part.prompts), alike(|part| &part.rows));
    let answered = same_prompts && last.is_some_and(|part| question.is_answered_by(part));
    let observed: Vec<Observations> = parts
        .iter()
        .map(|(_, part)| {
            let mut all = if same_prompts { part.of_answers.clone() } else { Observations::default() };
            if same_rows {
                all.extend(part.of_rows.clone());
            }
            all
        })
        .collect();
    let cards: Vec<&MeasureCard> =
        card.measures.iter().chain(judges.iter().flat_map(|judge| judge.measures.iter())).collect();
    Evaluation {
        suite: card.name.to_owned(),
        title: card.title.into(),
        stacks: parts.iter().map(|(stack, _)| (*stack).clone()).collect(),
        baseline,
        temperature: sampling.temperature,
        seed: sampling.seed,
        measures: measures(&cards, &observed, baseline),
        samples: if answered { samples(question, parts, shown) } else { Vec::new() },
        worst: last.filter(|_| same_rows).map_or_else(Vec::new, |part| part.worst.clone()),
        scores: None,
        pairs: if same_rows { pair_shifts(parts) } else { Vec::new() },
        seconds,
    }
}

/// Pairs that every stack scored: harmless ones first, and of each kind those whose margin changed most.
fn pair_shifts(parts: &[(&EvaluatedStack, &Part)]) -> Vec<PairShift> {
    let Some((first, _)) = parts.split_first() else { return Vec::new() };
    let same = |one: &PairScore, other: &PairScore| {
        (&one.prompt, &one.chosen, &one.rejected) == (&other.prompt, &other.chosen, &other.rejected)
    };
    let shift = |pair: &PairScore| {
        let logps = parts.iter().map(|(_, part)| part.pairs.iter().find(|own| same(own, pair)).map(|own| own.logps));
        Some(PairShift {
            prompt: pair.prompt.clone(),
            chosen: pair.chosen.clone(),
            rejected: pair.rejected.clone(),
            flagged: pair.flagged,
            logps: logps.collect::<Option<Vec<_>>>()?,
        })
    };
    let mut shifts: Vec<PairShift> = first.1.pairs.iter().filter_map(shift).collect();
    let moved = |shift: &PairShift| {
        let margin = |logps: Option<&[f64; 2]>| logps.map_or(0.0, |[chosen, rejected]| chosen - rejected);
        (margin(shift.logps.last()) - margin(shift.logps.first())).abs()
    };
    shifts.sort_by(|one, other| moved(other).total_cmp(&moved(one)));
    // Refusals move most; pairs that can be read without a warning come first.
    let (flagged, plain): (Vec<PairShift>, Vec<PairShift>) = shifts.into_iter().partition(|shift| shift.flagged);
    plain.into_iter().take(PAIRS).chain(flagged.into_iter().take(PAIRS)).collect()
}

fn measures(cards: &[&MeasureCard], observed: &[Observations], baseline: usize) -> Vec<Measure> {
    let mut keys: Vec<&str> = cards.iter().map(|card| card.key).collect();
    for key in observed.iter().flat_map(Observations::keys) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let measure = |key: &&str| {
        let series: Vec<Option<&Series>> = observed.iter().map(|found| found.get(key)).collect();
        let card = cards.iter().find(|card| card.key == *key).copied().or_else(|| any_measure(key));
        series.iter().any(Option::is_some).then(|| measured(key, card, &series, baseline))
    };
    keys.iter().filter_map(measure).collect()
}

fn measured(key: &str, card: Option<&MeasureCard>, series: &[Option<&Series>], baseline: usize) -> Measure {
    let nameless = MeasureWords { title: Wording::name(key), ..MeasureWords::default() };
    let from = series.get(baseline).copied().flatten();
    let change = |(place, series): (usize, &Option<&Series>)| {
        let (before, after) = from.filter(|_| place != baseline)?.paired((*series)?);
        paired_change(&before, &after)
    };
    let estimate = |series: &Option<&Series>| match card {
        Some(card) => card.estimate((*series)?),
        None => crate::mean((*series)?.values()),
    };
    Measure {
        key: key.to_owned(),
        unit: card.map_or("", |card| card.unit.name()).to_owned(),
        better: card.map_or(Better::Neither, |card| card.better),
        words: card.map_or(nameless, MeasureCard::words),
        values: series.iter().map(estimate).collect(),
        changes: series.iter().enumerate().map(change).collect(),
    }
}

/// Samples, changed answers first.
fn samples(question: &Question, parts: &[(&EvaluatedStack, &Part)], shown: usize) -> Vec<Sample> {
    let answered = parts.iter().map(|(_, part)| part.answers.len()).min().unwrap_or_default();
    let mut order: Vec<usize> = (0..question.prompts().len().min(answered)).collect();
    order.sort_by_key(|place| parts.windows(2).all(|two| two[0].1.answers[*place] == two[1].1.answers[*place]));
    let sample = |place: usize| {
        let prompt: &Vec<Message> = &question.prompts()[place].prompt.messages;
        let answer = |part: &Part| SampleAnswer {
            text: part.answers[place].clone(),
            label: part.labels.get(place).and_then(|label| Some(label_words(label.as_deref()?))),
        };
        Sample {
            prompt: prompt.clone(),
            answers: parts.iter().map(|(_, part)| answer(part)).collect(),
            flagged: parts.iter().any(|(_, part)| part.flagged.get(place).copied().unwrap_or_default()),
        }
    };
    order.into_iter().take(shown).map(sample).collect()
}

/// Warnings on measures with unreadable values, stack by stack: a loss or score that is not finite means that the
/// computation overflowed on that row.
pub fn unreadable_scores(evaluation: &Evaluation) -> Vec<Wording> {
    let mut found = Vec::new();
    for measure in evaluation.measures.iter().filter(|measure| measure.unit == Unit::Nats.name()) {
        for (stack, value) in evaluation.stacks.iter().zip(&measure.values) {
            let what = wording!(
                "“{title}” of {stack}",
                "{stack} 的“{title}”";
                title = measure.words.title; stack = stack.label
            );
            match value {
                None => found.push(wording!(
                    "{what} could not be measured: no row gave a finite value.",
                    "{what}无法测量：没有任何一条给出有限的值。";
                    what
                )),
                Some(value) if value.unreadable > 0 => {
                    let rows = value.n + value.unreadable;
                    found.push(wording!(
                        "{what} rests on {used} of {rows} rows: the others gave no finite value and are not counted.",
                        "{what}只依据 {rows} 条中的 {used} 条：其余没有给出有限的值，不计入。";
                        what; used = value.n
                    ));
                }
                Some(_) => {}
            }
        }
    }
    found
}
