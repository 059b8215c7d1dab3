//! One stage of an experiment: its kind and its recipe. Experiment files, the wire and the database use the same keys.

use crate::stage_recipes::StageTable;
use crate::{
    BuildRecipe, DatasetSource, EvaluateRecipe, ExportRecipe, FetchRecipe, MethodName, ModelSource, Problem, Recipe,
    wording,
};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use ts_rs::TS;

/// A stage, by its kind.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "an experiment has a handful of stages")]
pub enum Stage {
    /// Trains an adapter.
    Train(Recipe),
    /// Builds a data set.
    Build(BuildRecipe),
    /// Evaluates stacks with a suite.
    Evaluate(EvaluateRecipe),
    /// Copies a model into the data folder.
    Fetch(FetchRecipe),
    /// Exports an adapter.
    Export(ExportRecipe),
}

/// The key that names the kind.
const KIND: &str = "kind";
/// The kind of a stage without one: in earlier versions every stage trained.
const OLDEST: &str = "train";

/// Maps an input of a stage, with its field, to its replacement.
pub type SourceMap<'a> = &'a mut dyn FnMut(&str, &str) -> Result<String, Problem>;

impl Stage {
    /// The kinds, as in files.
    pub const KINDS: &'static [&'static str] = &[OLDEST, "build", "evaluate", "fetch", "export"];

    /// The kind, as in files.
    pub fn kind(&self) -> &'static str {
        match self {
            Stage::Train(_) => OLDEST,
            Stage::Build(_) => "build",
            Stage::Evaluate(_) => "evaluate",
            Stage::Fetch(_) => "fetch",
            Stage::Export(_) => "export",
        }
    }

    /// The recipe of a stage that trains.
    pub fn recipe(&self) -> Option<&Recipe> {
        match self {
            Stage::Train(recipe) => Some(recipe),
            Stage::Build(_) | Stage::Evaluate(_) | Stage::Fetch(_) | Stage::Export(_) => None,
        }
    }

    /// The same, mutable.
    pub fn recipe_mut(&mut self) -> Option<&mut Recipe> {
        match self {
            Stage::Train(recipe) => Some(recipe),
            Stage::Build(_) | Stage::Evaluate(_) | Stage::Fetch(_) | Stage::Export(_) => None,
        }
    }

    /// The method of a stage that trains.
    pub fn method(&self) -> Option<&MethodName> {
        self.recipe().map(|recipe| &recipe.method)
    }

    /// Its base model.
    pub fn model(&self) -> Option<&ModelSource> {
        match self {
            Stage::Train(recipe) => Some(&recipe.model),
            Stage::Build(recipe) => Some(&recipe.model),
            Stage::Evaluate(recipe) => Some(&recipe.model),
            Stage::Export(recipe) => Some(&recipe.model),
            Stage::Fetch(_) => None,
        }
    }

    /// Its data set.
    pub fn dataset(&self) -> Option<&DatasetSource> {
        match self {
            Stage::Train(recipe) => Some(&recipe.dataset),
            Stage::Build(recipe) => Some(&recipe.dataset),
            Stage::Evaluate(recipe) => recipe.dataset.as_ref(),
            Stage::Fetch(_) | Stage::Export(_) => None,
        }
    }

    /// The stage as TOML, without its kind.
    ///
    /// # Errors
    /// When a value has no TOML form.
    pub fn to_toml(&self) -> Result<String, Problem> {
        let failed = |error: toml::ser::Error| {
            Problem::internal(wording!("The stage cannot be written: {error}", "无法写出阶段：{error}"))
        };
        match self {
            Stage::Train(recipe) => recipe.to_toml(),
            Stage::Build(recipe) => toml::to_string(recipe).map_err(failed),
            Stage::Evaluate(recipe) => toml::to_string(recipe).map_err(failed),
            Stage::Fetch(recipe) => toml::to_string(recipe).map_err(failed),
            Stage::Export(recipe) => toml::to_string(recipe).map_err(failed),
        }
    }

    /// Replaces every input of the stage.
    ///
    /// # Errors
    /// The first error of `map`.
    pub fn map_sources(&mut self, map: SourceMap) -> Result<(), Problem> {
        match self {
            Stage::Train(recipe) => {
                put(map, "model", &mut recipe.model)?;
                put(map, "dataset", &mut recipe.dataset)?;
                put_all(map, "adapter", recipe.adapter.as_mut())?;
                put_all(map, "reward", recipe.reward.as_mut())?;
                put_all(map, "cost", recipe.cost.as_mut())
            }
            Stage::Build(recipe) => {
                put(map, "model", &mut recipe.model)?;
                put(map, "dataset", &mut recipe.dataset)?;
                put_all(map, "adapter", recipe.adapter.as_mut())?;
                put_all(map, "scorer", recipe.scorer.as_mut())
            }
            Stage::Evaluate(recipe) => {
                put(map, "model", &mut recipe.model)?;
                put_all(map, "dataset", recipe.dataset.as_mut())?;
                put_all(map, "stacks", &mut recipe.stacks)
            }
            Stage::Export(recipe) => {
                put(map, "model", &mut recipe.model)?;
                put(map, "adapter", &mut recipe.adapter)
            }
            Stage::Fetch(recipe) => put(map, "source", &mut recipe.source),
        }
    }

    /// Reads a stage that is a table of an experiment file, without its kind.
    ///
    /// # Errors
    /// When a key is missing, unknown or has an invalid value; names the key.
    pub(crate) fn from_table(kind: &str, table: toml::Table) -> Result<Stage, Problem> {
        match kind {
            "build" => BuildRecipe::read(table).map(Stage::Build),
            "evaluate" => EvaluateRecipe::read(table).map(Stage::Evaluate),
            "fetch" => FetchRecipe::read(table).map(Stage::Fetch),
            "export" => ExportRecipe::read(table).map(Stage::Export),
            _ => Recipe::from_table(table).map(Stage::Train),
        }
    }

    /// The allowed keys of a kind other than training.
    pub(crate) fn takes(kind: &str, key: &str) -> bool {
        match kind {
            "build" => BuildRecipe::KEYS.contains(&key),
            "evaluate" => EvaluateRecipe::KEYS.contains(&key),
            "fetch" => FetchRecipe::KEYS.contains(&key),
            "export" => ExportRecipe::KEYS.contains(&key),
            _ => true,
        }
    }
}

