//! A recipe: what a person asks of a training stage, with the same keys in TOML, in the wizard and on the command line.
//! Nothing is resolved yet.

use crate::{
    AdapterSource, DatasetSource, MethodName, ModelSource, Patterns, Problem, ScorerSource, SettingValue, Settings,
    wording,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use ts_rs::TS;

/// One training stage as a person describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The method.
    pub method: MethodName,
    /// The base model.
    pub model: ModelSource,
    /// The rows to learn from.
    pub dataset: DatasetSource,
    /// Where results go (terminal only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_dir: Option<String>,
    /// Random seed of the run.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// The adapter to start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<AdapterSource>,
    /// What scores answers, for methods that learn from scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub reward: Option<ScorerSource>,
    /// The scorer of harm, for methods that keep harm below a limit; absent means no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub cost: Option<ScorerSource>,
    /// `full` trains every weight of the model instead of an adapter (terminal only); absent means an adapter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub tuning: Option<Tuning>,
    /// Largest number of prompts, and of held-out rows, that before and after are compared on; decided by the plan when absent,
    /// none at 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub compare: Option<usize>,
    /// Shape of a fresh adapter; absent when `adapter` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraSpec>,
    /// Shape of a fresh prefix, to train that instead of a LoRA adapter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub prefix: Option<PrefixSpec>,
    /// Settings of the method; absent keys have their defaults.
    #[serde(default)]
    pub settings: Settings,
}

fn default_seed() -> u64 {
    42
}

/// What a run trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Tuning {
    /// An adapter beside the model.
    Adapter,
    /// Every weight of the model.
    Full,
}

/// Shape of a LoRA adapter, under PEFT's names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields, default)]
pub struct LoraSpec {
    /// Rank.
    pub r: usize,
    /// Scale numerator: the update is multiplied by `lora_alpha / r`.
    pub lora_alpha: f64,
    /// Dropout on the input of A, in training only.
    pub lora_dropout: f64,
    /// Layers that get an update.
    pub target_modules: TargetModules,
    /// Layers that get none, though targeted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub exclude_modules: Option<TargetModules>,
    /// Blocks that get updates, from 0; all when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[ts(as = "Option<Vec<usize>>", optional)]
    pub layers_to_transform: Vec<usize>,
    /// Rank-stabilised LoRA: scale by `lora_alpha / √r` instead.
    #[serde(skip_serializing_if = "is_off")]
    #[ts(as = "Option<bool>", optional)]
    pub use_rslora: bool,
    /// DoRA: learn the magnitude of each weight row separately from its direction.
    #[serde(skip_serializing_if = "is_off")]
    #[ts(as = "Option<bool>", optional)]
    pub use_dora: bool,
    /// Ranks of single layers, by a pattern for the end of their path; the first that matches counts.
    #[serde(skip_serializing_if = "Patterns::is_empty")]
    #[ts(as = "Option<BTreeMap<String, usize>>", optional)]
    pub rank_pattern: Patterns<usize>,
    /// Scale numerators of single layers.
    #[serde(skip_serializing_if = "Patterns::is_empty")]
    #[ts(as = "Option<BTreeMap<String, f64>>", optional)]
    pub alpha_pattern: Patterns<f64>,
}

fn is_off(flag: &bool) -> bool {
    !flag
}

/// The layers that get an update, as in PEFT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(untagged)]
pub enum TargetModules {
    /// `all-linear`, or a regular expression for the whole path.
    Pattern(String),
    /// Endings of module paths.
    Names(Vec<String>),
}

impl TargetModules {
    /// Every linear layer except the LM head.
    pub fn all_linear() -> Self {
        Self::Pattern("all-linear".to_owned())
    }
}

impl Default for LoraSpec {
    fn default() -> Self {
        Self {
            r: 16,
            lora_alpha: 32.0,
            lora_dropout: 0.05,
            target_modules: TargetModules::all_linear(),
            exclude_modules: None,
            layers_to_transform: Vec::new(),
            use_rslora: false,
            use_dora: false,
            rank_pattern: Patterns::default(),
            alpha_pattern: Patterns::default(),
        }
    }
}

