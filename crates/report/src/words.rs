//! Formatting of values and the verdict, the same in both formats.

use alidade_domain::{Better, Estimate, Evaluation, Measure, Sample, SampleAnswer, conversation_text};

/// A share in whole per cent, halves rounded away from zero as in the UI.
fn percent(share: f64) -> f64 {
    (100.0 * share).round()
}

/// A value with unit, n and interval: "88 % (83–92, n = 200)".
fn formatted(unit: &str, estimate: Option<&Estimate>) -> String {
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
fn change(unit: &str, estimate: Option<&Estimate>) -> String {
    let Some(e) = estimate else { return "–".to_owned() };
    match unit {
        "rate" => format!("{:+.0} points ({:+.0} to {:+.0})", percent(e.value), percent(e.low), percent(e.high)),
        unit => format!("{:+.2} {unit} ({:+.2} to {:+.2})", e.value, e.low, e.high),
    }
}

/// A column of a table of measures.
pub(crate) struct Column {
    /// Its heading.
    pub(crate) title: String,
    /// Index of its stack.
    pub(crate) stack: usize,
    /// True for the change from the baseline, false for the value.
    changes: bool,
}

/// The columns of an evaluation: the value of each stack, and its change from the baseline. Two stacks are titled before and
/// after, one needs no name, and more have their own names.
pub(crate) fn columns(found: &Evaluation) -> Vec<Column> {
    let name = |stack: usize| match found.stacks.len() {
        0 | 1 => "value".to_owned(),
        2 if stack == found.baseline => "before".to_owned(),
        2 => "after".to_owned(),
        _ => found.stacks[stack].label.clone(),
    };
    let mut columns = Vec::new();
    for stack in 0..found.stacks.len() {
        columns.push(Column { title: name(stack), stack, changes: false });
        if stack != found.baseline {
            columns.push(Column { title: "change".to_owned(), stack, changes: true });
        }
    }
    columns
}

impl Column {
    /// The cell in the row of a measure.
    pub(crate) fn cell(&self, measure: &Measure) -> String {
        if self.changes {
            change(&measure.unit, measure.change(self.stack))
        } else {
            formatted(&measure.unit, measure.value(self.stack))
        }
    }
}

/// Names of the stacks, in their order.
pub(crate) fn stacks(found: &Evaluation) -> Vec<&str> {
    found.stacks.iter().map(|stack| stack.label.as_str()).collect()
}

/// The heading of each stack's answers.
pub(crate) fn answer_titles(found: &Evaluation) -> Vec<String> {
    columns(found).into_iter().filter(|column| !column.changes).map(|column| column.title).collect()
}

/// One sentence that states the change of the first measure, and no more than its interval supports.
pub fn verdict(evaluations: &[Evaluation]) -> String {
    if evaluations.is_empty() {
        return "Nothing was measured yet.".to_owned();
    }
    let compared = |found: &Evaluation| {
        let last = found.last();
        let measure = found.measures.iter().find(|measure| measure.change(last).is_some())?;
        let (before, after) = (measure.value(found.baseline)?, measure.value(last)?);
        Some(sentence(measure, before, after, measure.change(last)?))
    };
    evaluations.iter().find_map(compared).unwrap_or_else(|| "Nothing could be compared.".to_owned())
}

fn sentence(measure: &Measure, before: &Estimate, after: &Estimate, change: &Estimate) -> String {
    let sure = change.low > 0.0 || change.high < 0.0;
    let what = match (sure, measure.better, change.value > 0.0) {
        (false, _, _) => "did not change beyond chance",
        (true, Better::Neither, true) => "rose",
        (true, Better::Neither, false) => "fell",
        (true, Better::Higher, true) | (true, Better::Lower, false) => "improved",
        (true, _, _) => "got worse",
    };
    let (first, second) = (formatted(&measure.unit, Some(before)), formatted(&measure.unit, Some(after)));
    format!("“{}” {what}: from {first} to {second}.", measure.words.title.en)
}

/// The prompt of a sample as text, then each stack's answer; flagged ones are hidden in reports.
pub(crate) fn sample_texts(sample: &Sample) -> (String, Vec<String>) {
    let answer = |answer: &SampleAnswer| match (&answer.label, sample.flagged) {
        (label, true) => format!("hidden ({})", label.as_ref().map_or("may be harmful", |label| label.en.as_str())),
        (Some(label), false) => format!("{} [{}]", answer.text, label.en),
        (None, false) => answer.text.clone(),
    };
    let prompt = if sample.flagged {
        "hidden: asks for something harmful".to_owned()
    } else {
        conversation_text(&sample.prompt)
    };
    (prompt, sample.answers.iter().map(answer).collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use alidade_domain::{EvaluatedStack, MeasureWords, Wording, Words};

    /// An evaluation of some stacks with one measure, "good answers".
    pub(crate) fn evaluation(stacks: &[&str], change: (f64, f64, f64), better: Better) -> Evaluation {
        let estimate = |value, low, high| Some(Estimate { value, low, high, n: 200, unreadable: 0 });
        let others = stacks.len() - 1;
        let values = [vec![estimate(0.34, 0.28, 0.41)], vec![estimate(0.89, 0.84, 0.93); others]].concat();
        let changes = [vec![None], vec![estimate(change.0, change.1, change.2); others]].concat();
        let title = Words::new("good answers", "合格回答").into();
        let measure = Measure {
            key: "good".into(),
            unit: "rate".into(),
            better,
            words: MeasureWords { title, ..MeasureWords::default() },
            values,
            changes,
        };
        let stack = |label: &&str| EvaluatedStack { label: (*label).to_owned(), key: String::new() };
        Evaluation {
            suite: "s".into(),
            title: Wording::name("a suite"),
            stacks: stacks.iter().map(stack).collect(),
            baseline: 0,
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
        let said = |change, better| verdict(&[evaluation(&["a", "b"], change, better)]);
        let found = said((0.55, 0.48, 0.62), Better::Higher);
        assert_eq!(found, "“good answers” improved: from 34 % (28–41, n = 200) to 89 % (84–93, n = 200).");
        assert!(said((0.02, -0.03, 0.07), Better::Higher).contains("beyond chance"));
        assert!(said((0.55, 0.48, 0.62), Better::Lower).contains("worse"));
        assert!(verdict(&[]).contains("Nothing"));
    }

    #[test]
    fn every_stack_has_its_columns() {
        let titles = |stacks: &[&str]| {
            let found = evaluation(stacks, (0.55, 0.48, 0.62), Better::Higher);
            columns(&found).into_iter().map(|column| column.title).collect::<Vec<_>>()
        };
        assert_eq!(titles(&["a"]), ["value"]);
        assert_eq!(titles(&["a", "b"]), ["before", "after", "change"]);
        assert_eq!(titles(&["a", "b", "c"]), ["a", "b", "change", "c", "change"]);
        let found = evaluation(&["a", "b", "c"], (0.55, 0.48, 0.62), Better::Higher);
        let cells: Vec<String> = columns(&found).iter().map(|column| column.cell(&found.measures[0])).collect();
        assert_eq!(cells[0], "34 % (28–41, n = 200)");
        assert_eq!(cells[4], "+55 points (+48 to +62)");
    }
}
