//! The verdict in words: a heading, and one line for each thing that was found. Only values and known phrases are put together
//! here; what may be said is decided by `alidade_domain::Verdict`.

use crate::figures::{change, quantity, whole};
use crate::words::{self, fill, phrase};
use alidade_domain::{FEWEST_ITEMS, Finding, Judged, Language, Verdict, smallest_effect};
use serde::Serialize;

/// Improvements with a line of their own; further ones are only named.
const LINES: usize = 3;

/// A line of the verdict.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Said {
    /// Its kind, for the style: better, worse, remains, kept, open.
    pub(crate) kind: &'static str,
    /// The word that stands before it.
    pub(crate) word: &'static str,
    /// The sentence.
    pub(crate) text: String,
    /// The change with its interval, for those who want it.
    pub(crate) detail: String,
}

/// The heading of a verdict.
pub(crate) fn headline(language: Language, verdict: &Verdict) -> &'static str {
    language.word(words::standing(verdict.standing))
}

/// The smallest change that counts, as a sentence.
pub(crate) fn rule(language: Language) -> String {
    let points = (100.0 * smallest_effect("rate")).to_string();
    let (fewest, nats) = (FEWEST_ITEMS.to_string(), smallest_effect("nats").to_string());
    fill(language.word(words::RULE), &[("fewest", &fewest), ("points", &points), ("nats", &nats)])
}

/// The lines of a verdict, the good before the bad.
pub(crate) fn said(language: Language, verdict: &Verdict) -> Vec<Said> {
    let title = |judged: &Judged| name(language, verdict, judged);
    let line = |judged: &Judged, kind, word, phrase| Said {
        kind,
        word: language.word(word),
        text: filled(language, judged, phrase, &title(judged)),
        detail: detail(language, judged),
    };
    let better: Vec<&Judged> = verdict.found(Finding::Better).filter(|judged| !judged.is_still_high()).collect();
    let changed = |judged: &Judged| phrase(words::CHANGED, &judged.measure.key).unwrap_or(words::CHANGED_OTHER);
    let mut lines: Vec<Said> = better
        .iter()
        .take(LINES)
        .map(|judged| line(judged, "better", words::finding(Finding::Better), changed(judged)))
        .collect();
    if better.len() > LINES {
        let names = listed(language, better[LINES..].iter().map(|judged| title(judged)));
        let text = fill(language.word(words::MORE_BETTER), &[("names", &names)]);
        let word = language.word(words::finding(Finding::Better));
        lines.push(Said { kind: "better", word, text, detail: String::new() });
    }
    for judged in verdict.found(Finding::Worse) {
        let word = if judged.is_forgetting() { words::FORGOTTEN } else { words::finding(Finding::Worse) };
        lines.push(line(judged, "worse", word, changed(judged)));
    }
    for judged in verdict.judged.iter().filter(|judged| judged.is_still_high()) {
        let still = phrase(words::STILL, &judged.measure.key).unwrap_or(words::STILL_OTHER);
        lines.push(line(judged, "remains", words::REMAINS, still));
    }
    lines.extend(kept(language, verdict));
    lines.extend(open(language, verdict));
    lines
}

/// That nothing was forgotten, if it was measured.
fn kept(language: Language, verdict: &Verdict) -> Option<Said> {
    let judged = verdict.judged.iter().find(|judged| judged.measure.key == alidade_domain::GENERAL_LOSS)?;
    matches!(judged.finding, Finding::Chance | Finding::Small).then(|| Said {
        kind: "kept",
        word: language.word(words::KEPT),
        text: filled(language, judged, words::GENERAL_KEPT, ""),
        detail: detail(language, judged),
    })
}

/// What nothing can be said about, by name.
fn open(language: Language, verdict: &Verdict) -> Vec<Said> {
    let told = |judged: &&Judged| !judged.is_still_high() && judged.measure.key != alidade_domain::GENERAL_LOSS;
    let mut lines = Vec::new();
    for finding in [Finding::Chance, Finding::Small, Finding::TooFew] {
        let found: Vec<String> = verdict
            .found(finding)
            .filter(|judged| finding == Finding::TooFew || told(judged))
            .map(|judged| {
                let title = name(language, verdict, judged);
                if finding != Finding::TooFew {
                    return title;
                }
                let n = format!("n\u{a0}=\u{a0}{}", whole(judged.change.n as u64));
                fill(language.word(words::BRACKETS), &[("value", &title), ("rest", &n)])
            })
            .collect();
        if !found.is_empty() {
            let (word, text) = (language.word(words::finding(finding)), listed(language, found.into_iter()));
            lines.push(Said { kind: "open", word, text, detail: String::new() });
        }
    }
    lines
}

/// The title of a measure, with its suite if another measure has the same title.
pub(crate) fn name(language: Language, verdict: &Verdict, judged: &Judged) -> String {
    let title = language.wording(&judged.measure.words.title);
    let same = verdict.judged.iter().filter(|other| language.wording(&other.measure.words.title) == title);
    if same.count() < 2 {
        return title.to_owned();
    }
    let suite = language.wording(&judged.evaluation.title);
    fill(language.word(words::BRACKETS), &[("value", title), ("rest", suite)])
}

fn listed(language: Language, names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(language.word(words::COMMA))
}

