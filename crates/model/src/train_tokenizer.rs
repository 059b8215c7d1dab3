//! Byte-level BPE trained on a corpus: the starter models' own vocabulary.

use crate::ModelError;
use crate::error::Result;
use alidade_domain::Wording;
use std::path::Path;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer, TokenizerBuilder};

/// Trains a tokenizer of `size` tokens on the texts and writes it as `tokenizer.json`.
///
/// The special tokens take the first ids, in the given order; all 256 bytes follow, so that no text is unknown.
///
/// # Errors
/// When training fails or the file cannot be written.
pub fn train_byte_level_bpe(texts: &[String], size: usize, special: &[&str], path: &Path) -> Result<()> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| ModelError::Tokenizer {
        reason: Wording::name(error.to_string()),
    };
    let special: Vec<AddedToken> = special.iter().map(|token| AddedToken::from(*token, true)).collect();
    let mut trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(size)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(special)
        .build();
    let mut tokenizer = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(None::<tokenizers::NormalizerWrapper>)
        .with_pre_tokenizer(Some(ByteLevel::new(false, true, true)))
        .with_post_processor(None::<tokenizers::PostProcessorWrapper>)
        .with_decoder(Some(ByteLevel::default()))
        .build()
        .map_err(failed)?;
    tokenizer.train(&mut trainer, texts.iter().map(String::as_str)).map_err(failed)?;
    let tokenizer: Tokenizer = tokenizer.into();
    tokenizer.save(path, false).map_err(failed)
}
