//! What a policy needs beside it while it trains: a critic, a scorer of its answers, and a scorer of their harm.

use crate::asking::world_oracle::{HarmOracle, WorldOracle};
use crate::train::provenance;
use alidade_domain::{Plan, Problem, RewardSource, Words};
use alidade_model::{AdapterWeights, Critic, ModelFolder, Policy, ScorerKind, adapter_sha256, load_adapter};
use alidade_train::{AnswerScorer, Needs};
use std::path::Path;

/// The two scorers of the starter world, which live as long as a run.
pub struct Oracles {
    world: WorldOracle,
    harm: HarmOracle,
}

impl Oracles {
    pub fn new() -> Self {
        Self { world: WorldOracle, harm: HarmOracle }
    }
}

/// The reward, and the cost where there is a limit on harm.
type Scorers<'o> = (AnswerScorer<'o>, Option<AnswerScorer<'o>>);

/// Installs a critic and scorers on the policy, where the method needs them.
///
/// # Errors
/// When the plan names no scorer for a method that needs one, or an adapter that cannot score for this model.
pub fn install<'o>(
    plan: &Plan,
    model: &ModelFolder,
    (needs, critic): (Needs, Option<Critic>),
    policy: &mut Policy,
    oracles: &'o Oracles,
) -> Result<Option<Scorers<'o>>, Problem> {
    if let Some(critic) = critic {
        let own = match critic {
            Critic::Adapter => {
                let base = |path: &str| policy.decoder().base_weight(path);
                let lora = plan.trains.lora().cloned().unwrap_or_default();
                Some(AdapterWeights::fresh(&model.spec, &lora, &plan.model.name, plan.seed ^ 1, &base)?)
            }
            Critic::SharedHead { .. } => None,
        };
        policy.install_critic(critic, own.as_ref())?;
    }
    if !needs.reward {
        return Ok(None);
    }
    let reward = match &plan.reward {
        None => {
            let message = Words::new(
                "This method learns from scores, but the plan names no scorer.",
                "这种方法从得分中学习，但计划中没有指定由谁打分。",
            );
            let hint = Words::new(
                "Name a reward: a reward model's adapter, or the oracle for the bundled model.",
                "请指定奖励：奖励模型的适配器，或内置模型的 oracle。",
            );
            return Err(Problem::input(message).hint(hint).at("reward"));
        }
        Some(RewardSource::Oracle) => AnswerScorer::Scorer(&oracles.world),
        Some(RewardSource::Adapter { folder }) => install_model(ScorerKind::Reward, folder, plan, model, policy)?,
    };
    let cost = match plan.cost.as_ref().filter(|_| needs.cost) {
        None => None,
        Some(RewardSource::Oracle) => Some(AnswerScorer::Scorer(&oracles.harm as &dyn alidade_domain::Scorer)),
        Some(RewardSource::Adapter { folder }) => Some(install_model(ScorerKind::Cost, folder, plan, model, policy)?),
    };
    Ok(Some((reward, cost)))
}

fn install_model(
    kind: ScorerKind,
    folder: &Path,
    plan: &Plan,
    model: &ModelFolder,
    policy: &mut Policy,
) -> Result<AnswerScorer<'static>, Problem> {
    let field = field(kind);
    provenance::check(folder, plan).map_err(|problem| problem.at(field))?;
    match (kind, provenance::scores(folder)) {
        (ScorerKind::Reward, Some(ScorerKind::Cost)) => {
            let message = Words::new(
                "This is a cost model: it scores harm, so a policy that learns from it would learn to do harm.",
                "这是代价模型：它给危害打分，因此从中学习的策略会学会做有害的事。",
            );
            return Err(Problem::input(message).hint(Words::new("Use a reward model.", "请使用奖励模型。")).at(field));
        }
        (ScorerKind::Cost, Some(ScorerKind::Reward)) => {
            let message = Words::new(
                "This is a reward model: used as a cost, it would penalise good answers.",
                "这是奖励模型：用作代价会惩罚好的回答。",
            );
            let hint = Words::new(
                "Use a cost model: one that was trained to score harm.",
                "请使用代价模型，即训练来给危害打分的模型。",
            );
            return Err(Problem::input(message).hint(hint).at(field));
        }
        _ => {}
    }
    let weights = load_adapter(folder, &model.spec).map_err(|error| Problem::from(error).at(field))?;
    policy.install_scorer(kind, &weights).map_err(|error| Problem::from(error).at(field))?;
    Ok(AnswerScorer::Model(kind))
}

fn field(kind: ScorerKind) -> &'static str {
    match kind {
        ScorerKind::Reward => "reward",
        ScorerKind::Cost => "cost",
    }
}

/// What identifies a scorer in the fingerprint of a run.
///
/// # Errors
/// When its adapter cannot be read; at `field`.
pub fn sha256(source: Option<&RewardSource>, field: &str) -> Result<Option<String>, Problem> {
    match source {
        Some(RewardSource::Adapter { folder }) => {
            adapter_sha256(folder).map(Some).map_err(|error| Problem::from(error).at(field))
        }
        Some(RewardSource::Oracle) => Ok(Some("oracle".to_owned())),
        None => Ok(None),
    }
}
