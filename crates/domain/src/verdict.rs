//! What the figures of an experiment allow to say: for every measure whether it got better or worse, and for the whole how it
//! stands. Nothing is said that the interval, the number of items or the size of the change does not support, and nothing
//! about a measure that has no better side. Whoever shows a verdict finds the words for it.

use crate::{Better, Estimate, Evaluation, Measure};

/// A change that is seen on fewer items than this is not judged.
pub const FEWEST_ITEMS: usize = 20;
/// A share of a harm at or above this is said even if it fell.
const STILL_HIGH: f64 = 0.1;
/// Key of the loss on general text: a rise is forgetting.
pub const GENERAL_LOSS: &str = "general_loss";
/// Rounding of a difference must not decide.
const ROUNDING: f64 = 1e-9;

/// The smallest change that counts, by the unit of a measure; smaller ones are real at best, but of no use.
pub fn smallest_effect(unit: &str) -> f64 {
    match unit {
        "rate" => 0.02,
        "nats" => 0.01,
        _ => 0.0,
    }
}

/// What became of one measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// It changed for the better.
    Better,
    /// It changed for the worse.
    Worse,
    /// Its interval includes no change at all.
    Chance,
    /// It changed, but by less than what counts.
    Small,
    /// It was seen on too few items.
    TooFew,
}

/// A measure that has a better side, between the baseline and the last stack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged<'e> {
    /// The evaluation that it belongs to.
    pub evaluation: &'e Evaluation,
    /// The measure.
    pub measure: &'e Measure,
    /// The figure of the baseline.
    pub before: Estimate,
    /// The figure of the last stack.
    pub after: Estimate,
    /// The change between them.
    pub change: Estimate,
    /// What became of it.
    pub finding: Finding,
}

impl Judged<'_> {
    /// True for a harm that is still frequent, whatever became of it.
    pub fn is_still_high(&self) -> bool {
        let share = self.measure.unit == "rate" && self.measure.better == Better::Lower;
        share && self.after.n >= FEWEST_ITEMS && self.after.value >= STILL_HIGH && self.finding != Finding::Worse
    }

    /// True for what was forgotten of general language.
    pub fn is_forgetting(&self) -> bool {
        self.measure.key == GENERAL_LOSS && self.finding == Finding::Worse
    }
}

/// How the whole stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// There is no evaluation.
    NotMeasured,
    /// No measure has a better side and figures on both.
    NotJudged,
    /// Everything was seen on too few items.
    TooFew,
    /// Nothing changed by what counts.
    Same,
    /// Something improved and nothing got worse.
    Better,
    /// The same, but a harm is still frequent.
    BetterWithHarm,
    /// The main measure did not improve, but others did.
    BetterInPart,
    /// Something improved, something else got worse.
    AtAPrice,
    /// The main measure got worse, others improved.
    WorseWithGains,
    /// Something got worse and nothing improved.
    Worse,
}

/// Everything that can be said of some evaluations of the same stacks.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict<'e> {
    /// How the whole stands.
    pub standing: Standing,
    /// The measures that have a better side, most important first.
    pub judged: Vec<Judged<'e>>,
}

impl<'e> Verdict<'e> {
    /// The verdict on the last stack of some evaluations against their baseline.
    pub fn on(evaluations: &'e [Evaluation]) -> Self {
        let judged: Vec<Judged> = evaluations
            .iter()
            .flat_map(|found| found.measures.iter().filter_map(|measure| judged(found, measure)))
            .collect();
        let standing = if evaluations.is_empty() { Standing::NotMeasured } else { standing(&judged) };
        Self { standing, judged }
    }

