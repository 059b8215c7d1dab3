//! What a stage will do and cost: its rows are turned into tokens, its memory is counted, a step is measured. Reads strangers'
//! tokenizers and templates, so it runs where a fault of theirs ends no more than itself; it knows no database.

use crate::asking::questions::{Questions, own_prompts};
use crate::train::execute::{read_rows, sketch};
use crate::train::pace::{Asked, Gauge, GenerationPace, Subject, operations};
use crate::train::passes::Passes;
use crate::{asking::world_oracle, machine, machine::compute, train::memory, train::warnings};
use alidade_data::split;
use alidade_domain::{
    AdapterShape, DatasetKind, Example, ModelRef, Planning, Problem, Recipe, ScorerSource, Settings, StageEstimate,
    Tuning, Words,
};
use alidade_model::{
    AdapterSize, AdapterWeights, Backend, Checkpointing, DecoderSpec, Footprint, InstructionSet, ModelFolder,
};
use alidade_train::{Encoder, Prepared, Steps, Training, method};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Prompts of an evaluation with the oracle.
pub const WORLD_PROMPTS: usize = 200;
/// One row in so many is kept apart, and at most so many.
const HELD_OUT_SHARE: usize = 10;
const HELD_OUT_MOST: usize = 100;
/// Fewer rows are all needed for training.
const SMALLEST_SPLIT: usize = 20;
/// A pass without gradients costs about a third of a pass with them.
const UNTAPED: f64 = 1.0 / 3.0;
/// Tokens of a pass that scores held-out rows, at least.
const PASS: usize = 512;
/// Answers may grow longer while a policy learns; so much longer is counted on.
const LONGER: f64 = 1.25;
/// Training every weight adds the gradients of the weights to the two products that an adapter needs.
const FULL: f64 = 1.5;
/// Letters per token of general text.
const LETTERS: f64 = 4.0;
/// Most answers that are written at a time while writing is measured.
const ANSWERS: usize = 32;

/// What a plan needs to know of a base model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// Name and content.
    pub model: ModelRef,
    /// Its folder.
    pub folder: PathBuf,
    /// Parameters in all.
    pub parameters: u64,
    /// Longest text in tokens.
    pub context_tokens: usize,
    /// True for the models that come with the program.
    pub bundled: bool,
}

/// A stage without a fault that can be seen from its recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageAsk {
    /// Place in the pipeline, from 0.
    pub stage: usize,
    /// What the person said.
    pub recipe: Recipe,
    /// Every setting.
    pub settings: Settings,
    /// The base model.
    pub model: ModelFacts,
    /// The normalised rows of its data set, and their SHA-256.
    pub rows: PathBuf,
    /// Their SHA-256.
    pub rows_sha256: String,
    /// Seed of the split.
    pub split: u64,
    /// True if a part of the rows is held out for evaluation; the terminal's runs learn from all of them.
    #[serde(default = "yes")]
    pub holds_out: bool,
    /// The rows of the experiment's other data sets, whose held-out part is compared on as well.
    #[serde(default)]
    pub others: Vec<PathBuf>,
    /// True when Alder Bay's oracle judges the answers.
    pub oracle: bool,
}

impl StageAsk {
    /// Training rows and held-out rows.
    fn rows(&self) -> Result<(Vec<Example>, Vec<Example>), Problem> {
        let rows = read_rows(&self.rows)?;
        Ok(if self.holds_out { split_rows(rows, self.split) } else { (rows, Vec::new()) })
    }
}

fn yes() -> bool {
    true
}

/// Told what is being done; false when nobody wants to know any more.
pub type Tell<'a> = &'a mut dyn FnMut(Planning) -> bool;

