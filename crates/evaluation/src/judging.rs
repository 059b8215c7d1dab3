//! An additional judge on a suite: it assesses the answers that stacks have already given, and its outcomes become the
//! measures on its card.

use crate::asking::{Part, Question, label};
use crate::judge::{Case, NamedJudge};
use crate::observations::Observations;
use alidade_domain::{Outcome, Problem, Side};

/// Lets a judge assess the answers of one stack; judges that compare compare them with those of `baseline`. Its
/// observations are added to the suite's, and its labels are used where the suite has no judge.
///
/// # Errors
/// When the judge itself fails.
pub fn judge_answers(
    question: &Question,
    named: &NamedJudge,
    part: &mut Part,
    baseline: Option<&Part>,
) -> Result<(), Problem> {
    let mut found = Observations::default();
    let mut words = Vec::with_capacity(part.answers.len());
    for (place, (item, answer)) in question.prompts().iter().zip(&part.answers).enumerate() {
        let (prompt, reference) = (item.prompt.messages.as_slice(), item.prompt.reference.as_deref());
        let pair = baseline.filter(|_| named.card.compares).and_then(|baseline| baseline.answers.get(place));
        let answers: &[&str] = match pair {
            Some(first) => &[first, answer],
            None => &[answer],
        };
        let outcome = named.judge.judge(&Case { prompt, answers, reference })?;
        for (order, measure) in named.card.measures.iter().enumerate() {
            found.push(item, measure.key, value(&outcome, measure.key, order == 0));
        }
        words.push(label(&outcome));
    }
    if question.judge.is_none() {
        part.labels = words;
    }
    part.of_answers.extend(found);
    Ok(())
}

/// The value of an outcome for a measure: a label counts for the measure of its name, a score or a preference for the first.
fn value(outcome: &Outcome, key: &str, first: bool) -> Option<f64> {
    match outcome {
        Outcome::Labels(labels) => Some(f64::from(u8::from(labels.iter().any(|label| label == key)))),
        Outcome::Score(score) => Some(*score).filter(|_| first),
        Outcome::Prefers(Side::Second) => Some(1.0).filter(|_| first),
        Outcome::Prefers(Side::First) => Some(0.0).filter(|_| first),
        Outcome::Tie => Some(0.5).filter(|_| first),
        Outcome::Unreadable => None,
    }
}
