//! Use cases: what a person can do, independent of the host that shows it.
//!
//! The terminal, the window and the browser all call what stands here. Only this crate starts processes and reads the
//! clock and the environment.

#[cfg(test)]
mod after_a_cut;
mod answering;
mod artifacts;
mod backups;
mod chats;
pub mod compose;
mod configuration;
pub mod confined;
mod data_file;
mod datasets;
mod experiments;
mod export;
mod faults;
mod home;
mod importing;
mod inputs;
mod links;
mod made;
mod mend;
mod models;
mod pipeline;
mod places;
mod planning;
mod plans;
mod presets;
mod queue;
mod removal;
mod reports;
mod resolve;
mod results;
mod row_index;
mod run_folder;
mod runs;
mod sharing;
mod speaking;
mod stage_plans;
mod stages;
mod studio;
mod tokens;
mod unresponsive;
mod upkeep;
mod verify;
mod vetting;
pub mod views;
mod voice;
mod wake;

pub use alidade_domain::ExportForm;
pub use alidade_jobs::comparing::read_snapshot;
pub use alidade_jobs::compute::instructions;
pub use alidade_jobs::control::{ControlFile, write_wish};
pub use alidade_jobs::evaluate::{Comparison, evaluate, judges, suites};
pub use alidade_jobs::export::{Exported, export};
pub use alidade_jobs::notes::folder_notes;
pub use alidade_jobs::run_lock::RunLock;
pub use alidade_jobs::worker::work;
pub use alidade_jobs::{
    AnswerRequest, Clock, EventLog, Outline, Speaker, create_folder, execute, execute_telling, file_problem,
    local_time, plan_facts, read_events, sync_folder, write_durably, write_folder,
};
pub use backups::{BackupView, Restored, list_backups, restore_backup};
pub use chats::ChatChange;
pub use configuration::Configuration;
pub use importing::{import_checked, inspect_file};
pub use places::Given;
pub use presets::methods;
pub use queue::tend_in_background;
pub use resolve::{ResolvedRecipe, model_dir, read_recipe, resolve_recipe};
pub use run_folder::{RunFolder, Start};
pub use studio::Studio;
pub use vetting::{Depth, vet_model, vet_stack};
