//! The names of training methods, and the card that describes one. The methods themselves are listed by the registry
//! (`alidade_train::METHODS`), not here.

use crate::{DatasetKind, SettingField, Watch, Words};
use serde::{Deserialize, Serialize};
use std::fmt;
use ts_rs::TS;

/// The name of a training method, spelled as in recipes. Whether it exists is checked where it is looked up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
#[serde(transparent)]
pub struct MethodName(String);

impl MethodName {
    /// The name as in a recipe.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for MethodName {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl AsRef<str> for MethodName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kind of data that a method learns from, as a person chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Given answers, or plain text.
    Answers,
    /// Answers with a thumb up or down.
    Ratings,
    /// Preferred and rejected answers.
    Pairs,
    /// Its own answers to prompts.
    Prompts,
}

impl Place {
    /// The place where data of a kind are used best.
    pub fn of(kind: DatasetKind) -> Self {
        match kind {
            DatasetKind::Answers | DatasetKind::Texts => Place::Answers,
            DatasetKind::Ratings => Place::Ratings,
            DatasetKind::Pairs => Place::Pairs,
            DatasetKind::Prompts => Place::Prompts,
        }
    }
}

/// Another name of a method under a certain value of a setting.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct Variant {
    /// The setting.
    pub key: &'static str,
    /// Its value.
    pub value: &'static str,
    /// The name on a button.
    pub label: Words,
    /// What it does, as a clause after its name.
    pub why: Words,
}

/// The description of a method: for people who choose one, and for the window that shows its runs.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct MethodCard {
    /// The method.
    pub name: &'static str,
    /// The name on a button.
    pub label: Words,
    /// Its full name.
    pub title: Words,
    /// One plain sentence.
    pub summary: Words,
    /// Why one would choose it, as a clause after its name.
    pub why: Words,
    /// Where it was published.
    pub paper: &'static str,
    /// Kinds of data that it can learn from, the most informative first.
    pub needs: Vec<DatasetKind>,
    /// What it is offered for.
    pub place: Place,
    /// True when it learns from scores, so that a recipe names a `reward`.
    pub needs_reward: bool,
    /// True when it can keep a cost below a limit, so that a recipe may name a `cost`.
    pub limits_cost: bool,
    /// True if the result scores answers instead of generating them.
    pub makes_scorer: bool,
    /// Other names under certain values of a setting.
    pub variants: Vec<Variant>,
    /// Its curves and how they are read.
    pub watch: Watch,
    /// Its settings with defaults, ranges and help.
    pub settings: Vec<SettingField>,
}

/// The texts of a preset.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct GoalWords {
    /// The goal.
    pub name: Words,
    /// How it is reached.
    pub text: Words,
    /// Title of the experiment.
    pub title: Words,
    /// The question that the experiment answers.
    pub question: Words,
}
