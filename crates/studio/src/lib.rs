//! Use cases: what a person can do, independent of the host that shows it.
//!
//! The terminal, the window and the browser all call what stands here. Only this crate starts processes and reads the
//! clock and the environment.

mod answer;
mod control;
mod evaluate;
mod event_log;
mod execute;
mod export;
mod inspect;
mod resolve;
mod starter;
pub mod views;

pub use answer::{AnswerRequest, Speaker};
pub use control::{ControlFile, write_wish};
pub use evaluate::{Comparison, Snapshot, Suite, evaluate};
pub use event_log::{EventLog, read_events};
pub use execute::{Clock, execute, read_snapshot};
pub use export::{ExportForm, export};
pub use inspect::{continue_ids, write_logits};
pub use resolve::{ResolvedRecipe, import_file, resolve_recipe};
pub use starter::{StarterOptions, make_starter};
