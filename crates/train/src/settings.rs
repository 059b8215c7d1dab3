//! The settings that all methods share, under TRL's names and with TRL's meaning.

use crate::order::Steps;
use crate::schedule::{NAMES, Schedule};
use SettingLevel::{Advanced, Simple};
use alidade_domain::{Problem, SettingField, SettingKind, SettingLevel, SettingValue, Settings};

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
            (-1.0, 1e8),
            -1.0,
            Advanced,
            "Steps of the rise; below 1 it is a share, 0 is none; -1 leaves it to warmup_ratio.",
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

/// The learning-rate schedule over `total` steps. As in transformers 5 a warm-up below 1 is a share of the steps, rounded up,
/// and one from 1 on is a number of steps, rounded down; where it is not set, `warmup_ratio` is the share.
pub(crate) fn schedule(settings: &Settings, total: u64) -> Schedule {
    let said = settings.0.contains_key("warmup_steps").then(|| settings.number("warmup_steps"));
    let steps = said.filter(|steps| *steps >= 0.0).unwrap_or_else(|| settings.number("warmup_ratio").min(1.0));
    let share = steps < 1.0 || said.is_none_or(|steps| steps < 0.0);
    let warmup = if share { (steps * total as f64).ceil() as u64 } else { steps as u64 };
    Schedule::new(settings.text("lr_scheduler_type"), settings.number("learning_rate"), warmup, total)
}

/// Rules between the shared settings that no single range can say.
///
/// # Errors
/// The first rule that is broken, at its field.
pub(crate) fn check(settings: &Settings) -> std::result::Result<(), Problem> {
    let warmup = settings.number("warmup_steps");
    if warmup < 0.0 && warmup != -1.0 {
        let message = format!("warmup_steps is {warmup}; it must be -1 (left to warmup_ratio), 0 (none) or more.");
        return Err(Problem::input(message).at("settings.warmup_steps"));
    }
    Ok(())
}

/// Refuses a run in which no step can move a weight, because its learning rate is 0 at all of them.
///
/// # Errors
/// At the setting that makes it so.
pub(crate) fn moves(settings: &Settings, total: u64) -> std::result::Result<(), Problem> {
    let schedule = schedule(settings, total);
    // Parameters are f32: a rate that is 0 as one moves nothing.
    if (0..total).any(|step| schedule.rate(step) as f32 > 0.0) {
        return Ok(());
    }
    let rate = settings.number("learning_rate");
    Err(if rate as f32 == 0.0 {
        let message = format!("learning_rate is {rate:e}, so no step moves a weight.");
        Problem::input(message).hint("Choose a rate above 0.").at("settings.learning_rate")
    } else if total == 0 {
        let message = "num_train_epochs is 0, so there is no step to take.";
        Problem::input(message).hint("Choose more than 0, or set max_steps.").at("settings.num_train_epochs")
    } else {
        let steps = if total == 1 { "one step".to_owned() } else { format!("{total} steps") };
        let message = format!(
            "The run has {steps}, and the warm-up begins at a learning rate of 0: no weight would be moved at all."
        );
        Problem::input(message)
            .hint("Set warmup_steps = 0.")
            .hint("Or take more steps: more rows or epochs, or a smaller batch.")
            .at("settings.warmup_steps")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use SettingValue::{Number, Text, Whole};

    fn settings(pairs: &[(&str, SettingValue)]) -> Settings {
        let said = pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let defaults = Defaults { learning_rate: 1.0, epochs: 1.0, warmup_ratio: 0.1 };
        Settings(said).resolve(&common(&defaults)).unwrap()
    }

    /// Steps in which the rate rises, over 25 steps in all.
    fn warmup(pairs: &[(&str, SettingValue)]) -> usize {
        let schedule = schedule(&settings(pairs), 25);
        (0..25).take_while(|step| schedule.rate(*step) < 1.0).count()
    }

    #[test]
    fn a_warm_up_is_a_number_of_steps_a_share_or_none() {
        assert_eq!(warmup(&[]), 3);
        assert_eq!(warmup(&[("warmup_ratio", Number(0.3))]), 8);
        assert_eq!(warmup(&[("warmup_steps", Whole(0))]), 0);
        assert_eq!(warmup(&[("warmup_steps", Number(0.0)), ("warmup_ratio", Number(0.3))]), 0);
        assert_eq!(warmup(&[("warmup_steps", Number(0.3))]), 8);
        assert_eq!(warmup(&[("warmup_steps", Number(5.9)), ("warmup_ratio", Number(0.3))]), 5);
        assert_eq!(warmup(&[("warmup_steps", Whole(1))]), 1);
        assert_eq!(warmup(&[("warmup_steps", Whole(-1)), ("warmup_ratio", Number(0.0))]), 0);
        let odd = check(&settings(&[("warmup_steps", Number(-0.5))])).err().unwrap();
        assert_eq!(odd.field.as_deref(), Some("settings.warmup_steps"));
    }

    #[test]
    fn a_run_that_cannot_move_a_weight_is_refused_at_its_cause() {
        let field = |pairs: &[(&str, SettingValue)], total| moves(&settings(pairs), total).err().and_then(|p| p.field);
        let at = |field: &str| Some(format!("settings.{field}"));
        assert_eq!(field(&[], 1), at("warmup_steps"));
        assert_eq!(field(&[("warmup_steps", Whole(5))], 1), at("warmup_steps"));
        let constant = ("lr_scheduler_type", Text("constant_with_warmup".to_owned()));
        assert_eq!(field(&[constant], 1), at("warmup_steps"));
        assert_eq!(field(&[("learning_rate", Number(0.0))], 10), at("learning_rate"));
        assert_eq!(field(&[("learning_rate", Number(1e-60))], 10), at("learning_rate"));
        assert_eq!(field(&[], 0), at("num_train_epochs"));
        let moving: [&[(&str, SettingValue)]; 3] = [
            &[("warmup_steps", Whole(0))],
            &[("warmup_ratio", Number(0.0))],
            &[("lr_scheduler_type", Text("constant".to_owned()))],
        ];
        assert!(moving.iter().all(|pairs| field(pairs, 1).is_none()));
        assert_eq!(field(&[], 2), None);
    }
}
