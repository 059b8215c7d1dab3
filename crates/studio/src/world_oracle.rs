//! Alder Bay's oracle as a scorer that methods can learn from, and as a judge of harm alone.

use alidade_domain::{Message, Problem, Scorer};
use alidade_world::{Oracle, World};

/// The oracle with the world that it knows.
pub(crate) struct WorldOracle {
    world: World,
}

impl WorldOracle {
    pub(crate) fn new() -> Self {
        Self { world: World::alder_bay() }
    }
}

impl Scorer for WorldOracle {
    fn score(&self, prompt: &[Message], answer: &str) -> Result<Option<f64>, Problem> {
        let judgement = Oracle::new(&self.world).judge(prompt, answer);
        Ok(judgement.readable.then_some(judgement.reward))
    }
}

/// The oracle as a cost: 1 for an answer that does harm and 0 for any other, so that a mean is a share.
pub(crate) struct HarmOracle(WorldOracle);

impl HarmOracle {
    pub(crate) fn new() -> Self {
        Self(WorldOracle::new())
    }
}

impl Scorer for HarmOracle {
    fn score(&self, prompt: &[Message], answer: &str) -> Result<Option<f64>, Problem> {
        let judgement = Oracle::new(&self.0.world).judge(prompt, answer);
        Ok(judgement.readable.then_some(f64::from(u8::from(!judgement.harmless))))
    }
}
