//! Use cases: what a person can do, independent of the host.
//!
//! The terminal, the window and the browser all call this crate. Only this crate starts processes; it and `jobs` read the
//! clock and the environment.

mod chats;
pub mod confined;
mod datasets;
pub mod experiments;
mod home;
mod models;
mod reports;
mod runs;
mod studio;
mod terminal;
#[cfg(test)]
mod testing;
pub mod views;

pub use alidade_domain::ExportForm;
pub use alidade_jobs::asking::evaluate::{Comparison, evaluate, judges, suites};
pub use alidade_jobs::export::{Exported, export};
pub use alidade_jobs::files::control::{ControlFile, write_request};
pub use alidade_jobs::files::run_lock::RunLock;
pub use alidade_jobs::machine::compute::instructions;
pub use alidade_jobs::train::comparing::read_snapshot;
pub use alidade_jobs::train::notes::folder_notes;
pub use alidade_jobs::worker::work;
pub use alidade_jobs::{
    AnswerRequest, Clock, EventLog, Outline, Speaker, create_folder, execute, execute_telling, file_problem,
    local_time, plan_facts, read_events, sync_folder, write_durably, write_folder, write_private,
};
pub use chats::ChatChange;
pub use datasets::importing::{import_checked, inspect_file};
pub use experiments::presets::methods;
pub use home::backups::{BackupView, Restored, list_backups, restore_backup};
pub use home::configuration::Configuration;
pub use models::vetting::{Depth, vet_model, vet_stack};
pub use runs::queue::run_queue_in_background;
pub use studio::Studio;
pub use terminal::dry_run::dry_run;
pub use terminal::language::preferred_language;
pub use terminal::places::Given;
pub use terminal::resolve::{ResolvedRecipe, model_dir, read_recipe, resolve_recipe};
pub use terminal::run_folder::{RunFolder, Start};
