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
    /// Learning from thumbs up and down.
    Kto,
    /// Odds ratio preference optimisation.
    Orpo,
    /// Contrastive preference optimisation, and SimPO.
    Cpo,
    /// A model that scores answers.
    RewardModel,
    /// Proximal policy optimisation.
    Ppo,
    /// Group relative policy optimisation.
    Grpo,
    /// REINFORCE with a leave-one-out baseline.
    Rloo,
    /// DPO on the policy's own answers.
    OnlineDpo,
    /// Learning the best of several own answers.
    RejectionSampling,
}

impl MethodName {
    /// Every method, in the order in which a person meets them.
    pub const ALL: &'static [MethodName] = &[
        MethodName::Sft,
        MethodName::Dpo,
        MethodName::Kto,
        MethodName::Orpo,
        MethodName::Cpo,
        MethodName::RewardModel,
        MethodName::Ppo,
        MethodName::Grpo,
        MethodName::Rloo,
        MethodName::OnlineDpo,
        MethodName::RejectionSampling,
    ];

    /// The name as it stands in a recipe.
    pub fn as_str(self) -> &'static str {
        match self {
            MethodName::Sft => "sft",
            MethodName::Dpo => "dpo",
            MethodName::Kto => "kto",
            MethodName::Orpo => "orpo",
            MethodName::Cpo => "cpo",
            MethodName::RewardModel => "reward_model",
            MethodName::Ppo => "ppo",
            MethodName::Grpo => "grpo",
            MethodName::Rloo => "rloo",
            MethodName::OnlineDpo => "online_dpo",
            MethodName::RejectionSampling => "rejection_sampling",
        }
    }

    /// True when the result scores answers instead of writing them.
    pub fn makes_scorer(self) -> bool {
        self == MethodName::RewardModel
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
    /// True when it learns from scores, so that a recipe names a `reward`.
    pub needs_reward: bool,
    /// Its settings with defaults, ranges and help.
    pub settings: Vec<SettingField>,
}
