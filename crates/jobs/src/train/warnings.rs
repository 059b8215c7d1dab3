//! Warnings about the rows and steps of a run before it starts, and faults that make a run pointless.

use alidade_domain::{Problem, Recipe, StageEstimate};
use alidade_train::{CommonSettings, Outlook, Prepared, Steps, Training};

/// Below this many steps no visible change is expected.
const FEW_STEPS: u64 = 10;

/// PEFT's format of a prefix has no place for a score head.
pub fn prefix_problem(recipe: &Recipe) -> Option<Problem> {
    let both = recipe.prefix.is_some() && alidade_train::makes_scorer(&recipe.method);
    both.then(|| {
        Problem::input("A reward model needs an adapter on the layers; a prefix has no place for its score head.")
            .hint("Use [lora].")
            .at("prefix")
    })
}

/// The problem of a row that is longer than the model's context.
pub fn too_long(prepared: &Prepared, most: usize) -> Option<Problem> {
    let longest = prepared.longest();
    (longest > most).then(|| {
        let message = format!("The longest row has {longest} tokens; this model reads at most {most}.");
        Problem::input(message).hint(format!("Set max_length to {most}.")).at("settings.max_length")
    })
}

/// The problem of a run without steps.
pub fn no_step(settings: &CommonSettings, steps: &Steps) -> Option<Problem> {
    (steps.total == 0).then(|| {
        let epochs = settings.num_train_epochs;
        Problem::input(format!("num_train_epochs is {epochs}, so no step would be taken."))
            .hint("Set num_train_epochs to 1 or more, or max_steps to the steps that you want.")
            .at("settings.num_train_epochs")
    })
}

/// Warnings before the start, each at its setting.
pub fn warnings(training: &dyn Training, estimate: &StageEstimate) -> Vec<Problem> {
    let outlook = Outlook { model_parameters: estimate.model_parameters, chosen_longer: estimate.chosen_longer };
    let mut found = estimate.advice.clone();
    found.extend(training.advice(&outlook));
    let mut warn = |message: String, hint: &str, field: &str| found.push(Problem::input(message).hint(hint).at(field));
    let few = estimate.optimizer_steps < FEW_STEPS;
    match training.common().most_steps().filter(|_| few) {
        Some(most) => {
            warn(format!("max_steps is {most}: hardly anything will change."), "Raise it.", "settings.max_steps");
        }
        None if few => warn(
            format!("Only {} optimizer steps: hardly anything will change.", estimate.optimizer_steps),
            "Use more rows or epochs, or a smaller batch.",
            "settings.num_train_epochs",
        ),
        None => {}
    }
    if estimate.truncated_rows > 0 {
        warn(
            format!("{} answers are longer than max_length and will be cut.", estimate.truncated_rows),
            "Raise max_length if memory allows.",
            "settings.max_length",
        );
    }
    if estimate.skipped_rows > 0 {
        warn(
            format!("{} rows leave nothing to learn within max_length and are left out.", estimate.skipped_rows),
            "Raise max_length, or shorten the prompts.",
            "settings.max_length",
        );
    }
    found
}
