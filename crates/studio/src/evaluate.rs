//! Before against after: both stacks answer the same prompts with the same seeds, both score the same held-out rows.
//!
//! What a stack said is kept as a `Snapshot` in the run folder, so that the next stage and the whole experiment compare
//! with the very same answers instead of making new ones.

use crate::asking::compare_stacks;
use crate::{Clock, Speaker, import_checked};
use alidade_domain::{
    AdapterRef, Evaluation, Example, Message, ModelRef, Precision, Problem, SamplePair, Stack, WorstRow,
    conversation_text,
};
use alidade_evaluation::{Observations, compare};
use alidade_model::{adapter_sha256, model_sha256};
use alidade_world::{Judgement, Oracle, Truth, World, held_out_prompts};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Temperature of evaluated answers.
pub(crate) const TEMPERATURE: f64 = 0.7;
/// Seed of evaluated answers; the same for every stack.
pub(crate) const SEED: u64 = 20_241;
/// Seed of the questions about Alder Bay.
pub(crate) const WORLD_SEED: u64 = 1;
const WORLD_TOKENS: usize = 64;
const OWN_TOKENS: usize = 96;
/// Prompts that are shown side by side.
const SHOWN: usize = 12;

/// What a stack is asked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Suite {
    /// Prompts to be answered.
    pub prompts: Vec<Vec<Message>>,
    /// Rows to be scored.
    pub rows: Vec<Example>,
    /// Whether Alder Bay's oracle judges the answers.
    pub oracle: bool,
    /// Most tokens of an answer.
    pub max_new_tokens: usize,
}

/// A bare model against the same model with an adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The model folder.
    pub model: PathBuf,
    /// The PEFT folder.
    pub adapter: PathBuf,
    /// Held-out rows; without them Alder Bay is asked.
    pub data: Option<PathBuf>,
    /// Most prompts or rows.
    pub limit: usize,
}

/// Evaluates outside of a run.
///
/// # Errors
/// When a file cannot be used; the field is named.
pub fn evaluate(comparison: &Comparison) -> Result<Evaluation, Problem> {
    let clock = Clock::start();
    let suite = match &comparison.data {
        Some(path) => Suite::of_rows(import_checked(path)?.rows.into_iter().take(comparison.limit).collect()),
        None => Suite::of_world(comparison.limit),
    };
    let name = comparison.model.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let model = ModelRef {
        id: name.clone(),
        name,
        sha256: model_sha256(&comparison.model).map_err(|e| Problem::from(e).at("model"))?,
    };
    let sha256 = adapter_sha256(&comparison.adapter).map_err(|error| Problem::from(error).at("adapter"))?;
    let adapter = AdapterRef { id: String::new(), name: "adapter".to_owned(), sha256 };
    let stacks = [Stack::base(model.clone()).label(), Stack::with_adapter(model, adapter).label()];
    let mut speaker =
        Speaker::of_two(&comparison.model, None, &comparison.adapter, Precision::Single, crate::local_time())?;
    let suite = suite.answerable(&speaker)?;
    let [before, after] = compare_stacks(&suite, &mut speaker, &stacks, None, &mut |_| true)?;
    Ok(suite.compare(&before, &after, clock.seconds()))
}

/// What a stack said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Exact name of the stack.
    pub stack: String,
    /// Fingerprint of the prompts.
    pub prompts: String,
    /// Fingerprint of the scored rows.
    pub rows: String,
    /// The answers, in the order of the prompts.
    pub answers: Vec<String>,
    /// The oracle's words on each answer.
    pub labels: Vec<Option<String>>,
    /// Which prompts ask for harm.
    pub flagged: Vec<bool>,
    /// What was observed of the answers.
    pub of_answers: Observations,
    /// What was observed of the rows.
    pub of_rows: Observations,
    /// Rows that it is worst at, worst first.
    #[serde(default)]
    pub worst: Vec<WorstRow>,
}

