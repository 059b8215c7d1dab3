//! Checks what a training stage takes from others: the adapter that it continues, the reward model that scores its answers,
//! the cost model that limits harm. Each may come from an earlier stage or from another experiment. Only faults are reported
//! here; the files are found when a run is planned.

use crate::studio::Studio;
use alidade_domain::{
    AdapterSource, LoraSpec, MethodName, ModelSource, PrefixSpec, Problem, Recipe, ScorerSource, Stage, Tuning,
};
use alidade_model::ScorerKind;
use alidade_store::RunRecord;
use alidade_train::{Method, makes_scorer, method, names_of};

/// The stage or run that made an adapter.
pub(crate) struct Maker {
    /// The beginning of a sentence: "Stage 1", "The adapter “sft”".
    name: String,
    recipe: Recipe,
}

impl Maker {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn method(&self) -> &MethodName {
        &self.recipe.method
    }

    pub(crate) fn stands_on(&self, model: &ModelSource) -> bool {
        self.recipe.model == *model
    }

    /// The problem of another base model.
    pub(crate) fn other_base(&self) -> Problem {
        Problem::input(format!("{} has another base model.", self.name)).hint("Use one model in all stages.")
    }

    fn is_cost_model(&self) -> bool {
        let known = method(&self.recipe.method).and_then(|method| method.configure(&self.recipe.settings));
        known.is_ok_and(|training| training.scorer_kind() == Some(ScorerKind::Cost))
    }
}

impl Studio {
    /// The maker of the adapter that stage `index` names.
    ///
    /// # Errors
    /// When it is neither an earlier stage nor an adapter of the store.
    pub(crate) fn maker(&self, source: &AdapterSource, index: usize, pipeline: &[Stage]) -> Result<Maker, Problem> {
        match source {
            AdapterSource::Stage(number) if *number <= index => match &pipeline[number - 1] {
                Stage::Train(recipe) => Ok(Maker { name: format!("Stage {number}"), recipe: recipe.clone() }),
                other => Err(Problem::input(format!(
                    "Stage {number} makes no adapter; it is of the kind “{}”.",
                    other.kind()
                ))
                .hint("Name a stage that trains.")),
            },
            AdapterSource::Stored(id) => {
                let recipe = recipe_of(&self.run_of_adapter(id)?)?;
                let name = self.store.adapter(id)?.adapter.name;
                Ok(Maker { name: format!("The adapter “{name}”"), recipe })
            }
            AdapterSource::Stage(_) | AdapterSource::Path(_) => {
                Err(Problem::input(format!("“{source}” names nothing that this stage can use."))
                    .hint("Name an earlier stage, as in stage:1, or an adapter, as in adapter:ID."))
            }
        }
    }

    /// The recipe of the run that made an adapter of the store.
    ///
    /// # Errors
    /// When there is no such adapter, or nothing is known of its run.
    pub(crate) fn run_of_adapter(&self, id: &str) -> Result<RunRecord, Problem> {
        let record = self.store.adapter(id)?;
        let run = record.run.ok_or_else(|| {
            Problem::input(format!("Nothing is known of how the adapter “{}” was trained.", record.adapter.name))
                .hint("Choose an adapter that a run here has made.")
        })?;
        Ok(self.store.run(&run)?)
    }

    /// The shape of the adapter that a stage trains: its own, or that of the first adapter in the chain that it continues.
    ///
    /// # Errors
    /// When an adapter of the chain is no longer known.
    pub(crate) fn shape_of(
        &self,
        recipe: &Recipe,
        pipeline: &[Stage],
    ) -> Result<(Option<LoraSpec>, Option<PrefixSpec>), Problem> {
        let (mut recipe, mut pipeline) = (recipe.clone(), pipeline.to_vec());
        // Each step leads to an earlier stage or an older run, so the chain ends; the bound is for damaged ones.
        for _ in 0..=pipeline.len() + self.store.runs()?.len() {
            recipe = match &recipe.adapter {
                None => return Ok((recipe.lora, recipe.prefix)),
                Some(AdapterSource::Stage(number)) => match pipeline.get(number - 1).and_then(Stage::recipe) {
                    Some(earlier) => earlier.clone(),
                    None => break,
                },
                Some(AdapterSource::Stored(id)) => {
                    let run = self.run_of_adapter(id)?;
                    pipeline = self.store.experiment(&run.experiment)?.stages;
                    recipe_of(&run)?
                }
                Some(AdapterSource::Path(_)) => break,
            };
        }
        Err(Problem::input("The chain of adapters that this stage starts from has no first adapter.").at("adapter"))
    }

