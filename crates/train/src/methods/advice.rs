//! Advice that several methods give before a run starts.

use crate::about::Outlook;
use crate::settings::CommonSettings;
use alidade_domain::Problem;

/// Preference rates from here on need a word of warning; the starter model, being tiny, bears more.
const HIGH_RATE: f64 = 5e-5;
const SMALL_MODEL: u64 = 20_000_000;
/// From this share of pairs on, length itself may be learned.
const LONGER_SHARE: f64 = 0.75;

/// A learning rate that is high for learning from preferences.
pub(super) fn high_rate(common: &CommonSettings, outlook: &Outlook) -> Option<Problem> {
    let rate = common.learning_rate;
    (rate >= HIGH_RATE && outlook.model_parameters > SMALL_MODEL).then(|| {
        Problem::input(format!("A learning rate of {rate:e} is high for preference training and may spoil the model."))
            .hint("5e-6 is a good start.")
            .at("settings.learning_rate")
    })
}

/// Pairs in which the chosen answer is mostly the longer one; `hint` says what to do about it.
pub(super) fn longer(outlook: &Outlook, hint: &str, field: &str) -> Option<Problem> {
    (outlook.chosen_longer > LONGER_SHARE).then(|| {
        let percent = 100.0 * outlook.chosen_longer;
        Problem::input(format!("In {percent:.0} % of the pairs the chosen answer is clearly longer."))
            .hint(format!("The model may learn length instead of quality; {hint}"))
            .at(field)
    })
}
