//! The names of training methods, and the card that introduces one to a person.

use crate::{DatasetKind, SettingField};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A training method, spelled as in recipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum MethodName {
    /// Supervised fine-tuning.
    Sft,
    /// Direct preference optimisation and its family.
    Dpo,
}

impl MethodName {
    /// Every method, in the order in which a pipeline usually applies them.
    pub const ALL: &'static [MethodName] = &[MethodName::Sft, MethodName::Dpo];

    /// The name as it stands in a recipe.
    pub fn as_str(self) -> &'static str {
        match self {
            MethodName::Sft => "sft",
            MethodName::Dpo => "dpo",
        }
    }
}

/// What a person should know before choosing a method.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct MethodCard {
    /// The method.
    pub name: MethodName,
    /// Its full name.
    pub title: &'static str,
    /// One plain sentence.
    pub summary: &'static str,
    /// Where it was published.
    pub paper: &'static str,
    /// Kinds of data that it can learn from.
    pub needs: Vec<DatasetKind>,
    /// Its settings with defaults, ranges and help.
    pub settings: Vec<SettingField>,
}
