//! Ready-made pipelines by goal. The starter model is tiny and takes larger steps than a real one would bear.

use crate::Studio;
use crate::datasets::{ANSWERS_ID, PAIRS_ID};
use crate::views::Preset;
use alidade_domain::{LoraSpec, MethodCard, MethodName, Recipe, SettingValue, Settings};
use alidade_train::METHODS;

/// The cards of all methods.
pub fn methods() -> Vec<MethodCard> {
    METHODS.iter().map(|method| method.card()).collect()
}

impl Studio {
    /// The presets whose model exists here.
    pub fn list_presets(&self) -> Vec<Preset> {
        let starter = self.bundled.iter().find(|model| model.model.id == "starter");
        starter.map(|model| kind_and_true(&model.model.id)).into_iter().collect()
    }
}

fn kind_and_true(model: &str) -> Preset {
    let stage = |method, dataset: &str, values: &[(&str, SettingValue)]| Recipe {
        method,
        model: format!("model:{model}"),
        dataset: format!("dataset:{dataset}"),
        output_dir: None,
        seed: 42,
        adapter: None,
        lora: None,
        prefix: None,
        reward: None,
        settings: Settings(values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()),
    };
    let mut sft = stage(
        MethodName::Sft,
        ANSWERS_ID,
        &[
            ("learning_rate", SettingValue::Number(2e-3)),
            ("num_train_epochs", SettingValue::Number(3.0)),
            ("per_device_train_batch_size", SettingValue::Whole(16)),
            ("max_length", SettingValue::Whole(128)),
            ("save_steps", SettingValue::Whole(20)),
        ],
    );
    sft.lora = Some(LoraSpec { lora_dropout: 0.0, ..LoraSpec::default() });
    let mut dpo = stage(
        MethodName::Dpo,
        PAIRS_ID,
        &[
            ("learning_rate", SettingValue::Number(3e-4)),
            ("num_train_epochs", SettingValue::Number(1.0)),
            ("per_device_train_batch_size", SettingValue::Whole(16)),
            ("max_length", SettingValue::Whole(128)),
            ("save_steps", SettingValue::Whole(20)),
            ("beta", SettingValue::Number(0.5)),
        ],
    );
    dpo.adapter = Some("stage:1".to_owned());
    Preset { id: "kind_and_true".to_owned(), model: Some(model.to_owned()), pipeline: vec![sft, dpo] }
}
