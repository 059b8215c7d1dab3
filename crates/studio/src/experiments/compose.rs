//! Turns the choices of the wizard into a pipeline: the method follows from the data, each stage continues the adapter of
//! the one before it, and answers are scored by the scorer that was trained last. The window shows the result and has no
//! logic of its own.

use crate::Studio;
use crate::experiments::links;
use crate::experiments::presets::{STARTER, tuned};
use alidade_domain::{
    AdapterSource, Choices, Chosen, DatasetSource, Limit, LoraSpec, ModelSource, Place, PrefixSpec, Problem, Recipe,
    ScorerSource, SettingValue, Settings, Stage, Strength, Trains, Tuning, wording,
};
use alidade_model::ScorerKind;
use alidade_train::{Before, METHODS, Method, before, method};

impl Studio {
    /// The pipeline for these choices. Missing choices are reported when it is planned.
    ///
    /// # Errors
    /// When a method is named that does not exist.
    pub fn compose_pipeline(&self, choices: &Choices) -> Result<Vec<Stage>, Problem> {
        let knows = self.model(&choices.model).is_ok_and(|model| model.bundled);
        let presets = self.list_presets();
        let ready = presets.iter().find(|preset| Some(&preset.id) == choices.goal.as_ref());
        let ready: Vec<&Recipe> = ready.iter().flat_map(|preset| &preset.stages).filter_map(Stage::recipe).collect();
        Ok(compose(choices, knows, &ready)?.into_iter().map(Stage::Train).collect())
    }
}

/// Stages that build on each other.
#[derive(Default)]
pub(crate) struct Chain {
    pub(crate) recipes: Vec<Recipe>,
    /// The stage whose adapter the next policy continues.
    policy: Option<AdapterSource>,
    /// The last stage that trained every weight: all later ones work on its model.
    full: Option<usize>,
    /// The stage that makes the scorer.
    scorer: Option<ScorerSource>,
}

impl Chain {
    /// Adds a stage: a policy continues the one before it, and is scored by the scorer before it.
    pub(crate) fn add(&mut self, method: &dyn Method, mut recipe: Recipe) {
        let here = self.recipes.len() + 1;
        if let Some(stage) = self.full {
            recipe.model = ModelSource::Stage(stage);
        }
        if method.makes_scorer() {
            self.scorer = Some(ScorerSource::Model(AdapterSource::Stage(here)));
        } else if recipe.tuning == Some(Tuning::Full) {
            (self.full, self.policy) = (Some(here), None);
        } else {
            recipe.adapter = self.policy.replace(AdapterSource::Stage(here));
        }
        if recipe.adapter.is_some() {
            (recipe.lora, recipe.prefix) = (None, None);
        }
        if method.needs().reward && recipe.reward.is_none() {
            recipe.reward.clone_from(&self.scorer);
        }
        self.recipes.push(recipe);
    }
}

/// A stage by itself, with a fresh adapter.
pub(crate) fn recipe(method: &dyn Method, model: &str, dataset: &str, settings: Settings) -> Recipe {
    Recipe {
        method: method.name().into(),
        model: ModelSource::Stored(model.to_owned()),
        dataset: DatasetSource::Stored(dataset.to_owned()),
        output_dir: None,
        seed: 42,
        adapter: None,
        reward: None,
        cost: None,
        compare: None,
        lora: (model == STARTER).then(|| LoraSpec { lora_dropout: 0.0, ..LoraSpec::default() }),
        prefix: None,
        tuning: None,
        settings,
    }
}

