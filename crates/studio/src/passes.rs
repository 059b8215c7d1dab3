//! The largest passes of a run: how many tokens go through the model at once, with and without a tape, and how many answers are
//! written together. Found from the batches that will really be made.

use alidade_domain::{MethodName, Settings};
use alidade_train::{Item, Prepared, Steps, batch_of};

/// Steps that are looked at; the largest batch of so many is as good as any.
const LOOKED_AT: u64 = 2_000;
/// Prompts that are answered after each checkpoint, and tokens of an answer.
pub(crate) const SAMPLES: usize = 3;
pub(crate) const SAMPLE_TOKENS: usize = 64;

/// Sizes of the largest passes, in tokens where nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Passes {
    /// With a tape.
    pub(crate) taped: u64,
    /// Those of them whose log-probability is wanted.
    pub(crate) scored: u64,
    /// Without a tape: a reference, the answers before they are learned from.
    pub(crate) read: u64,
    /// The longest row.
    pub(crate) longest: u64,
    /// Answers that are written at a time.
    pub(crate) rows: u64,
    /// Their prompts.
    pub(crate) asked: u64,
    /// Most tokens of an answer.
    pub(crate) answer: u64,
}

impl Passes {
    /// Looks through the batches of a run; `answer` is how long its answers may be expected to be, where that is known.
    pub(crate) fn of(
        name: MethodName,
        settings: &Settings,
        prepared: &Prepared,
        (steps, seed): (&Steps, u64),
        answer: Option<u64>,
    ) -> Self {
        let looked_at = steps.per_epoch.min(steps.total).min(LOOKED_AT);
        let batches = (0..looked_at).map(|step| batch_of(steps, seed, step));
        let of_step = |step: Vec<Vec<usize>>| match answer_limit(name, settings) {
            0 => learned(name, prepared, &step),
            limit => {
                written(name, settings, prepared, &step.concat(), answer.map_or(limit, |answer| answer.min(limit)))
            }
        };
        let mut largest = batches.map(of_step).fold(Self::default(), Self::larger);
        largest.longest = prepared.longest() as u64;
        if largest.rows == 0 && !name.makes_scorer() && steps.total > settings.whole("save_steps").max(1) as u64 {
            largest = largest.with_samples(prepared);
        }
        largest
    }

