//! The largest passes of a run: how many tokens go through the model at once, with and without a tape, and how many answers
//! are generated together. Computed from the batches that the run will really have.

use alidade_train::{AnswerPasses, PassesPerRow, Prepared, Steps, Training, batch_of};

/// Steps that are examined; the largest batch of so many represents the rest.
const EXAMINED: u64 = 2_000;
/// Prompts that are answered after each checkpoint.
pub const SAMPLES: usize = 3;
/// Tokens of such an answer.
pub const SAMPLE_TOKENS: usize = 64;

/// Sizes of the largest passes, in tokens unless noted otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Passes {
    /// Tokens of a pass that records a tape for the backward pass.
    pub taped: u64,
    /// Those of them whose log-probability is computed.
    pub scored: u64,
    /// Tokens of a pass without a tape: a reference, or answers before they are learned from.
    pub read: u64,
    /// The same two, with all rows padded to the longest of their batch.
    pub padded: [u64; 2],
    /// The longest row.
    pub longest: u64,
    /// Answers that are generated at a time (a number of rows).
    pub rows: u64,
    /// Their prompts.
    pub asked: u64,
    /// Maximum number of tokens of an answer.
    pub answer: u64,
}

impl Passes {
    /// Examines the batches of a run; `answer` is the expected length of its answers, where that is known.
    pub fn of(training: &dyn Training, prepared: &Prepared, (steps, seed): (&Steps, u64), answer: Option<u64>) -> Self {
        let examined = steps.per_epoch.min(steps.total).min(EXAMINED);
        let batches = (0..examined).map(|step| batch_of(steps, seed, step));
        let per_row = training.passes();
        let of_step = |step: Vec<Vec<usize>>| match &per_row.answers {
            None => learned(&per_row, prepared, &step),
            Some(answers) => {
                let limit = answers.limit as u64;
                generated(answers, prepared, &step.concat(), answer.map_or(limit, |answer| answer.min(limit)))
            }
        };
        let mut largest = batches.map(of_step).fold(Self::default(), Self::larger);
        let samples = training.scorer_kind().is_none() && steps.total > training.common().save_steps;
        if largest.rows == 0 && samples {
            largest = largest.with_samples(prepared);
        }
        largest
    }

    fn larger(self, other: Self) -> Self {
        Self {
            taped: self.taped.max(other.taped),
            scored: self.scored.max(other.scored),
            read: self.read.max(other.read),
            padded: [0, 1].map(|pass| self.padded[pass].max(other.padded[pass])),
            longest: self.longest.max(other.longest),
            rows: self.rows.max(other.rows),
            asked: self.asked.max(other.asked),
            answer: self.answer.max(other.answer),
        }
    }

    /// A few prompts are answered after each checkpoint.
    fn with_samples(self, prepared: &Prepared) -> Self {
        let mean = prepared.tokens() / prepared.items.len().max(1) as u64;
        Self { rows: SAMPLES as u64, asked: SAMPLES as u64 * mean, answer: SAMPLE_TOKENS as u64, ..self }
    }
}

/// The largest pass of a step that learns from rows as they are.
fn learned(per_row: &PassesPerRow, prepared: &Prepared, step: &[Vec<usize>]) -> Passes {
    let of_batch = |batch: &Vec<usize>| {
        let items = batch.iter().map(|index| &prepared.items[*index]);
        let rows = items.flat_map(|item| item.sequences.iter().take(per_row.trained_sequences));
        let lengths: Vec<u64> = rows.clone().map(|row| row.ids.len() as u64).collect();
        let scored = rows.map(|row| row.scored_tokens() as u64).sum();
        let (taped, longest) = (lengths.iter().sum(), lengths.iter().copied().max().unwrap_or(0));
        let padded = lengths.len() as u64 * longest;
        Passes {
            taped,
            scored: if per_row.scores_tokens { scored } else { 0 },
            read: if per_row.reads_batches { taped } else { 0 },
            padded: [padded, if per_row.reads_batches { padded } else { 0 }],
            longest,
            ..Passes::default()
        }
    };
    step.iter().map(of_batch).fold(Passes::default(), Passes::larger)
}

