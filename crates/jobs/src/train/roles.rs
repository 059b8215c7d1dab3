//! Who stands beside the policy while it trains: its critic, who rates its answers, and who says what harm they do.

use crate::asking::world_oracle::{HarmOracle, WorldOracle};
use crate::train::provenance;
use alidade_domain::{Plan, Problem, RewardSource};
use alidade_model::{AdapterWeights, Critic, ModelFolder, Policy, ScorerKind, adapter_sha256, load_adapter};
use alidade_train::{AnswerScorer, Needs};
use std::path::Path;

/// The starter world's two ways of rating, kept for as long as a run.
pub struct Oracles {
    world: WorldOracle,
    harm: HarmOracle,
}

impl Oracles {
    pub fn new() -> Self {
        Self { world: WorldOracle, harm: HarmOracle }
    }
}

/// Who rates the answers, and who says what they cost, where there is a limit.
type Raters<'o> = (AnswerScorer<'o>, Option<AnswerScorer<'o>>);

/// Puts a critic and the raters beside the policy, where the method needs them.
///
/// # Errors
/// When the plan names no rater for a method that needs one, or an adapter that cannot rate for this model.
pub fn install<'o>(
    plan: &Plan,
    model: &ModelFolder,
    (needs, critic): (Needs, Option<Critic>),
    policy: &mut Policy,
    oracles: &'o Oracles,
) -> Result<Option<Raters<'o>>, Problem> {
    if let Some(critic) = critic {
        let own = match critic {
            Critic::Adapter => {
                let base = |path: &str| policy.decoder().base_weight(path);
                let lora = plan.lora.clone().unwrap_or_default();
                Some(AdapterWeights::fresh(&model.spec, &lora, &plan.model.name, plan.seed ^ 1, &base)?)
            }
            Critic::SharedHead { .. } => None,
        };
        policy.install_critic(critic, own.as_ref())?;
    }
    if !needs.reward {
        return Ok(None);
    }
    let judge = match &plan.reward {
        None => {
            let message = "This method learns from scores, but the plan names no scorer.";
            let hint = "Name a reward: a reward model's adapter, or the oracle for the bundled model.";
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
    Ok(Some((judge, cost)))
}

fn install_model(
    rater: ScorerKind,
    folder: &Path,
    plan: &Plan,
    model: &ModelFolder,
    policy: &mut Policy,
) -> Result<AnswerScorer<'static>, Problem> {
    let field = field(rater);
    provenance::check(folder, plan).map_err(|problem| problem.at(field))?;
    match (rater, provenance::scores(folder)) {
        (ScorerKind::Reward, Some(ScorerKind::Cost)) => {
            let message =
                "This is a cost model: it scores harm, so a policy that learns from it would learn to do harm.";
            return Err(Problem::input(message).hint("Use a reward model.").at(field));
        }
        (ScorerKind::Cost, Some(ScorerKind::Reward)) => {
            let message = "This is a reward model: used as a cost, it would penalise good answers.";
            let hint = "Use a cost model: one that was trained to score harm.";
            return Err(Problem::input(message).hint(hint).at(field));
        }
        _ => {}
    }
    let weights = load_adapter(folder, &model.spec).map_err(|error| Problem::from(error).at(field))?;
    policy.install_scorer(rater, &weights).map_err(|error| Problem::from(error).at(field))?;
    Ok(AnswerScorer::Model(rater))
}

fn field(rater: ScorerKind) -> &'static str {
    match rater {
        ScorerKind::Reward => "reward",
        ScorerKind::Cost => "cost",
    }
}

/// What identifies a rater in the fingerprint of a run.
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
