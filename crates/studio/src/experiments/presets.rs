//! Presets: ready-made pipelines by goal. A method declares in its own file what suits the starter model and which goals it
//! is the last stage of; here the stages are put together.

use crate::Studio;
use crate::datasets::{ANSWERS_ID, COMPARISONS_ID, PAIRS_ID, PROMPTS_ID, RATINGS_ID};
use crate::experiments::compose::{Chain, recipe};
use crate::views::{MeasuredPreset, Preset};
use alidade_domain::{MethodCard, Place, Problem, ScorerSource, SettingValue, Settings, Stage};
use alidade_train::{Before, Goal, METHODS, Method, before};
use std::collections::BTreeMap;
use std::path::Path;

/// Epochs of SFT before another method, about ten steps: the model learns how to answer, and the other method can still
/// improve it. After a complete SFT the starter model has nothing to gain from preferences or rewards.
const SHORT_EPOCHS: f64 = 0.32;

/// The file of their results, beside the models.
const MEASURED: &str = "measured.json";

/// The cards of all methods.
pub fn methods() -> Vec<MethodCard> {
    METHODS.iter().map(|method| method.card()).collect()
}

impl Studio {
    /// The presets whose model is available.
    pub fn list_presets(&self) -> Vec<Preset> {
        let Some(starter) = self.bundled.iter().find(|model| model.model.id == STARTER) else { return Vec::new() };
        let goals =
            METHODS.iter().flat_map(|method| method.starter().goals.into_iter().map(move |goal| (*method, goal)));
        let measured = measured(&self.configuration.resources);
        let made = goals.filter_map(|(method, goal)| preset(method, &goal, &starter.model.id).ok());
        made.map(|preset| Preset { measured: measured.get(&preset.id).cloned(), ..preset }).collect()
    }
}

/// Results of the presets, as `alidade learning --keep` wrote them; none if the file is missing.
fn measured(resources: &Path) -> BTreeMap<String, MeasuredPreset> {
    let text = std::fs::read(resources.join("starter").join(MEASURED)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// The model of the presets.
pub(crate) const STARTER: &str = "starter";

fn preset(last: &dyn Method, goal: &Goal, model: &str) -> Result<Preset, Problem> {
    let mut chain = Chain::default();
    for stage in goal.before {
        let method = before(*stage)?;
        let short = [("num_train_epochs", SettingValue::Number(SHORT_EPOCHS))];
        let change = if *stage == Before::Answers { &short[..] } else { &[] };
        chain.add(method, recipe(method, model, bundled_set(method), tuned(method, change)));
    }
    chain.add(last, recipe(last, model, bundled_set(last), tuned(last, &goal.settings)));
    let mut recipes = chain.recipes;
    if let Some(stage) = recipes.last_mut().filter(|stage| last.needs().reward && stage.reward.is_none()) {
        stage.reward = Some(ScorerSource::Oracle);
    }
    let stages = recipes.into_iter().map(Stage::Train).collect();
    Ok(Preset {
        id: goal.id.to_owned(),
        model: Some(model.to_owned()),
        stages,
        words: goal.words.clone(),
        measured: None,
    })
}

/// The settings for the starter model, with some changes.
pub(crate) fn tuned(method: &dyn Method, changes: &[(&'static str, SettingValue)]) -> Settings {
    let shared = [("max_length", SettingValue::Whole(128)), ("save_steps", SettingValue::Whole(20))];
    let own = method.starter().settings.into_iter().chain(shared).chain(changes.iter().cloned());
    Settings(own.map(|(key, value)| (key.to_owned(), value)).collect())
}

/// The bundled data set of a method. Scorers use comparisons that also reject refusals.
fn bundled_set(method: &dyn Method) -> &'static str {
    match method.card().place {
        Place::Answers => ANSWERS_ID,
        Place::Ratings => RATINGS_ID,
        Place::Pairs if method.makes_scorer() => COMPARISONS_ID,
        Place::Pairs => PAIRS_ID,
        Place::Prompts => PROMPTS_ID,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ready_made_experiment_tells_what_it_gave() {
        let measured = measured(&alidade_testkit::resources(""));
        let goals: Vec<Goal> = METHODS.iter().flat_map(|method| method.starter().goals).collect();
        let offered: Vec<&str> = goals.iter().filter(|goal| goal.words.is_some()).map(|goal| goal.id).collect();
        assert_eq!(measured.len(), offered.len());
        for goal in offered {
            let found = &measured[goal];
            let good = found.measures.iter().find(|measure| measure.key == "good").unwrap();
            assert!(found.seconds > 1.0 && good.value(1).unwrap().value > good.value(0).unwrap().value, "{goal}");
        }
    }
}
