//! What a judge is: it reads answers and says an [`Outcome`]. What it cannot read it says so of; it never guesses.

use crate::card::MeasureCard;
use alidade_domain::{Generator, Message, Outcome, Problem, Words};

/// What is put before a judge.
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
    /// The answer that is judged, without the blanks around it; `None` where nothing was answered.
    pub fn answer(&self) -> Option<&'a str> {
        self.answers.last().map(|answer| answer.trim()).filter(|answer| !answer.is_empty())
    }
}

/// Says what an answer is worth.
pub trait Judge {
    /// Judges one case.
    ///
    /// # Errors
    /// When the judge itself fails. An answer that it cannot judge is no error: that is [`Outcome::Unreadable`].
    fn judge(&self, case: &Case) -> Result<Outcome, Problem>;
}

/// What stands behind the name of a judge.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// One that works, for help and tests.
    pub example: &'static str,
    /// What it means.
    pub meaning: Words,
}

/// What a person and a program should know of a judge.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgeCard {
    /// Stable name.
    pub name: &'static str,
    /// Its name for people.
    pub title: Words,
    /// How it judges, in one or two sentences.
    pub explanation: Words,
    /// What may stand behind its name ("contains=blue"); absent for a judge that takes nothing.
    pub argument: Option<Argument>,
    /// True when it compares each stack's answer with the baseline's.
    pub compares: bool,
    /// True when it asks a model.
    pub asks: bool,
    /// What its outcomes become: a label counts for the measure of its name, a score or a preference for the first.
    pub measures: &'static [MeasureCard],
}

/// A kind of judge: what is known of it, and how one is made.
pub trait JudgeKind: Sync {
    /// What should be known of it.
    fn card(&self) -> &'static JudgeCard;

    /// Makes a judge from what stood behind its name; `model` is asked where the judge asks one.
    ///
    /// # Errors
    /// When the argument is not what the card says.
    fn make<'a>(
        &self,
        argument: Option<&str>,
        model: Option<&'a dyn Generator>,
    ) -> Result<Box<dyn Judge + 'a>, Problem>;
}

/// What a person writes to name a judge: "refusal", "contains=blue".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgeSpec {
    /// Name of the judge.
    pub name: String,
    /// What stands behind the first equals sign.
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
    /// What is known of it.
    pub card: &'static JudgeCard,
    /// The judge.
    pub judge: Box<dyn Judge + 'a>,
}

/// The model that a judge asks.
pub(crate) fn needs_model<'a>(name: &str, model: Option<&'a dyn Generator>) -> Result<&'a dyn Generator, Problem> {
    model.ok_or_else(|| Problem::input(format!("The judge “{name}” asks a model, and none was given.")).at("judge"))
}

/// Refuses an argument where a judge takes none.
pub(crate) fn no_argument(name: &str, argument: Option<&str>) -> Result<(), Problem> {
    match argument {
        None => Ok(()),
        Some(found) => {
            let message = format!("The judge “{name}” takes nothing behind its name, and “{found}” was given.");
            Err(Problem::input(message).hint(format!("Write “{name}” alone.")).at("judge"))
        }
    }
}
