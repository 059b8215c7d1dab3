//! What a worker does: it carries out one stage of an experiment in a run folder, from its plan alone.
//!
//! It never opens the database and starts no processes: the studio resolves the inputs of a stage into a plan, and a worker
//! needs nothing else.

pub mod asking;
pub mod export;
pub mod files;
pub mod kinds;
pub mod machine;
pub mod train;
pub mod worker;

pub(crate) use asking::StackSpeaker;
pub use asking::answer::{ADAPTER, AnswerRequest, Speaker, load};
pub use asking::concluded;
pub use files::durable::{create_folder, file_problem, sync_folder, write_durably, write_folder, write_private};
pub use files::event_log::{EventLog, read_events};
pub use machine::today::local_time;
pub use train::execute::{Clock, Outline, execute, execute_telling, plan_facts};