fn filled(language: Language, judged: &Judged, phrase: alidade_domain::Words, title: &str) -> String {
    let before = quantity(language, judged.measure, judged.before.value);
    let after = quantity(language, judged.measure, judged.after.value);
    fill(language.word(phrase), &[("before", &before), ("after", &after), ("title", title)])
}

fn detail(language: Language, judged: &Judged) -> String {
    let n = format!("n\u{a0}=\u{a0}{}", whole(judged.change.n as u64));
    format!("{}{}{n}", change(language, judged.measure, Some(&judged.change)), language.word(words::AND))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alidade_domain::{Evaluation, Measure};
    use serde_json::{Value, json};

    fn measure(key: &str, unit: &str, better: &str, [before, after]: [f64; 2], n: usize) -> Measure {
        let estimate =
            |value: f64| json!({"value": value, "low": value - 0.004, "high": value + 0.004, "n": n, "unreadable": 0});
        let words =
            json!({"title": {"en": key, "zh": key}, "explanation": {"en": "", "zh": ""}, "unit": {"en": "", "zh": ""}});
        let stored = json!({
            "key": key, "unit": unit, "better": better, "words": words,
            "values": [estimate(before), estimate(after)], "changes": [Value::Null, estimate(after - before)],
        });
        serde_json::from_value(stored).unwrap()
    }

    fn evaluation(measures: Vec<Measure>) -> Vec<Evaluation> {
        let stored = json!([{
            "suite": "s", "title": {"en": "s", "zh": "s"}, "stacks": [{"label": "a"}, {"label": "b"}],
            "baseline": 0, "temperature": 0.0, "seed": 1, "measures": measures, "samples": [], "seconds": 1.0,
        }]);
        serde_json::from_value(stored).unwrap()
    }

    fn lines(language: Language, measures: Vec<Measure>) -> Vec<String> {
        let found = evaluation(measures);
        let verdict = Verdict::on(&found);
        let said = said(language, &verdict).into_iter().map(|said| format!("{}: {}", said.word, said.text));
        let heading = std::iter::once(headline(language, &verdict).to_owned());
        heading.chain(said).map(|line| line.replace('\u{a0}', " ")).collect()
    }

    #[test]
    fn the_price_stands_beside_the_gain() {
        let measures = || {
            vec![
                measure("good", "rate", "higher", [0.39, 0.91], 200),
                measure("over_refusal", "rate", "lower", [0.0, 0.03], 169),
                measure("length_tokens", "tokens", "neither", [18.0, 24.0], 200),
            ]
        };
        let expected = [
            "Better, at a price.",
            "better: 91 % of its answers are good, instead of 39 %.",
            "worse: It refuses 3 % of harmless requests, instead of 0 %.",
        ];
        assert_eq!(lines(Language::English, measures()), expected);
        let expected =
            ["有所改善，但也有代价。", "变好: 合格回答从 39% 变为 91%。", "变差: 误拒无害请求的比例从 0% 变为 3%。"];
        assert_eq!(lines(Language::Chinese, measures()), expected);
    }

    #[test]
    fn harm_that_remains_is_said() {
        let good = measure("good", "rate", "higher", [0.39, 0.60], 200);
        let harm = measure("harm_complied", "rate", "lower", [0.84, 0.48], 31);
        let expected = [
            "Better, but a problem remains.",
            "better: 60 % of its answers are good, instead of 39 %.",
            "remains: It still carries out 48 % of harmful requests; before, 84 %.",
        ];
        assert_eq!(lines(Language::English, vec![good, harm]), expected);
    }

    #[test]
    fn forgetting_is_said_and_so_is_its_absence() {
        let with = |after| {
            let good = measure("good", "rate", "higher", [0.39, 0.91], 200);
            let found =
                lines(Language::English, vec![good, measure("general_loss", "nats", "lower", [1.2, after], 64)]);
            found[2].clone()
        };
        assert_eq!(with(1.35), "forgotten: Its loss on general text is 1.350 nats, instead of 1.200 nats.");
        let kept = "kept: Its loss on general text did not rise by what counts: 1.200 nats before, 1.203 nats after.";
        assert_eq!(with(1.203), kept);
    }

    #[test]
    fn nothing_is_said_beyond_the_figures() {
        let few = vec![measure("good", "rate", "higher", [0.0, 1.0], 3)];
        assert_eq!(lines(Language::English, few), ["Too few to judge.", "too few to judge: good (n = 3)"]);
        let length = vec![measure("length_tokens", "tokens", "neither", [18.0, 24.0], 200)];
        assert_eq!(lines(Language::English, length).len(), 1);
        let same = vec![measure("good", "rate", "higher", [0.5, 0.502], 200)];
        assert_eq!(lines(Language::English, same), ["No change that counts.", "no change beyond chance: good"]);
        let many = ["a", "b", "c", "d", "e"].map(|key| measure(key, "rate", "higher", [0.1, 0.9], 50)).to_vec();
        assert_eq!(lines(Language::English, many)[4], "better: Also: d, e.");
        let twice = vec![measure("a", "rate", "higher", [0.1, 0.9], 50); 2];
        assert_eq!(lines(Language::English, twice)[1], "better: “a (s)” is 90 %, instead of 10 %.");
    }
}
