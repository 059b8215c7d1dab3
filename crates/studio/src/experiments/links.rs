//! Checks what a training stage takes from others: the adapter that it continues, the reward model that scores its answers,
//! the cost model that limits harm. Each may come from an earlier stage or from another experiment. Only faults are reported
//! here; the files are found when a run is planned.

use crate::studio::Studio;
use alidade_domain::{
    AdapterSource, LoraSpec, MethodName, ModelSource, PrefixSpec, Problem, Recipe, ScorerSource, Stage, Tuning,
    Wording, Words, wording,
};
use alidade_model::ScorerKind;
use alidade_store::RunRecord;
use alidade_train::{Method, makes_scorer, method, names_of};

/// The stage or run that made an adapter.
pub(crate) struct Maker {
    /// The beginning of a sentence: "Stage 1", "The adapter “sft”".
    name: Wording,
    recipe: Recipe,
}

impl Maker {
    pub(crate) fn name(&self) -> &Wording {
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
        Problem::input(wording!("{name} has another base model.", "{name}的基座模型不同。"; name = self.name))
            .hint(wording!("Use one model in all stages.", "所有阶段请使用同一个模型。"))
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
                Stage::Train(recipe) => {
                    Ok(Maker { name: wording!("Stage {number}", "阶段 {number}"), recipe: recipe.clone() })
                }
                other => Err(Problem::input(wording!(
                    "Stage {number} makes no adapter; it is of the kind “{kind}”.",
                    "阶段 {number} 不产生适配器，它的类型是“{kind}”。",
                    kind = other.kind()
                ))
                .hint(wording!("Name a stage that trains.", "请指定一个训练阶段。"))),
            },
            AdapterSource::Stored(id) => {
                let recipe = recipe_of(&self.run_of_adapter(id)?)?;
                let name = self.store.adapter(id)?.adapter.name;
                Ok(Maker { name: wording!("The adapter “{name}”", "适配器“{name}”"), recipe })
            }
            AdapterSource::Stage(_) | AdapterSource::Path(_) => Err(Problem::input(wording!(
                "“{source}” names nothing that this stage can use.",
                "“{source}”不是这个阶段可用的对象。"
            ))
            .hint(wording!(
                "Name an earlier stage, as in stage:1, or an adapter, as in adapter:ID.",
                "请指定前面的阶段，如 stage:1，或适配器，如 adapter:ID。"
            ))),
        }
    }

    /// The recipe of the run that made an adapter of the store.
    ///
    /// # Errors
    /// When there is no such adapter, or nothing is known of its run.
    pub(crate) fn run_of_adapter(&self, id: &str) -> Result<RunRecord, Problem> {
        let record = self.store.adapter(id)?;
        let run = record.run.ok_or_else(|| {
            Problem::input(wording!(
                "Nothing is known of how the adapter “{name}” was trained.",
                "不清楚适配器“{name}”是怎样训练的。",
                name = record.adapter.name
            ))
            .hint(wording!("Choose an adapter that a run here has made.", "请选择由这里的运行产生的适配器。"))
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
        Err(Problem::input(wording!(
            "The chain of adapters that this stage starts from has no first adapter.",
            "这个阶段所接续的一串适配器没有起点。"
        ))
        .at("adapter"))
    }

    /// Faults of the adapter that a stage starts from.
    pub(crate) fn start_problem(&self, index: usize, recipe: &Recipe, pipeline: &[Stage]) -> Option<Problem> {
        let start = recipe.adapter.as_ref()?;
        let problem = match self.maker(start, index, pipeline) {
            Err(problem) => Some(problem),
            Ok(maker) if makes_scorer(&maker.recipe.method) => Some(
                Problem::input(wording!(
                    "{name} is a reward model, which cannot generate answers.",
                    "{name}是奖励模型，不能生成回答。";
                    name = maker.name
                ))
                .hint(wording!("Start from a stage or adapter that is a policy.", "请从策略模型的阶段或适配器开始。")),
            ),
            Ok(maker) => (maker.recipe.model != recipe.model).then(|| {
                Problem::input(wording!("{name} has another base model.", "{name}的基座模型不同。"; name = maker.name))
                    .hint(wording!("Use one model in all stages.", "所有阶段请使用同一个模型。"))
            }),
        };
        let twice = recipe.lora.is_some().then(|| {
            Problem::input(wording!(
                "A stage that continues an adapter takes its shape from that adapter.",
                "接续适配器的阶段沿用该适配器的结构。"
            ))
            .at("lora")
        });
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
            None => Problem::input(wording!(
                "This method learns from scores, but no scorer is chosen.",
                "这种方法从得分中学习，但没有选择由谁打分。"
            ))
            .hint(wording!(
                "Put a reward model before it, or choose the oracle with the bundled model.",
                "请在它之前加上奖励模型，或对内置模型选择 oracle。"
            )),
            Some(_) if !needed => {
                Problem::input(wording!("This method does not learn from scores.", "这种方法不从得分中学习。"))
            }
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
        let wanted =
            if cost { Words::new("cost model", "代价模型") } else { Words::new("reward model", "奖励模型") };
        let source = match named {
            ScorerSource::Oracle => {
                let problem = Problem::input(wording!(
                    "The oracle only knows the world of the bundled model.",
                    "oracle 只了解内置模型的世界。"
                ));
                return (!oracle).then(|| {
                    problem.hint(wording!(
                        "Put a {wanted} before this stage.",
                        "请在这个阶段之前加上{wanted}。";
                        wanted
                    ))
                });
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
    let (name, wanted) =
        (&maker.name, if cost { Words::new("cost model", "代价模型") } else { Words::new("reward model", "奖励模型") });
    if !makes_scorer(&maker.recipe.method) {
        let problem = Problem::input(wording!("{name} is not a {wanted}.", "{name}不是{wanted}。"; name, wanted));
        Some(problem.hint(wording!(
            "Choose a stage or adapter that is a {wanted}.",
            "请选择属于{wanted}的阶段或适配器。";
            wanted
        )))
    } else if maker.is_cost_model() && !cost {
        let message = wording!(
            "{name} is a cost model: a policy that learns from it would learn to do harm.",
            "{name}是代价模型：从中学习的策略会学会做有害的事。";
            name
        );
        Some(Problem::input(message).hint(wording!("Train a reward model there.", "请在那里训练奖励模型。")))
    } else if cost && !maker.is_cost_model() {
        let message = wording!(
            "{name} is a reward model: used as a cost, it would penalise good answers.",
            "{name}是奖励模型：用作代价会惩罚好的回答。";
            name
        );
        Some(
            Problem::input(message)
                .hint(wording!("Set what is scored to “cost” there.", "请在那里把打分对象设为“cost”。")),
        )
    } else {
        let other = Problem::input(
            wording!("{name} has another base model than this stage.", "{name}的基座模型与这个阶段不同。"; name),
        );
        (maker.recipe.model != *model)
            .then(|| other.hint(wording!("Use one model in all stages.", "所有阶段请使用同一个模型。")))
    }
}

/// The recipe of a run that trained.
pub(crate) fn recipe_of(run: &RunRecord) -> Result<Recipe, Problem> {
    let none = || {
        Problem::internal(wording!(
            "The run {id} has made an adapter without training it.",
            "运行 {id} 没有训练却产生了适配器。",
            id = run.id
        ))
    };
    run.work.recipe().cloned().ok_or_else(none)
}

/// The problem of a judge as a scorer in training.
pub(crate) fn no_judge(name: &str, wanted: Words) -> Problem {
    Problem::input(wording!(
        "The judge “{name}” cannot score answers in training; judges are only for evaluations.",
        "裁判“{name}”在训练中不能给回答打分；裁判只用于评测。"
    ))
    .hint(wording!(
        "Name a {wanted}, or the oracle with the bundled model.",
        "请指定{wanted}，或对内置模型使用 oracle。";
        wanted
    ))
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
        let hint = wording!("Train an adapter, or use one of: {others}.", "请训练适配器，或改用其中之一：{others}。");
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
    Problem::input(wording!(
        "{method} does not support a limit on harm, so it cannot use “cost”.",
        "{method} 不支持限制危害，因此不能使用“cost”。",
        method = method.name()
    ))
    .hint(wording!("Remove the cost, or use {limiting}.", "去掉 cost，或使用 {limiting}。"))
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
