//! Keeps the facts about removed models and data sets as long as an experiment refers to them, so that a finished experiment
//! keeps its report and its exports. Rows and weights are not kept: runs have copies of their rows, and a model's files stay
//! where they are.

use crate::studio::Studio;
use alidade_domain::{DatasetSource, ModelSource, Problem, ProblemCode, Recipe, Words, wording};
use alidade_store::{DatasetRecord, ModelRecord};
use std::collections::BTreeSet;

impl Studio {
    /// A model, removed or not.
    ///
    /// # Errors
    /// When there is none of this id.
    pub(crate) fn model_record(&self, id: &str) -> Result<ModelRecord, Problem> {
        match self.bundled.iter().find(|model| model.model.id == id) {
            Some(model) => Ok(model.clone()),
            None => Ok(self.store.document(id)?),
        }
    }

    /// A data set, removed or not.
    ///
    /// # Errors
    /// When there is none of this id.
    pub(crate) fn dataset_record(&self, id: &str) -> Result<DatasetRecord, Problem> {
        Ok(self.store.document(id)?)
    }

    /// The facts about a recipe's model, whether it can still be used or not.
    ///
    /// # Errors
    /// When the recipe names none, or nothing is known about it.
    pub(crate) fn model_facts(&self, recipe: &Recipe) -> Result<ModelRecord, Problem> {
        self.model_record(recipe.model.stored().unwrap_or_default())
    }

    /// Drops the facts about removed models and data sets that no experiment refers to any more.
    ///
    /// # Errors
    /// When the database refuses.
    pub(crate) fn forget_unused(&self) -> Result<(), Problem> {
        let experiments = self.store.experiments()?;
        if self.store.unreadable().iter().any(|(what, _)| *what == "experiments") {
            // An unreadable experiment may refer to anything.
            return Ok(());
        }
        let mut named = BTreeSet::new();
        for stage in experiments.into_iter().flat_map(|experiment| experiment.stages) {
            let mut look = |_: &str, text: &str| {
                named.insert(text.to_owned());
                Ok(text.to_owned())
            };
            // A visitor that never fails.
            let _ = stage.clone().map_sources(&mut look);
        }
        let uses = |source: String| named.contains(&source);
        for model in self.store.documents::<ModelRecord>()?.into_iter().filter(|model| model.removed) {
            if !uses(ModelSource::Stored(model.model.id.clone()).to_string()) {
                self.store.delete_document::<ModelRecord>(&model.model.id)?;
            }
        }
        for set in self.store.documents::<DatasetRecord>()?.into_iter().filter(|set| set.removed) {
            if !uses(DatasetSource::Stored(set.id.clone()).to_string()) {
                self.store.delete_document::<DatasetRecord>(&set.id)?;
            }
        }
        Ok(())
    }
}

/// The problem of something that the person removed.
pub(crate) fn removed(kind: Words, name: &str, hint: Words) -> Problem {
    Problem::new(ProblemCode::NotFound, wording!("The {kind} “{name}” was removed.", "{kind}“{name}”已被删除。"; kind))
        .hint(hint)
}
