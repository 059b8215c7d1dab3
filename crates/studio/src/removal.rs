//! What stays known of a model or a data set that the person removed: its facts, as long as an experiment speaks of it, so
//! that a finished experiment keeps its report and its exports. Rows and weights are not kept here: runs have copies of
//! their rows, and a model's files stay where they are.

use crate::studio::Studio;
use crate::views::{DatasetView, ModelView};
use alidade_domain::{Problem, ProblemCode, Recipe, Stage};
use alidade_store::Shelf;
use std::collections::BTreeSet;

impl Studio {
    /// A model, forgotten or not.
    ///
    /// # Errors
    /// When there is none of this id.
    pub(crate) fn model_record(&self, id: &str) -> Result<ModelView, Problem> {
        match self.bundled.iter().find(|model| model.model.id == id) {
            Some(model) => Ok(model.clone()),
            None => Ok(self.store.one(Shelf::Models, id)?),
        }
    }

    /// A data set, removed or not.
    ///
    /// # Errors
    /// When there is none of this id.
    pub(crate) fn dataset_record(&self, id: &str) -> Result<DatasetView, Problem> {
        Ok(self.store.one(Shelf::Datasets, id)?)
    }

    /// What is known of a recipe's model, whether it can still be used or not.
    ///
    /// # Errors
    /// When the recipe names none or nothing is known of it.
    pub(crate) fn model_facts(&self, recipe: &Recipe) -> Result<ModelView, Problem> {
        self.model_record(recipe.model.stored().unwrap_or_default())
    }

    /// What is known of a recipe's data set, whether its rows are still there or not.
    ///
    /// # Errors
    /// When the recipe names none or nothing is known of it.
    pub(crate) fn dataset_facts(&self, recipe: &Recipe) -> Result<DatasetView, Problem> {
        self.dataset_record(recipe.dataset.stored().unwrap_or_default())
    }

    /// Drops the facts of removed models and data sets that no experiment speaks of any more.
    ///
    /// # Errors
    /// When the database refuses.
    pub(crate) fn forget_unused(&self) -> Result<(), Problem> {
        let experiments = self.store.experiments()?;
        if self.store.unreadable().iter().any(|(what, _)| *what == "experiments") {
            // One that cannot be read at the moment may speak of anything.
            return Ok(());
        }
        let recipes = || experiments.iter().flat_map(|experiment| &experiment.stages).filter_map(Stage::recipe);
        let models: BTreeSet<&str> = recipes().filter_map(|recipe| recipe.model.stored()).collect();
        let datasets: BTreeSet<&str> = recipes().filter_map(|recipe| recipe.dataset.stored()).collect();
        for model in self.store.all::<ModelView>(Shelf::Models)?.into_iter().filter(|model| model.removed) {
            if !models.contains(model.model.id.as_str()) {
                self.store.remove(Shelf::Models, &model.model.id)?;
            }
        }
        for set in self.store.all::<DatasetView>(Shelf::Datasets)?.into_iter().filter(|set| set.removed) {
            if !datasets.contains(set.id.as_str()) {
                self.store.remove(Shelf::Datasets, &set.id)?;
            }
        }
        Ok(())
    }
}

/// Why something that the person removed cannot be used.
pub(crate) fn removed(kind: &str, name: &str, hint: &str) -> Problem {
    Problem::new(ProblemCode::NotFound, format!("The {kind} “{name}” was removed.")).hint(hint)
}