/// `knows`: whether the oracle knows the model's world; `ready`: the pipeline of the preset.
fn compose(choices: &Choices, knows: bool, ready: &[&Recipe]) -> Result<Vec<Recipe>, Problem> {
    let stage = |method: &dyn Method, dataset: &str| {
        let mut stage = recipe(method, &choices.model, dataset, Settings::default());
        let own = ready.iter().find(|recipe| recipe.method.as_str() == method.name());
        // The bundled model is tiny and tolerates larger learning rates; the preset's settings suit it with other data too.
        stage.settings = match own {
            Some(own) => own.settings.clone(),
            None if choices.model == STARTER => tuned(method, &[]),
            None => Settings::default(),
        };
        bolder(&mut stage.settings, method, choices.strength);
        stage.settings.0.extend(choices.changes.get(method.name()).cloned().unwrap_or_default().0);
        shape(&mut stage, method, choices);
        stage
    };
    let mut chain = Chain::default();
    for (place, chosen) in
        [(Place::Answers, &choices.answers), (Place::Ratings, &choices.ratings), (Place::Pairs, &choices.pairs)]
    {
        if let Some(method) = learner(place, chosen)? {
            chain.add(method, stage(method, &chosen.dataset));
        }
    }
    let Some(last) = learner(Place::Prompts, &choices.prompts)? else { return Ok(chain.recipes) };
    let mut cost = (choices.limit == Limit::Oracle && knows).then_some(ScorerSource::Oracle);
    if choices.limit == Limit::Model && last.needs().cost && !choices.pairs.dataset.is_empty() {
        let (scorer, change) = cost_model()?;
        let mut stage = stage(scorer, &choices.pairs.dataset);
        stage.settings.0.insert(change.0, change.1);
        // It only scores harm, so the chain does not use it as the scorer of answers.
        chain.recipes.push(stage);
        cost = Some(ScorerSource::Model(AdapterSource::Stage(chain.recipes.len())));
    }
    let mut stage = stage(last, &choices.prompts.dataset);
    stage.reward = (choices.oracle && knows && last.needs().reward).then_some(ScorerSource::Oracle);
    stage.cost = cost.filter(|_| last.needs().cost);
    chain.add(last, stage);
    Ok(chain.recipes)
}

/// What is trained, from which seed, and how far it is compared. A scorer is always a LoRA adapter: it must stand on the
/// same base as the policy that it scores. A method that compares with the model as it was trains an adapter even where
/// every weight was asked for.
fn shape(stage: &mut Recipe, method: &dyn Method, choices: &Choices) {
    (stage.seed, stage.compare) = (choices.seed, choices.compare);
    stage.lora = choices.lora.clone().or(stage.lora.take());
    match choices.trains {
        Trains::Prefix if !method.makes_scorer() => {
            stage.lora = None;
            stage.prefix = Some(PrefixSpec { num_virtual_tokens: choices.virtual_tokens });
        }
        Trains::Full if links::trains_every_weight(method) => (stage.lora, stage.tuning) = (None, Some(Tuning::Full)),
        Trains::Lora | Trains::Prefix | Trains::Full => {}
    }
}

/// The method for a chosen data set; none if no data set is chosen.
fn learner(place: Place, chosen: &Chosen) -> Result<Option<&'static dyn Method>, Problem> {
    if chosen.dataset.is_empty() {
        return Ok(None);
    }
    match chosen.method.as_str() {
        "" => Ok(METHODS.iter().find(|method| method.card().place == place).copied()),
        name => method(name).map(Some),
    }
}

/// The method that makes a cost model, and the setting that it takes.
fn cost_model() -> Result<(&'static dyn Method, (String, SettingValue)), Problem> {
    let scorer = before(Before::Scorer)?;
    let settings = scorer.about().variants.into_iter().map(|variant| (variant.key.to_owned(), variant.value));
    let mut settings = settings.map(|(key, value)| (key, SettingValue::Text(value.to_owned())));
    let prices = |(key, value): &(String, SettingValue)| {
        let training = scorer.configure(&Settings([(key.clone(), value.clone())].into()));
        training.is_ok_and(|training| training.scorer_kind() == Some(ScorerKind::Cost))
    };
    let found = settings.find(prices);
    found
        .map(|found| (scorer, found))
        .ok_or_else(|| Problem::internal(wording!("No method trains a cost model.", "没有训练代价模型的方法。")))
}

