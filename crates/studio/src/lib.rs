//! Use cases: what a person can do, independent of the host that shows it.
//!
//! The terminal, the window and the browser all call what stands here. Only this crate starts processes and reads the
//! clock and the environment.

mod answer;
mod asking;
mod bench;
mod bench_models;
mod chats;
mod comparing;
mod configuration;
pub mod confined;
mod control;
mod datasets;
mod durable;
mod estimate;
mod evaluate;
mod event_log;
mod execute;
mod experiments;
mod export;
mod inspect;
mod links;
mod machine;
mod memory;
mod models;
mod pace;
mod pipeline;
mod planning;
mod plans;
mod presets;
mod provenance;
mod queue;
mod removal;
mod reports;
mod resolve;
mod roles;
mod runs;
mod scorer;
mod starter;
mod studio;
mod tokens;
mod vetting;
pub mod views;
mod worker;
mod world_oracle;

pub use answer::{AnswerRequest, Speaker};
pub use bench::{GenerateBench, TrainBench, bench_generate, bench_limits, bench_train};
pub use bench_models::make_bench_model;
pub use chats::ChatChange;
pub use comparing::read_snapshot;
pub use configuration::Configuration;
pub use control::{ControlFile, write_wish};
pub use durable::{create_folder, file_problem, sync_folder, write_durably, write_folder};
pub use evaluate::{Comparison, Snapshot, Suite, evaluate};
pub use event_log::{EventLog, read_events};
pub use execute::{Clock, execute, plan_facts};
pub use export::{ExportForm, export};
pub use inspect::{continue_ids, write_logits};
pub use presets::methods;
pub use queue::tend_in_background;
pub use resolve::{ResolvedRecipe, import_file, read_recipe, resolve_recipe};
pub use starter::{StarterOptions, StarterSize, make_starter};
pub use studio::Studio;
pub use vetting::{Depth, vet_model};
pub use worker::work;
