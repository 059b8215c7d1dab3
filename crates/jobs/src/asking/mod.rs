//! One base model with several adapters on it, each a stack behind the ports `Generator` and `Scorer`. Answers are generated
//! and rows scored in batches that take a share of memory. Each row is computed as if alone and has its own seed, so no
//! answer depends on its batch. What is asked, and what is concluded from the answers, is in `evaluation`.

pub(crate) mod answer;
pub mod evaluate;
pub(crate) mod logged;
pub mod questions;
pub(crate) mod scorer;
pub mod world_oracle;

use crate::Speaker;
use crate::asking::logged::Logged;
use crate::files::item_log::ItemLog;
use crate::train::memory::{self, MOST_ROWS as MOST};
use alidade_domain::{
    EvaluatedStack, Evaluation, Example, Generator, Listener, Message, Problem, Response, Sampling, ScoredAnswer,
    ScoredRow, Scorer, Stack, wording,
};
use alidade_evaluation::{JudgeCard, Part, Question, Snapshot, Subject, conclude};
use alidade_model::{TokenBatch, TokenRow};
use alidade_train::{Item, TrainError, scored_rows};
use std::cell::RefCell;
use std::ops::Range;

/// A stack of a [`Speaker`] that several share.
pub struct StackSpeaker<'a> {
    /// The loaded base model that all stacks share.
    pub speaker: &'a RefCell<Speaker>,
    /// Its place among the stacks of the speaker.
    pub place: usize,
}

impl Generator for StackSpeaker<'_> {
    fn generate(&self, messages: &[Message], sampling: &Sampling, seed: u64) -> Result<Response, Problem> {
        let answers = self.generate_many(&[messages], sampling, &[seed], &mut |_, _| true)?;
        answers.into_iter().next().ok_or_else(|| {
            Problem::internal(wording!("The model gave no answer to a prompt.", "模型对一个提问没有给出回答。"))
        })
    }

    fn generate_many(
        &self,
        prompts: &[&[Message]],
        sampling: &Sampling,
        seeds: &[u64],
        watch: Listener,
    ) -> Result<Vec<Response>, Problem> {
        let mut speaker = self.speaker.borrow_mut();
        speaker.turn(self.place);
        let prompts = prompts.iter().map(|prompt| speaker.prompt(prompt)).collect::<Result<Vec<_>, _>>()?;
        let longest = sampling.max_new_tokens;
        let lengths: Vec<usize> = prompts.iter().map(Vec::len).collect();
        let budget = speaker.at_once();
        let all = (prompts.len() * longest).max(1) as f64;
        let mut responses = Vec::with_capacity(prompts.len());
        for batch in answer_batches(&lengths, longest, speaker.context(), &budget) {
            let (begin, rows) = (batch.start, batch.len());
            // Each decoding step reports its active rows in order; a row that is no longer reported has ended.
            let (mut round, mut seen, mut last, mut active, mut wanted) = (0, 0, usize::MAX, rows, true);
            let mut listener = |row: usize, _: u32| {
                if row <= last {
                    active = if round == 0 { rows } else { seen };
                    (round, seen) = (round + 1, 0);
                    let ended = rows - active;
                    let work = begin * longest + ended * longest + active * round;
                    wanted = wanted && watch(begin + ended, work as f64 / all);
                }
                (last, seen) = (row, seen + 1);
                wanted
            };
            let answers = speaker.generate(&prompts[batch.clone()], &seeds[batch], sampling, &mut listener)?;
            for text in answers {
                let tokens = speaker.tokens(&text)?;
                responses.push(Response { text, tokens });
            }
            if !wanted || !watch(begin + rows, ((begin + rows) * longest) as f64 / all) {
                return Err(Problem::ended());
            }
        }
        Ok(responses)
    }
}

/// Scores are mean log-probabilities per token, in nats.
impl Scorer for StackSpeaker<'_> {
    fn score(&self, prompt: &[Message], answer: &str) -> Result<Option<f64>, Problem> {
        let row = Example::Answer { prompt: prompt.to_vec(), completion: vec![Message::assistant(answer)] };
        let scored = self.score_rows(&[row], &mut |_, _| true)?;
        Ok(scored.first().and_then(|row| row.wanted.score).filter(|score| score.is_finite()))
    }

    fn score_rows(&self, rows: &[Example], watch: Listener) -> Result<Vec<ScoredRow>, Problem> {
        let mut speaker = self.speaker.borrow_mut();
        speaker.turn(self.place);
        let items = items(&speaker, rows)?;
        let lengths: Vec<usize> = items.iter().map(tokens_of).collect();
        let all = lengths.iter().sum::<usize>().max(1) as f64;
        let budget = speaker.at_once();
        let (mut scored, mut work) = (Vec::with_capacity(items.len()), 0);
        for batch in batches(lengths.len(), MOST, |range| budget.reads(lengths[range].iter().sum())) {
            let end = batch.end;
            work += lengths[batch.clone()].iter().sum::<usize>();
            let items = &items[batch];
            let sequences: Vec<TokenRow> = items.iter().flat_map(|item| item.sequences.clone()).collect();
            let means = speaker.mean_logp(&TokenBatch::new(&sequences)?)?;
            let mut answers = means.into_iter().zip(&sequences);
            for item in items {
                let mut next = || {
                    let (mean, sequence) = answers.next()?;
                    Some(ScoredAnswer {
                        score: Some(mean),
                        tokens: sequence.ids.len(),
                        scored: sequence.scored_tokens(),
                    })
                };
                let Some(wanted) = next() else { continue };
                let other = if item.sequences.len() > 1 { next() } else { None };
                scored.push(ScoredRow { row: item.row - 1, wanted, other });
            }
            if !watch(end, work as f64 / all) {
                return Err(Problem::ended());
            }
        }
        Ok(scored)
    }
}