fn bolder(settings: &mut Settings, method: &dyn Method, strength: Strength) {
    let key = "learning_rate";
    let said = settings.with_defaults(&method.fields());
    if let (Some(SettingValue::Number(rate)), true) = (said.0.get(key), strength != Strength::Standard) {
        settings.0.insert(key.to_owned(), SettingValue::Number(rate * strength.factor()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(dataset: &str, method: &str) -> Chosen {
        Chosen { dataset: dataset.to_owned(), method: method.to_owned() }
    }

    fn choices() -> Choices {
        Choices { model: "m".to_owned(), ..Choices::default() }
    }

    fn stages(choices: &Choices, knows: bool) -> Vec<(String, [Option<String>; 3])> {
        let recipes = compose(choices, knows, &[]).unwrap().into_iter();
        let text = |stage: Recipe| {
            let adapter = stage.adapter.map(|source| source.to_string());
            let scorers = [stage.reward, stage.cost].map(|source| source.map(|source| source.to_string()));
            let [reward, cost] = scorers;
            (stage.method.as_str().to_owned(), [adapter, reward, cost])
        };
        recipes.map(text).collect()
    }

    fn stage(method: &str, leans: [Option<&str>; 3]) -> (String, [Option<String>; 3]) {
        (method.to_owned(), leans.map(|name| name.map(str::to_owned)))
    }

    #[test]
    fn the_data_choose_the_method() {
        let mut choices = Choices { pairs: chosen("p", ""), ..choices() };
        assert_eq!(stages(&choices, false), [stage("dpo", [None; 3])]);
        choices.answers = chosen("a", "");
        assert_eq!(stages(&choices, false), [stage("sft", [None; 3]), stage("dpo", [Some("stage:1"), None, None])]);
        let recipes = compose(&choices, false, &[]).unwrap();
        assert_eq!(
            (recipes[1].dataset.to_string(), recipes[1].model.to_string()),
            ("dataset:p".to_owned(), "model:m".to_owned())
        );
        choices.pairs.method = "dop".to_owned();
        assert_eq!(compose(&choices, false, &[]).unwrap_err().hints[0].en, "Did you mean dpo?");
    }

    #[test]
    fn strong_doubles_the_rate_and_a_typed_value_wins() {
        let rate =
            |choices: &Choices| compose(choices, false, &[]).unwrap()[0].settings.0.get("learning_rate").cloned();
        let mut choices = Choices { pairs: chosen("p", ""), strength: Strength::Strong, ..choices() };
        assert_eq!(rate(&choices), Some(SettingValue::Number(1e-5)));
        let typed = SettingValue::Number(3e-6);
        let change = Settings([("learning_rate".to_owned(), typed.clone())].into());
        choices.changes.insert("dpo".to_owned(), change);
        assert_eq!(rate(&choices), Some(typed));
    }

    #[test]
    fn the_shape_of_the_adapter_is_that_of_the_first_stage() {
        let mut choices = Choices { answers: chosen("a", ""), pairs: chosen("p", ""), seed: 7, ..choices() };
        choices.lora = Some(LoraSpec { r: 4, ..LoraSpec::default() });
        let recipes = compose(&choices, false, &[]).unwrap();
        assert_eq!(recipes.iter().map(|recipe| recipe.seed).collect::<Vec<_>>(), [7, 7]);
        assert_eq!((recipes[0].lora.clone().map(|lora| lora.r), recipes[1].lora.clone()), (Some(4), None));
        (choices.trains, choices.virtual_tokens) = (Trains::Prefix, 5);
        let recipes = compose(&choices, false, &[]).unwrap();
        assert_eq!(recipes[0].prefix, Some(PrefixSpec { num_virtual_tokens: 5 }));
        assert_eq!((recipes[0].lora.clone(), recipes[1].prefix.clone()), (None, None));
        choices.trains = Trains::Full;
        let recipes = compose(&choices, false, &[]).unwrap();
        // DPO needs the model as it was, so it trains an adapter on what SFT made.
        assert_eq!((recipes[1].model.to_string(), recipes[1].adapter.clone()), ("stage:1".to_owned(), None));
        assert_eq!((recipes[0].tuning, recipes[1].tuning), (Some(Tuning::Full), None));
        assert_eq!((recipes[0].lora.clone(), recipes[1].lora.clone().map(|lora| lora.r)), (None, Some(4)));
    }

    #[test]
    fn reward_models_policies_and_judges_are_chained() {
        let mut choices = Choices {
            answers: chosen("a", ""),
            pairs: chosen("p", "reward_model"),
            prompts: chosen("a", "ppo"),
            ..choices()
        };
        let (first, scorer) = (stage("sft", [None; 3]), stage("reward_model", [None; 3]));
        let last = |reward, cost| stage("ppo", [Some("stage:1"), reward, cost]);
        assert_eq!(stages(&choices, true), [first.clone(), scorer.clone(), last(Some("stage:2"), None)]);
        choices.oracle = true;
        choices.limit = Limit::Oracle;
        assert_eq!(stages(&choices, true)[2], last(Some("oracle"), Some("oracle")));
        assert_eq!(stages(&choices, false)[2], last(Some("stage:2"), None));
        choices.limit = Limit::Model;
        assert_eq!(stages(&choices, true)[2..], [scorer.clone(), last(Some("oracle"), Some("stage:3"))]);
        let cost = &compose(&choices, true, &[]).unwrap()[2].settings;
        assert_eq!(cost.0["loss_type"], SettingValue::Text("cost".to_owned()));
        // Without pairs there is no scorer: the reward stays empty, and the plan reports that at its field.
        choices.pairs = Chosen::default();
        assert_eq!(stages(&choices, false), [first, last(None, None)]);
    }
}
