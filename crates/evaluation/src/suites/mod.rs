//! All suites, one file each.

mod general_text;
mod held_out_pairs;
mod held_out_rows;
mod starter_world;

pub use general_text::GeneralText;
pub use held_out_pairs::HeldOutPairs;
pub use held_out_rows::HeldOutRows;
pub use starter_world::StarterWorld;

use crate::Suite;
use crate::card::{MeasureCard, Unit};
use alidade_domain::{Better, Words};

/// Name of the suite that asks about Alder Bay.
pub const STARTER_WORLD: &str = "starter_world";
/// Name of the suite of held-out rows.
pub const HELD_OUT_ROWS: &str = "held_out_rows";
/// Name of the suite for scorers.
pub const HELD_OUT_PAIRS: &str = "held_out_pairs";

/// Name of the suite that measures what was forgotten.
pub const GENERAL_TEXT: &str = "general_text";

/// Every suite, in the order in which the UI shows them.
pub const SUITES: &[&dyn Suite] = &[&StarterWorld, &HeldOutRows, &HeldOutPairs, &GeneralText];

/// Measure of every suite with generated answers.
const LENGTH: MeasureCard = MeasureCard {
    key: "length_tokens",
    unit: Unit::Tokens,
    better: Better::Neither,
    title: Words::new("length of answers", "回答长度"),
    explanation: Words::new(
        "Tokens of an answer. Worth watching, because some methods gain preference by longer answers.",
        "回答的词元数。需要留意，因为有些方法靠变长换取偏好。",
    ),
};