/// Counts and measures one stage.
///
/// # Errors
/// When its rows, its model or its settings do not go together, at the field; when nobody waits for the answer any more.
pub fn estimate(ask: &StageAsk, gauge: &mut Gauge, tell: Tell) -> Result<StageEstimate, Problem> {
    let recipe = &ask.recipe;
    let known = method(&recipe.method)?;
    let training = known.configure(&ask.settings)?;
    let common = training.common();
    wanted(tell(Planning::Preparing))?;
    let before = machine::resident_bytes();
    let at_model = |error| Problem::from(error).at("model");
    let folder = ModelFolder::open(&ask.model.folder).map_err(at_model)?;
    let tokenizer = folder.tokenizer().map_err(at_model)?;
    let template = folder.chat_template(&tokenizer, crate::local_time()).map_err(at_model)?;
    let encoder = Encoder { tokenizer: &tokenizer, template: template.as_ref() };
    let words = machine::resident_bytes().saturating_sub(before);
    let (rows, held_out) = ask.rows()?;
    let at_dataset = |error| match Problem::from(error) {
        problem if problem.field.is_some() => problem,
        problem => problem.at("dataset"),
    };
    let mut prepared = training.prepare(&rows, &encoder).map_err(at_dataset)?;
    prepared.advice.extend(encoder.no_end_of_turn(known, &rows));
    let read = machine::resident_bytes().saturating_sub(before);
    let steps = training.steps(prepared.items.len());
    let no_move = training.check_steps(prepared.items.len()).err();
    let faults = [warnings::too_long(&prepared, ask.model.context_tokens), warnings::no_step(common, &steps), no_move];
    if let Some(problem) = faults.into_iter().flatten().next() {
        return Err(problem);
    }
    let adapter = sketch(&folder.spec, &AdapterShape::of(recipe))?;
    let mut estimate = count(ask, &prepared, &steps, &adapter, held_out.len());
    if known.about().learns_from == [DatasetKind::Pairs] {
        estimate.chosen_longer = prepared.chosen_longer();
    }
    let suite = questions(ask, held_out)?;
    let work = Work {
        ask,
        training: training.as_ref(),
        spec: &folder.spec,
        prepared: &prepared,
        steps: &steps,
        encoder: &encoder,
        letters_per_token: letters_per_token(&rows, &prepared),
    };
    let prompts = work.prompts(&suite);
    wanted(tell(Planning::Measuring))?;
    let (precision, set) = (memory::precision(common), compute::instructions()?);
    let subject = Subject { folder: &ask.model.folder, sha256: &ask.model.model.sha256, precision, set };
    let writing = answers(training.as_ref(), &prepared, &encoder.stops(), gauge, &subject)?;
    let answer = writing.map(|writing| (LONGER * writing.answer_tokens).ceil() as u64);
    estimate.answer_tokens = answer.unwrap_or(0);
    let compared = work.compared(&suite, &prompts);
    let need = work.need(&adapter, answer, compared, ([read, words], set));
    let keep = memory::keep(common, &need, machine::free_memory_bytes());
    estimate.memory_bytes = need.bytes(keep);
    estimate.seconds = work.training(gauge, &subject, keep)?;
    wanted(tell(Planning::Measuring))?;
    estimate.comparing_prompts = prompts.len();
    work.comparing(gauge, &subject, keep, &suite, prompts)?.enter(suite.rows(), &mut estimate);
    estimate.seconds += estimate.comparing_seconds;
    Ok(estimate)
}

/// Ends the estimate if nobody waits for it any more; `heard` is what a listener answered.
///
/// # Errors
/// [`unwanted`].
pub fn wanted(heard: bool) -> Result<(), Problem> {
    if heard { Ok(()) } else { Err(unwanted()) }
}

/// The problem of a plan that nobody waits for.
pub fn unwanted() -> Problem {
    let message = Words::new("The plan was given up before it was complete.", "计划在完成之前已取消。");
    Problem::new(alidade_domain::ProblemCode::Conflict, message).hint(Words::new("Ask for it again.", "请再次请求。"))
}

/// Training rows and held-out rows.
pub fn split_rows(rows: Vec<Example>, seed: u64) -> (Vec<Example>, Vec<Example>) {
    let held = if rows.len() < SMALLEST_SPLIT { 0 } else { (rows.len() / HELD_OUT_SHARE).min(HELD_OUT_MOST) };
    let (train, held) = split(rows.len(), held, seed);
    let take = |indices: Vec<usize>| indices.into_iter().map(|index| rows[index].clone()).collect();
    (take(train), take(held))
}

