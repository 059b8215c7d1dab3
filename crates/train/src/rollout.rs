//! Rollouts: answers that the policy generates during training, sampled without any filter and scored by a reward model, an
//! oracle or a rule, and by a cost model where there is a limit on harm. Only log-probabilities that are recomputed on the
//! training path enter a loss.

use crate::encode::{Encoder, Item, Prepared, Row, Skipped, or_left_out};
use crate::error::{Result, TrainError};
use crate::passes::AnswerPasses;
use crate::step::StepContext;
use alidade_domain::{
    DatasetKind, EventKind, Example, Message, Purpose, Scorer, Stream, Wording, Words, conversation_text, wording,
};
use alidade_model::{Finish, GenerationOptions, ModelError, Policy, ScorerKind, TokenBatch, TokenRow, generate};

/// What scores the answers.
#[derive(Clone, Copy)]
pub enum AnswerScorer<'a> {
    /// A reward or cost model that shares the policy's base model.
    Model(ScorerKind),
    /// Anything else.
    Scorer(&'a dyn Scorer),
}

/// What a session needs to generate and score rollouts.
#[derive(Clone, Copy)]
pub struct Rollouts<'a> {
    /// Tokenizer and chat template of the model.
    pub encoder: Encoder<'a>,
    /// Scores the answers.
    pub scorer: AnswerScorer<'a>,
    /// Gives their costs, where there is a limit on harm.
    pub cost: Option<AnswerScorer<'a>>,
    /// Steps between samples shown to the user; 0 shows none.
    pub show_every: u64,
}

/// One answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rollout {
    /// Number of the row whose prompt is answered, from 1.
    pub(crate) source: usize,
    pub(crate) prompt: Vec<Message>,
    /// Prompt and answer as ids, with a mask over the answer (its end token included).
    pub(crate) row: TokenRow,
    pub(crate) text: String,
    /// True when the policy ended the answer with a stop token.
    pub(crate) ended: bool,
    pub(crate) score: f64,
    /// How harmful it is; 0 without a cost scorer.
    pub(crate) cost: f64,
    /// False when a scorer could not read the answer; it then has the lowest score and the highest cost of the batch.
    pub(crate) readable: bool,
    /// Log-probabilities of the answer under the policy that generated it.
    pub(crate) old: Vec<f64>,
    /// The same under the reference.
    pub(crate) reference: Vec<f64>,
    /// Entropy of the distribution at each token, in nats.
    pub(crate) entropy: Vec<f64>,
}

impl Rollout {
    /// Σ (logπ − logref) over the answer: one sample of the KL divergence, in nats.
    pub(crate) fn kl(&self) -> f64 {
        self.old.iter().zip(&self.reference).map(|(a, b)| a - b).sum()
    }
}

/// How answers are sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sampling {
    pub(crate) temperature: f64,
    pub(crate) max_new_tokens: usize,
    /// Answers to each prompt.
    pub(crate) each: usize,
    /// Rows in one pass.
    pub(crate) rows: usize,
}

impl Sampling {
    /// Passes over such answers, when they are trained in the batches in which they were generated.
    pub(crate) fn passes(&self) -> AnswerPasses {
        AnswerPasses {
            each: self.each,
            at_once: self.rows,
            trained_at_once: self.rows,
            parts: 1,
            limit: self.max_new_tokens,
            temperature: self.temperature,
        }
    }
}

/// Kinds of data that such methods learn from: every kind that has prompts.
pub(crate) fn prompt_kinds() -> Vec<DatasetKind> {
    vec![DatasetKind::Prompts, DatasetKind::Answers, DatasetKind::Pairs, DatasetKind::Ratings]
}

/// Prompts as items that leave room for `answer` tokens below `limit`; existing answers are ignored.
pub(crate) fn prompts(rows: &[Example], encoder: &Encoder, limit: usize, answer: usize) -> Result<Prepared> {
    let mut prepared = Prepared { answer_limit: answer, ..Prepared::default() };
    for (index, example) in rows.iter().enumerate() {
        let row = index + 1;
        match or_left_out(prompt(example, encoder, limit, answer))? {
            Ok((prompt, sequence)) => {
                let prompt = prompt.to_vec();
                prepared.items.push(Item { prompt, ..Item::new(row, vec![sequence]) });
            }
            Err(reason) => prepared.skipped.push(Skipped { row, reason }),
        }
    }
    prepared.or_nothing(rows.len())
}

