//! Turns rows into token sequences: chat template, boundary between prompt and answer, truncation. Rows that are left out or
//! cut are counted and reported.

use crate::error::{Result, TrainError};
use crate::method::Method;
use alidade_domain::{Example, Message, Problem, Wording, Words, wording};
use alidade_model::{ChatTemplate, ModelError, Rendering, TextTokenizer, TokenRow, stop_tokens};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Tokenizer and chat template of the model.
#[derive(Clone, Copy)]
pub struct Encoder<'a> {
    /// Its tokenizer.
    pub tokenizer: &'a TextTokenizer,
    /// Its chat template, if it has one.
    pub template: Option<&'a ChatTemplate>,
}

/// A row that is ready for a forward pass: one sequence, or two for a pair (chosen, rejected).
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Number of the row in the data set, from 1.
    pub row: usize,
    /// Its sequences.
    pub sequences: Vec<TokenRow>,
    /// Number of scored tokens at the end of the first sequence that belong to its answer, where the prompt is scored too.
    pub answer_tokens: usize,
    /// The label (KTO), or the margin by which the first answer is better (reward models).
    pub label: f64,
    /// Whether the first and the second answer are harmful (cost models).
    pub harmful: Option<[bool; 2]>,
    /// The prompt as messages, for methods that sample answers from the policy.
    pub prompt: Vec<Message>,
}

impl Item {
    /// An item of sequences alone.
    pub fn new(row: usize, sequences: Vec<TokenRow>) -> Self {
        Self { row, sequences, answer_tokens: 0, label: 0.0, harmful: None, prompt: Vec::new() }
    }
}

/// Why a row is left out, as a clause.
pub type Reason = Wording;

/// The result for a row: something to learn from, or the reason why it is left out.
pub(crate) type Row<T> = std::result::Result<T, Reason>;

/// A conversation that the chat template rejects leaves its row out; every other error ends the run.
pub(crate) fn or_left_out<T>(made: Result<Row<T>>) -> Result<Row<T>> {
    match made {
        Err(TrainError::Model(error @ ModelError::Refused { .. })) => Ok(Err(clause(&error.wording()))),
        made => made,
    }
}

/// A sentence as a clause of another one.
fn clause(sentence: &Wording) -> Wording {
    Wording {
        en: sentence.en.trim_end_matches('.').to_owned(),
        zh: sentence.zh.trim_end_matches(['。', '.']).to_owned(),
    }
}

/// A row that cannot be learned from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Number of the row in the data set, from 1.
    pub row: usize,
    /// Why.
    pub reason: Reason,
}

/// All rows of a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Prepared {
    /// Rows to learn from.
    pub items: Vec<Item>,
    /// Rows left out.
    pub skipped: Vec<Skipped>,
    /// Rows whose answer was cut at `max_length`.
    pub truncated: usize,
    /// True when the sequences of an item are packed into one row.
    pub packed: bool,
    /// Most tokens that the policy may generate per row.
    pub answer_limit: usize,
    /// Rows whose prompt and answer merge into one token at the border, so that the border was moved.
    pub moved_borders: usize,
    /// Advice on these rows under these settings, each at the setting that it concerns.
    pub advice: Vec<Problem>,
}

impl Prepared {
    /// Real tokens of one pass.
    pub fn tokens(&self) -> u64 {
        self.sequences().map(|row| row.ids.len() as u64).sum()
    }

    /// Learned or scored tokens of one pass.
    pub fn learned_tokens(&self) -> u64 {
        self.sequences().map(|row| row.scored_tokens() as u64).sum()
    }

    /// Tokens of the longest row that the model will read, generated answers included.
    pub fn longest(&self) -> usize {
        let lengths = |item: &Item| item.sequences.iter().map(|row| row.ids.len()).collect::<Vec<_>>();
        let row = |item: &Item| match self.packed {
            true => lengths(item).iter().sum(),
            false => lengths(item).into_iter().max().unwrap_or(0),
        };
        self.items.iter().map(row).max().unwrap_or(0) + self.answer_limit
    }

