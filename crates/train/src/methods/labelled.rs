//! Shared by methods over single labelled answers: rows to ids.

use crate::encode::{Encoder, Prepared, Row};
use crate::error::{Result, TrainError};
use alidade_domain::{Example, Problem, Words, wording};
use alidade_model::TokenRow;

/// A labelled answer as ids.
pub(super) struct Labelled {
    pub(super) number: usize,
    pub(super) prompt: Vec<u32>,
    /// Not truncated yet.
    pub(super) answer: Vec<u32>,
    pub(super) wanted: bool,
}

/// The ids of a row, or the reason why it cannot be learned from.
pub(super) fn read(
    number: usize,
    example: &Example,
    encoder: &Encoder,
    limit: usize,
    prepared: &mut Prepared,
) -> Result<Row<Labelled>> {
    let (encoded, wanted) = match example {
        Example::Rated { prompt, completion, label } => (encoder.answer(prompt, completion)?, *label),
        Example::PlainRated { prompt, completion, label } => (encoder.plain_answer(prompt, completion)?, *label),
        _ => return Ok(Err(wording!("it has no thumb up or down", "它没有点赞或点踩"))),
    };
    let (mut prompt, moved) = (encoded.ids, encoded.moved_border);
    let answer = prompt.split_off(encoded.prompt);
    if prompt.len() >= limit {
        return Ok(Err(wording!("its prompt alone fills max_length", "仅提问就占满了 max_length")));
    }
    if sequence(&prompt, &answer, limit).scored_tokens() == 0 {
        return Ok(Err(wording!("its answer is empty", "它的回答为空")));
    }
    prepared.moved_borders += usize::from(moved);
    prepared.truncated += usize::from(prompt.len() + answer.len() > limit);
    Ok(Ok(Labelled { number, prompt, answer, wanted }))
}

/// A prompt and an answer that is truncated at its end.
pub(super) fn sequence(prompt: &[u32], answer: &[u32], limit: usize) -> TokenRow {
    TokenRow::answer(prompt, &answer[..answer.len().min(limit - prompt.len())])
}

/// Refuses rows that all have the same label: the loss would fall without bound.
pub(super) fn both_kinds(labelled: &[Labelled]) -> Result<()> {
    let wanted = labelled.iter().filter(|row| row.wanted).count();
    let (label, missing) = match wanted {
        _ if labelled.is_empty() => return Ok(()),
        0 => (false, Words::new("wanted", "想要")),
        all if all == labelled.len() => (true, Words::new("unwanted", "不想要")),
        _ => return Ok(()),
    };
    let message = wording!(
        "All {count} usable rows have the label {label}. This method learns from wanted and unwanted answers, and no {missing} one is left.",
        "可用的 {count} 条的标签全是 {label}。这种方法从想要的和不想要的回答中学习，而{missing}的回答一条也没有。";
        missing; count = labelled.len()
    );
    let problem = Problem::input(message).hint(Words::new(
        "Add rows of the other kind; wanted answers alone can be learned by supervised fine-tuning.",
        "请加入另一类数据；如果只有想要的回答，可以用监督微调来学习。",
    ));
    Err(TrainError::Refused(problem.at("dataset")))
}