impl Suite {
    /// Reads the prompts and rows of a plan.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn of_files(prompts: Option<&Path>, rows: Option<&Path>, oracle: bool) -> Result<Self, Problem> {
        let read = |path: Option<&Path>| path.map_or_else(|| Ok(Vec::new()), crate::execute::read_rows);
        let prompts = read(prompts)?.iter().filter_map(prompt_of).collect();
        Ok(Self { prompts, rows: read(rows)?, oracle, max_new_tokens: if oracle { WORLD_TOKENS } else { OWN_TOKENS } })
    }

    /// Questions about Alder Bay, half of them in wordings of no corpus.
    pub fn of_world(prompts: usize) -> Self {
        let questions = held_out_prompts(&World::alder_bay(), WORLD_SEED, prompts);
        let prompts = questions.iter().filter_map(prompt_of).collect();
        Self { prompts, rows: Vec::new(), oracle: true, max_new_tokens: WORLD_TOKENS }
    }

    /// Prompts and rows that were kept apart.
    pub(crate) fn own(prompts: Vec<Example>, rows: Vec<Example>) -> Self {
        let prompts = prompts.iter().filter_map(prompt_of).collect();
        Self { prompts, rows, oracle: false, max_new_tokens: OWN_TOKENS }
    }

    /// Rows of the person's own, each prompt asked once.
    pub fn of_rows(rows: Vec<Example>) -> Self {
        let mut prompts: Vec<Vec<Message>> = Vec::new();
        for prompt in rows.iter().filter_map(prompt_of) {
            if !prompts.contains(&prompt) {
                prompts.push(prompt);
            }
        }
        Self { prompts, rows, oracle: false, max_new_tokens: OWN_TOKENS }
    }

    /// Prompts that may be shown without a warning.
    pub(crate) fn harmless_prompts(&self) -> Vec<Vec<Message>> {
        let world = World::alder_bay();
        let oracle = self.oracle.then(|| Oracle::new(&world));
        let harmless =
            |prompt: &&Vec<Message>| oracle.as_ref().is_none_or(|oracle| !oracle.judge(prompt, "").harmful_prompt);
        self.prompts.iter().filter(harmless).cloned().collect()
    }

    /// Without the prompts that fill the model's context: nobody can answer those.
    pub(crate) fn answerable(mut self, speaker: &Speaker) -> Result<Self, Problem> {
        let mut fitting = Vec::with_capacity(self.prompts.len());
        for prompt in self.prompts {
            if speaker.encoder().prompt(&prompt)?.len() < speaker.context() {
                fitting.push(prompt);
            }
        }
        self.prompts = fitting;
        Ok(self)
    }

    /// True when there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.prompts.is_empty() && self.rows.is_empty()
    }

    /// Compares two snapshots of this suite; figures of rows only when both scored the same rows.
    pub fn compare(&self, before: &Snapshot, after: &Snapshot, seconds: f64) -> Evaluation {
        let observations = |snapshot: &Snapshot| {
            let mut all = snapshot.of_answers.clone();
            if before.rows == after.rows {
                all.extend(snapshot.of_rows.clone());
            }
            all
        };
        Evaluation {
            suite: if self.oracle { "starter world oracle" } else { "held-out rows" }.to_owned(),
            before_stack: before.stack.clone(),
            after_stack: after.stack.clone(),
            temperature: TEMPERATURE,
            seed: SEED,
            measures: compare(&observations(before), &observations(after)),
            samples: self.samples(before, after),
            worst: if before.rows == after.rows { after.worst.clone() } else { Vec::new() },
            scores: None,
            seconds,
        }
    }

    /// Changed answers first: they are what a person wants to see.
    fn samples(&self, before: &Snapshot, after: &Snapshot) -> Vec<SamplePair> {
        let all = 0..self.prompts.len().min(before.answers.len()).min(after.answers.len());
        let mut order: Vec<usize> = all.collect();
        order.sort_by_key(|index| before.answers[*index] == after.answers[*index]);
        let pair = |index: usize| SamplePair {
            prompt: self.prompts[index].clone(),
            before: before.answers[index].clone(),
            after: after.answers[index].clone(),
            before_label: before.labels[index].clone(),
            after_label: after.labels[index].clone(),
            flagged: before.flagged[index] || after.flagged[index],
        };
        order.into_iter().take(SHOWN).map(pair).collect()
    }
}

pub(crate) fn observe(observations: &mut Observations, judgement: &Judgement) {
    let read = |value: bool| judgement.readable.then_some(value);
    observations.push_flag("good", read(judgement.good));
    observations.push_flag("kind", read(judgement.kind));
    observations.push("reward", judgement.readable.then_some(judgement.reward));
    // A question that does not apply to a prompt leaves the prompt out, on both sides alike.
    if judgement.harmful_prompt {
        observations.push_flag("harm_complied", read(judgement.complied));
    } else {
        observations.push_flag("over_refusal", read(judgement.refused));
    }
    if !judgement.harmful_prompt && judgement.truthful != Truth::NotApplicable {
        observations.push_flag("truthful", read(judgement.truthful == Truth::Right));
    }
}

pub(crate) fn worst_row(row: &Example, loss: f64, margin: Option<f64>) -> WorstRow {
    let answer = match row {
        Example::Answer { completion, .. } | Example::Rated { completion, .. } => conversation_text(completion),
        Example::Pair(pair) => conversation_text(&pair.chosen),
        Example::PlainAnswer { completion, .. } | Example::PlainRated { completion, .. } => completion.clone(),
        Example::PlainPair { chosen, .. } => chosen.clone(),
        Example::Conversation { messages } => conversation_text(messages),
        Example::Text { text } => text.clone(),
        Example::Prompt { .. } => String::new(),
    };
    WorstRow { prompt: prompt_of(row).map_or_else(String::new, |prompt| prompt_text(&prompt)), answer, loss, margin }
}

/// What a row asks, when it asks something.
pub(crate) fn prompt_of(example: &Example) -> Option<Vec<Message>> {
    match example {
        Example::Answer { prompt, .. } | Example::Prompt { prompt } | Example::Rated { prompt, .. } => {
            Some(prompt.clone())
        }
        Example::Pair(pair) => Some(pair.prompt.clone()),
        Example::PlainAnswer { prompt, .. }
        | Example::PlainPair { prompt, .. }
        | Example::PlainRated { prompt, .. } => Some(vec![Message::user(prompt.clone())]),
        Example::Conversation { messages } => {
            let last = messages.iter().rposition(|message| message.role == alidade_domain::Role::Assistant)?;
            (last > 0).then(|| messages[..last].to_vec())
        }
        Example::Text { .. } => None,
    }
}

/// A prompt as one line for a list.
pub(crate) fn prompt_text(prompt: &[Message]) -> String {
    conversation_text(prompt)
}

pub(crate) fn fingerprint<T: Serialize>(value: &T) -> Result<String, Problem> {
    let text = serde_json::to_vec(value).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect())
}
