//! How the weights of a model that is not trained are held.

use crate::Problem;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Number type of frozen weights. Sums are f32 with all of them; where the processor is faster so, the other factor of a
/// product is rounded as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
pub enum Precision {
    /// As f32.
    #[default]
    #[serde(rename = "f32")]
    Single,
    /// As bf16, in half the memory.
    #[serde(rename = "bf16")]
    Half,
    /// As q8_0, in a bit more than a quarter; for writing only.
    #[serde(rename = "q8_0")]
    Eight,
    /// As q4_0, in a bit more than an eighth; for writing only.
    #[serde(rename = "q4_0")]
    Four,
}

impl Precision {
    /// All, finest first.
    pub const ALL: [Precision; 4] = [Precision::Single, Precision::Half, Precision::Eight, Precision::Four];

    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Single => "f32",
            Precision::Half => "bf16",
            Precision::Eight => "q8_0",
            Precision::Four => "q4_0",
        }
    }

    /// The one of this name.
    ///
    /// # Errors
    /// When there is none; the names are told.
    pub fn named(name: &str) -> Result<Self, Problem> {
        Self::ALL.into_iter().find(|precision| precision.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Problem::input(format!("“{name}” is no number type here; {names} are.")).at("dtype")
        })
    }
}
