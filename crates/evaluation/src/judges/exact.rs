//! Exact match: the answer is the expected one and nothing else.

use super::{label, plain};
use crate::card::{MeasureCard, Unit};
use crate::judge::{Argument, Case, Judge, JudgeCard, JudgeKind};
use alidade_domain::{Better, Generator, Outcome, Problem, Words};

/// The kind.
pub struct Exact;

static CARD: JudgeCard = JudgeCard {
    name: "exact",
    title: Words::new("exact match", "完全一致"),
    explanation: Words::new(
        "The whole answer must be the wanted one; case, and spaces and punctuation at the ends, do not count.",
        "整个回答必须与想要的回答一致；大小写以及首尾的空白和标点不计。",
    ),
    argument: Some(Argument {
        example: "blue",
        meaning: Words::new("the wanted answer; without it, the row's own", "想要的回答；不写则使用该条自带的回答"),
    }),
    compares: false,
    asks: false,
    measures: &[MeasureCard {
        key: "exact_match",
        unit: Unit::Rate,
        better: Better::Higher,
        title: Words::new("exact matches", "完全一致的回答"),
        explanation: Words::new(
            "Share of answers that are the wanted one and nothing else.",
            "与想要的回答完全一致的比例。",
        ),
    }],
    labels: &[("exact_match", Words::new("exact match", "完全一致"))],
};

impl JudgeKind for Exact {
    fn card(&self) -> &'static JudgeCard {
        &CARD
    }

    fn make<'a>(&self, argument: Option<&str>, _: Option<&'a dyn Generator>) -> Result<Box<dyn Judge + 'a>, Problem> {
        Ok(Box::new(Wanted(argument.map(str::to_owned))))
    }
}

/// The answer expected for every prompt; `None` takes each prompt's reference.
struct Wanted(Option<String>);

impl Judge for Wanted {
    fn judge(&self, case: &Case) -> Result<Outcome, Problem> {
        let (Some(answer), Some(wanted)) = (case.answer(), self.0.as_deref().or(case.reference)) else {
            return Ok(Outcome::Unreadable);
        };
        Ok(label("exact_match", plain(answer) == plain(wanted)))
    }
}
