//! The number format that frozen weights are held in.

use crate::{Problem, Wording, wording};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Number format of frozen weights. Matmuls accumulate in f32 with all of them; where the processor is faster that way, the
/// other operand is rounded as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
pub enum Precision {
    /// As f32.
    #[default]
    #[serde(rename = "f32")]
    F32,
    /// As bf16, in half the memory.
    #[serde(rename = "bf16")]
    Bf16,
    /// As q8_0, in a bit more than a quarter; for generation only.
    #[serde(rename = "q8_0")]
    Q8_0,
    /// As q4_0, in a bit more than an eighth; for generation only.
    #[serde(rename = "q4_0")]
    Q4_0,
}

impl Precision {
    /// All formats, most precise first.
    pub const ALL: [Precision; 4] = [Precision::F32, Precision::Bf16, Precision::Q8_0, Precision::Q4_0];

    /// Its usual name, as in files and options.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
            Precision::Q8_0 => "q8_0",
            Precision::Q4_0 => "q4_0",
        }
    }

    /// The format with this name.
    ///
    /// # Errors
    /// When there is none; the message lists the names.
    pub fn named(name: &str) -> Result<Self, Problem> {
        Self::ALL.into_iter().find(|precision| precision.name() == name).ok_or_else(|| {
            let names = Wording::names(Self::ALL.map(Self::name));
            Problem::input(wording!(
                "“{name}” is not a known number format; choose one of {names}.",
                "“{name}”不是已知的数值格式，可选：{names}。";
                names
            ))
            .at("dtype")
        })
    }
}
