//! Ready-made pipelines by goal. The starter model is tiny and takes larger steps than a real one would bear; what suits it
//! stands here, once per method, and the wizard takes it over for the person's own data as well.

use crate::Studio;
use crate::datasets::{ANSWERS_ID, COMPARISONS_ID, PAIRS_ID, PROMPTS_ID, RATINGS_ID};
use crate::views::Preset;
use SettingValue::{Names, Number, Numbers, Text, Whole};
use alidade_domain::{
    AdapterSource, DatasetSource, LoraSpec, MethodCard, MethodName, ModelSource, Recipe, ScorerSource, SettingValue,
    Settings, Stage,
};
use alidade_train::METHODS;

/// The cards of all methods.
pub fn methods() -> Vec<MethodCard> {
    METHODS.iter().map(|method| method.card()).collect()
}

impl Studio {
    /// The presets whose model exists here.
    pub fn list_presets(&self) -> Vec<Preset> {
        let Some(starter) = self.bundled.iter().find(|model| model.model.id == "starter") else { return Vec::new() };
        let model = &starter.model.id;
        let presets = PRESETS.iter().map(|(id, stages)| preset(id, stages, model));
        presets.chain(DPO_LOSSES.iter().map(|loss| dpo_variant(loss, model))).collect()
    }
}

/// What each goal is reached by, in order.
const PRESETS: &[(&str, &[MethodName])] = &[
    ("answers", &[MethodName::Sft]),
    ("kind_and_true", &[MethodName::Sft, MethodName::Dpo]),
    ("thumbs", &[MethodName::Sft, MethodName::Kto]),
    ("reward", &[MethodName::Sft, MethodName::RewardModel, MethodName::Ppo]),
    ("ppo_oracle", &[MethodName::Sft, MethodName::Ppo]),
    ("oracle", &[MethodName::Sft, MethodName::Grpo]),
    ("one_go", &[MethodName::Orpo]),
    ("simpo", &[MethodName::Sft, MethodName::Cpo]),
    ("leave_one_out", &[MethodName::Sft, MethodName::Rloo]),
    ("own_answers", &[MethodName::Sft, MethodName::OnlineDpo]),
    ("best_of_own", &[MethodName::Sft, MethodName::RejectionSampling]),
];

/// Losses of the DPO family that are compared with the usual one, each a preset of its name.
const DPO_LOSSES: &[&str] = &["hinge", "apo_zero"];

fn dpo_variant(loss: &str, model: &str) -> Preset {
    let mut preset = preset(loss, &[MethodName::Sft, MethodName::Dpo], model);
    for recipe in
        preset.stages.iter_mut().filter_map(Stage::recipe_mut).filter(|recipe| recipe.method == MethodName::Dpo)
    {
        recipe.settings.0.insert("loss_type".to_owned(), Names(vec![loss.to_owned(), "sft".to_owned()]));
    }
    preset
}

fn preset(id: &str, stages: &[MethodName], model: &str) -> Preset {
    let (mut policy, mut scorer) = (None, None);
    let mut made = Vec::with_capacity(stages.len());
    for (index, method) in stages.iter().enumerate() {
        let mut recipe = recipe(*method, model);
        let here = AdapterSource::Stage(index + 1);
        if method.makes_scorer() {
            scorer = Some(ScorerSource::Model(here));
        } else {
            recipe.adapter = policy.take();
            policy = Some(here);
        }
        if recipe.adapter.is_some() {
            recipe.lora = None;
        }
        if *method == MethodName::Sft && stages.len() > 1 {
            recipe.settings.0.insert("num_train_epochs".to_owned(), Number(SHORT_SFT));
        }
        if alidade_train::method(*method).needs().reward {
            recipe.reward = Some(scorer.clone().unwrap_or(ScorerSource::Oracle));
        }
        made.push(Stage::Train(recipe));
    }
    Preset { id: id.to_owned(), model: Some(model.to_owned()), stages: made }
}

/// Epochs of the SFT before another method, ten steps: the model learns how to answer, and the other has something left to
/// win. After a whole SFT the starter model has nothing to gain from preferences or rewards.
const SHORT_SFT: f64 = 0.32;