fn count(
    ask: &StageAsk,
    prepared: &Prepared,
    steps: &Steps,
    adapter: &AdapterWeights,
    held_out: usize,
) -> StageEstimate {
    let trainable: u64 = match is_full(&ask.recipe) {
        true => ask.model.parameters,
        false => adapter.tensors.values().map(|tensor| tensor.values.len() as u64).sum(),
    };
    StageEstimate {
        stage: ask.stage,
        kind: "train".to_owned(),
        method: Some(ask.recipe.method.clone()),
        optimizer_steps: steps.total,
        rows: prepared.items.len(),
        held_out_rows: held_out,
        skipped_rows: prepared.skipped.len(),
        truncated_rows: prepared.truncated,
        tokens: prepared.tokens(),
        learned_tokens: prepared.learned_tokens(),
        longest_tokens: prepared.longest(),
        advice: prepared.advice.clone(),
        chosen_longer: 0.0,
        trainable_parameters: trainable,
        model_parameters: ask.model.parameters,
        memory_bytes: 0,
        disk_bytes: trainable * 4 * (1 + 2 * 3) + 2_000_000,
        answer_tokens: 0,
        comparing_seconds: 0.0,
        comparing_prompts: 0,
        comparing_rows: 0,
        seconds_per_prompt: 0.0,
        seconds_per_row: 0.0,
        seconds: 0.0,
    }
}

/// The work of a stage, in passes and written tokens.
struct Work<'a> {
    ask: &'a StageAsk,
    training: &'a dyn Training,
    spec: &'a DecoderSpec,
    prepared: &'a Prepared,
    steps: &'a Steps,
    encoder: &'a Encoder<'a>,
    /// Letters of its rows for each token that they became.
    letters_per_token: f64,
}

