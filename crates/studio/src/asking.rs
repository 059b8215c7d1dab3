//! Asking stacks the questions of a suite: answers are written many at a time and held-out rows scored likewise, in batches that
//! take a share of memory. Each row is computed as if alone and has its own seed, so no answer knows its batch. How far it has
//! come is told on the way.

use crate::Speaker;
use crate::answer::Turn;
use crate::evaluate::{SEED, Snapshot, Suite, TEMPERATURE, fingerprint, observe, worst_row};
use crate::memory::{self, MOST_ROWS as MOST};
use alidade_domain::{Example, Problem, ProblemCode, Sampling, WorstRow};
use alidade_evaluation::Observations;
use alidade_model::{TokenBatch, TokenRow, row_seed};
use alidade_train::{Item, TrainError, scored_rows};
use alidade_world::{Oracle, World};
use std::ops::Range;

/// Prompts whose seeds count from one number, whichever batches they are answered in.
const SEEDED: usize = 32;
/// Rows that are shown as the worst.
const WORST: usize = 8;
/// A scored token costs about half a written one.
const SCORED: f64 = 0.5;

/// How far the asking of both stacks has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Come {
    /// Answers that are written or scored.
    pub(crate) done: usize,
    /// Answers in all.
    pub(crate) total: usize,
    /// Share of the work that is done, by tokens.
    pub(crate) share: f64,
}

/// Hears how far it has come; false ends the asking.
pub(crate) type Watch<'a> = &'a mut dyn FnMut(Come) -> bool;

/// Asks the stack before and the stack after. `earlier` answers to the same prompts are taken over for the first.
///
/// # Errors
/// When a stack cannot answer at all, or the watch ended it (a conflict).
pub(crate) fn compare_stacks(
    suite: &Suite,
    speaker: &mut Speaker,
    [before, after]: &[String; 2],
    earlier: Option<Snapshot>,
    watch: Watch,
) -> Result<[Snapshot; 2], Problem> {
    let questions = Questions::new(suite, speaker)?;
    let prompts = fingerprint(&suite.prompts)?;
    let earlier = earlier.filter(|earlier| earlier.prompts == prompts);
    let works = [questions.work(earlier.is_none()), questions.work(true)];
    let total = works[0].0 + works[1].0;
    let all = (works[0].1 + works[1].1).max(1.0);
    let mut first = |done: usize, work: f64| watch(Come { done, total, share: work / all });
    speaker.turn(Turn::Before);
    let before = questions.ask(before, speaker, earlier, &mut first)?;
    let mut second =
        |done: usize, work: f64| watch(Come { done: works[0].0 + done, total, share: (works[0].1 + work) / all });
    speaker.turn(Turn::After);
    let after = questions.ask(after, speaker, None, &mut second)?;
    Ok([before, after])
}

/// A suite as the model reads it.
struct Questions<'s> {
    suite: &'s Suite,
    prompts: Vec<Vec<u32>>,
    /// Held-out rows that have an answer, and what is scored of them.
    rows: Vec<Example>,
    items: Vec<Item>,
    pairs: bool,
}

impl<'s> Questions<'s> {
    fn new(suite: &'s Suite, speaker: &Speaker) -> Result<Self, Problem> {
        let encoder = speaker.encoder();
        let prompts = suite.prompts.iter().map(|prompt| encoder.prompt(prompt)).collect::<Result<Vec<_>, _>>()?;
        let answered = |row: &&Example| {
            let unwanted =
                matches!(row, Example::Rated { label: false, .. } | Example::PlainRated { label: false, .. });
            !unwanted && !matches!(row, Example::Prompt { .. })
        };
        let rows: Vec<Example> = suite.rows.iter().filter(answered).cloned().collect();
        let pairs = rows.iter().any(|row| matches!(row, Example::Pair(_) | Example::PlainPair { .. }));
        let items = match scored_rows(&rows, &encoder, speaker.context(), pairs) {
            // Rows that leave nothing to score are no figure, and no fault of the run.
            Err(TrainError::NoRows { .. }) => Vec::new(),
            prepared => prepared?.items,
        };
        Ok(Self { suite, prompts, rows, items, pairs })
    }

    /// Answers of one stack, and their work in written tokens.
    fn work(&self, writes: bool) -> (usize, f64) {
        let scored = SCORED * self.items.iter().map(tokens_of).sum::<usize>() as f64;
        let written = if writes { self.prompts.len() } else { 0 };
        (written + self.items.len(), (written * self.suite.max_new_tokens) as f64 + scored)
    }