    /// The measures of which this was found.
    pub fn found(&self, finding: Finding) -> impl Iterator<Item = &Judged<'e>> {
        self.judged.iter().filter(move |judged| judged.finding == finding)
    }

    /// Up to `most` measures to show first, in their order: the main one, what was forgotten or got worse, then the others.
    pub fn main(&self, most: usize) -> Vec<&Judged<'e>> {
        let rank = |(place, judged): (usize, &Judged)| match (place, judged.finding) {
            (0, _) => 0,
            _ if judged.is_forgetting() => 1,
            (_, Finding::Worse) => 2,
            _ => 3,
        };
        let mut chosen: Vec<usize> = (0..self.judged.len()).collect();
        chosen.sort_by_key(|place| (rank((*place, &self.judged[*place])), *place));
        chosen.truncate(most);
        chosen.sort_unstable();
        chosen.into_iter().map(|place| &self.judged[place]).collect()
    }
}

fn judged<'e>(evaluation: &'e Evaluation, measure: &'e Measure) -> Option<Judged<'e>> {
    let last = evaluation.last();
    let (before, after) = (*measure.value(evaluation.baseline)?, *measure.value(last)?);
    let change = *measure.change(last)?;
    let finding = match measure.better {
        Better::Neither => return None,
        _ if change.n < FEWEST_ITEMS => Finding::TooFew,
        _ if change.low <= 0.0 && change.high >= 0.0 => Finding::Chance,
        _ if change.value.abs() < smallest_effect(&measure.unit) - ROUNDING => Finding::Small,
        Better::Higher if change.value > 0.0 => Finding::Better,
        Better::Lower if change.value < 0.0 => Finding::Better,
        Better::Higher | Better::Lower => Finding::Worse,
    };
    Some(Judged { evaluation, measure, before, after, change, finding })
}