/// Rows as a model reads them: pairs as pairs, all others as single answers, in the order of the rows.
fn items(speaker: &Speaker, rows: &[Example]) -> Result<Vec<Item>, Problem> {
    let mut items = Vec::with_capacity(rows.len());
    for as_pairs in [true, false] {
        let is_pair = |row: &Example| matches!(row, Example::Pair(_) | Example::PlainPair { .. });
        let places: Vec<usize> = (0..rows.len()).filter(|place| is_pair(&rows[*place]) == as_pairs).collect();
        if places.is_empty() {
            continue;
        }
        let own: Vec<Example> = places.iter().map(|place| rows[*place].clone()).collect();
        match scored_rows(&own, &speaker.encoder(), speaker.context(), as_pairs) {
            // Rows without anything to score yield no figure, which is not a fault of the run.
            Err(TrainError::NoRows { .. }) => {}
            // Numbers of rows count from 1.
            prepared => {
                items.extend(prepared?.items.into_iter().map(|item| Item { row: places[item.row - 1] + 1, ..item }))
            }
        }
    }
    items.sort_by_key(|item| item.row);
    Ok(items)
}

/// Tokens of all sequences of a row.
pub fn tokens_of(item: &Item) -> usize {
    item.sequences.iter().map(|row| row.ids.len()).sum()
}

/// Prompts in order, as many per batch as memory allows. A prompt that leaves less room than an answer may take is a batch
/// of its own, so that it does not shorten other answers.
fn answer_batches(lengths: &[usize], longest: usize, context: usize, budget: &memory::AtOnce) -> Vec<Range<usize>> {
    batches(lengths.len(), MOST, |range| {
        let short = range.len() > 1 && lengths[range.clone()].iter().any(|length| length + longest > context);
        let read = lengths[range.clone()].iter().sum();
        !short && budget.generates(read, range.len() * longest)
    })
}

/// Greedy batches of neighbours that fit together; one that does not fit is a batch of its own.
pub fn batches(count: usize, most: usize, fits: impl Fn(Range<usize>) -> bool) -> Vec<Range<usize>> {
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

/// A stack as figures name it.
pub fn evaluated(stack: &Stack) -> EvaluatedStack {
    EvaluatedStack { label: stack.label(), key: stack.key() }
}

/// Progress over all stacks and suites.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Answers that are generated or scored.
    pub done: usize,
    /// Answers in all.
    pub total: usize,
    /// Share of the work that is done, in tokens.
    pub share: f64,
}

/// Asks every stack of a speaker all questions, stack after stack. `earlier` answers of the first stack to the same prompts
/// are reused. With a log, and an identity of template and date, answers are logged and those of an earlier attempt are
/// reused.
///
/// # Errors
/// When a stack cannot answer at all, or `watch` stopped it (a conflict).
pub fn ask_stacks(
    questions: &[Question],
    speaker: &RefCell<Speaker>,
    stacks: &[EvaluatedStack],
    mut earlier: Option<Snapshot>,
    log: Option<(&RefCell<ItemLog>, &str)>,
    watch: &mut dyn FnMut(Progress) -> bool,
) -> Result<Vec<Snapshot>, Problem> {
    let taken = |question: &Question, place: usize| {
        let earlier = earlier.as_ref().filter(|_| place == 0);
        earlier.is_some_and(|earlier| earlier.parts.iter().any(|part| question.is_answered_by(part)))
    };
    let works: Vec<(usize, f64)> = (0..stacks.len())
        .flat_map(|place| questions.iter().map(move |question| (place, question)))
        .map(|(place, question)| question.work(!taken(question, place)))
        .collect();
    let (total, all) = works.iter().fold((0, 0.0), |(count, work), one| (count + one.0, work + one.1));
    let (mut count, mut work, mut works) = (0, 0.0, works.into_iter());
    let mut snapshots = Vec::with_capacity(stacks.len());
    for (place, stack) in stacks.iter().enumerate() {
        let stack_speaker = StackSpeaker { speaker, place };
        let logged = log.map(|(log, identity)| Logged {
            inner: &stack_speaker,
            log,
            identity: format!("{identity} {}", stack.key),
        });
        let generator: &dyn Generator = logged.as_ref().map_or(&stack_speaker, |logged| logged);
        let subject = Subject { generator: Some(generator), scorer: Some(&stack_speaker) };
        let earlier = earlier.take();
        let mut parts: Vec<Part> = Vec::with_capacity(questions.len());
        for question in questions {
            let known = earlier.as_ref().and_then(|earlier| earlier.part(question.suite.card().name)).cloned();
            let mut report = |done: usize, more: f64| {
                watch(Progress { done: count + done, total, share: (work + more) / all.max(1.0) })
            };
            parts.push(question.ask(&subject, known, &mut report)?);
            let one = works.next().unwrap_or_default();
            (count, work) = (count + one.0, work + one.1);
        }
        snapshots.push(Snapshot { stack: stack.clone(), parts });
    }
    Ok(snapshots)
}