    /// Faults of the adapter that a stage starts from.
    pub(crate) fn start_problem(&self, index: usize, recipe: &Recipe, pipeline: &[Stage]) -> Option<Problem> {
        let start = recipe.adapter.as_ref()?;
        let problem = match self.maker(start, index, pipeline) {
            Err(problem) => Some(problem),
            Ok(maker) if makes_scorer(&maker.recipe.method) => Some(
                Problem::input(format!("{} is a reward model, which cannot generate answers.", maker.name))
                    .hint("Start from a stage or adapter that is a policy."),
            ),
            Ok(maker) => (maker.recipe.model != recipe.model).then(|| {
                Problem::input(format!("{} has another base model.", maker.name)).hint("Use one model in all stages.")
            }),
        };
        let twice = recipe
            .lora
            .is_some()
            .then(|| Problem::input("A stage that continues an adapter takes its shape from that adapter.").at("lora"));
        problem.map(|problem| problem.at("adapter")).or(twice)
    }

    /// Faults of the scorer of a stage.
    pub(crate) fn reward_problem(
        &self,
        index: usize,
        (recipe, method): (&Recipe, &dyn Method),
        pipeline: &[Stage],
        oracle: bool,
    ) -> Option<Problem> {
        let needed = method.needs().reward;
        let problem = match &recipe.reward {
            None if !needed => return None,
            None => Problem::input("This method learns from scores, but no scorer is chosen.")
                .hint("Put a reward model before it, or choose the oracle with the bundled model."),
            Some(_) if !needed => Problem::input("This method does not learn from scores."),
            Some(named) => self.rater_problem(named, index, recipe, pipeline, (oracle, false))?,
        };
        Some(problem.at("reward"))
    }

    /// Faults of the scorer of harm of a stage.
    pub(crate) fn cost_problem(
        &self,
        index: usize,
        (recipe, method): (&Recipe, &dyn Method),
        pipeline: &[Stage],
        oracle: bool,
    ) -> Option<Problem> {
        let named = recipe.cost.as_ref()?;
        if !method.needs().cost {
            return Some(no_limit(method));
        }
        self.rater_problem(named, index, recipe, pipeline, (oracle, true)).map(|problem| problem.at("cost"))
    }

    /// Faults of a scorer that is `named`; `oracle`: whether the oracle is available; `cost`: whether a cost model is
    /// needed.
    fn rater_problem(
        &self,
        named: &ScorerSource,
        index: usize,
        recipe: &Recipe,
        pipeline: &[Stage],
        (oracle, cost): (bool, bool),
    ) -> Option<Problem> {
        let wanted = if cost { "cost model" } else { "reward model" };
        let source = match named {
            ScorerSource::Oracle => {
                let problem = Problem::input("The oracle only knows the world of the bundled model.");
                return (!oracle).then(|| problem.hint(format!("Put a {wanted} before this stage.")));
            }
            ScorerSource::Judge(name) => return Some(no_judge(name, wanted)),
            ScorerSource::Model(source) => source,
        };
        let maker = match self.maker(source, index, pipeline) {
            Ok(maker) => maker,
            Err(problem) => return Some(problem),
        };
        fault_of_scorer(&maker, &recipe.model, cost)
    }
}

/// Faults of a model as a scorer on the base `model`.
pub(crate) fn fault_of_scorer(maker: &Maker, model: &ModelSource, cost: bool) -> Option<Problem> {
    let (name, wanted) = (&maker.name, if cost { "cost model" } else { "reward model" });
    if !makes_scorer(&maker.recipe.method) {
        let problem = Problem::input(format!("{name} is not a {wanted}."));
        Some(problem.hint(format!("Choose a stage or adapter that is a {wanted}.")))
    } else if maker.is_cost_model() && !cost {
        let message = format!("{name} is a cost model: a policy that learns from it would learn to do harm.");
        Some(Problem::input(message).hint("Train a reward model there."))
    } else if cost && !maker.is_cost_model() {
        let message = format!("{name} is a reward model: used as a cost, it would penalise good answers.");
        Some(Problem::input(message).hint("Set what is scored to “cost” there."))
    } else {
        let other = Problem::input(format!("{name} has another base model than this stage."));
        (maker.recipe.model != *model).then(|| other.hint("Use one model in all stages."))
    }
}

/// The recipe of a run that trained.
pub(crate) fn recipe_of(run: &RunRecord) -> Result<Recipe, Problem> {
    let none = || Problem::internal(format!("The run {} has made an adapter without training it.", run.id));
    run.work.recipe().cloned().ok_or_else(none)
}

/// The problem of a judge as a scorer in training.
pub(crate) fn no_judge(name: &str, wanted: &str) -> Problem {
    Problem::input(format!("The judge “{name}” cannot score answers in training; judges are only for evaluations."))
        .hint(format!("Name a {wanted}, or the oracle with the bundled model."))
}