/// The prompt of a row, and its tokens.
fn prompt<'a>(
    example: &'a Example,
    encoder: &Encoder,
    limit: usize,
    answer: usize,
) -> Result<Row<(&'a [Message], TokenRow)>> {
    let prompt = match example {
        Example::Prompt { prompt } | Example::Answer { prompt, .. } | Example::Rated { prompt, .. } => prompt,
        Example::Pair(pair) => &pair.prompt,
        _ => return Ok(Err(wording!("it has no prompt", "它没有提问"))),
    };
    let ids = encoder.prompt(prompt)?;
    if ids.is_empty() || ids.len() + answer > limit {
        return Ok(Err(wording!(
            "its prompt leaves no room for an answer within max_length",
            "它的提问在 max_length 之内没有给回答留下空间"
        )));
    }
    Ok(Ok((prompt, TokenRow { scored: vec![false; ids.len()], ids })))
}

/// Generates answers to the prompts of a step and has them scored.
pub(crate) fn generate_rollouts(context: &mut StepContext, sampling: Sampling) -> Result<Vec<Rollout>> {
    let Some(rollouts) = context.rollouts.copied() else { return Err(no_scorer()) };
    let items: Vec<&Item> = context.batch.micro_batches.iter().flatten().copied().collect();
    let items: Vec<&Item> = items.iter().flat_map(|item| std::iter::repeat_n(*item, sampling.each)).collect();
    let mut answers = Vec::with_capacity(items.len());
    for (part, chunk) in items.chunks(sampling.rows.max(1)).enumerate() {
        let longest = chunk.iter().map(|item| item.sequences[0].ids.len()).max().unwrap_or(0);
        let room = context.policy.decoder().spec().context.saturating_sub(longest);
        let stream = Stream::new(context.batch.seed(), Purpose::Generate, context.batch.step(), part as u64).bits();
        let options = GenerationOptions {
            temperature: sampling.temperature,
            top_p: 1.0,
            max_new_tokens: sampling.max_new_tokens.min(room),
            seed: stream,
            stops: rollouts.encoder.stops(),
        };
        let prompts: Vec<Vec<u32>> = chunk.iter().map(|item| item.sequences[0].ids.clone()).collect();
        let begun = (context.clock)();
        let generated = generate(context.policy.decoder(), context.policy.adapter_name(), &prompts, &options);
        let generated = generated.map_err(|error| match error {
            ModelError::NotFiniteScores { row, .. } => {
                let rows = chunk.get(row - 1).map(|item| item.row).into_iter().collect();
                context.not_finite(Words::new("logit of the next token", "下一个词元的 logit"), f64::NAN, rows)
            }
            error => error.into(),
        })?;
        context.generation_seconds += (context.clock)() - begun;
        for (item, answer) in chunk.iter().zip(generated) {
            let text = rollouts.encoder.tokenizer.decode(&answer.ids)?;
            let ids: Vec<u32> = answer.ids.iter().copied().chain(answer.stop).collect();
            answers.push(Rollout {
                source: item.row,
                prompt: item.prompt.clone(),
                row: TokenRow::answer(&item.sequences[0].ids, &ids),
                text,
                ended: answer.finish == Finish::Stop,
                readable: true,
                ..Rollout::default()
            });
        }
    }
    score(context, &rollouts, &mut answers, sampling.rows)?;
    show(context, &rollouts, &answers)?;
    Ok(answers)
}

fn no_scorer() -> TrainError {
    TrainError::Observer(
        alidade_domain::Problem::input(Words::new(
            "This method learns from scores, but no scorer was named.",
            "这种方法从得分中学习，但没有指定由谁打分。",
        ))
        .hint(Words::new(
            "Name a reward: a reward model's adapter, or the oracle for the bundled model.",
            "请指定奖励：奖励模型的适配器，或内置模型的 oracle。",
        ))
        .at("reward"),
    )
}

fn score(context: &mut StepContext, rollouts: &Rollouts, answers: &mut [Rollout], rows: usize) -> Result<()> {
    let scores = scores_by(context.policy, rollouts.scorer, rollouts.encoder, answers, rows)?;
    context
        .check_answers(Wording::name("reward"), answers.iter().zip(scores.iter().map(|score| score.unwrap_or(0.0))))?;
    let lowest = scores.iter().flatten().copied().reduce(f64::min).unwrap_or(0.0);
    for (rollout, score) in answers.iter_mut().zip(scores) {
        rollout.readable = score.is_some();
        rollout.score = score.unwrap_or(lowest);
    }
    let Some(scorer) = rollouts.cost else { return Ok(()) };
    let costs = scores_by(context.policy, scorer, rollouts.encoder, answers, rows)?;
    context.check_answers(Wording::name("cost"), answers.iter().zip(costs.iter().map(|cost| cost.unwrap_or(0.0))))?;
    let highest = costs.iter().flatten().copied().reduce(f64::max).unwrap_or(0.0);
    for (rollout, cost) in answers.iter_mut().zip(costs) {
        rollout.readable &= cost.is_some();
        rollout.cost = cost.unwrap_or(highest);
    }
    Ok(())
}