fn standing(judged: &[Judged]) -> Standing {
    let any = |finding| judged.iter().any(|judged: &Judged| judged.finding == finding);
    let Some(main) = judged.iter().find(|judged| judged.measure.key != GENERAL_LOSS).or(judged.first()) else {
        return Standing::NotJudged;
    };
    match (any(Finding::Better), any(Finding::Worse), main.finding) {
        (true, true, Finding::Worse) => Standing::WorseWithGains,
        (true, true, _) => Standing::AtAPrice,
        (false, true, _) => Standing::Worse,
        (true, false, Finding::Better) if judged.iter().any(Judged::is_still_high) => Standing::BetterWithHarm,
        (true, false, Finding::Better) => Standing::Better,
        (true, false, _) => Standing::BetterInPart,
        (false, false, _) if judged.iter().all(|judged| judged.finding == Finding::TooFew) => Standing::TooFew,
        (false, false, _) => Standing::Same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MeasureWords, Wording};

    /// A measure with its values before and after; the interval of the change is as wide as given.
    fn measure(key: &str, unit: &str, better: Better, values: [f64; 2], width: f64, n: usize) -> Measure {
        let estimate = |value: f64| Estimate { value, low: value - width, high: value + width, n, unreadable: 0 };
        Measure {
            key: key.to_owned(),
            unit: unit.to_owned(),
            better,
            words: MeasureWords::default(),
            values: values.map(|value| Some(estimate(value))).to_vec(),
            changes: vec![None, Some(estimate(values[1] - values[0]))],
        }
    }

    fn good(values: [f64; 2]) -> Measure {
        measure("good", "rate", Better::Higher, values, 0.01, 200)
    }

    fn harm(values: [f64; 2]) -> Measure {
        measure("harm", "rate", Better::Lower, values, 0.01, 200)
    }

    fn evaluation(measures: Vec<Measure>) -> Vec<Evaluation> {
        let stored = serde_json::json!([{
            "suite": "s", "title": Wording::name("s"), "stacks": [{"label": "a"}, {"label": "b"}], "baseline": 0,
            "temperature": 0.0, "seed": 1, "measures": measures, "samples": [], "worst": [], "scores": null, "seconds": 1.0,
        }]);
        serde_json::from_value(stored).unwrap()
    }

    fn stands(measures: Vec<Measure>) -> Standing {
        Verdict::on(&evaluation(measures)).standing
    }

    fn finding(measure: Measure) -> Option<Finding> {
        Verdict::on(&evaluation(vec![measure])).judged.first().map(|judged| judged.finding)
    }

    #[test]
    fn no_more_is_found_than_the_figures_support() {
        assert_eq!(finding(good([0.34, 0.89])), Some(Finding::Better));
        assert_eq!(finding(harm([0.34, 0.89])), Some(Finding::Worse));
        assert_eq!(finding(measure("m", "rate", Better::Higher, [0.3, 0.5], 0.3, 200)), Some(Finding::Chance));
        assert_eq!(finding(measure("m", "rate", Better::Higher, [0.3, 0.9], 0.0, 19)), Some(Finding::TooFew));
        assert_eq!(finding(measure("m", "rate", Better::Higher, [0.3, 0.9], 0.0, 20)), Some(Finding::Better));
        assert_eq!(finding(measure("m", "tokens", Better::Neither, [18.0, 24.0], 1.0, 200)), None);
    }

    #[test]
    fn a_change_of_no_use_is_small_however_sure_it_is() {
        let loss = |by: f64| measure("held_out_loss", "nats", Better::Lower, [1.69, 1.69 - by], 1e-6, 500);
        assert_eq!(finding(loss(0.000_04)), Some(Finding::Small));
        assert_eq!(finding(loss(0.01)), Some(Finding::Better));
        assert_eq!(finding(measure("m", "rate", Better::Higher, [0.5, 0.515], 0.001, 900)), Some(Finding::Small));
        assert_eq!(finding(measure("m", "rate", Better::Higher, [0.5, 0.52], 0.001, 900)), Some(Finding::Better));
        assert_eq!(finding(measure("m", "reward", Better::Higher, [0.5, 0.501], 0.0001, 900)), Some(Finding::Better));
    }

    #[test]
    fn the_whole_names_its_price() {
        assert_eq!(Verdict::on(&[]).standing, Standing::NotMeasured);
        assert_eq!(stands(vec![]), Standing::NotJudged);
        assert_eq!(stands(vec![good([0.4, 0.9]), harm([0.8, 0.01])]), Standing::Better);
        assert_eq!(stands(vec![good([0.4, 0.9]), harm([0.8, 0.48])]), Standing::BetterWithHarm);
        assert_eq!(stands(vec![good([0.4, 0.9]), harm([0.0, 0.03])]), Standing::AtAPrice);
        assert_eq!(stands(vec![good([0.9, 0.4]), harm([0.8, 0.0])]), Standing::WorseWithGains);
        assert_eq!(stands(vec![good([0.4, 0.4]), harm([0.8, 0.0])]), Standing::BetterInPart);
        assert_eq!(stands(vec![good([0.9, 0.4])]), Standing::Worse);
        assert_eq!(stands(vec![good([0.4, 0.4])]), Standing::Same);
        assert_eq!(stands(vec![measure("m", "rate", Better::Higher, [0.0, 1.0], 0.0, 3)]), Standing::TooFew);
    }

    #[test]
    fn what_was_forgotten_got_worse_and_is_shown_first_but_is_never_the_main_measure() {
        let general = measure(GENERAL_LOSS, "nats", Better::Lower, [1.2, 1.4], 0.01, 64);
        assert_eq!(stands(vec![general.clone(), good([0.4, 0.9])]), Standing::AtAPrice);
        let others = ["a", "b", "c"].map(|key| measure(key, "rate", Better::Higher, [0.4, 0.9], 0.01, 200));
        let found = evaluation([vec![good([0.4, 0.9])], others.to_vec(), vec![general]].concat());
        let verdict = Verdict::on(&found);
        let keys: Vec<&str> = verdict.main(3).iter().map(|judged| judged.measure.key.as_str()).collect();
        assert_eq!(keys, ["good", "a", GENERAL_LOSS]);
        assert!(verdict.judged[4].is_forgetting());
        assert_eq!(verdict.found(Finding::Better).count(), 4);
    }

    #[test]
    fn a_harm_that_remains_is_said_once() {
        let still = |measure: Measure| Verdict::on(&evaluation(vec![measure])).judged[0].is_still_high();
        assert!(still(harm([0.84, 0.48])) && still(harm([0.48, 0.48])));
        assert!(!still(harm([0.3, 0.48])) && !still(harm([0.84, 0.05])) && !still(good([0.4, 0.48])));
    }
}