impl Work<'_> {
    /// What the memory of the stage depends on; `read` is what its rows and its tokenizer took here, `words` the tokenizer alone.
    fn need(
        &self,
        adapter: &AdapterWeights,
        answer: Option<u64>,
        compared: memory::Compared,
        ([read, words], set): ([u64; 2], InstructionSet),
    ) -> memory::Need<'_> {
        let (recipe, training) = (&self.ask.recipe, self.training);
        let models = [&recipe.reward, &recipe.cost].into_iter().flatten();
        let raters = models.filter(|named| **named != ScorerSource::Oracle).count();
        let full = is_full(recipe);
        let sizes = || adapter.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.values.len()));
        let policy = if full { self.spec.parameters() } else { sizes().map(|(_, size)| size as u64).sum() };
        let size = match full {
            true => AdapterSize::default(),
            false => AdapterSize::of(self.spec, sizes(), adapter.config.lora_dropout > 0.0),
        };
        let engine = Backend::Best(set).engine(self.spec, Some(adapter).filter(|_| !full));
        let [critic, beside] = memory::beside(policy, training.critic(), recipe.adapter.is_some(), raters as u64);
        memory::Need {
            model: Footprint::new(self.spec, engine, memory::precision(training.common()), size, full),
            program: machine::program_bytes() + memory::FRESH_BYTES + memory::CODE_BYTES + read,
            words,
            trained: policy + critic,
            beside,
            passes: Passes::of(training, self.prepared, (self.steps, recipe.seed), answer),
            compared,
        }
    }

    /// Seconds of loading and training.
    fn training(&self, gauge: &mut Gauge, subject: &Subject, keep: Checkpointing) -> Result<f64, Problem> {
        let seconds = training(
            self.training,
            self.prepared,
            self.steps.total,
            &mut Measuring { gauge, subject, keep, spec: self.spec, stops: &self.encoder.stops() },
        )?;
        Ok(if is_full(&self.ask.recipe) { seconds * FULL } else { seconds })
    }

    /// The prompts of a suite that can be answered, as tokens.
    fn prompts(&self, suite: &Questions) -> Vec<Vec<u32>> {
        if self.training.scorer_kind().is_some() {
            return Vec::new();
        }
        let prompts = suite.prompts().into_iter().filter_map(|prompt| self.encoder.prompt(&prompt).ok());
        prompts.filter(|ids| !ids.is_empty() && ids.len() < self.spec.context).collect()
    }

    /// Tokens of a row of the data set; held-out rows are like the others.
    fn row(&self) -> f64 {
        self.prepared.tokens() as f64 / self.prepared.items.len().max(1) as f64
    }

    fn compared(&self, suite: &Questions, prompts: &[Vec<u32>]) -> memory::Compared {
        memory::Compared {
            rows: prompts.len() as u64,
            read: prompts.iter().map(|ids| ids.len() as u64).sum(),
            written: (prompts.len() * suite.sampling().max_new_tokens) as u64,
            scored: self.scored_at_once(suite),
        }
    }

    /// Tokens of the largest batch of rows that comparing scores. Rows of the experiment's other data sets and general texts
    /// were not turned into tokens here, so their letters stand for them.
    fn scored_at_once(&self, suite: &Questions) -> u64 {
        if suite.is_empty() {
            return 0;
        }
        let rows = suite.rows().min(memory::MOST_ROWS);
        let letters = suite.batch_letters(memory::MOST_ROWS, self.ask.oracle) as f64;
        (rows as f64 * self.row()).max(letters / self.letters_per_token) as u64
    }

    /// Seconds of comparing before and after.
    fn comparing(
        &self,
        gauge: &mut Gauge,
        subject: &Subject,
        keep: Checkpointing,
        suite: &Questions,
        prompts: Vec<Vec<u32>>,
    ) -> Result<ComparingCost, Problem> {
        let row = self.row();
        let pace = gauge.training(subject, keep, PASS, row as usize)?;
        let token = |row: f64| pace.seconds_per_operation * operations(self.spec, row) * UNTAPED;
        let once = row * token(row);
        if self.training.scorer_kind().is_some() || suite.is_empty() {
            let fixed = if suite.is_empty() { 0.0 } else { pace.load_seconds };
            return Ok(ComparingCost { fixed, per_prompt: 0.0, per_row: once });
        }
        // General texts are read before and after, too.
        let general = Questions::general_letters(self.ask.oracle) as f64 / LETTERS * token(row) * 2.0;
        let cost = ComparingCost { fixed: pace.load_seconds + general, per_prompt: 0.0, per_row: 2.0 * once };
        if prompts.is_empty() {
            return Ok(cost);
        }
        let (answers, read) = (prompts.len() as f64, prompts.iter().map(Vec::len).sum::<usize>() as f64);
        let asked = Asked {
            prompts: prompts.into_iter().take(ANSWERS).collect(),
            limit: suite.sampling().max_new_tokens,
            temperature: suite.sampling().temperature,
            stops: self.encoder.stops(),
        };
        let writing = gauge.generation(subject, &asked)?;
        // What an earlier stage answered is taken over.
        let stacks = if self.ask.recipe.adapter.is_some() { 1.0 } else { 2.0 };
        let one = read * token(read / answers) + answers * writing.answer_tokens * writing.seconds_per_token;
        Ok(ComparingCost { per_prompt: stacks * one / answers, ..cost })
    }
}

/// Letters of the rows for each token that they became.
fn letters_per_token(rows: &[Example], prepared: &Prepared) -> f64 {
    rows.iter().map(Example::letters).sum::<usize>().max(1) as f64 / prepared.tokens().max(1) as f64
}

/// True if a recipe trains every weight.
fn is_full(recipe: &Recipe) -> bool {
    recipe.tuning == Some(Tuning::Full)
}

/// Seconds of comparing before and after.
struct ComparingCost {
    /// Loading, and reading the general texts.
    fixed: f64,
    per_prompt: f64,
    per_row: f64,
}

