//! All judges, one file each: rules on the answer and, where there is one, the reference; and judges that ask a model.
//! An empty answer is unreadable to all of them.

mod contains;
mod exact;
mod grade;
mod pair;
mod pattern;
mod refusal;
mod template;
mod words;

use crate::JudgeKind;

/// Every judge, in the order in which the UI shows them.
pub const JUDGES: &[&dyn JudgeKind] = &[
    &exact::Exact,
    &contains::Contains,
    &pattern::PatternKind,
    &refusal::Refusal,
    &words::WordCount,
    &pair::Pair,
    &grade::Grade,
];

/// A text normalised for comparison: lower case, single spaces, no spaces or punctuation around it.
fn plain(text: &str) -> String {
    let lower = text.to_lowercase();
    let joined = lower.split_whitespace().collect::<Vec<_>>().join(" ");
    joined.trim_matches(|letter: char| !letter.is_alphanumeric()).to_owned()
}

/// A yes or no as labels.
fn label(name: &str, applies: bool) -> alidade_domain::Outcome {
    alidade_domain::Outcome::Labels(if applies { vec![name.to_owned()] } else { Vec::new() })
}
