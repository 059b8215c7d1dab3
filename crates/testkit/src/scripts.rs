//! Generators and scorers that follow a script.

use alidade_domain::{Generator, Message, Problem, Response, Sampling, Scorer};
use std::cell::Cell;

/// Answers with the last turn of its prompt and a number from 0 to 99 that follows from the seed alone; always 0 at
/// temperature 0.
pub struct Dice;

impl Generator for Dice {
    fn generate(&self, messages: &[Message], sampling: &Sampling, seed: u64) -> Result<Response, Problem> {
        let last = messages.last().map_or("", |message| message.content.as_str());
        let drawn = if sampling.temperature == 0.0 { 0 } else { seed % 100 };
        Ok(Response { text: format!("{last} {drawn}"), tokens: 2 })
    }
}

/// Answers as [`Dice`] at any temperature above 0 so many times, and is ended then.
pub struct Fails {
    left: Cell<usize>,
}

impl Fails {
    /// One that answers so many times.
    pub fn after(answers: usize) -> Self {
        Self { left: Cell::new(answers) }
    }

    /// Answers that it would still give.
    pub fn left(&self) -> usize {
        self.left.get()
    }
}

impl Generator for Fails {
    fn generate(&self, messages: &[Message], sampling: &Sampling, seed: u64) -> Result<Response, Problem> {
        self.left.set(self.left.get().checked_sub(1).ok_or_else(Problem::ended)?);
        Dice.generate(messages, sampling, seed)
    }
}

/// Scores an answer by the number that it ends with; one that holds an “x” or ends otherwise cannot be read.
pub struct LargestNumber;

impl Scorer for LargestNumber {
    fn score(&self, _: &[Message], answer: &str) -> Result<Option<f64>, Problem> {
        Ok(answer.rsplit(' ').next().and_then(|number| number.parse().ok()).filter(|_| !answer.contains('x')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_depend_on_the_seed_alone_and_end_when_they_should() {
        let sampling = Sampling { temperature: 1.0, top_p: 1.0, max_new_tokens: 8, seed: 0 };
        let ask = [Message::user("n")];
        let fails = Fails::after(1);
        assert_eq!(fails.generate(&ask, &sampling, 107), Dice.generate(&ask, &sampling, 7));
        assert!(fails.generate(&ask, &sampling, 7).is_err() && fails.left() == 0);
        assert_eq!(LargestNumber.score(&[], "n 7").unwrap(), Some(7.0));
        assert_eq!(LargestNumber.score(&[], "x 7").unwrap(), None);
    }
}