/// The figures of one suite from the snapshots, compared with the first of them; so many prompts are shown, and it took so
/// many seconds.
pub fn concluded(
    question: &Question,
    judges: &[&'static JudgeCard],
    snapshots: &[Snapshot],
    shown: (usize, f64),
) -> Evaluation {
    let name = question.suite.card().name;
    let parts: Vec<(&EvaluatedStack, &Part)> =
        snapshots.iter().filter_map(|snapshot| Some((&snapshot.stack, snapshot.part(name)?))).collect();
    conclude(question, judges, &parts, 0, shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asking::questions::Questions;
    use alidade_domain::{Precision, ProblemCode};

    fn starter(precision: Precision) -> RefCell<Speaker> {
        let folder = alidade_testkit::resources("starter/starter");
        RefCell::new(Speaker::open(&folder, None, precision).unwrap())
    }

    #[test]
    fn an_answer_knows_nothing_of_its_batch_in_either_precision() {
        let prompts = Questions::of_world(40).prompts();
        let prompts: Vec<&[Message]> = prompts.iter().map(Vec::as_slice).collect();
        let seeds: Vec<u64> = (0..40).map(|seed| 977 * seed).collect();
        let sampling = Sampling { temperature: 0.7, top_p: 1.0, max_new_tokens: 24, seed: 0 };
        for precision in [Precision::F32, Precision::Bf16] {
            let speaker = starter(precision);
            let stack = StackSpeaker { speaker: &speaker, place: 0 };
            let together = stack.generate_many(&prompts, &sampling, &seeds, &mut |_, _| true).unwrap();
            for index in [0, 1, 7, 31, 32, 39] {
                let alone = stack.generate(prompts[index], &sampling, seeds[index]).unwrap();
                assert_eq!(alone, together[index], "{precision:?} {index}");
            }
        }
    }

    #[test]
    fn how_far_it_has_come_only_grows_and_a_wish_ends_it() {
        let rows = Questions::of_world(6).prompts().into_iter();
        let answer = |prompt| Example::Answer { prompt, completion: vec![Message::assistant("It is so.")] };
        let asked = Questions::own(Questions::of_world(5).prompts(), rows.map(answer).collect());
        let questions: Vec<Question> = asked.by_suite().unwrap();
        let speaker = starter(Precision::F32);
        let stack = StackSpeaker { speaker: &speaker, place: 0 };
        let subject = Subject { generator: Some(&stack), scorer: Some(&stack) };
        let (total, all) = questions[0].work(true);
        let mut come = vec![(0, 0.0)];
        let mut watch = |done: usize, work: f64| {
            let before = *come.last().unwrap();
            assert!(done >= before.0 && work >= before.1 && done <= total, "{before:?} {done} {work}");
            come.push((done, work));
            true
        };
        let part = questions[0].ask(&subject, None, &mut watch).unwrap();
        assert_eq!((part.answers.len(), part.of_rows.get("held_out_loss").unwrap().values().len()), (5, 6));
        assert_eq!(*come.last().unwrap(), (total, all));
        assert!(come.len() > 10, "{come:?}");
        let mut left = 3;
        let mut soon = |_: usize, _: f64| {
            left -= 1;
            left > 0
        };
        assert_eq!(questions[0].ask(&subject, None, &mut soon).unwrap_err().code, ProblemCode::Conflict);
        assert_eq!(left, 0);
    }

    #[test]
    fn batches_fit_and_prompts_without_room_go_alone() {
        assert_eq!(batches(5, 2, |_| true), [0..2, 2..4, 4..5]);
        assert_eq!(batches(3, 9, |range| range.len() < 2), [0..1, 1..2, 2..3]);
        let speaker = starter(Precision::F32);
        let budget = speaker.borrow().at_once();
        assert_eq!(answer_batches(&[5, 5, 95, 5], 10, 100, &budget), [0..2, 2..3, 3..4]);
    }
}
