//! What a method says of itself beside its settings and its step: words for a person, what it needs, and where it starts on
//! the starter model.

use alidade_domain::{DatasetKind, GoalWords, SettingValue, Variant, Words};

/// Words for a person.
pub struct About {
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
    /// Kinds of data that it can learn from, the most telling one first.
    pub learns_from: Vec<DatasetKind>,
    /// What it is called where a setting makes something else of it.
    pub variants: Vec<Variant>,
}

/// What a method needs beside its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Something that scores answers.
    pub reward: bool,
    /// True when it can keep a cost below a limit beside that.
    pub cost: bool,
    /// The model as it was at the start, to be compared with; training every weight keeps none.
    pub reference: bool,
}

/// What is known of a run when its rows have been counted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Outlook {
    /// Parameters of the model.
    pub model_parameters: u64,
    /// Share of pairs whose first answer is clearly the longer one.
    pub chosen_longer: f64,
}

/// What suits the starter model, which is tiny and takes larger steps than a real one would bear.
pub struct Starter {
    /// Settings that differ from the defaults.
    pub settings: Vec<(&'static str, SettingValue)>,
    /// Ready-made pipelines that end with this method.
    pub goals: Vec<Goal>,
}

/// A ready-made pipeline.
pub struct Goal {
    /// Stable name.
    pub id: &'static str,
    /// What comes first.
    pub before: &'static [Before],
    /// Settings of the last stage that differ from those of the method.
    pub settings: Vec<(&'static str, SettingValue)>,
    /// How it is offered; without words it is only reached by its name.
    pub words: Option<GoalWords>,
}

/// A stage before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// A short one that teaches the model to answer.
    Answers,
    /// A model that scores answers.
    Scorer,
}
