//! Advice that several methods give before a run starts.

use crate::about::Outlook;
use crate::settings::CommonSettings;
use alidade_domain::{Problem, Words, wording};

/// Learning rates for preference training from here on get a warning; the starter model, being tiny, tolerates more.
const HIGH_RATE: f64 = 5e-5;
const SMALL_MODEL: u64 = 20_000_000;
/// From this share of pairs on, the model may learn length itself.
const LONGER_SHARE: f64 = 0.75;

/// Warns of a learning rate that is high for preference training.
pub(super) fn high_rate(common: &CommonSettings, outlook: &Outlook) -> Option<Problem> {
    let rate = common.learning_rate;
    (rate >= HIGH_RATE && outlook.model_parameters > SMALL_MODEL).then(|| {
        Problem::input(wording!(
            "A learning rate of {rate:e} is high for preference training and may spoil the model.",
            "学习率 {rate:e} 对偏好训练来说偏高，可能损害模型。"
        ))
        .hint(Words::new("5e-6 is a good start.", "可以从 5e-6 开始。"))
        .at("settings.learning_rate")
    })
}

/// Warns of pairs in which the chosen answer is mostly the longer one; `hint` says what to do about it.
pub(super) fn longer(outlook: &Outlook, hint: Words, field: &str) -> Option<Problem> {
    (outlook.chosen_longer > LONGER_SHARE).then(|| {
        let percent = 100.0 * outlook.chosen_longer;
        Problem::input(wording!(
            "In {percent:.0} % of the pairs the chosen answer is clearly longer.",
            "在 {percent:.0}% 的偏好对中，优选回答明显更长。"
        ))
        .hint(wording!(
            "The model may learn length instead of quality; {hint}",
            "模型学到的可能是长度而不是质量；{hint}";
            hint
        ))
        .at(field)
    })
}
