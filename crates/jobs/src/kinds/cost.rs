//! The cost of generating and scoring for jobs that do not train: seconds are measured on this machine, memory is counted.

use crate::train::estimate::ModelFacts;
use crate::train::memory::{AtOnce, CODE_BYTES, FRESH_BYTES};
use crate::train::pace::{Asked, Gauge, GenerationPace, Subject, operations};
use crate::{machine, machine::compute};
use alidade_domain::{Message, Precision, Problem, Sampling, StageEstimate};
use alidade_model::{AdapterSize, ChatTemplate, Checkpointing, Footprint, ModelFolder, TextTokenizer};
use alidade_train::Encoder;

/// Answers per batch while generation is measured.
const AT_A_TIME: usize = 32;
/// A pass without gradients costs about a third of a pass with them.
const WITHOUT_GRADIENTS: f64 = 1.0 / 3.0;
/// Tokens of a pass that is measured.
const PASS: usize = 512;

/// Answers that are generated together, and their lengths in tokens.
#[derive(Clone, Copy)]
pub(super) struct Batch {
    pub(super) rows: u64,
    pub(super) read: u64,
    pub(super) generated: u64,
}

impl Batch {
    /// This number of answers to the longest of the prompts.
    pub(super) fn of(rows: usize, prompts: &[Vec<u32>], sampling: &Sampling) -> Self {
        let read = prompts.iter().map(Vec::len).max().unwrap_or(0) as u64;
        Self { rows: rows as u64, read, generated: sampling.max_new_tokens as u64 }
    }
}

/// A model folder under measurement.
pub(super) struct Measured {
    folder: ModelFolder,
    tokenizer: TextTokenizer,
    template: Option<ChatTemplate>,
    /// Memory of tokenizer and template.
    words: u64,
}

impl Measured {
    pub(super) fn open(facts: &ModelFacts) -> Result<Self, Problem> {
        let at_model = |error| Problem::from(error).at("model");
        let before = machine::resident_bytes();
        let folder = ModelFolder::open(&facts.folder).map_err(at_model)?;
        let tokenizer = folder.tokenizer().map_err(at_model)?;
        let template = folder.chat_template(&tokenizer, crate::local_time()).map_err(at_model)?;
        Ok(Self { folder, tokenizer, template, words: machine::resident_bytes().saturating_sub(before) })
    }

    fn encoder(&self) -> Encoder<'_> {
        Encoder { tokenizer: &self.tokenizer, template: self.template.as_ref() }
    }

    /// Tokens of the prompts that fit into the model's context.
    pub(super) fn prompts(&self, prompts: &[Vec<Message>]) -> Vec<Vec<u32>> {
        let ids = prompts.iter().filter_map(|prompt| self.encoder().prompt(prompt).ok());
        ids.filter(|ids| !ids.is_empty() && ids.len() < self.folder.spec.context).collect()
    }

    /// Peak memory with this number of copies of the weights, bytes of adapters, and batches of this size; a batch is cut where it
    /// would take more than its share.
    pub(super) fn memory(&self, copies: u64, adapters: u64, batch: Batch) -> Result<u64, Problem> {
        let spec = &self.folder.spec;
        let engine = compute::backend()?.engine(spec, None);
        let at_once = AtOnce::of(&Footprint::new(spec, engine, Precision::F32, AdapterSize::default(), false));
        let program = machine::program_bytes() + FRESH_BYTES + CODE_BYTES + self.words;
        let Batch { rows, read, generated } = batch;
        let cached = at_once.taken(rows * read, rows * generated).min(at_once.bytes);
        let logits = rows * spec.vocabulary as u64 * 4;
        Ok(program + spec.parameters() * 4 * copies + cached + logits + adapters)
    }

    /// Measures loading, reading and generating.
    pub(super) fn pace(
        &self,
        facts: &ModelFacts,
        prompts: &[Vec<u32>],
        sampling: &Sampling,
        gauge: &mut Gauge,
    ) -> Result<Pace, Problem> {
        let set = compute::instructions()?;
        let subject = Subject { folder: &facts.folder, sha256: &facts.model.sha256, precision: Precision::F32, set };
        let row = (prompts.iter().map(Vec::len).sum::<usize>() / prompts.len().max(1)).max(8);
        let passes = gauge.training(&subject, Checkpointing::Off, PASS, row)?;
        let per_token = passes.seconds_per_operation * operations(&self.folder.spec, row as f64) * WITHOUT_GRADIENTS;
        let generation = match prompts {
            [] => None,
            prompts => Some(gauge.generation(
                &subject,
                &Asked {
                    prompts: prompts.iter().take(AT_A_TIME).cloned().collect(),
                    limit: sampling.max_new_tokens,
                    temperature: sampling.temperature,
                    stops: self.encoder().stops(),
                },
            )?),
        };
        Ok(Pace { load: passes.load_seconds, per_token, row: row as f64, generation })
    }
}

/// The measured speed of a model.
pub(super) struct Pace {
    /// Seconds to load it.
    pub(super) load: f64,
    /// Seconds per token of a prompt.
    pub(super) per_token: f64,
    /// Tokens of a prompt.
    pub(super) row: f64,
    /// Speed of generation; none without prompts.
    pub(super) generation: Option<GenerationPace>,
}

impl Pace {
    /// Seconds for this number of answers.
    pub(super) fn answers(&self, answers: f64) -> f64 {
        let generated = self.generation.map_or(0.0, |pace| pace.answer_tokens * pace.seconds_per_token);
        answers * (self.row * self.per_token + generated)
    }
}

/// An estimate of a stage that takes no optimizer steps.
pub(super) fn estimate_of(kind: &str, stage: usize, facts: Option<&ModelFacts>) -> StageEstimate {
    StageEstimate {
        stage,
        kind: kind.to_owned(),
        method: None,
        optimizer_steps: 0,
        rows: 0,
        held_out_rows: 0,
        skipped_rows: 0,
        truncated_rows: 0,
        tokens: 0,
        learned_tokens: 0,
        longest_tokens: 0,
        chosen_longer: 0.0,
        advice: Vec::new(),
        trainable_parameters: 0,
        model_parameters: facts.map_or(0, |facts| facts.parameters),
        memory_bytes: 0,
        disk_bytes: 0,
        answer_tokens: 0,
        comparing_seconds: 0.0,
        comparing_prompts: 0,
        comparing_rows: 0,
        seconds_per_prompt: 0.0,
        seconds_per_row: 0.0,
        seconds: 0.0,
    }
}
