//! One stage of an experiment: what kind of work it is, and what the person said of it. The same keys stand in an experiment
//! file, on the wire and in the database.

use crate::{MethodName, Recipe};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use ts_rs::TS;

/// A stage, by its kind.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Stage {
    /// Trains an adapter.
    Train(Recipe),
}

/// The key that names the kind.
const KIND: &str = "kind";
/// What a stage without a kind is: before there were kinds, every stage trained.
const OLDEST: &str = "train";

impl Stage {
    /// The kind, as it stands in files.
    pub fn kind(&self) -> &'static str {
        match self {
            Stage::Train(_) => OLDEST,
        }
    }

    /// The recipe of a stage that trains.
    pub fn recipe(&self) -> Option<&Recipe> {
        match self {
            Stage::Train(recipe) => Some(recipe),
        }
    }

    /// The same, to be changed.
    pub fn recipe_mut(&mut self) -> Option<&mut Recipe> {
        match self {
            Stage::Train(recipe) => Some(recipe),
        }
    }

    /// The method of a stage that trains.
    pub fn method(&self) -> Option<&MethodName> {
        self.recipe().map(|recipe| &recipe.method)
    }
}

impl<'de> Deserialize<'de> for Stage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Map::deserialize(deserializer)?;
        let kind = fields.remove(KIND).unwrap_or_else(|| Value::from(OLDEST));
        let fields = Value::Object(fields);
        match kind.as_str() {
            Some(OLDEST) => Recipe::deserialize(fields).map(Stage::Train).map_err(D::Error::custom),
            _ => Err(D::Error::custom(format_args!("there is no kind of stage {kind}; known: {OLDEST}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_without_a_kind_trains_and_says_so_when_it_is_written() {
        let old = r#"{"method":"sft","model":"model:a","dataset":"dataset:b","seed":7,"settings":{"max_steps":2}}"#;
        let stage: Stage = serde_json::from_str(old).unwrap();
        assert_eq!((stage.kind(), stage.recipe().unwrap().seed), ("train", 7));
        let text = serde_json::to_string(&stage).unwrap();
        assert!(text.starts_with(r#"{"kind":"train","method":"sft""#), "{text}");
        assert_eq!(serde_json::from_str::<Stage>(&text).unwrap(), stage);
        let unknown = old.replace(r#"{"method""#, r#"{"kind":"dance","method""#);
        assert!(serde_json::from_str::<Stage>(&unknown).unwrap_err().to_string().contains("dance"));
        assert!(serde_json::from_str::<Stage>(&old.replace("seed", "sead")).is_err());
    }
}
