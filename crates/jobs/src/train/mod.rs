//! A stage that trains: from its rows to the adapter and its comparison, and what that costs.

pub(crate) mod changed;
pub mod comparing;
pub mod estimate;
pub mod execute;
pub mod memory;
pub mod notes;
pub mod outcome;
pub mod pace;
pub mod passes;
pub mod provenance;
pub(crate) mod roles;
pub mod warnings;
