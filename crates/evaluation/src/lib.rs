//! Measuring stacks: suites say what is asked and what is observed, judges say what an answer is worth, and here it is
//! concluded what may be said of that.
//!
//! Everything is asked through the ports `Generator` and `Scorer`, so a stack, an adapter, a script or a remote model are asked
//! alike. A new suite is a file in `suites/` and a line in [`SUITES`], a new judge a file in `judges/` and a line in [`JUDGES`];
//! both declare their measures with words in both languages, and nobody else keeps a table of them. Not here: how a model
//! writes, where files lie, and judges that know Alder Bay.

mod asking;
mod card;
mod concluding;
mod histogram;
mod item;
mod judge;
pub mod judges;
mod judging;
mod observations;
mod registry;
mod snapshot;
mod statistics;
mod suite;
mod suites;

pub use asking::{Part, Question, Subject};
pub use card::{MeasureCard, Unit};
pub use concluding::{conclude, unreadable_scores};
pub use histogram::histogram;
pub use item::{FACT, HARMFUL, Item, Material, Prompt};
pub use judge::{Argument, Case, Judge, JudgeCard, JudgeKind, JudgeSpec, NamedJudge};
pub use judges::JUDGES;
pub use judging::judge_answers;
pub use observations::{Observations, Series};
pub use registry::{judge_kind, suite, suite_names, worded};
pub use snapshot::Snapshot;
pub use statistics::{SplitMix64, bootstrap, mean, paired_change, rate, wilson};
pub use suite::{Reply, Suite, SuiteCard, Verdict};
pub use suites::{HELD_OUT_PAIRS, HELD_OUT_ROWS, HeldOutPairs, HeldOutRows, STARTER_WORLD, SUITES, StarterWorld};
