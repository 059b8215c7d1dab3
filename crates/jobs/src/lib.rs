//! What a worker does: it carries out one stage of an experiment in a run folder, from its plan alone.
//!
//! It never sees the database, and starts no processes: the studio resolves what a stage names into a plan, and a worker
//! needs nothing else.

mod answer;
mod asking;
mod cgroup;
pub mod comparing;
pub mod compute;
pub mod control;
pub mod durable;
pub mod estimate;
pub mod evaluate;
pub mod event_log;
pub mod execute;
pub mod export;
pub mod item_log;
pub mod kinds;
mod logged;
pub mod machine;
pub mod memory;
pub mod notes;
pub mod outcome;
pub mod pace;
pub mod passes;
pub mod provenance;
pub mod questions;
mod roles;
pub mod run_lock;
mod scorer;
pub mod today;
pub mod warnings;
pub mod worker;
pub mod world_oracle;

pub use answer::{ADAPTER, AnswerRequest, Speaker, load};
pub(crate) use asking::StackSpeaker;
pub use asking::concluded;
pub use durable::{create_folder, file_problem, sync_folder, write_durably, write_folder};
pub use event_log::{EventLog, read_events};
pub use execute::{Clock, Outline, execute, execute_telling, plan_facts};
pub use today::local_time;
