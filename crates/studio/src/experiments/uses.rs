//! Which experiments use a model or a data set: told before it is removed, and beside it in its list.

use crate::experiments::{latest, state};
use crate::studio::Studio;
use crate::views::Use;
use alidade_domain::{DatasetSource, ModelSource, Problem, given};
use std::collections::BTreeMap;

/// Experiments by the source that they name, as in `model:ID`.
pub(crate) struct Uses(BTreeMap<String, Vec<Use>>);

impl Uses {
    /// Those of a model.
    pub(crate) fn of_model(&self, id: &str) -> Vec<Use> {
        self.of(&ModelSource::Stored(id.to_owned()).to_string())
    }

    /// Those of a data set.
    pub(crate) fn of_dataset(&self, id: &str) -> Vec<Use> {
        self.of(&DatasetSource::Stored(id.to_owned()).to_string())
    }

    fn of(&self, source: &str) -> Vec<Use> {
        self.0.get(source).cloned().unwrap_or_default()
    }
}

impl Studio {
    /// All uses, newest experiments first.
    ///
    /// # Errors
    /// When the database refuses.
    pub(crate) fn uses(&self) -> Result<Uses, Problem> {
        let mut uses: BTreeMap<String, Vec<Use>> = BTreeMap::new();
        for experiment in self.store.experiments()? {
            // Runs that cannot be read leave their experiment without a state, not without its use.
            let runs = self.store.runs_of(&experiment.id).unwrap_or_default();
            let state = state(&latest(&runs), experiment.stages.len());
            for (_, source) in given(&experiment.stages) {
                let own = Use { experiment: experiment.id.clone(), title: experiment.title.clone(), state };
                uses.entry(source).or_default().push(own);
            }
        }
        Ok(Uses(uses))
    }
}