/// Shape of a learned prefix, under PEFT's names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields, default)]
pub struct PrefixSpec {
    /// Learned keys and values per layer.
    pub num_virtual_tokens: usize,
}

impl Default for PrefixSpec {
    fn default() -> Self {
        Self { num_virtual_tokens: 16 }
    }
}

const TOP_KEYS: &[&str] = &[
    "method",
    "model",
    "dataset",
    "output_dir",
    "seed",
    "adapter",
    "reward",
    "cost",
    "tuning",
    "lora",
    "prefix",
    "compare",
    "settings",
];
const LORA_KEYS: &[&str] = &[
    "r",
    "lora_alpha",
    "lora_dropout",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "use_rslora",
    "use_dora",
    "rank_pattern",
    "alpha_pattern",
];
const PREFIX_KEYS: &[&str] = &["num_virtual_tokens"];

impl Recipe {
    /// Reads a recipe in TOML.
    ///
    /// # Errors
    /// When it is not TOML, lacks a key or has an unknown one; names the key and, for an unknown one, the nearest
    /// known name.
    pub fn from_toml(text: &str) -> Result<Recipe, Problem> {
        let table = text.parse().map_err(|error| {
            Problem::input(wording!("The recipe is not valid TOML: {error}", "配方不是有效的 TOML：{error}"))
        })?;
        Self::from_table(table)
    }

    /// Reads a recipe that is a table of a larger file.
    ///
    /// # Errors
    /// As [`Recipe::from_toml`].
    pub fn from_table(table: toml::Table) -> Result<Recipe, Problem> {
        check_keys(&table, TOP_KEYS, "")?;
        for (name, keys) in [("lora", LORA_KEYS), ("prefix", PREFIX_KEYS)] {
            if let Some(toml::Value::Table(inner)) = table.get(name) {
                check_keys(inner, keys, &format!("{name}."))?;
            }
        }
        check_method(&table)?;
        let recipe = RawRecipe::deserialize(table).map_err(|error| {
            Problem::input(wording!(
                "The recipe cannot be read: {reason}",
                "无法读取配方：{reason}",
                reason = error.message()
            ))
        })?;
        let recipe = recipe.finish()?;
        if recipe.prefix.is_some() && (recipe.adapter.is_some() || recipe.lora.is_some()) {
            return Err(Problem::input(wording!(
                "The recipe asks for a fresh prefix and names another adapter as well.",
                "配方既要求新建前缀，又指定了另一个适配器。"
            ))
            .hint(wording!("Keep one of [prefix], [lora] and adapter.", "[prefix]、[lora] 和 adapter 只保留一个。"))
            .at("prefix"));
        }
        if recipe.tuning == Some(Tuning::Full) && (recipe.adapter.is_some() || recipe.lora.is_some()) {
            return Err(Problem::input(wording!(
                "The recipe trains every weight and describes an adapter as well.",
                "配方要训练全部权重，却又描述了适配器。"
            ))
            .hint(wording!("Remove [lora] and adapter, or tuning.", "删除 [lora] 和 adapter，或者删除 tuning。"))
            .at("tuning"));
        }
        if recipe.adapter.is_some() && recipe.lora.is_some() {
            return Err(Problem::input(wording!(
                "The recipe names an adapter to start from and has a [lora] table as well.",
                "配方指定了起始适配器，却又有 [lora] 表。"
            ))
            .hint(wording!(
                "Remove [lora]: rank, alpha, targets and dropout come from the adapter's own configuration.",
                "删除 [lora]：秩、alpha、目标模块和 dropout 取自适配器自身的配置。"
            ))
            .at("lora"));
        }
        Ok(recipe)
    }

    /// The recipe as TOML, so that it can be run again.
    ///
    /// # Errors
    /// When a value has no TOML form.
    pub fn to_toml(&self) -> Result<String, Problem> {
        let mut recipe = self.clone();
        recipe.settings.0.retain(|_, value| *value != SettingValue::Automatic);
        toml::to_string(&recipe).map_err(|error| {
            Problem::internal(wording!("The recipe cannot be written: {error}", "无法写出配方：{error}"))
        })
    }
}