/// True if every weight is trained.
///
/// # Errors
/// When the method needs an adapter, at `tuning`.
pub(crate) fn is_full(recipe: &Recipe, method: &dyn Method) -> Result<bool, Problem> {
    let full = recipe.tuning == Some(Tuning::Full);
    if full && !trains_every_weight(method) {
        let name = recipe.method.as_str();
        let message = wording!(
            "{name} needs an adapter: it compares with the base model, or trains a model that only scores.",
            "{name} 需要适配器：它要与基座模型比较，或者训练的是只打分的模型。"
        );
        let others = names_of(trains_every_weight);
        let hint = wording!(
            "Train an adapter, or use one of: {others}.",
            "请训练适配器，或改用其中之一：{others}。"
        );
        return Err(Problem::input(message).hint(hint).at("tuning"));
    }
    Ok(full)
}

/// True if a method may train every weight: it keeps no frozen reference, and its result generates answers.
pub(crate) fn trains_every_weight(method: &dyn Method) -> bool {
    !method.needs().reference && !method.makes_scorer()
}

/// The problem of a cost for a method without a limit on harm.
pub(crate) fn no_limit(method: &dyn Method) -> Problem {
    let limiting = names_of(|method| method.needs().cost);
    Problem::input(format!("{} does not support a limit on harm, so it cannot use “cost”.", method.name()))
        .hint(format!("Remove the cost, or use {limiting}."))
        .at("cost")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, import, recipe};
    use alidade_domain::{SettingValue, Tuning};

    fn with(method: &str, dataset: &str, change: impl FnOnce(&mut Recipe)) -> Stage {
        let mut made = recipe(dataset);
        made.method = MethodName::from(method);
        change(&mut made);
        Stage::Train(made)
    }

    /// Fields of the faults of the last stage.
    fn faults(studio: &Studio, stages: &[Stage]) -> Vec<String> {
        let index = stages.len() - 1;
        let found = studio.ask_of(index, stages).err().unwrap_or_default();
        found.into_iter().map(|problem| problem.field.unwrap_or_default()).collect()
    }

    #[test]
    fn what_a_stage_leans_on_is_an_earlier_stage_of_the_right_kind_on_the_same_base() {
        let house = House::new();
        let studio = house.open();
        let set = import(&studio).id;
        let answers = || with("sft", &set, |_| ());
        let from = |source: &str| {
            let source = AdapterSource::from(source);
            with("sft", &set, |recipe| recipe.adapter = Some(source))
        };
        assert_eq!(faults(&studio, &[answers()]), Vec::<String>::new());
        assert_eq!(faults(&studio, &[answers(), from("stage:1")]), Vec::<String>::new());
        for wrong in ["stage:2", "stage:7", "adapter:nobody", "somewhere"] {
            assert_eq!(faults(&studio, &[answers(), from(wrong)]), ["adapter"], "{wrong}");
        }
        // A reward model writes no answers, and its pairs are not there either.
        let scorer = with("reward_model", &set, |_| ());
        assert!(faults(&studio, &[scorer.clone(), from("stage:1")]).contains(&"adapter".to_owned()));
        let shaped = with("sft", &set, |recipe| {
            recipe.adapter = Some(AdapterSource::Stage(1));
            recipe.lora = Some(LoraSpec::default());
        });
        assert_eq!(faults(&studio, &[answers(), shaped]), ["lora"]);
        let full = |method: &str| with(method, &set, |recipe| recipe.tuning = Some(Tuning::Full));
        let on_it = with("sft", &set, |recipe| recipe.model = ModelSource::Stage(1));
        assert_eq!(faults(&studio, &[full("sft"), on_it.clone()]), Vec::<String>::new());
        assert_eq!(faults(&studio, &[answers(), on_it]), ["model"]);
        // DPO compares with the model as it was, of which full training keeps none.
        assert!(faults(&studio, &[full("dpo")]).contains(&"tuning".to_owned()));
    }

    #[test]
    fn scores_come_from_where_the_method_wants_them_and_from_nowhere_else() {
        let house = House::new();
        let studio = house.open();
        let set = import(&studio).id;
        let rewarded = |method: &str, source: Option<&str>| {
            with(method, &set, |recipe| recipe.reward = source.map(ScorerSource::from))
        };
        let scorer = || with("reward_model", &set, |_| ());
        let costs = with("reward_model", &set, |recipe| {
            recipe.settings.0.insert("loss_type".to_owned(), SettingValue::Text("cost".to_owned()));
        });
        let reward = |stages: &[Stage]| faults(&studio, stages).contains(&"reward".to_owned());
        assert!(reward(&[rewarded("ppo", None)]));
        assert!(reward(&[rewarded("sft", Some("oracle"))]));
        assert!(reward(&[rewarded("ppo", Some("judge:refusal"))]));
        assert!(reward(&[with("sft", &set, |_| ()), rewarded("ppo", Some("stage:1"))]));
        assert!(!reward(&[scorer(), rewarded("ppo", Some("stage:1"))]));
        assert!(reward(&[costs, rewarded("ppo", Some("stage:1"))]));
    }
}
