//! The `Judge` trait: a judge maps an answer to an [`Outcome`]. An answer that it cannot read is unreadable; it never
//! guesses.

use crate::card::MeasureCard;
use alidade_domain::{Generator, Message, Outcome, Problem, Words, wording};

/// The input of a judge.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The conversation that is answered.
    pub prompt: &'a [Message],
    /// The answer, or two for a judge that compares: first the baseline's, then the other stack's.
    pub answers: &'a [&'a str],
    /// An answer that is known to be right, where there is one.
    pub reference: Option<&'a str>,
}

impl<'a> Case<'a> {
    /// The answer under judgement, trimmed; `None` where it is empty.
    pub fn answer(&self) -> Option<&'a str> {
        self.answers.last().map(|answer| answer.trim()).filter(|answer| !answer.is_empty())
    }
}

/// Assesses answers.
pub trait Judge {
    /// Judges one case.
    ///
    /// # Errors
    /// When the judge itself fails. An answer that it cannot judge is no error: that is [`Outcome::Unreadable`].
    fn judge(&self, case: &Case) -> Result<Outcome, Problem>;
}

/// The argument after the name of a judge.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// A valid example, for help and tests.
    pub example: &'static str,
    /// What it means.
    pub meaning: Words,
}

/// Description of a judge for users and programs.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgeCard {
    /// Stable name.
    pub name: &'static str,
    /// Its name for people.
    pub title: Words,
    /// How it judges, in one or two sentences.
    pub explanation: Words,
    /// Its argument ("contains=blue"); absent for a judge that takes none.
    pub argument: Option<Argument>,
    /// True when it compares each stack's answer with the baseline's.
    pub compares: bool,
    /// True when it asks a model.
    pub asks: bool,
    /// What its outcomes become: a label counts for the measure of its name, a score or a preference for the first.
    pub measures: &'static [MeasureCard],
    /// The texts of the labels that it gives, by their keys.
    pub labels: &'static [(&'static str, Words)],
}

/// Labels of any judge.
pub(crate) const LABELS: &[(&str, Words)] = &[
    ("unreadable", Words::new("unreadable", "无法判读")),
    ("as good", Words::new("as good", "相当")),
    ("worse", Words::new("worse", "更差")),
    ("better", Words::new("better", "更好")),
];

/// A kind of judge: its description and its constructor.
pub trait JudgeKind: Sync {
    /// Its description.
    fn card(&self) -> &'static JudgeCard;

    /// Makes a judge from its argument; `model` is used by judges that ask a model.
    ///
    /// # Errors
    /// When the argument is not valid.
    fn make<'a>(
        &self,
        argument: Option<&str>,
        model: Option<&'a dyn Generator>,
    ) -> Result<Box<dyn Judge + 'a>, Problem>;
}

/// A judge as the user names it: "refusal", "contains=blue".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgeSpec {
    /// Name of the judge.
    pub name: String,
    /// The text after the first equals sign.
    pub argument: Option<String>,
}

impl From<&str> for JudgeSpec {
    fn from(text: &str) -> Self {
        match text.split_once('=') {
            Some((name, argument)) => Self { name: name.trim().to_owned(), argument: Some(argument.to_owned()) },
            None => Self { name: text.trim().to_owned(), argument: None },
        }
    }
}

/// A judge with its card.
pub struct NamedJudge<'a> {
    /// Its description.
    pub card: &'static JudgeCard,
    /// The judge.
    pub judge: Box<dyn Judge + 'a>,
}

/// The model of a judge that asks one.
pub(crate) fn needs_model<'a>(name: &str, model: Option<&'a dyn Generator>) -> Result<&'a dyn Generator, Problem> {
    model.ok_or_else(|| {
        Problem::input(wording!(
            "The judge “{name}” asks a model, but none was given.",
            "裁判“{name}”要向模型提问，但没有给出模型。"
        ))
        .at("judge")
    })
}

/// Refuses an argument for a judge that takes none.
pub(crate) fn no_argument(name: &str, argument: Option<&str>) -> Result<(), Problem> {
    match argument {
        None => Ok(()),
        Some(found) => {
            let message = wording!(
                "The judge “{name}” takes no argument, but “{found}” was given.",
                "裁判“{name}”不接受参数，却给出了“{found}”。"
            );
            Err(Problem::input(message).hint(wording!("Write “{name}” alone.", "只写“{name}”。")).at("judge"))
        }
    }
}