/// The scorer's values for all answers; `None` where it cannot read one.
fn scores_by(
    policy: &mut Policy,
    scorer: AnswerScorer,
    encoder: Encoder,
    answers: &[Rollout],
    rows: usize,
) -> Result<Vec<Option<f64>>> {
    let mut found = Vec::with_capacity(answers.len());
    match scorer {
        AnswerScorer::Model(kind) => {
            for chunk in answers.chunks(rows.max(1)) {
                let whole = |rollout: &Rollout| {
                    let answer = [Message::assistant(rollout.text.clone())];
                    encoder.answer(&rollout.prompt, &answer).map(|encoded| TokenRow::all_scored(encoded.ids))
                };
                let mut rows = chunk.iter().map(whole).collect::<Result<Vec<_>>>()?;
                // An answer that filled the context leaves no room for the tokens that close it.
                let context = policy.decoder().spec().context;
                rows.iter_mut().for_each(|row| row.ids.truncate(context));
                rows.iter_mut().for_each(|row| row.scored.truncate(context));
                found.extend(policy.score_with(kind, &rows)?.into_iter().map(Some));
            }
        }
        AnswerScorer::Scorer(scorer) => {
            for rollout in answers {
                found.push(scorer.score(&rollout.prompt, &rollout.text).map_err(TrainError::Observer)?);
            }
        }
    }
    Ok(found)
}

/// Reports a few answers with their scores to the observer.
fn show(context: &mut StepContext, rollouts: &Rollouts, answers: &[Rollout]) -> Result<()> {
    let step = context.batch.step() + 1;
    if rollouts.show_every == 0 || !(step == 1 || step.is_multiple_of(rollouts.show_every)) {
        return Ok(());
    }
    for rollout in answers.iter().take(SHOWN) {
        let (prompt, answer) = (conversation_text(&rollout.prompt), rollout.text.clone());
        let score = rollout.readable.then_some(rollout.score);
        context.observer.observe(EventKind::Sample { step, prompt, answer, score }).map_err(TrainError::Observer)?;
    }
    Ok(())
}

/// Answers that are shown at a time.
const SHOWN: usize = 5;

/// Computes the log-probabilities under the policy and its reference on the training path.
///
/// # Errors
/// When one of them is not finite.
pub(crate) fn score_tokens(
    context: &mut StepContext,
    answers: &mut [Rollout],
    temperature: f64,
    rows: usize,
) -> Result<()> {
    for chunk in answers.chunks_mut(rows.max(1)) {
        let batch = batch(chunk.iter())?;
        let scores = context.policy.scores(&batch, Some(temperature))?;
        let reference = context.policy.reference_scores(&batch, Some(temperature))?;
        for (rollout, range) in chunk.iter_mut().zip(batch.target_ranges()) {
            rollout.old = scores.logp[range.clone()].to_vec();
            rollout.entropy = scores.entropy[range.clone()].to_vec();
            rollout.reference = reference.logp[range].to_vec();
        }
    }
    let total = |values: &[f64]| values.iter().sum::<f64>();
    context.check_answers(
        Wording::name("log-probability"),
        answers.iter().map(|rollout| (rollout, total(&rollout.old))),
    )?;
    context.check_answers(
        Words::new("reference's log-probability", "参考模型的对数概率"),
        answers.iter().map(|r| (r, total(&r.reference))),
    )
}

pub(crate) fn batch<'r>(rollouts: impl Iterator<Item = &'r Rollout>) -> Result<TokenBatch> {
    Ok(TokenBatch::new(&rollouts.map(|rollout| rollout.row.clone()).collect::<Vec<_>>())?)
}

/// Metrics that all methods with rollouts log.
pub(crate) fn rollout_metrics(answers: &[Rollout]) -> Vec<(String, f64)> {
    let n = answers.len().max(1) as f64;
    let mean = |value: &dyn Fn(&Rollout) -> f64| answers.iter().map(value).sum::<f64>() / n;
    let scores: Vec<f64> = answers.iter().map(|rollout| rollout.score).collect();
    let length = |rollout: &Rollout| rollout.row.scored_tokens() as f64;
    let tokens = answers.iter().map(length).sum::<f64>().max(1.0);
    let named = [
        ("objective/kl", mean(&Rollout::kl)),
        ("objective/scores", mean(&|rollout| rollout.score)),
        ("objective/scores_std", crate::heads::advantage::deviation(&scores)),
        ("objective/entropy", answers.iter().flat_map(|rollout| &rollout.entropy).sum::<f64>() / tokens),
        ("completions/mean_length", mean(&length)),
        ("completions/clipped_ratio", mean(&|rollout| f64::from(u8::from(!rollout.ended)))),
        ("completions/unreadable_ratio", mean(&|rollout| f64::from(u8::from(!rollout.readable)))),
    ];
    named.map(|(name, value)| (name.to_owned(), value)).to_vec()
}
