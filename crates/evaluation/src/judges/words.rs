//! Number of words: whether the length of an answer is within bounds. Scripts without spaces between words are counted by
//! letters.

use crate::card::{MeasureCard, Unit};
use crate::judge::{Argument, Case, Judge, JudgeCard, JudgeKind};
use alidade_domain::{Better, Generator, Outcome, Problem, Wording, Words, wording};
use std::ops::RangeInclusive;

/// The kind.
pub struct WordCount;

static CARD: JudgeCard = JudgeCard {
    name: "words",
    title: Words::new("number of words", "字数"),
    explanation: Words::new(
        "The number of words must lie within bounds; in scripts without spaces, such as Chinese, each letter counts as a word.",
        "字数必须在范围内；中文等没有空格的文字按字计数。",
    ),
    argument: Some(Argument {
        example: "10-80",
        meaning: Words::new("the least and the most words, both included", "最少和最多字数，两端都包含"),
    }),
    compares: false,
    asks: false,
    measures: &[MeasureCard {
        key: "words_kept",
        unit: Unit::Rate,
        better: Better::Higher,
        title: Words::new("answers within the wanted length", "长度符合要求的回答"),
        explanation: Words::new(
            "Share of answers whose number of words lies within the bounds.",
            "字数在范围内的回答比例。",
        ),
    }],
    labels: &[("words_kept", Words::new("length kept", "长度符合"))],
};

impl JudgeKind for WordCount {
    fn card(&self) -> &'static JudgeCard {
        &CARD
    }

    fn make<'a>(&self, argument: Option<&str>, _: Option<&'a dyn Generator>) -> Result<Box<dyn Judge + 'a>, Problem> {
        let bounds = |text: &str| {
            let (low, high) = text.split_once('-')?;
            Some(low.trim().parse().ok()?..=high.trim().parse().ok()?)
        };
        match argument.and_then(bounds).filter(|bounds| !bounds.is_empty()) {
            Some(bounds) => Ok(Box::new(Within(bounds))),
            None => {
                let found = argument.map_or_else(|| wording!("nothing", "空"), Wording::name);
                let message = wording!(
                    "The judge “words” needs two bounds, but was given “{found}”.",
                    "裁判“words”需要两个界限，却得到“{found}”。";
                    found
                );
                Err(Problem::input(message)
                    .hint(Words::new("Write them after it: words=10-80", "把界限写在后面：words=10-80"))
                    .at("judge"))
            }
        }
    }
}

struct Within(RangeInclusive<usize>);

impl Judge for Within {
    fn judge(&self, case: &Case) -> Result<Outcome, Problem> {
        let within = |answer| super::label("words_kept", self.0.contains(&words(answer)));
        Ok(case.answer().map_or(Outcome::Unreadable, within))
    }
}

/// Words between spaces, and every letter of a script that is written without them.
fn words(text: &str) -> usize {
    let (mut count, mut inside) = (0, false);
    for letter in text.chars() {
        let alone = matches!(letter, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}');
        count += usize::from(alone || (!inside && letter.is_alphanumeric()));
        inside = !alone && (letter.is_alphanumeric() || (inside && !letter.is_whitespace()));
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_in_both_scripts() {
        for (text, count) in
            [("It's a well-known fact.", 4), ("", 0), ("你好，世界", 4), ("用 Rust 写", 3), ("— 5 —", 1)]
        {
            assert_eq!(words(text), count, "{text}");
        }
    }
}