    /// Share of pairs whose first answer has over a fifth more tokens than the second.
    pub fn chosen_longer(&self) -> f64 {
        // Where the prompt is scored as well, the item says how much of its first sequence is the answer.
        let first = |item: &Item, row: &TokenRow| match item.answer_tokens {
            0 => row.scored_tokens(),
            tokens => tokens,
        };
        let longer = |item: &&Item| match &item.sequences[..] {
            [a, b, ..] => first(item, a) as f64 > 1.2 * b.scored_tokens() as f64,
            _ => false,
        };
        self.items.iter().filter(longer).count() as f64 / self.items.len().max(1) as f64
    }

    /// The rows that were left out as text: how many for which reason, with the first of their numbers.
    pub fn left_out(&self) -> Vec<Wording> {
        let mut by_reason: BTreeMap<&Reason, Vec<usize>> = BTreeMap::new();
        for skipped in &self.skipped {
            by_reason.entry(&skipped.reason).or_default().push(skipped.row);
        }
        let mut reasons: Vec<_> = by_reason.into_iter().collect();
        reasons.sort_by_key(|(_, rows)| (usize::MAX - rows.len(), rows[0]));
        let further: usize = reasons.iter().skip(REASONS).map(|(_, rows)| rows.len()).sum();
        let described = reasons.iter().take(REASONS).map(|(reason, rows)| describe(reason, rows));
        described
            .chain((further > 0).then(|| {
                wording!("{further} more rows were left out for other reasons.", "另有 {further} 条因其他原因略去。")
            }))
            .collect()
    }

    /// Fails when no item is left, with the reason.
    pub(crate) fn or_nothing(self, given: usize) -> Result<Self> {
        if !self.items.is_empty() {
            return Ok(self);
        }
        let reason = self.skipped.first().map(|skipped| skipped.reason.clone());
        let reason = reason.unwrap_or_else(|| wording!("the data set is empty", "数据集为空"));
        Err(TrainError::NoRows { given, reason })
    }

    fn sequences(&self) -> impl Iterator<Item = &TokenRow> {
        self.items.iter().flat_map(|item| &item.sequences)
    }
}

/// Most reasons that are listed, and row numbers that are listed with each.
const REASONS: usize = 5;
const NAMED: usize = 10;

fn describe(reason: &Wording, rows: &[usize]) -> Wording {
    let numbers: Vec<String> = rows.iter().take(NAMED).map(usize::to_string).collect();
    let more = if rows.len() > NAMED { " …" } else { "" };
    let (were, row) = if rows.len() == 1 { ("row was", "row") } else { ("rows were", "rows") };
    wording!(
        "{count} {were} left out ({row} {numbers}{more}): {reason}.",
        "略去 {count} 条（第 {numbers}{more} 条）：{reason}。";
        reason, numbers = Wording::names(numbers); count = rows.len()
    )
}

/// Prompt and prompt-with-answer as ids.
pub(crate) struct Encoded {
    pub(crate) ids: Vec<u32>,
    /// Ids that belong to the prompt.
    pub(crate) prompt: usize,
    pub(crate) moved_border: bool,
}

