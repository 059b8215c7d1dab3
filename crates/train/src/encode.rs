//! Rows to token sequences: chat template, boundaries between prompt and answer, truncation. What is lost on the way is
//! counted and named.

use crate::error::{Result, TrainError};
use alidade_domain::{Message, Problem, Role};
use alidade_model::{ChatTemplate, ModelError, Rendering, TextTokenizer, TokenRow};

/// The model's way of reading text.
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
    /// Scored tokens at the end of the first sequence that belong to its answer, where a method scores its prompt as well.
    pub answer_tokens: usize,
    /// What the label says (KTO), or by how much the first answer is better (reward models).
    pub label: f64,
    /// Whether the first and the second answer do harm (cost models).
    pub harmful: Option<[bool; 2]>,
    /// The prompt as messages, for methods that let the policy answer it.
    pub prompt: Vec<Message>,
}

impl Item {
    /// An item of sequences alone.
    pub fn new(row: usize, sequences: Vec<TokenRow>) -> Self {
        Self { row, sequences, answer_tokens: 0, label: 0.0, harmful: None, prompt: Vec::new() }
    }
}

/// A row that cannot be learned from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Number of the row in the data set, from 1.
    pub row: usize,
    /// Why.
    pub reason: &'static str,
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
    /// True when the sequences of an item are laid into one row.
    pub packed: bool,
    /// Tokens that the policy may add to each row.
    pub answer_limit: usize,
    /// Rows whose prompt and answer merge into one token at the border, so that the border was moved.
    pub moved_borders: usize,
    /// What a person should know about these rows under these settings, at the setting that it speaks of.
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

    /// Tokens of the longest row that the model will read, answers of its own included.
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

    /// Refuses to go on with nothing, and says why nothing is left.
    pub(crate) fn or_nothing(self, given: usize) -> Result<Self> {
        if !self.items.is_empty() {
            return Ok(self);
        }
        let reason = self.skipped.first().map_or("the data set is empty", |skipped| skipped.reason);
        Err(TrainError::NoRows { given, reason: reason.to_owned() })
    }

    fn sequences(&self) -> impl Iterator<Item = &TokenRow> {
        self.items.iter().flat_map(|item| &item.sequences)
    }
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
        let reason = "the model has none, and the data are conversations";
        Ok(self.template.ok_or_else(|| ModelError::Template { reason: reason.to_owned() })?)
    }

    /// Ids of a rendered conversation; the template writes all special tokens itself.
    pub(crate) fn conversation(&self, messages: &[Message], rendering: Rendering) -> Result<Vec<u32>> {
        Ok(self.tokenizer.encode(&self.template()?.render(messages, rendering)?)?)
    }

    /// Ids of a prompt that waits for its answer.
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
        let before = self.tokenizer.encode(prompt)?;
        Ok(join(&before, self.text(&format!("{prompt}{answer}"))?))
    }

    /// A document, closed by the end token.
    pub(crate) fn text(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = self.tokenizer.encode(text)?;
        if let Some((_, eos)) = self.tokenizer.eos()
            && ids.last() != Some(&eos)
        {
            ids.push(eos);
        }
        Ok(ids)
    }

    /// A conversation with marks on the assistant's turns: content, end of turn, and what the template prints after it.
    pub(crate) fn assistant_turns(&self, messages: &[Message]) -> Result<TokenRow> {
        let ids = self.conversation(messages, Rendering::Whole)?;
        let mut scored = vec![false; ids.len()];
        for (index, _) in messages.iter().enumerate().filter(|(_, message)| message.role == Role::Assistant) {
            let start = common_prefix(&self.prompt(&messages[..index])?, &ids);
            let end = common_prefix(&self.conversation(&messages[..=index], Rendering::Whole)?, &ids);
            scored[start.min(end)..end].fill(true);
        }
        Ok(TokenRow { ids, scored })
    }
}

impl Encoded {
    /// Cuts the end at `limit`; `None` when the prompt alone fills it.
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

fn common_prefix(left: &[u32], right: &[u32]) -> usize {
    left.iter().zip(right).take_while(|(a, b)| a == b).count()
}
