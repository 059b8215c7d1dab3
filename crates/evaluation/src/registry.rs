//! Lookup of suites, judges and the texts of measures by name.

use crate::card::MeasureCard;
use crate::judge::{JudgeKind, LABELS};
use crate::suite::{Suite, SuiteCard};
use crate::{JUDGES, SUITES};
use alidade_domain::{Evaluation, Problem, Wording, Words, nearest_name, wording};

/// A suite by its name.
///
/// # Errors
/// When there is none of this name.
pub fn suite(name: &str) -> Result<&'static dyn Suite, Problem> {
    let found = SUITES.iter().find(|suite| suite.card().name == name).copied();
    found.ok_or_else(|| unknown("suite", Words::new("suite", "评测"), name, &suite_names()))
}

/// The names of all suites.
pub fn suite_names() -> Vec<&'static str> {
    SUITES.iter().map(|suite| suite.card().name).collect()
}

/// A judge by its name, among those of the registry and those that the host provides.
///
/// # Errors
/// When there is none of this name.
pub fn judge_kind<'k>(name: &str, of_host: &'k [&'k dyn JudgeKind]) -> Result<&'k dyn JudgeKind, Problem> {
    let all = || JUDGES.iter().chain(of_host).copied();
    let found = all().find(|kind| kind.card().name == name);
    found.ok_or_else(|| {
        unknown("judge", Words::new("judge", "裁判"), name, &all().map(|kind| kind.card().name).collect::<Vec<_>>())
    })
}

fn unknown(field: &str, what: Words, name: &str, known: &[&str]) -> Problem {
    let near = nearest_name(name, known.iter().copied());
    let hint = match near {
        Some(near) => wording!("Did you mean “{near}”?", "是否想写“{near}”？"),
        None => wording!("There are: {known}.", "可用：{known}。"; known = Wording::names(known)),
    };
    Problem::input(wording!("There is no {what} “{name}”.", "没有名为“{name}”的{what}。"; what)).hint(hint).at(field)
}

/// The measure with this key, of any suite or judge.
pub(crate) fn any_measure(key: &str) -> Option<&'static MeasureCard> {
    let of_suites = SUITES.iter().flat_map(|suite| suite.card().measures);
    let of_judges = JUDGES.iter().flat_map(|kind| kind.card().measures);
    of_suites.chain(of_judges).find(|measure| measure.key == key)
}

/// The text of a label that a judge gives an answer; an unknown label is its own text.
pub fn label_words(label: &str) -> Wording {
    let of_suites = SUITES.iter().flat_map(|suite| suite.card().labels);
    let of_judges = JUDGES.iter().flat_map(|kind| kind.card().labels);
    let known = of_suites.chain(of_judges).chain(LABELS).find(|(key, _)| *key == label);
    known.map_or_else(|| Wording::name(label), |(_, words)| (*words).into())
}

/// Gives an evaluation the current texts of its suite and measures, which earlier versions did not store. Unknown suites and
/// measures keep the texts they have.
pub fn worded(evaluation: &mut Evaluation) {
    let named = |card: &SuiteCard| card.name == evaluation.suite || card.title.en == evaluation.suite;
    let card = SUITES.iter().map(|suite| suite.card()).find(|card| named(card));
    if let Some(card) = card {
        evaluation.title = card.title.into();
    }
    for measure in &mut evaluation.measures {
        let own = card.and_then(|card| card.measures.iter().find(|known| known.key == measure.key));
        if let Some(known) = own.or_else(|| any_measure(&measure.key)) {
            measure.words = known.words();
        }
    }
    for label in evaluation.samples.iter_mut().flat_map(|sample| &mut sample.answers).filter_map(|it| it.label.as_mut())
    {
        if label.en == label.zh {
            *label = label_words(&label.en);
        }
    }
}
