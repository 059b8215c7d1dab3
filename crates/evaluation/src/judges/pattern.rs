//! Pattern: a regular expression matches in the answer. The engine takes linear time on any text.

use super::label;
use crate::card::{MeasureCard, Unit};
use crate::judge::{Argument, Case, Judge, JudgeCard, JudgeKind};
use alidade_domain::{Better, Generator, Outcome, Problem, Words, wording};
use regex::{Regex, RegexBuilder};

/// The kind.
pub struct PatternKind;

/// Largest compiled expression, in bytes.
const LARGEST: usize = 1 << 20;

static CARD: JudgeCard = JudgeCard {
    name: "pattern",
    title: Words::new("regular expression", "正则表达式"),
    explanation: Words::new(
        "A regular expression must match somewhere in the answer.",
        "正则表达式必须能在回答中找到匹配。",
    ),
    argument: Some(Argument {
        example: "^[A-Z].*[.]$",
        meaning: Words::new("the expression, in the syntax of Rust's regex", "表达式，使用 Rust regex 的语法"),
    }),
    compares: false,
    asks: false,
    measures: &[MeasureCard {
        key: "pattern",
        unit: Unit::Rate,
        better: Better::Neither,
        title: Words::new("answers that match the pattern", "符合模式的回答"),
        explanation: Words::new(
            "Share of answers in which the regular expression matches.",
            "正则表达式能找到匹配的回答比例。",
        ),
    }],
    labels: &[("pattern", Words::new("matches", "匹配"))],
};

impl JudgeKind for PatternKind {
    fn card(&self) -> &'static JudgeCard {
        &CARD
    }

    fn make<'a>(&self, argument: Option<&str>, _: Option<&'a dyn Generator>) -> Result<Box<dyn Judge + 'a>, Problem> {
        let hint = Words::new("Write the expression after it: pattern=^[0-9]+$", "把表达式写在后面：pattern=^[0-9]+$");
        let Some(expression) = argument else {
            return Err(Problem::input(Words::new(
                "The judge “pattern” was given no expression.",
                "裁判“pattern”没有得到表达式。",
            ))
            .hint(hint)
            .at("judge"));
        };
        let regex = RegexBuilder::new(expression).size_limit(LARGEST).build().map_err(|error| {
            let message = wording!(
                "The judge “pattern” cannot read its expression: {error}.",
                "裁判“pattern”无法读取表达式：{error}。"
            );
            Problem::input(message).hint(hint).at("judge")
        })?;
        Ok(Box::new(Pattern(regex)))
    }
}

struct Pattern(Regex);

impl Judge for Pattern {
    fn judge(&self, case: &Case) -> Result<Outcome, Problem> {
        Ok(case.answer().map_or(Outcome::Unreadable, |answer| label("pattern", self.0.is_match(answer))))
    }
}
