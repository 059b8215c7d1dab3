//! For the terminal only: a recipe file is carried out in a folder of the person's own.

pub(crate) mod dry_run;
pub(crate) mod language;
pub(crate) mod made;
pub(crate) mod places;
pub(crate) mod resolve;
pub(crate) mod run_folder;