fn recipe(method: MethodName, model: &str) -> Recipe {
    let dataset = match method {
        MethodName::Sft => ANSWERS_ID,
        MethodName::Kto => RATINGS_ID,
        MethodName::Dpo | MethodName::Orpo | MethodName::Cpo => PAIRS_ID,
        MethodName::RewardModel => COMPARISONS_ID,
        MethodName::Ppo
        | MethodName::Grpo
        | MethodName::Rloo
        | MethodName::OnlineDpo
        | MethodName::RejectionSampling => PROMPTS_ID,
    };
    let own = tuned(method).into_iter().map(|(key, value)| (key.to_owned(), value));
    let shared = [("max_length", Whole(128)), ("save_steps", Whole(20))];
    let settings = own.chain(shared.map(|(key, value)| (key.to_owned(), value))).collect();
    Recipe {
        method,
        model: ModelSource::Stored(model.to_owned()),
        dataset: DatasetSource::Stored(dataset.to_owned()),
        output_dir: None,
        seed: 42,
        adapter: None,
        reward: None,
        cost: None,
        lora: Some(LoraSpec { lora_dropout: 0.0, ..LoraSpec::default() }),
        prefix: None,
        tuning: None,
        settings: Settings(settings),
    }
}

/// What suits the starter model.
fn tuned(method: MethodName) -> Vec<(&'static str, SettingValue)> {
    let batch = |rows| ("per_device_train_batch_size", Whole(rows));
    let rate = |rate| ("learning_rate", Number(rate));
    let epochs = |epochs| ("num_train_epochs", Number(epochs));
    match method {
        MethodName::Sft => vec![rate(2e-3), epochs(3.0), batch(16)],
        // The likelihood of chosen answers beside the preference keeps so small a model from unlearning how they begin.
        MethodName::Dpo => vec![
            rate(1e-3),
            epochs(1.0),
            batch(16),
            ("beta", Number(0.5)),
            ("loss_type", Names(vec!["sigmoid".to_owned(), "sft".to_owned()])),
            ("loss_weights", Numbers(vec![1.0, 5.0])),
        ],
        MethodName::Kto => vec![rate(1e-3), epochs(1.0), batch(16), ("beta", Number(0.5))],
        MethodName::Orpo => vec![rate(1e-3), epochs(3.0), batch(16), ("beta", Number(0.5))],
        MethodName::Cpo => vec![
            rate(1e-3),
            epochs(1.0),
            batch(16),
            ("loss_type", Text("simpo".to_owned())),
            ("beta", Number(2.0)),
            ("simpo_gamma", Number(0.5)),
            // The likelihood of chosen answers; at 0.5 a tenth of the harmless requests was refused.
            ("cpo_alpha", Number(2.0)),
        ],
        MethodName::RewardModel => vec![rate(1e-3), epochs(1.0), batch(16)],
        MethodName::Ppo
        | MethodName::Grpo
        | MethodName::Rloo
        | MethodName::OnlineDpo
        | MethodName::RejectionSampling => tuned_to_rewards(method),
    }
}

/// The same for methods that let the model answer: larger batches and fewer steps than their data would allow.
fn tuned_to_rewards(method: MethodName) -> Vec<(&'static str, SettingValue)> {
    let (length, own) = match method {
        MethodName::Ppo => (
            "response_length",
            vec![
                ("learning_rate", Number(3e-4)),
                ("per_device_train_batch_size", Whole(64)),
                ("max_steps", Whole(40)),
                // At 1e-3 and 0.1 the policy finds answers that please the reward model and nobody else.
                ("kl_coef", Number(0.3)),
                ("value_model", Text("detached_head".to_owned())),
            ],
        ),
        MethodName::OnlineDpo => (
            "max_new_tokens",
            vec![
                ("learning_rate", Number(1e-3)),
                ("per_device_train_batch_size", Whole(32)),
                ("max_steps", Whole(40)),
                ("beta", Number(0.2)),
            ],
        ),
        MethodName::RejectionSampling => (
            "max_completion_length",
            vec![
                ("learning_rate", Number(1e-3)),
                ("per_device_train_batch_size", Whole(16)),
                ("max_steps", Whole(40)),
                ("num_generations", Whole(4)),
            ],
        ),
        _ => (
            "max_completion_length",
            vec![
                ("learning_rate", Number(1e-3)),
                ("per_device_train_batch_size", Whole(64)),
                ("max_steps", Whole(60)),
                ("num_generations", Whole(8)),
            ],
        ),
    };
    let shared = [(length, Whole(40)), ("temperature", Number(1.0))];
    own.into_iter().chain(shared).collect()
}
