//! Alder Bay's oracle as a scorer that methods can learn from.

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