/// The largest passes of a step that generates answers of so many tokens.
fn generated(answers: &AnswerPasses, prepared: &Prepared, step: &[usize], answer: u64) -> Passes {
    let prompts: Vec<u64> = step
        .iter()
        .flat_map(|index| std::iter::repeat_n(prepared.items[*index].sequences[0].ids.len() as u64, answers.each))
        .collect();
    let learned = answers.trained_at_once.min(prompts.len().div_ceil(answers.parts));
    let passes = prompts.chunks(answers.at_once).map(|chunk| {
        let (rows, asked) = (chunk.len() as u64, chunk.iter().sum::<u64>());
        let mut sorted = chunk.to_vec();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        let taped = sorted.iter().take(learned).map(|prompt| prompt + answer).sum();
        let (learned, longest) = ((learned as u64).min(rows), sorted[0] + answer);
        let padded = [learned * longest, rows * longest];
        Passes { taped, scored: answer * learned, read: asked + rows * answer, padded, longest, rows, asked, answer }
    });
    passes.fold(Passes::default(), Passes::larger)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alidade_domain::{SettingValue, Settings};
    use alidade_model::TokenRow;
    use alidade_train::{Item, method};

    /// Eight rows of ten prompt tokens each, with answers of five where a method learns from rows.
    fn rows(sequences: usize, answer: usize) -> Prepared {
        let row = || TokenRow::answer(&[1; 10], &vec![2; answer]);
        let items = (1..9).map(|number| Item::new(number, vec![row(); sequences])).collect();
        Prepared { items, ..Prepared::default() }
    }

    fn passes(name: &str, said: &[(&str, i64)], prepared: &Prepared, answer: Option<u64>) -> Passes {
        let said = said.iter().map(|(key, value)| ((*key).to_owned(), SettingValue::Whole(*value))).collect();
        let training = method(name).unwrap().configure(&Settings(said)).unwrap();
        let steps = training.steps(prepared.items.len());
        Passes::of(training.as_ref(), prepared, (&steps, 1), answer)
    }

    #[test]
    fn groups_count_their_answers_and_not_their_prompts() {
        let batch = ("per_device_train_batch_size", 8);
        let said = [batch, ("num_generations", 8), ("max_completion_length", 30)];
        let found = passes("grpo", &said, &rows(1, 0), None);
        assert_eq!((found.taped, found.read, found.rows, found.asked), (8 * 40, 8 * 40, 8, 80));
        // Answers that are known to be short make smaller passes.
        assert_eq!(passes("grpo", &said, &rows(1, 0), Some(12)).taped, 8 * 22);
        assert_eq!(passes("grpo", &said, &rows(1, 0), Some(99)).taped, 8 * 40);
        let said = [batch, ("max_new_tokens", 30)];
        assert_eq!(passes("online_dpo", &said, &rows(1, 0), None).taped, 16 * 40);
        let said = [("per_device_train_batch_size", 2), ("num_generations", 4), ("max_completion_length", 30)];
        let found = passes("rejection_sampling", &said, &rows(1, 0), None);
        assert_eq!((found.rows, found.read, found.taped), (8, 8 * 40, 2 * 40));
    }

    #[test]
    fn updates_on_a_part_of_the_answers_take_a_part_of_the_tape() {
        let said = [("per_device_train_batch_size", 8), ("num_mini_batches", 2), ("response_length", 30)];
        let found = passes("ppo", &said, &rows(1, 0), None);
        assert_eq!((found.taped, found.scored, found.read), (4 * 40, 4 * 30, 8 * 40));
    }

    #[test]
    fn pairs_go_through_together_and_a_scorer_needs_no_vocabulary() {
        let batch = [("per_device_train_batch_size", 4)];
        let dpo = passes("dpo", &batch, &rows(2, 5), None);
        assert_eq!((dpo.taped, dpo.read, dpo.scored), (4 * 2 * 15, 4 * 2 * 15, 4 * 2 * 5));
        let reward = passes("reward_model", &batch, &rows(2, 5), None);
        assert_eq!((reward.taped, reward.read, reward.scored), (4 * 2 * 15, 0, 0));
        // KTO's second answers are only read, without a tape.
        assert_eq!(passes("kto", &batch, &rows(2, 5), None).taped, 4 * 15);
    }
}