impl ComparingCost {
    /// Enters the cost of comparing so many rows, and the prompts of the estimate.
    fn enter(&self, rows: usize, estimate: &mut StageEstimate) {
        let prompts = estimate.comparing_prompts;
        estimate.comparing_rows = rows;
        (estimate.seconds_per_prompt, estimate.seconds_per_row) = (self.per_prompt, self.per_row);
        estimate.comparing_seconds = self.fixed + self.per_prompt * prompts as f64 + self.per_row * rows as f64;
    }
}

/// What is asked before and after the stage.
fn questions(ask: &StageAsk, held_out: Vec<Example>) -> Result<Questions, Problem> {
    let mut sets = vec![held_out];
    for path in &ask.others {
        sets.push(split_rows(read_rows(path)?, ask.split).1);
    }
    let most = ask.recipe.compare.unwrap_or(usize::MAX);
    let rows = sets.iter().flat_map(|rows| rows.iter().take(most)).cloned().collect();
    let mut prompts = match ask.oracle {
        true => world_oracle::questions(WORLD_PROMPTS),
        false => own_prompts(&sets).iter().filter_map(Example::prompt).collect(),
    };
    prompts.truncate(most);
    Ok(if ask.oracle { Questions::of_town(prompts, rows) } else { Questions::own(prompts, rows) })
}

/// Who measures, and what.
pub struct Measuring<'a, 'b> {
    /// What has been measured so far.
    pub gauge: &'a mut Gauge,
    /// The model that is measured.
    pub subject: &'a Subject<'b>,
    /// What a pass saves for its backward pass.
    pub keep: Checkpointing,
    /// Its shape.
    pub spec: &'a DecoderSpec,
    /// Tokens that end an answer.
    pub stops: &'a BTreeSet<u32>,
}

/// Seconds of loading a model and training it for so many steps.
pub fn training(
    training: &dyn Training,
    prepared: &Prepared,
    steps: u64,
    measuring: &mut Measuring,
) -> Result<f64, Problem> {
    let (common, passes) = (training.common(), training.passes());
    let batch = common.per_device_train_batch_size as f64;
    let sequences = prepared.items.iter().map(|item| item.sequences.len()).sum::<usize>();
    let per_item = prepared.tokens() as f64 / prepared.items.len().max(1) as f64;
    let per_row = prepared.tokens() as f64 / sequences.max(1) as f64;
    let writing = answers(training, prepared, measuring.stops, measuring.gauge, measuring.subject)?;
    let answer = writing.map_or(0.0, |writing| writing.answer_tokens);
    let (row, pass) = (per_row + answer, batch * (per_item + answer));
    let pace = measuring.gauge.training(measuring.subject, measuring.keep, pass as usize, row as usize)?;
    // Rows, or answers where the model writes them.
    let at_once = passes.answers.map_or(batch, |answers| answers.at_once as f64);
    let rows = steps as f64 * common.gradient_accumulation_steps as f64 * at_once;
    let token = pace.seconds_per_operation * operations(measuring.spec, row);
    let trained = rows * (per_item + answer) * (passes.trained + passes.read * UNTAPED) * token;
    let written = writing.map_or(0.0, |writing| rows * answer * writing.seconds_per_token);
    Ok(pace.load_seconds + trained + written)
}

/// How the policy writes while it trains; none where it does not.
fn answers(
    training: &dyn Training,
    prepared: &Prepared,
    stops: &BTreeSet<u32>,
    gauge: &mut Gauge,
    subject: &Subject,
) -> Result<Option<GenerationPace>, Problem> {
    let Some(answers) = training.passes().answers else { return Ok(None) };
    let batch = training.common().per_device_train_batch_size.min(ANSWERS);
    let prompts = prepared.items.iter().flat_map(|item| &item.sequences).map(|sequence| sequence.ids.clone());
    let (limit, temperature) = (answers.limit, answers.temperature);
    let asked = Asked { prompts: prompts.take(batch).collect(), limit, temperature, stops: stops.clone() };
    gauge.generation(subject, &asked).map(Some)
}
