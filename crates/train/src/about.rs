//! A method's description apart from its settings and its step: user-visible texts, requirements, and presets for the
//! starter model.

use alidade_domain::{DatasetKind, GoalWords, SettingValue, Variant, Words};

/// User-visible texts.
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
    /// Kinds of data that it can learn from, the most typical one first.
    pub learns_from: Vec<DatasetKind>,
    /// Its name under settings that turn it into another method.
    pub variants: Vec<Variant>,
}

/// What a method needs besides its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Something that scores answers.
    pub reward: bool,
    /// True when it can also keep a cost below a limit.
    pub cost: bool,
    /// A frozen reference: the model as it was at the start. Full fine-tuning keeps none.
    pub reference: bool,
}

/// What is known about a run once its rows have been counted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Outlook {
    /// Parameters of the model.
    pub model_parameters: u64,
    /// Share of pairs whose first answer is clearly the longer one.
    pub chosen_longer: f64,
}

/// Presets for the starter model, which is tiny and tolerates larger learning rates than a real one.
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
    /// How it is presented; without texts it can only be selected by its id.
    pub words: Option<GoalWords>,
}

/// A stage that precedes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// A short SFT that teaches the model to answer.
    Answers,
    /// A reward or cost model.
    Scorer,
}
