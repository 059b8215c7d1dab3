//! Pre-training from random weights, which made the starter models. Documents are concatenated, each closed by the end
//! token, and cut into windows of equal length, so that no step is spent on padding.

use crate::encode::{Item, Prepared};
use crate::error::{Result, TrainError};
use crate::method::Method;
use crate::methods::sft::Sft;
use crate::session::{End, Session};
use alidade_domain::{SettingField, Settings};
use alidade_model::TokenRow;

/// What pre-training needs besides the settings of the optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PretrainOptions {
    /// Tokens in a window.
    pub window: usize,
    /// Windows to cut.
    pub windows: usize,
}

/// The settings that pre-training takes: those of learning from plain text.
pub fn pretrain_fields() -> Vec<SettingField> {
    Sft.fields()
}

/// Trains every weight of the session's policy on documents, each given as ids that end with the end token.
///
/// # Errors
/// As [`Session::optimise`].
pub fn pretrain(
    session: &mut Session,
    documents: impl Iterator<Item = Result<Vec<u32>>>,
    options: PretrainOptions,
    settings: &Settings,
) -> Result<End> {
    let mut rest: Vec<u32> = Vec::new();
    let mut prepared = Prepared::default();
    for document in documents {
        rest.extend(document?);
        while rest.len() >= options.window && prepared.items.len() < options.windows {
            let next = rest.split_off(options.window);
            let ids = std::mem::replace(&mut rest, next);
            prepared.items.push(Item::new(prepared.items.len() + 1, vec![TokenRow::all_scored(ids)]));
        }
        if prepared.items.len() >= options.windows {
            break;
        }
    }
    Sft.configure(settings).map_err(TrainError::Refused)?.train(session, &prepared)
}
