//! A model grades one answer from 1 to 10. A grade off the scale is unreadable and never clamped.

use super::template::{Template, question, verdict};
use crate::card::{MeasureCard, Unit};
use crate::judge::{Argument, Case, Judge, JudgeCard, JudgeKind, needs_model};
use alidade_domain::{Better, Generator, Outcome, Problem, Words};

/// The kind.
pub struct Grade;

static CARD: JudgeCard = JudgeCard {
    name: "grade",
    title: Words::new("a model grades", "由模型打分"),
    explanation: Words::new(
        "Asks a model how good an answer is, from 1 to 10, with the row's own answer as a reference where there is one.",
        "让模型给回答打 1 到 10 分；如果该条自带回答，会一并提供作参考。",
    ),
    argument: Some(Argument {
        example: "grade",
        meaning: Words::new("the prompt template to use", "使用哪一份提问模板"),
    }),
    compares: false,
    asks: true,
    measures: &[MeasureCard {
        key: "grade",
        unit: Unit::Points,
        better: Better::Higher,
        title: Words::new("grade by a model", "模型评分"),
        explanation: Words::new(
            "Mean grade from 1 (useless) to 10 (could not be better).",
            "平均分，从 1（没有用）到 10（不能更好）。",
        ),
    }],
    labels: &[],
};

impl JudgeKind for Grade {
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
        let Some(answer) = case.answer() else { return Ok(Outcome::Unreadable) };
        let known = case.reference.map(|reference| format!("\nA reply that is known to be good:\n{reference}\n"));
        let slots =
            [("question", &*question(case.prompt)), ("answer", answer), ("reference", known.as_deref().unwrap_or(""))];
        let output = self.template.ask(self.model, &slots)?;
        let grade = output.as_deref().and_then(verdict).and_then(|mark| mark.parse::<u8>().ok());
        Ok(match grade {
            Some(grade @ 1..=10) => Outcome::Score(f64::from(grade)),
            _ => Outcome::Unreadable,
        })
    }
}