fn put<S: ToString + From<String>>(map: SourceMap, field: &str, source: &mut S) -> Result<(), Problem> {
    *source = map(field, &source.to_string())?.into();
    Ok(())
}

fn put_all<'s, S: ToString + From<String> + 's>(
    map: SourceMap,
    field: &str,
    sources: impl IntoIterator<Item = &'s mut S>,
) -> Result<(), Problem> {
    sources.into_iter().try_for_each(|source| put(map, field, source))
}

impl<'de> Deserialize<'de> for Stage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Map::deserialize(deserializer)?;
        let kind = fields.remove(KIND).unwrap_or_else(|| Value::from(OLDEST));
        let fields = Value::Object(fields);
        let stage = match kind.as_str() {
            Some(OLDEST) => Recipe::deserialize(fields).map(Stage::Train),
            Some("build") => BuildRecipe::deserialize(fields).map(Stage::Build),
            Some("evaluate") => EvaluateRecipe::deserialize(fields).map(Stage::Evaluate),
            Some("fetch") => FetchRecipe::deserialize(fields).map(Stage::Fetch),
            Some("export") => ExportRecipe::deserialize(fields).map(Stage::Export),
            _ => {
                let known = Stage::KINDS.join(", ");
                return Err(D::Error::custom(format_args!("there is no kind of stage {kind}; known: {known}")));
            }
        };
        stage.map_err(D::Error::custom)
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

    #[test]
    fn every_kind_comes_back_as_it_was_and_names_what_it_is_given() {
        let tables = [
            ("train", "method = \"sft\"\nmodel = \"model:m\"\ndataset = \"dataset:d\"", "model dataset"),
            ("build", "builder = \"b\"\nmodel = \"m\"\ndataset = \"d\"\nscorer = \"oracle\"", "model dataset scorer"),
            ("evaluate", "model = \"m\"\nstacks = [\"stage:1\", \"adapter:a\"]", "model stacks stacks"),
            ("fetch", "source = \"/somewhere\"", "source"),
            ("export", "model = \"m\"\nadapter = \"stage:1\"\nform = \"merged\"", "model adapter"),
        ];
        assert_eq!(tables.map(|(kind, ..)| kind), Stage::KINDS);
        for (kind, text, fields) in tables {
            let mut stage = Stage::from_table(kind, text.parse().unwrap()).unwrap();
            assert_eq!(stage.kind(), kind);
            let json = serde_json::to_string(&stage).unwrap();
            assert_eq!(serde_json::from_str::<Stage>(&json).unwrap(), stage, "{json}");
            let before = stage.clone();
            let mut named = Vec::new();
            let mut keep = |field: &str, text: &str| {
                named.push(field.to_owned());
                Ok(text.to_owned())
            };
            stage.map_sources(&mut keep).unwrap();
            assert_eq!((named.join(" ").as_str(), stage), (fields, before));
        }
    }

    #[test]
    fn a_value_that_a_key_cannot_have_is_told_at_the_key() {
        for (kind, text, field) in [
            ("export", "model = \"m\"\nadapter = \"a\"\nform = \"gguf\"", "form"),
            ("build", "builder = \"b\"\nmodel = \"m\"\ndataset = \"d\"\nlimit = -1", "limit"),
            ("evaluate", "model = \"m\"\njudges = \"refusal\"", "judges"),
            ("evaluate", "model = \"m\"\njudge = []", "judge"),
            ("export", "model = \"m\"", "adapter"),
        ] {
            let problem = Stage::from_table(kind, text.parse().unwrap()).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(field), "{problem:?}");
        }
    }
}
