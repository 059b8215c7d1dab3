//! Rows that are only evaluated, to compare models by the likelihood of their answers: no method learns from them.

use crate::encode::{Encoder, Prepared};
use crate::error::{Result, TrainError};
use crate::method::Method;
use crate::methods::{pairs, sft::Sft};
use alidade_domain::{Example, SettingValue, Settings};

/// Rows of at most so many tokens, as pairs of answers or as answers alone.
///
/// # Errors
/// When no row is left, or the model's tokenizer or chat template fails.
pub fn scored_rows(rows: &[Example], encoder: &Encoder, max_length: usize, as_pairs: bool) -> Result<Prepared> {
    if as_pairs {
        return pairs::prepare(rows, encoder, max_length);
    }
    let length = SettingValue::Whole(i64::try_from(max_length).unwrap_or(i64::MAX));
    let settings = Settings([("max_length".to_owned(), length)].into());
    Sft.configure(&settings).map_err(TrainError::Refused)?.prepare(rows, encoder)
}