impl Encoder<'_> {
    fn template(&self) -> Result<&ChatTemplate> {
        let reason =
            || wording!("the model has none, and the data are conversations", "模型没有对话模板，而数据是对话");
        Ok(self.template.ok_or_else(|| ModelError::Template { reason: reason() })?)
    }

    /// Ids of a rendered conversation; the template writes all special tokens itself.
    pub(crate) fn conversation(&self, messages: &[Message], rendering: Rendering) -> Result<Vec<u32>> {
        Ok(self.tokenizer.encode(&self.template()?.render(messages, rendering)?)?)
    }

    /// Ids of a prompt that ends where its answer begins.
    ///
    /// # Errors
    /// When the model has no chat template, or template or tokenizer fail.
    pub fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>> {
        self.conversation(messages, Rendering::ForAnswer)
    }

    /// A prompt and its answer as one conversation.
    pub(crate) fn answer(&self, prompt: &[Message], answer: &[Message]) -> Result<Encoded> {
        let before = self.prompt(prompt)?;
        let whole: Vec<Message> = prompt.iter().chain(answer).cloned().collect();
        Ok(join(&before, self.conversation(&whole, Rendering::Whole)?))
    }

    /// A prompt and its answer as plain text, closed by the end token.
    pub(crate) fn plain_answer(&self, prompt: &str, answer: &str) -> Result<Encoded> {
        let before = self.tokenizer.encode_opening(prompt)?;
        Ok(join(&before, self.text(&format!("{prompt}{answer}"))?))
    }

    /// Two answers to one prompt, both beginning at the same token.
    pub(crate) fn pair(&self, prompt: &[Message], answers: [&[Message]; 2]) -> Result<[Encoded; 2]> {
        let [first, second] = answers;
        Ok(align_borders([self.answer(prompt, first)?, self.answer(prompt, second)?]))
    }

    /// The same for plain text.
    pub(crate) fn plain_pair(&self, prompt: &str, answers: [&str; 2]) -> Result<[Encoded; 2]> {
        let [first, second] = answers;
        Ok(align_borders([self.plain_answer(prompt, first)?, self.plain_answer(prompt, second)?]))
    }

    /// A document as the tokenizer frames one (often a begin token), closed by the end token.
    pub(crate) fn text(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.tokenizer.encode_document(text)?)
    }

    /// Ids of plain text that the model is to continue.
    ///
    /// # Errors
    /// When the tokenizer refuses.
    pub fn plain_prompt(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.tokenizer.encode_opening(text)?)
    }

    /// A conversation with a mask over the assistant's turns: the content of each turn and the token that closes it. A token
    /// that overlaps such a part counts, as in transformers.
    pub(crate) fn assistant_turns(&self, messages: &[Message]) -> Result<TokenRow> {
        let (text, parts) = self.template()?.assistant_parts(messages)?;
        let (ids, places) = self.tokenizer.encode_with_places(&text)?;
        let overlaps = |place: &Range<usize>| parts.iter().any(|part| place.end > part.start && place.start < part.end);
        Ok(TokenRow { scored: places.iter().map(overlaps).collect(), ids })
    }

    /// A warning for rows that teach a model to answer when its template marks no end of an answer.
    pub fn no_end_of_turn(&self, method: &dyn Method, rows: &[Example]) -> Option<Problem> {
        let taught = |row: &Example| {
            use Example::{Answer, Conversation, Pair, Rated};
            matches!(row, Answer { .. } | Conversation { .. } | Pair(_) | Rated { .. })
        };
        self.template.filter(|template| template.closes_with_text_alone())?;
        if method.makes_scorer() || !rows.iter().any(taught) {
            return None;
        }
        let message = Words::new(
            "The model's chat template ends the assistant's turn with no special token, so the rows do not show where an answer ends: the trained model may generate up to its length limit.",
            "模型的对话模板没有用特殊词元结束 assistant 的回合，数据因此看不出回答在哪里结束：训练后的模型可能一直生成到长度上限。",
        );
        let hint = Words::new(
            "Put the token that ends an answer after the assistant's content in the template, or choose a model whose template has one.",
            "请在模板中 assistant 的内容之后加上结束回答的词元，或选择模板带有结束词元的模型。",
        );
        Some(Problem::input(message).hint(hint).at("model"))
    }

    /// Tokens that end an answer: the model's, and what its template closes an answer with.
    pub fn stops(&self) -> BTreeSet<u32> {
        stop_tokens(self.tokenizer, self.template)
    }
}

impl Encoded {
    /// Truncates to `limit` tokens; `None` when the prompt alone fills them.
    pub(crate) fn fit(mut self, limit: usize) -> Option<(Self, bool)> {
        if self.prompt >= limit {
            return None;
        }
        let cut = self.ids.len() > limit;
        self.ids.truncate(limit);
        Some((self, cut))
    }

    pub(crate) fn row(&self) -> TokenRow {
        TokenRow::answer(&self.ids[..self.prompt], &self.ids[self.prompt..])
    }
}

fn join(prompt: &[u32], whole: Vec<u32>) -> Encoded {
    let border = common_prefix(prompt, &whole);
    Encoded { prompt: border, moved_border: border < prompt.len(), ids: whole }
}

/// Both answers start after the prefix that both share with the prompt tokenized alone, as in TRL: where one of them merges
/// its first letters with the prompt's last, those tokens belong to the answer in both.
fn align_borders(mut pair: [Encoded; 2]) -> [Encoded; 2] {
    let border = pair[0].prompt.min(pair[1].prompt);
    for encoded in &mut pair {
        encoded.moved_border |= border < encoded.prompt;
        encoded.prompt = border;
    }
    pair
}

fn common_prefix(left: &[u32], right: &[u32]) -> usize {
    left.iter().zip(right).take_while(|(a, b)| a == b).count()
}