#[derive(Deserialize)]
struct RawRecipe {
    method: MethodName,
    model: Option<ModelSource>,
    dataset: Option<DatasetSource>,
    output_dir: Option<String>,
    seed: Option<u64>,
    adapter: Option<AdapterSource>,
    reward: Option<ScorerSource>,
    cost: Option<ScorerSource>,
    tuning: Option<Tuning>,
    lora: Option<LoraSpec>,
    prefix: Option<PrefixSpec>,
    compare: Option<usize>,
    #[serde(default)]
    settings: BTreeMap<String, SettingValue>,
}

impl RawRecipe {
    fn finish(self) -> Result<Recipe, Problem> {
        let missing =
            |key: &str| Problem::input(wording!("The recipe has no “{key}”.", "配方缺少“{key}”。")).at(key.to_owned());
        Ok(Recipe {
            method: self.method,
            model: self.model.ok_or_else(|| missing("model"))?,
            dataset: self.dataset.ok_or_else(|| missing("dataset"))?,
            output_dir: self.output_dir,
            seed: self.seed.unwrap_or_else(default_seed),
            adapter: self.adapter,
            reward: self.reward,
            cost: self.cost,
            tuning: self.tuning,
            lora: self.lora,
            prefix: self.prefix,
            compare: self.compare,
            settings: Settings(self.settings),
        })
    }
}

/// Whether a method of this name exists is checked where it is looked up.
fn check_method(table: &toml::Table) -> Result<(), Problem> {
    match table.get("method").and_then(toml::Value::as_str) {
        None => Err(Problem::input(wording!("The recipe has no “method”.", "配方缺少“method”。")).at("method")),
        Some(_) => Ok(()),
    }
}

fn check_keys(table: &toml::Table, known: &[&str], prefix: &str) -> Result<(), Problem> {
    let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) else { return Ok(()) };
    let problem =
        Problem::input(wording!("The recipe has an unknown key “{prefix}{key}”.", "配方中有未知的键“{prefix}{key}”。"))
            .at(format!("{prefix}{key}"));
    Err(match nearest_name(key, known.iter().copied()) {
        Some(near) => problem.hint(wording!("Did you mean {prefix}{near}?", "是否想写 {prefix}{near}？")),
        None => problem,
    })
}

/// The known name with the fewest edits to `wrong`, if it is close enough to be a likely typo.
pub fn nearest_name<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|name| (strsim::levenshtein(&wrong.to_lowercase(), name), name));
    scored.min().filter(|(distance, name)| *distance <= 2.max(name.len() / 2)).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPE: &str = "method = \"dpo\"\nmodel = \"m\"\ndataset = \"d.jsonl\"\n[settings]\nbeta = 0.1\n";

    #[test]
    fn a_recipe_survives_writing_and_reading() {
        let recipe = Recipe::from_toml(RECIPE).unwrap();
        assert_eq!(recipe.seed, 42);
        assert_eq!(Recipe::from_toml(&recipe.to_toml().unwrap()).unwrap(), recipe);
    }

    #[test]
    fn patterns_keep_the_order_of_the_recipe() {
        let lora = "[lora]\nrank_pattern = { q_proj = 8, \"layers.0.self_attn.q_proj\" = 16, a = 2 }\n";
        let recipe = Recipe::from_toml(&format!("{RECIPE}{lora}")).unwrap();
        let again = Recipe::from_toml(&recipe.to_toml().unwrap()).unwrap();
        for read in [recipe, again] {
            let keys: Vec<_> = read.lora.unwrap().rank_pattern.0.into_iter().map(|(key, _)| key).collect();
            assert_eq!(keys, ["q_proj", "layers.0.self_attn.q_proj", "a"]);
        }
    }

    #[test]
    fn unknown_keys_name_their_neighbour() {
        let problem = Recipe::from_toml(&RECIPE.replace("dataset", "datset")).unwrap_err();
        assert_eq!(problem.hints[0].en, "Did you mean dataset?");
        let problem = Recipe::from_toml(&format!("{RECIPE}[lora]\nalpha = 3\n")).unwrap_err();
        assert_eq!(problem.hints[0].zh, "是否想写 lora.lora_alpha？");
    }

    #[test]
    fn an_adapter_and_a_lora_table_exclude_each_other() {
        let problem = Recipe::from_toml(&format!("adapter = \"a\"\n{RECIPE}[lora]\nr = 4\n")).unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("lora"));
    }
}
