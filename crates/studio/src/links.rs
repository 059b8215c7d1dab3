//! How the stages of a pipeline lean on each other: the adapter that one goes on with, the reward model that rates its
//! answers, the cost model that limits them. Only faults are told here; the files are found when a run is planned.

use alidade_domain::{MethodName, Problem, Recipe, SettingValue};
use alidade_train::method;

/// Faults in what a stage starts from.
pub(crate) fn start_problem(index: usize, recipe: &Recipe, pipeline: &[Recipe]) -> Option<Problem> {
    let start = recipe.adapter.as_deref()?;
    let number = start.strip_prefix("stage:").and_then(|number| number.parse::<usize>().ok());
    let problem = match number {
        Some(number) if number >= 1 && number <= index && pipeline[number - 1].method.makes_scorer() => Some(
            Problem::input(format!("Stage {number} makes a reward model, which cannot write answers."))
                .hint("Start from a stage that makes a policy."),
        ),
        Some(number) if number >= 1 && number <= index => {
            let same = pipeline[number - 1].model == recipe.model;
            (!same).then(|| {
                Problem::input("This stage starts from an adapter of another model.")
                    .hint("Use one model in all stages.")
            })
        }
        _ => Some(
            Problem::input(format!("This stage cannot start from “{start}”."))
                .hint("Start from an earlier stage, as in stage:1."),
        ),
    };
    let twice = recipe
        .lora
        .is_some()
        .then(|| Problem::input("A stage that goes on with an adapter takes its shape from it.").at("lora"));
    problem.map(|problem| problem.at("adapter")).or(twice)
}

/// Faults in where a stage gets its scores from.
pub(crate) fn reward_problem(index: usize, recipe: &Recipe, pipeline: &[Recipe], oracle: bool) -> Option<Problem> {
    let needed = method(recipe.method).needs().reward;
    let problem = match recipe.reward.as_deref() {
        None if !needed => return None,
        None => Problem::input("This method learns from scores, and nothing is chosen that gives them.")
            .hint("Put a reward model before it, or choose the oracle with the bundled model."),
        Some(_) if !needed => Problem::input("This method does not learn from scores."),
        Some(named) => rater_problem(named, index, recipe, pipeline, (oracle, false))?,
    };
    Some(problem.at("reward"))
}

/// Faults in what says how harmful the answers of a stage are.
pub(crate) fn cost_problem(index: usize, recipe: &Recipe, pipeline: &[Recipe], oracle: bool) -> Option<Problem> {
    let named = recipe.cost.as_deref()?;
    if !method(recipe.method).needs().cost {
        return Some(no_limit(recipe.method));
    }
    rater_problem(named, index, recipe, pipeline, (oracle, true)).map(|problem| problem.at("cost"))
}

/// What is said when a method that knows no limit on harm is given one.
pub(crate) fn no_limit(name: MethodName) -> Problem {
    Problem::input(format!("{} keeps no limit on harm; “cost” means nothing to it.", name.as_str()))
        .hint("Remove the cost, or use ppo.")
        .at("cost")
}

/// Faults in a rater that is `named`; `oracle` says whether there is one, `cost` whether a cost model is wanted.
fn rater_problem(
    named: &str,
    index: usize,
    recipe: &Recipe,
    pipeline: &[Recipe],
    (oracle, cost): (bool, bool),
) -> Option<Problem> {
    let wanted = if cost { "cost model" } else { "reward model" };
    if named == "oracle" {
        let problem = Problem::input("The oracle knows the bundled model's world only.");
        return (!oracle).then(|| problem.hint(format!("Put a {wanted} before this stage.")));
    }
    let number = named.strip_prefix("stage:").and_then(|number| number.parse::<usize>().ok());
    let Some(stage) = number.filter(|number| (1..=index).contains(number)).map(|number| &pipeline[number - 1]) else {
        let problem = Problem::input(format!("This stage cannot be rated by “{named}”."));
        return Some(problem.hint(format!("Name an earlier stage that trains a {wanted}, as in stage:1.")));
    };
    let is_cost = stage.settings.0.get("loss_type") == Some(&SettingValue::Text("cost".to_owned()));
    if !stage.method.makes_scorer() {
        let problem = Problem::input(format!("Stage {} makes no {wanted}.", number.unwrap_or_default()));
        Some(problem.hint(format!("Choose a stage that trains a {wanted}.")))
    } else if is_cost && !cost {
        let message = "That stage trains a cost model: a policy that learns from it would learn to do harm.";
        Some(Problem::input(message).hint("Train a reward model there."))
    } else if cost && !is_cost {
        let message = "That stage trains a reward model: taken for a cost, it would forbid good answers.";
        Some(Problem::input(message).hint("Set what is scored to “cost” there."))
    } else {
        let other = Problem::input(format!("This stage's {wanted} stands on another base."));
        (stage.model != recipe.model).then(|| other.hint("Use one model in all stages."))
    }
}
