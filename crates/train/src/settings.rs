//! The settings that all methods share, under TRL's names and with TRL's meaning.

use crate::order::Steps;
use crate::schedule::{NAMES, Schedule};
use SettingLevel::{Advanced, Simple};
use alidade_domain::{SettingField, SettingKind, SettingLevel, SettingValue, Settings};

pub(crate) fn whole(
    key: &'static str,
    low: i64,
    high: i64,
    default: i64,
    level: SettingLevel,
    help: &'static str,
) -> SettingField {
    SettingField { key, kind: SettingKind::Whole { low, high }, default: SettingValue::Whole(default), level, help }
}

pub(crate) fn number(
    key: &'static str,
    range: (f64, f64),
    default: f64,
    level: SettingLevel,
    help: &'static str,
) -> SettingField {
    let kind = SettingKind::Number { low: range.0, high: range.1 };
    SettingField { key, kind, default: SettingValue::Number(default), level, help }
}

pub(crate) fn flag(key: &'static str, default: bool, level: SettingLevel, help: &'static str) -> SettingField {
    let (kind, default) = (SettingKind::Flag { automatic: false }, SettingValue::Flag(default));
    SettingField { key, kind, default, level, help }
}

pub(crate) fn choice(
    key: &'static str,
    options: &'static [&'static str],
    default: &str,
    level: SettingLevel,
    help: &'static str,
) -> SettingField {
    SettingField {
        key,
        kind: SettingKind::Choice { options },
        default: SettingValue::Text(default.to_owned()),
        level,
        help,
    }
}

pub(crate) fn choices(
    key: &'static str,
    options: &'static [&'static str],
    default: &str,
    level: SettingLevel,
    help: &'static str,
) -> SettingField {
    SettingField { kind: SettingKind::Choices { options }, ..choice(key, options, default, level, help) }
}

pub(crate) fn numbers(key: &'static str, range: (f64, f64), level: SettingLevel, help: &'static str) -> SettingField {
    let kind = SettingKind::Numbers { low: range.0, high: range.1 };
    SettingField { key, kind, default: SettingValue::Numbers(Vec::new()), level, help }
}

/// What differs between methods among the shared settings.
pub(crate) struct Defaults {
    pub(crate) learning_rate: f64,
    pub(crate) epochs: f64,
    pub(crate) warmup_ratio: f64,
}

const LORA_PLUS: &str = "How much faster LoRA's B moves than its A; 16 is usual, and half the learning rate with it.";

/// The shared fields, in the order in which a form shows them.
pub(crate) fn common(defaults: &Defaults) -> Vec<SettingField> {
    let mut fields = optimizer(defaults);
    fields.extend(machine());
    fields
}

/// How rows come and what the machine holds meanwhile.
fn machine() -> Vec<SettingField> {
    vec![
        choice(
            "train_sampling_strategy",
            &["random", "sequential"],
            "random",
            Advanced,
            "Whether rows come shuffled in every epoch, or as they stand.",
        ),
        SettingField {
            key: "gradient_checkpointing",
            kind: SettingKind::Flag { automatic: true },
            default: SettingValue::Automatic,
            level: Advanced,
            help: "Keep less of each pass and compute it again: less memory, more time, the same result.",
        },
        flag("bf16", false, Advanced, "Hold the frozen weights as bf16: half their memory, slightly rounded."),
    ]
}

fn optimizer(defaults: &Defaults) -> Vec<SettingField> {
    vec![
        number("learning_rate", (0.0, 1.0), defaults.learning_rate, Simple, "Size of an optimizer step at its peak."),
        number("num_train_epochs", (0.0, 1000.0), defaults.epochs, Simple, "Passes over the rows."),
        whole("per_device_train_batch_size", 1, 4096, 8, Simple, "Rows (or pairs) in one forward pass."),
        whole(
            "gradient_accumulation_steps",
            1,
            4096,
            1,
            Advanced,
            "Forward passes that are added up before an optimizer step.",
        ),
        whole("max_steps", -1, 100_000_000, -1, Advanced, "Optimizer steps; -1 follows the number of epochs."),
        whole(
            "max_length",
            8,
            1 << 20,
            1024,
            Simple,
            "Longest row in tokens; what is longer is cut at the end of the answer.",
        ),
        choice("lr_scheduler_type", NAMES, "cosine", Advanced, "How the learning rate falls after the warm-up."),
        number(
            "warmup_ratio",
            (0.0, 1.0),
            defaults.warmup_ratio,
            Advanced,
            "Share of the steps in which the learning rate rises from zero.",
        ),
        number(
            "warmup_steps",
            (0.0, 1e8),
            0.0,
            Advanced,
            "Steps of the rise; below 1 it is a share; 0 leaves it to warmup_ratio.",
        ),
        number("weight_decay", (0.0, 1.0), 0.0, Advanced, "Pull of the weights towards zero at each step."),
        number(
            "max_grad_norm",
            (0.0, 1e6),
            1.0,
            Advanced,
            "Longest gradient; what is longer is scaled down. 0 switches this off.",
        ),
        number("adam_beta1", (0.0, 0.999_999), 0.9, Advanced, "Memory of AdamW's mean of gradients."),
        number("adam_beta2", (0.0, 0.999_999_9), 0.999, Advanced, "Memory of AdamW's mean of squared gradients."),
        whole(
            "save_steps",
            1,
            1_000_000,
            50,
            Advanced,
            "Optimizer steps between checkpoints; the result does not depend on it.",
        ),
        number("adam_epsilon", (0.0, 1.0), 1e-8, Advanced, "Keeps AdamW from dividing by zero."),
        number("loraplus_lr_ratio", (1.0, 1000.0), 1.0, Advanced, LORA_PLUS),
    ]
}

/// Number of optimizer steps and their shape for so many rows.
pub(crate) fn steps(settings: &Settings, items: usize) -> Steps {
    Steps::new(
        items,
        settings.whole("per_device_train_batch_size").max(1) as usize,
        settings.whole("gradient_accumulation_steps").max(1) as usize,
        settings.number("num_train_epochs"),
        u64::try_from(settings.whole("max_steps")).ok().filter(|steps| *steps > 0),
    )
    .in_order(settings.text("train_sampling_strategy") == "sequential")
}

/// The learning-rate schedule over `total` steps; a warm-up in steps outweighs one as a share.
pub(crate) fn schedule(settings: &Settings, total: u64) -> Schedule {
    let steps = settings.number("warmup_steps");
    let share = if steps > 0.0 && steps < 1.0 { steps } else { settings.number("warmup_ratio") };
    let warmup = if steps >= 1.0 { steps.round() as u64 } else { (share * total as f64).ceil() as u64 };
    Schedule::new(settings.text("lr_scheduler_type"), settings.number("learning_rate"), warmup, total)
}
