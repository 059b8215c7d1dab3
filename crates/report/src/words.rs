//! Figures in words, the same in both forms.

use alidade_domain::{Better, Estimate, Evaluation, Measure, SamplePair, conversation_text};

/// Names of measures for people.
const NAMES: &[(&str, &str)] = &[
    ("good", "good answers"),
    ("harm_complied", "harm complied with"),
    ("over_refusal", "harmless requests refused"),
    ("truthful", "truthful"),
    ("kind", "kind"),
    ("reward", "oracle reward"),
    ("preference_accuracy", "preferred answer is the likelier or higher-rated one"),
    ("accuracy_when_shorter_wins", "the same where the shorter answer is preferred"),
    ("reward_margin", "margin between the scores of a pair"),
    ("held_out_loss", "loss on held-out rows"),
    ("length_tokens", "length of answers"),
];

/// A share in whole per cent, halves away from zero as on the screens.
fn percent(share: f64) -> f64 {
    (100.0 * share).round()
}

pub(crate) fn name(key: &str) -> &str {
    NAMES.iter().find(|(known, _)| *known == key).map_or(key, |(_, name)| name)
}

/// A figure with unit, n and interval: "88 % (83–92, n = 200)".
pub(crate) fn figure(unit: &str, estimate: Option<&Estimate>) -> String {
    let Some(e) = estimate else { return "–".to_owned() };
    let unread = if e.unreadable > 0 { format!(", {} unreadable", e.unreadable) } else { String::new() };
    match unit {
        "rate" => {
            format!("{:.0} % ({:.0}–{:.0}, n = {}{unread})", percent(e.value), percent(e.low), percent(e.high), e.n)
        }
        _ => format!("{:.2} {unit} ({:.2}–{:.2}, n = {}{unread})", e.value, e.low, e.high, e.n),
    }
}

/// A change in points or in its unit.
pub(crate) fn change(measure: &Measure) -> String {
    let Some(e) = &measure.change else { return "–".to_owned() };
    match measure.unit.as_str() {
        "rate" => format!("{:+.0} points ({:+.0} to {:+.0})", percent(e.value), percent(e.low), percent(e.high)),
        unit => format!("{:+.2} {unit} ({:+.2} to {:+.2})", e.value, e.low, e.high),
    }
}

/// One sentence that says as much as the first figure does, and no more.
pub fn verdict(evaluation: Option<&Evaluation>) -> String {
    let Some(evaluation) = evaluation else { return "Nothing was measured yet.".to_owned() };
    let Some(measure) = evaluation.measures.iter().find(|measure| measure.change.is_some()) else {
        return "Nothing could be compared.".to_owned();
    };
    let (Some(before), Some(after), Some(change)) = (&measure.before, &measure.after, &measure.change) else {
        return "Nothing could be compared.".to_owned();
    };
    let sure = change.low > 0.0 || change.high < 0.0;
    let what = match (sure, measure.better, change.value > 0.0) {
        (false, _, _) => "did not change beyond chance",
        (true, Better::Neither, true) => "rose",
        (true, Better::Neither, false) => "fell",
        (true, Better::Higher, true) | (true, Better::Lower, false) => "improved",
        (true, _, _) => "got worse",
    };
    let (first, second) = (figure(&measure.unit, Some(before)), figure(&measure.unit, Some(after)));
    format!("“{}” {what}: from {first} to {second}.", name(&measure.key))
}

/// The prompt of a sample as text; flagged ones are kept out of reports.
pub(crate) fn sample_texts(sample: &SamplePair) -> [String; 3] {
    if sample.flagged {
        let hidden = |label: &Option<String>| format!("hidden ({})", label.as_deref().unwrap_or("may be harmful"));
        return [
            "hidden: asks for something harmful".to_owned(),
            hidden(&sample.before_label),
            hidden(&sample.after_label),
        ];
    }
    let with = |text: &str, label: &Option<String>| match label {
        Some(label) => format!("{text} [{label}]"),
        None => text.to_owned(),
    };
    [
        conversation_text(&sample.prompt),
        with(&sample.before, &sample.before_label),
        with(&sample.after, &sample.after_label),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(change: (f64, f64, f64), better: Better) -> Evaluation {
        let estimate = |value, low, high| Some(Estimate { value, low, high, n: 200, unreadable: 0 });
        let measure = Measure {
            key: "good".into(),
            unit: "rate".into(),
            better,
            before: estimate(0.34, 0.28, 0.41),
            after: estimate(0.89, 0.84, 0.93),
            change: estimate(change.0, change.1, change.2),
        };
        Evaluation {
            suite: "s".into(),
            before_stack: "a".into(),
            after_stack: "b".into(),
            temperature: 0.7,
            seed: 1,
            measures: vec![measure],
            samples: vec![],
            worst: vec![],
            scores: None,
            seconds: 1.0,
        }
    }

    #[test]
    fn the_verdict_says_no_more_than_the_interval() {
        let found = verdict(Some(&evaluation((0.55, 0.48, 0.62), Better::Higher)));
        assert_eq!(found, "“good answers” improved: from 34 % (28–41, n = 200) to 89 % (84–93, n = 200).");
        assert!(verdict(Some(&evaluation((0.02, -0.03, 0.07), Better::Higher))).contains("beyond chance"));
        assert!(verdict(Some(&evaluation((0.55, 0.48, 0.62), Better::Lower))).contains("worse"));
        assert!(verdict(None).contains("Nothing"));
    }
}
