//! The choices of the wizard. An experiment keeps them, so that it can be changed in one place and run again; `studio` turns
//! them into stages.

use crate::{LoraSpec, PrefixSpec, Settings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use ts_rs::TS;

/// What was chosen for one kind of data.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, TS)]
pub struct Chosen {
    /// Identifier of the data set; empty for none.
    pub dataset: String,
    /// The method that learns from it; empty for the default.
    pub method: String,
}

/// The scorer that limits harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// No limit.
    #[default]
    Nothing,
    /// The oracle of the starter world.
    Oracle,
    /// A cost model, trained from the pairs.
    Model,
}

/// Scale of the learning rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// Half the learning rate.
    Careful,
    /// The default learning rate.
    #[default]
    Standard,
    /// Twice the learning rate.
    Strong,
}

impl Strength {
    /// The factor of the learning rate.
    pub fn factor(self) -> f64 {
        match self {
            Strength::Careful => 0.5,
            Strength::Standard => 1.0,
            Strength::Strong => 2.0,
        }
    }
}

/// All choices of the wizard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(default)]
pub struct Choices {
    /// The preset that the choices started from, if any.
    pub goal: Option<String>,
    /// Identifier of the model.
    pub model: String,
    /// Learn from answers.
    pub answers: Chosen,
    /// Learn from thumbs up and down.
    pub ratings: Chosen,
    /// Learn from pairs.
    pub pairs: Chosen,
    /// Learn from the model's own answers to prompts.
    pub prompts: Chosen,
    /// True if the oracle shall score answers, for models whose world it knows.
    pub oracle: bool,
    /// Limit on harm.
    pub limit: Limit,
    /// Scale of the learning rate.
    pub strength: Strength,
    /// Settings that the person changed, by method.
    pub changes: BTreeMap<String, Settings>,
    /// Random seed of every stage.
    pub seed: u64,
    /// What is trained: a LoRA adapter, a prefix, or every weight.
    pub trains: Trains,
    /// Shape of the LoRA adapter; the model's default when absent.
    pub lora: Option<LoraSpec>,
    /// Length of the prefix.
    pub virtual_tokens: usize,
    /// Largest number of prompts, and of held-out rows, that before and after are compared on; as many as fit into the time of
    /// training when absent, none at 0.
    pub compare: Option<usize>,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            goal: None,
            model: String::new(),
            answers: Chosen::default(),
            ratings: Chosen::default(),
            pairs: Chosen::default(),
            prompts: Chosen::default(),
            oracle: false,
            limit: Limit::default(),
            strength: Strength::default(),
            changes: BTreeMap::new(),
            seed: 42,
            trains: Trains::default(),
            lora: None,
            virtual_tokens: PrefixSpec::default().num_virtual_tokens,
            compare: None,
        }
    }
}

/// What the stages train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Trains {
    /// A LoRA adapter.
    #[default]
    Lora,
    /// A prefix of learned keys and values.
    Prefix,
    /// Every weight of the model.
    Full,
}
