//! Evaluation of stacks: suites define prompts and observations, judges assess answers, and this crate computes
//! estimates and changes from them.
//!
//! Models are reached through the ports `Generator` and `Scorer`, so a stack, an adapter, a script and a remote model
//! are evaluated alike. A new suite is a file in `suites/` and a line in [`SUITES`], a new judge a file in `judges/`
//! and a line in [`JUDGES`]; both declare their measures with texts in both languages, in one place only. Not here:
//! generation, the location of files, and judges that know Alder Bay.

mod asking;
mod card;
mod histogram;
mod item;
mod judge;
pub mod judges;
mod judging;
mod observations;
mod registry;
mod results;
mod snapshot;
mod statistics;
mod suite;
mod suites;

pub use asking::{PairScore, Part, Question, Subject};
pub use card::{MeasureCard, Unit};
pub use histogram::histogram;
pub use item::{FACT, HARMFUL, Item, Material, Prompt};
pub use judge::{Argument, Case, Judge, JudgeCard, JudgeKind, JudgeSpec, NamedJudge};
pub use judges::JUDGES;
pub use judging::judge_answers;
pub use observations::{Observations, Series};
pub use registry::{judge_kind, label_words, suite, suite_names, worded};
pub use results::{KEPT, conclude, unreadable_scores};
pub use snapshot::Snapshot;
pub use statistics::{SplitMix64, bootstrap, mean, paired_change, rate, wilson};
pub use suite::{Reply, Suite, SuiteCard, Verdict};
pub use suites::{
    GENERAL_TEXT, GeneralText, HELD_OUT_PAIRS, HELD_OUT_ROWS, HeldOutPairs, HeldOutRows, STARTER_WORLD, SUITES,
    StarterWorld,
};
