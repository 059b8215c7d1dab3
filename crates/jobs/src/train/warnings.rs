//! Warnings about the rows and steps of a run before it starts, and faults that make a run pointless.

use alidade_domain::{Problem, Recipe, StageEstimate, Wording, Words, wording};
use alidade_train::{CommonSettings, Outlook, Prepared, Steps, Training};

/// Below this many steps no visible change is expected.
const FEW_STEPS: u64 = 10;

/// PEFT's format of a prefix has no place for a score head.
pub fn prefix_problem(recipe: &Recipe) -> Option<Problem> {
    let both = recipe.prefix.is_some() && alidade_train::makes_scorer(&recipe.method);
    both.then(|| {
        Problem::input(Words::new(
            "A reward model needs an adapter on the layers; a prefix has no place for its score head.",
            "奖励模型需要在各层上的适配器；前缀中没有放打分头的位置。",
        ))
        .hint(Words::new("Use [lora].", "使用 [lora]。"))
        .at("prefix")
    })
}

/// The problem of a row that is longer than the model's context.
pub fn too_long(prepared: &Prepared, most: usize) -> Option<Problem> {
    let longest = prepared.longest();
    (longest > most).then(|| {
        let message = wording!(
            "The longest row has {longest} tokens; this model reads at most {most}.",
            "最长的一条有 {longest} 个词元，而这个模型最多读取 {most} 个。"
        );
        Problem::input(message)
            .hint(wording!("Set max_length to {most}.", "把 max_length 设为 {most}。"))
            .at("settings.max_length")
    })
}

/// The problem of a run without steps.
pub fn no_step(settings: &CommonSettings, steps: &Steps) -> Option<Problem> {
    (steps.total == 0).then(|| {
        let epochs = settings.num_train_epochs;
        Problem::input(wording!(
            "num_train_epochs is {epochs}, so no step would be taken.",
            "num_train_epochs 是 {epochs}，一步也不会做。"
        ))
        .hint(Words::new(
            "Set num_train_epochs to 1 or more, or max_steps to the steps that you want.",
            "把 num_train_epochs 设为 1 或更大，或把 max_steps 设为想要的步数。",
        ))
        .at("settings.num_train_epochs")
    })
}

/// Warnings before the start, each at its setting.
pub fn warnings(training: &dyn Training, estimate: &StageEstimate) -> Vec<Problem> {
    let outlook = Outlook { model_parameters: estimate.model_parameters, chosen_longer: estimate.chosen_longer };
    let mut found = estimate.advice.clone();
    found.extend(training.advice(&outlook));
    let mut warn =
        |message: Wording, hint: Words, field: &str| found.push(Problem::input(message).hint(hint).at(field));
    let few = estimate.optimizer_steps < FEW_STEPS;
    match training.common().most_steps().filter(|_| few) {
        Some(most) => {
            warn(
                wording!("max_steps is {most}: hardly anything will change.", "max_steps 是 {most}：几乎不会有变化。"),
                Words::new("Raise it.", "请调高它。"),
                "settings.max_steps",
            );
        }
        None if few => warn(
            wording!(
                "Only {steps} optimizer steps: hardly anything will change.",
                "只有 {steps} 个优化步：几乎不会有变化。",
                steps = estimate.optimizer_steps
            ),
            Words::new("Use more rows or epochs, or a smaller batch.", "请使用更多数据或轮数，或更小的批次。"),
            "settings.num_train_epochs",
        ),
        None => {}
    }
    let (cut, skipped) = (estimate.truncated_rows, estimate.skipped_rows);
    if cut > 0 {
        let answers = if cut == 1 { "answer is" } else { "answers are" };
        warn(
            wording!(
                "{cut} {answers} longer than max_length and will be cut.",
                "{cut} 个回答超过 max_length，会被截断。"
            ),
            Words::new("Raise max_length if memory allows.", "如果内存允许，请调高 max_length。"),
            "settings.max_length",
        );
    }
    if skipped > 0 {
        let rows = if skipped == 1 { "row leaves" } else { "rows leave" };
        warn(
            wording!(
                "{skipped} {rows} nothing to learn within max_length and are left out.",
                "{skipped} 条在 max_length 之内没有可学的内容，会被略去。"
            ),
            Words::new("Raise max_length, or shorten the prompts.", "调高 max_length，或缩短提问。"),
            "settings.max_length",
        );
    }
    found
}
