//! A model compares two answers. It is asked twice, with the answers in either order, because of position bias: an answer is
//! preferred only where both orders agree, and where they contradict each other it is a tie (MT-Bench's rule).

use super::template::{Template, question, verdict};
use crate::card::{MeasureCard, Unit};
use crate::judge::{Argument, Case, Judge, JudgeCard, JudgeKind, needs_model};
use alidade_domain::{Better, Generator, Outcome, Problem, Side, Words};

/// The kind.
pub struct Pair;

static CARD: JudgeCard = JudgeCard {
    name: "pair",
    title: Words::new("a model compares", "由模型比较"),
    explanation: Words::new(
        "Asks a model which of two answers is better, the baseline's or the other model's, once in each order; if the verdicts disagree, it is a tie.",
        "让模型判断基准与另一个模型的回答哪个更好，并交换顺序再问一次；两次不一致则算平局。",
    ),
    argument: Some(Argument {
        example: "pair",
        meaning: Words::new("the prompt template to use", "使用哪一份提问模板"),
    }),
    compares: true,
    asks: true,
    measures: &[MeasureCard {
        key: "preferred",
        unit: Unit::Rate,
        better: Better::Higher,
        title: Words::new("preferred to the baseline", "优于基准"),
        explanation: Words::new(
            "Share of prompts on which the judge prefers this model's answer to the baseline's; a tie counts half, so 50 % is no difference.",
            "裁判认为该模型的回答优于基准的提问比例；平局算一半，因此 50% 表示没有差别。",
        ),
    }],
    labels: &[],
};

impl JudgeKind for Pair {
    fn card(&self) -> &'static JudgeCard {
        &CARD
    }

    fn make<'a>(
        &self,
        argument: Option<&str>,
        model: Option<&'a dyn Generator>,
    ) -> Result<Box<dyn Judge + 'a>, Problem> {
        let template = Template::of(CARD.name, argument)?;
        Ok(Box::new(Asked { template, model: needs_model(CARD.name, model)? }))
    }
}

struct Asked<'a> {
    template: Template,
    model: &'a dyn Generator,
}

impl Judge for Asked<'_> {
    fn judge(&self, case: &Case) -> Result<Outcome, Problem> {
        let [first, second] = case.answers else { return Ok(Outcome::Unreadable) };
        if first.trim() == second.trim() {
            return Ok(if first.trim().is_empty() { Outcome::Unreadable } else { Outcome::Tie });
        }
        let asked = question(case.prompt);
        let ask =
            |a: &str, b: &str| self.template.ask(self.model, &[("question", &asked), ("first", a), ("second", b)]);
        let original = ask(first, second)?;
        let swapped = ask(second, first)?;
        let read = |answer: Option<String>, sides: [Side; 2]| match verdict(answer.as_deref()?)? {
            "A" => Some(Outcome::Prefers(sides[0])),
            "B" => Some(Outcome::Prefers(sides[1])),
            "C" => Some(Outcome::Tie),
            _ => None,
        };
        let original = read(original, [Side::First, Side::Second]);
        let swapped = read(swapped, [Side::Second, Side::First]);
        Ok(match (original, swapped) {
            (Some(one), Some(other)) if one == other => one,
            (Some(_), Some(_)) => Outcome::Tie,
            _ => Outcome::Unreadable,
        })
    }
}
