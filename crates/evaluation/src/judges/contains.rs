//! Contains: the expected words occur in the answer.

use super::{label, plain};
use crate::card::{MeasureCard, Unit};
use crate::judge::{Argument, Case, Judge, JudgeCard, JudgeKind};
use alidade_domain::{Better, Generator, Outcome, Problem, Words};

/// The kind.
pub struct Contains;

static CARD: JudgeCard = JudgeCard {
    name: "contains",
    title: Words::new("contains", "包含"),
    explanation: Words::new(
        "The answer must contain the wanted words in one piece; case and the number of spaces do not count.",
        "想要的文字必须连续出现在回答中；大小写和空白数量不计。",
    ),
    argument: Some(Argument {
        example: "blue",
        meaning: Words::new(
            "the wanted words; without it, the row's own answer",
            "想要的文字；不写则使用该条自带的回答",
        ),
    }),
    compares: false,
    asks: false,
    measures: &[MeasureCard {
        key: "contains",
        unit: Unit::Rate,
        better: Better::Higher,
        title: Words::new("answers with the wanted words", "包含所需文字的回答"),
        explanation: Words::new("Share of answers that contain the wanted words.", "包含所需文字的回答比例。"),
    }],
    labels: &[("contains", Words::new("contains the words", "含有这些词"))],
};

impl JudgeKind for Contains {
    fn card(&self) -> &'static JudgeCard {
        &CARD
    }

    fn make<'a>(&self, argument: Option<&str>, _: Option<&'a dyn Generator>) -> Result<Box<dyn Judge + 'a>, Problem> {
        if argument.is_some_and(|words| plain(words).is_empty()) {
            let message = Words::new(
                "The judge “contains” was given no words to look for.",
                "裁判“contains”没有得到要查找的词。",
            );
            return Err(Problem::input(message)
                .hint(Words::new("Write the words after it: contains=blue", "把要查找的词写在后面：contains=blue"))
                .at("judge"));
        }
        Ok(Box::new(Wanted(argument.map(plain))))
    }
}

/// The words expected in every answer; `None` takes those of the prompt's reference.
struct Wanted(Option<String>);

impl Judge for Wanted {
    fn judge(&self, case: &Case) -> Result<Outcome, Problem> {
        let wanted = self.0.clone().or_else(|| case.reference.map(plain)).filter(|wanted| !wanted.is_empty());
        let (Some(answer), Some(wanted)) = (case.answer(), wanted) else { return Ok(Outcome::Unreadable) };
        Ok(label("contains", plain(answer).contains(&wanted)))
    }
}