    fn ask(
        &self,
        stack: &str,
        speaker: &mut Speaker,
        earlier: Option<Snapshot>,
        watch: &mut dyn FnMut(usize, f64) -> bool,
    ) -> Result<Snapshot, Problem> {
        let (taken_over, prompts) = (earlier.is_some(), fingerprint(&self.suite.prompts)?);
        let mut snapshot = match earlier {
            Some(earlier) => earlier,
            None => self.judged(self.answers(speaker, watch)?, prompts, speaker)?,
        };
        stack.clone_into(&mut snapshot.stack);
        snapshot.rows = fingerprint(&self.suite.rows)?;
        let (written, work) = if taken_over {
            (0, 0.0)
        } else {
            (self.prompts.len(), (self.prompts.len() * self.suite.max_new_tokens) as f64)
        };
        let mut further = |done: usize, more: f64| watch(written + done, work + more);
        (snapshot.of_rows, snapshot.worst) = self.scores(speaker, &mut further)?;
        Ok(snapshot)
    }

    fn answers(&self, speaker: &Speaker, watch: &mut dyn FnMut(usize, f64) -> bool) -> Result<Vec<String>, Problem> {
        let longest = self.suite.max_new_tokens;
        let sampling = Sampling { temperature: TEMPERATURE, top_p: 1.0, max_new_tokens: longest, seed: SEED };
        let lengths: Vec<usize> = self.prompts.iter().map(Vec::len).collect();
        let budget = speaker.at_once();
        let mut answers = Vec::with_capacity(lengths.len());
        for batch in answer_batches(&lengths, longest, speaker.context(), &budget) {
            let (begin, rows) = (batch.start, batch.len());
            let seeds: Vec<u64> = batch.clone().map(prompt_seed).collect();
            // Rows are heard of in order, round after round; one that is not heard of any more has ended.
            let (mut round, mut heard, mut last, mut living, mut heed) = (0, 0, usize::MAX, rows, true);
            let mut listener = |row: usize, _: u32| {
                if row <= last {
                    living = if round == 0 { rows } else { heard };
                    (round, heard) = (round + 1, 0);
                    let ended = rows - living;
                    let work = begin * longest + ended * longest + living * round;
                    heed = heed && watch(begin + ended, work as f64);
                }
                (last, heard) = (row, heard + 1);
                heed
            };
            answers.extend(speaker.write(&self.prompts[batch], &seeds, &sampling, &mut listener)?);
            if !heed || !watch(begin + rows, ((begin + rows) * longest) as f64) {
                return Err(ended());
            }
        }
        Ok(answers)
    }

    fn judged(&self, answers: Vec<String>, prompts: String, speaker: &Speaker) -> Result<Snapshot, Problem> {
        let mut observations = Observations::default();
        for answer in &answers {
            observations.push("length_tokens", Some(speaker.tokens(answer)? as f64));
        }
        let (mut labels, mut flagged) = (vec![None; answers.len()], vec![false; answers.len()]);
        if self.suite.oracle {
            let world = World::alder_bay();
            let oracle = Oracle::new(&world);
            for (index, (prompt, answer)) in self.suite.prompts.iter().zip(&answers).enumerate() {
                let judgement = oracle.judge(prompt, answer);
                observe(&mut observations, &judgement);
                labels[index] = Some(judgement.label.to_owned());
                flagged[index] = judgement.harmful_prompt;
            }
        }
        Ok(Snapshot {
            stack: String::new(),
            prompts,
            rows: String::new(),
            answers,
            labels,
            flagged,
            of_answers: observations,
            of_rows: Observations::default(),
            worst: Vec::new(),
        })
    }

    /// Loss per token of each held-out answer, and whether the preferred answer of a pair is the likelier one per token.
    fn scores(
        &self,
        speaker: &mut Speaker,
        watch: &mut dyn FnMut(usize, f64) -> bool,
    ) -> Result<(Observations, Vec<WorstRow>), Problem> {
        let (mut observations, mut worst, mut work) = (Observations::default(), Vec::new(), 0.0);
        let lengths: Vec<usize> = self.items.iter().map(tokens_of).collect();
        let budget = speaker.at_once();
        for batch in batches(lengths.len(), MOST, |range| budget.reads(lengths[range].iter().sum())) {
            let end = batch.end;
            work += SCORED * lengths[batch.clone()].iter().sum::<usize>() as f64;
            let items = &self.items[batch];
            let sequences: Vec<TokenRow> = items.iter().flat_map(|item| item.sequences.clone()).collect();
            let means = speaker.mean_logp(&TokenBatch::new(&sequences)?)?;
            for (item, means) in items.iter().zip(means.chunks(if self.pairs { 2 } else { 1 })) {
                let margin = if let [chosen, rejected] = means { Some(chosen - rejected) } else { None };
                worst.push(worst_row(&self.rows[item.row - 1], -means[0], margin));
                observations.push("held_out_loss", Some(-means[0]));
                if let [chosen, rejected] = means {
                    observations.push_flag("preference_accuracy", Some(chosen > rejected));
                }
            }
            if !watch(end, work) {
                return Err(ended());
            }
        }
        // Pairs by how wrongly they are ranked, single answers by how little they are expected.
        let badness = |row: &WorstRow| row.margin.map_or(row.loss, |margin| -margin);
        worst.sort_by(|a, b| badness(b).total_cmp(&badness(a)));
        worst.truncate(WORST);
        Ok((observations, worst))
    }
}

