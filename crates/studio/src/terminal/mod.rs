//! What only a terminal does: a recipe file carried out in a folder of the person's own.

pub(crate) mod made;
pub(crate) mod places;
pub(crate) mod resolve;
pub(crate) mod run_folder;