    fn larger(self, other: Self) -> Self {
        Self {
            taped: self.taped.max(other.taped),
            scored: self.scored.max(other.scored),
            read: self.read.max(other.read),
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
fn learned(name: MethodName, prepared: &Prepared, step: &[Vec<usize>]) -> Passes {
    // The pairs of KTO's KL term are read without a tape, the reference of DPO likewise.
    let first = |item: &Item| u64::from(name == MethodName::Kto) * (item.sequences.len() as u64);
    let sequences = |item: &Item| if first(item) > 0 { 1 } else { item.sequences.len() };
    let tokens = |batch: &[usize]| -> [u64; 2] {
        let rows = batch.iter().flat_map(|index| {
            let item = &prepared.items[*index];
            item.sequences.iter().take(sequences(item))
        });
        rows.fold([0, 0], |[all, scored], row| [all + row.ids.len() as u64, scored + row.scored_tokens() as u64])
    };
    let passes = step.iter().map(|batch| tokens(batch)).map(|[taped, scored]| Passes {
        taped,
        // What only scores never looks at the vocabulary.
        scored: if name.makes_scorer() { 0 } else { scored },
        read: if matches!(name, MethodName::Dpo | MethodName::Kto) { taped } else { 0 },
        ..Passes::default()
    });
    passes.fold(Passes::default(), Passes::larger)
}

/// The largest passes of a step that lets the model answer.
fn written(name: MethodName, settings: &Settings, prepared: &Prepared, step: &[usize], answer: u64) -> Passes {
    let count = |key: &str| settings.whole(key).max(1) as usize;
    let batch = count("per_device_train_batch_size");
    // Answers to each prompt, and answers in a pass.
    let (each, rows) = match name {
        MethodName::Grpo | MethodName::Rloo => (count("num_generations"), batch),
        MethodName::RejectionSampling => (count("num_generations"), batch * count("num_generations")),
        MethodName::OnlineDpo => (2, 2 * batch),
        _ => (1, batch),
    };
    let answers: Vec<u64> = step
        .iter()
        .flat_map(|index| std::iter::repeat_n(prepared.items[*index].sequences[0].ids.len() as u64, each))
        .collect();
    let learned = match name {
        MethodName::Ppo => rows.min(answers.len().div_ceil(count("num_mini_batches"))),
        MethodName::RejectionSampling => batch,
        _ => rows,
    };
    let passes = answers.chunks(rows).map(|chunk| {
        let (rows, asked) = (chunk.len() as u64, chunk.iter().sum::<u64>());
        let mut longest = chunk.to_vec();
        longest.sort_unstable_by(|a, b| b.cmp(a));
        let taped = longest.iter().take(learned).map(|prompt| prompt + answer).sum();
        let scored = answer * (learned as u64).min(rows);
        Passes { taped, scored, read: asked + rows * answer, longest: 0, rows, asked, answer }
    });
    passes.fold(Passes::default(), Passes::larger)
}

/// Most tokens of an answer that the model writes in training; none when it writes none.
pub(crate) fn answer_limit(name: MethodName, settings: &Settings) -> u64 {
    let keys = ["response_length", "max_completion_length", "max_new_tokens"];
    let limits = keys.iter().filter(|key| settings.0.contains_key(**key));
    let longest = limits.map(|key| settings.whole(key).max(0) as u64).max();
    longest.filter(|_| alidade_train::method(name).needs().reward).unwrap_or(0)
}
#[cfg(test)]
mod tests {
    use super::*;
    use alidade_domain::SettingValue;
    use alidade_model::TokenRow;
    use alidade_train::method;

    /// Eight rows of ten prompt tokens each, with answers of five where a method learns from rows.
    fn rows(sequences: usize, answer: usize) -> Prepared {
        let row = || TokenRow::answer(&[1; 10], &vec![2; answer]);
        let items = (1..9).map(|number| Item::new(number, vec![row(); sequences])).collect();
        Prepared { items, ..Prepared::default() }
    }

    fn passes(name: MethodName, said: &[(&str, i64)], prepared: &Prepared, answer: Option<u64>) -> Passes {
        let said = said.iter().map(|(key, value)| ((*key).to_owned(), SettingValue::Whole(*value))).collect();
        let settings = Settings(said).resolve(&method(name).card().settings).unwrap();
        let steps = method(name).steps(&settings, prepared.items.len());
        Passes::of(name, &settings, prepared, (&steps, 1), answer)
    }

    #[test]
    fn groups_count_their_answers_and_not_their_prompts() {
        let batch = ("per_device_train_batch_size", 8);
        let said = [batch, ("num_generations", 8), ("max_completion_length", 30)];
        let found = passes(MethodName::Grpo, &said, &rows(1, 0), None);
        assert_eq!((found.taped, found.read, found.rows, found.asked), (8 * 40, 8 * 40, 8, 80));
        // Answers that are known to be short make smaller passes.
        assert_eq!(passes(MethodName::Grpo, &said, &rows(1, 0), Some(12)).taped, 8 * 22);
        assert_eq!(passes(MethodName::Grpo, &said, &rows(1, 0), Some(99)).taped, 8 * 40);
        let said = [batch, ("max_new_tokens", 30)];
        assert_eq!(passes(MethodName::OnlineDpo, &said, &rows(1, 0), None).taped, 16 * 40);
        let said = [("per_device_train_batch_size", 2), ("num_generations", 4), ("max_completion_length", 30)];
        let found = passes(MethodName::RejectionSampling, &said, &rows(1, 0), None);
        assert_eq!((found.rows, found.read, found.taped), (8, 8 * 40, 2 * 40));
    }

    #[test]
    fn updates_on_a_part_of_the_answers_take_a_part_of_the_tape() {
        let said = [("per_device_train_batch_size", 8), ("num_mini_batches", 2), ("response_length", 30)];
        let found = passes(MethodName::Ppo, &said, &rows(1, 0), None);
        assert_eq!((found.taped, found.scored, found.read), (4 * 40, 4 * 30, 8 * 40));
    }

    #[test]
    fn pairs_go_through_together_and_a_scorer_needs_no_vocabulary() {
        let batch = [("per_device_train_batch_size", 4)];
        let dpo = passes(MethodName::Dpo, &batch, &rows(2, 5), None);
        assert_eq!((dpo.taped, dpo.read, dpo.scored), (4 * 2 * 15, 4 * 2 * 15, 4 * 2 * 5));
        let reward = passes(MethodName::RewardModel, &batch, &rows(2, 5), None);
        assert_eq!((reward.taped, reward.read, reward.scored), (4 * 2 * 15, 0, 0));
        // KTO's second answers are read alone.
        assert_eq!(passes(MethodName::Kto, &batch, &rows(2, 5), None).taped, 4 * 15);
    }
}