/// What an asking comes to that was ended.
fn ended() -> Problem {
    Problem::new(ProblemCode::Conflict, "Comparing before and after was ended.")
}

fn tokens_of(item: &Item) -> usize {
    item.sequences.iter().map(|row| row.ids.len()).sum()
}

/// Seed of a prompt by its place in the suite.
fn prompt_seed(index: usize) -> u64 {
    row_seed(SEED.wrapping_add(((index / SEEDED) as u64) << 32), index % SEEDED)
}

/// Prompts in order, as many at a time as memory bears. One that leaves less room than an answer may take goes alone, so that
/// it shortens no other's.
fn answer_batches(lengths: &[usize], longest: usize, context: usize, budget: &memory::AtOnce) -> Vec<Range<usize>> {
    batches(lengths.len(), MOST, |range| {
        let short = range.len() > 1 && lengths[range.clone()].iter().any(|length| length + longest > context);
        let read = lengths[range.clone()].iter().sum();
        !short && budget.writes(read, range.len() * longest)
    })
}

/// Neighbours that fit together, greedily; one that fits nowhere goes alone.
pub(crate) fn batches(count: usize, most: usize, fits: impl Fn(Range<usize>) -> bool) -> Vec<Range<usize>> {
    let (mut found, mut start) = (Vec::new(), 0);
    while start < count {
        let mut end = start + 1;
        while end < count && end - start < most && fits(start..end + 1) {
            end += 1;
        }
        found.push(start..end);
        start = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use alidade_domain::Precision;
    use std::path::PathBuf;

    fn starter(precision: Precision) -> Speaker {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../resources/starter/starter");
        Speaker::open(&folder, None, precision).unwrap()
    }

    #[test]
    fn an_answer_knows_nothing_of_its_batch_in_either_precision() {
        let suite = Suite { max_new_tokens: 24, ..Suite::of_world(40) };
        for precision in [Precision::Single, Precision::Half] {
            let speaker = starter(precision);
            let questions = Questions::new(&suite, &speaker).unwrap();
            let together = questions.answers(&speaker, &mut |_, _| true).unwrap();
            for index in [0, 1, 7, 31, 32, 39] {
                let (prompt, seed) = (questions.prompts[index].clone(), prompt_seed(index));
                let sampling = Sampling { temperature: TEMPERATURE, top_p: 1.0, max_new_tokens: 24, seed: SEED };
                let alone = speaker.write(&[prompt], &[seed], &sampling, &mut |_, _| true).unwrap();
                assert_eq!(alone[0], together[index], "{precision:?} {index}");
            }
        }
    }

    #[test]
    fn how_far_it_has_come_only_grows_and_a_wish_ends_it() {
        let rows = Suite::of_world(6).prompts.into_iter();
        let answer =
            |prompt| Example::Answer { prompt, completion: vec![alidade_domain::Message::assistant("It is so.")] };
        let suite = Suite { rows: rows.map(answer).collect(), max_new_tokens: 16, ..Suite::of_world(5) };
        let mut speaker = starter(Precision::Single);
        let questions = Questions::new(&suite, &speaker).unwrap();
        let (total, all) = questions.work(true);
        let mut come = vec![(0, 0.0)];
        let mut watch = |done: usize, work: f64| {
            let before = *come.last().unwrap();
            assert!(done >= before.0 && work >= before.1 && done <= total, "{before:?} {done} {work}");
            come.push((done, work));
            true
        };
        let snapshot = questions.ask("s", &mut speaker, None, &mut watch).unwrap();
        assert_eq!((snapshot.answers.len(), snapshot.of_rows.0["held_out_loss"].len()), (5, 6));
        assert_eq!(*come.last().unwrap(), (total, all));
        assert!(come.len() > 10, "{come:?}");
        let mut left = 3;
        let mut soon = |_: usize, _: f64| {
            left -= 1;
            left > 0
        };
        assert_eq!(questions.ask("s", &mut speaker, None, &mut soon).unwrap_err().code, ProblemCode::Conflict);
        assert_eq!(left, 0);
    }

    #[test]
    fn batches_fit_and_prompts_without_room_go_alone() {
        assert_eq!(batches(5, 2, |_| true), [0..2, 2..4, 4..5]);
        assert_eq!(batches(3, 9, |range| range.len() < 2), [0..1, 1..2, 2..3]);
        let speaker = starter(Precision::Single);
        let budget = speaker.at_once();
        assert_eq!(answer_batches(&[5, 5, 95, 5], 10, 100, &budget), [0..2, 2..3, 3..4]);
    }
}
