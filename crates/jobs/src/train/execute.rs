//! Carries out a plan: the same function in the worker, in the terminal's foreground and in tests.

use crate::asking::questions::Questions;
use crate::train::memory::Compared;
use crate::train::notes::folder_notes;
use crate::train::outcome::{self, Computed, MODEL, Outcome, Trained};
use crate::train::passes::{Passes, SAMPLE_TOKENS, SAMPLES};
use crate::train::provenance::{self, Making};
use crate::train::roles::{self, Oracles};
use crate::{machine, machine::compute, train::changed, train::comparing, train::memory, train::warnings};
use alidade_data::rows_from_jsonl;
use alidade_domain::{
    AdapterShape, Artifact, Device, EventKind, Example, LoraSpec, Message, Observer, Phase, Plan, Precision, Problem,
    RewardSource, StopReason, StopSignal, Trainable, Wording, Words, conversation_text, why, wording,
};
use alidade_model::{
    AdapterWeights, Checkpointing, DecoderSpec, GenerationOptions, ModelError, ModelFolder, NamedTensor, Policy,
    adapter_sha256, file_sha256, generate, load_adapter,
};
use alidade_train::{
    Encoder, End, PlanFacts, Prepared, Rollouts, Session, SessionOptions, TrainError, Training, method, resume_step,
};
use serde_json::json;
use std::path::Path;
use std::time::Instant;

/// Seconds since the start of the process, for pace and estimates.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Seconds since its start.
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// What a run is about to do, known before its first step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline {
    /// Optimizer steps in all.
    pub steps: u64,
    /// Rows that are learned from.
    pub rows: usize,
    /// Rows that are left out.
    pub skipped: usize,
    /// Rows whose answer is cut.
    pub truncated: usize,
}

/// Trains as the plan says, in its run folder, from its newest checkpoint.
///
/// # Errors
/// When something in the plan cannot be used, or training meets a problem. What was kept stays usable.
pub fn execute(plan: &Plan, folder: &Path, observer: &mut dyn Observer, stop: &dyn StopSignal) -> Result<End, Problem> {
    execute_telling(plan, folder, observer, stop, &mut |_| {})
}

/// As [`execute`]; `tell` hears what is going to be done before it is.
///
/// # Errors
/// As [`execute`].
pub fn execute_telling(
    plan: &Plan,
    folder: &Path,
    observer: &mut dyn Observer,
    stop: &dyn StopSignal,
    tell: &mut dyn FnMut(&Outline),
) -> Result<End, Problem> {
    let facts = plan_facts(plan)?;
    let done = outcome::completed(folder, plan, facts.fingerprint());
    let from_step = match &done {
        Some(done) => done.steps,
        None => resume_step(folder, &facts)?,
    };
    observer.observe(EventKind::Started { pid: std::process::id(), threads: plan.threads, from_step })?;
    observer.observe(EventKind::Stage { phase: Phase::Preparing })?;
    let model = ModelFolder::open(&plan.model_dir)?;
    for message in folder_notes(&plan.model_dir, plan.trains.continued()) {
        observer.observe(EventKind::Warning { code: "folder".to_owned(), message })?;
    }
    let tokenizer = model.tokenizer()?;
    let template = model.chat_template(&tokenizer, plan.now.unwrap_or_else(crate::local_time))?;
    let encoder = Encoder { tokenizer: &tokenizer, template: template.as_ref() };
    let configured = method(&plan.method)?.configure(&plan.settings)?;
    let (prepared, open_ended) = prepare(plan, configured.as_ref(), &model, &encoder)?;
    warn(&prepared, open_ended, observer)?;
    tell(&Outline {
        steps: configured.steps(prepared.items.len()).total,
        rows: prepared.items.len(),
        skipped: prepared.skipped.len(),
        truncated: prepared.truncated,
    });
    let mut outside = Outside { observer, stop };
    if let Some(done) = done {
        // Only what comes after training was cut off.
        outside.observer.observe(EventKind::Stage { phase: Phase::Saving })?;
        finish(plan, folder, &mut outside, None, &done, (&prepared, &Computed::of_events(folder)))?;
        return Ok(End::Complete { steps: done.steps });
    }
    let fingerprint = facts.fingerprint().to_owned();
    let (end, trained, computed) =
        train((plan, configured.as_ref()), folder, &mut outside, &model, (encoder, facts), &prepared)?;
    conclude(plan, &model, folder, &mut outside, (end, &fingerprint), trained, (&prepared, &computed))?;
    Ok(end)
}

/// The rows as the method reads them, and what is to be said where they show no end of an answer.
fn prepare(
    plan: &Plan,
    configured: &dyn Training,
    model: &ModelFolder,
    encoder: &Encoder,
) -> Result<(Prepared, Option<Problem>), Problem> {
    let rows = own_rows(plan)?;
    let prepared = configured.prepare(&rows, encoder)?;
    let no_step = warnings::no_step(configured.common(), &configured.steps(prepared.items.len()));
    let no_move = || configured.check_steps(prepared.items.len()).err();
    if let Some(problem) = warnings::too_long(&prepared, model.spec.context).or(no_step).or_else(no_move) {
        return Err(problem);
    }
    Ok((prepared, encoder.no_end_of_turn(method(&plan.method)?, &rows)))
}

/// The rows of the run, if they are still those that the plan speaks of.
fn own_rows(plan: &Plan) -> Result<Vec<Example>, Problem> {
    let found = file_sha256(&plan.rows)?;
    if found != plan.rows_sha256 {
        let message = wording!(
            "The rows in {path} are not those that the run began with: their SHA-256 is {found}… and was {wanted}….",
            "{path} 中的数据与运行开始时的不同：其 SHA-256 是 {found}…，原为 {wanted}…。",
            path = plan.rows.display(),
            found = provenance::short(&found),
            wanted = provenance::short(&plan.rows_sha256)
        );
        return Err(Problem::input(message)
            .hint(Words::new("Start a new run with the data set.", "请用该数据集开始一次新的运行。"))
            .at("dataset"));
    }
    read_rows(&plan.rows)
}

/// All steps that are not yet behind a checkpoint.
fn train(
    (plan, configured): (&Plan, &dyn Training),
    folder: &Path,
    outside: &mut Outside,
    model: &ModelFolder,
    (encoder, facts): (Encoder, PlanFacts),
    prepared: &Prepared,
) -> Result<(End, Trained, Computed), Problem> {
    // The need counts what the program holds already, so that counts as free.
    let (clock, program) = (Clock::start(), machine::resident_bytes());
    let free_bytes = machine::free_memory_bytes().saturating_add(program);
    let needs = method(&plan.method)?.needs();
    let mut policy = policy((plan, configured), model)?;
    let keep = choose_keep((plan, configured), &policy, prepared, [free_bytes, program])?;
    policy.set_checkpointing(keep);
    let oracles = Oracles::new();
    let raters = roles::install(plan, model, (needs, configured.critic()), &mut policy, &oracles)?;
    changed::tell((plan, configured.common()), &policy, outside.observer)?;
    let (arithmetic, keep) = (policy.decoder().path(), keep.name().to_owned());
    let device = policy.decoder().capabilities().engine.device();
    let forced = compute::forced()?.map(|set| set.name().to_owned());
    let mut computed = Computed { arithmetic, keep, device, forced, generation_share: None };
    outside.observer.observe(computed.event())?;
    outside.observer.observe(EventKind::Stage { phase: Phase::Training })?;
    let now = || clock.seconds();
    let asked = Questions::of_files(plan.prompts.as_deref(), None, plan.oracle)?;
    let samples = Samples { encoder, prompts: asked.harmless_prompts().into_iter().take(SAMPLES).collect() };
    let shows = !needs.reward && configured.scorer_kind().is_none();
    if shows && resume_step(folder, &facts)? == 0 {
        // What the model answers before its first step; a method with rollouts shows those of its first step.
        samples.show(&policy, 0, outside.observer)?;
    }
    let mut sampler = |policy: &Policy, step: u64, observer: &mut dyn Observer| samples.show(policy, step, observer);
    let options = SessionOptions {
        folder: folder.to_owned(),
        plan: facts,
        seed: plan.seed,
        checkpoint_every: plan.checkpoint_every,
        clock: &now,
        sampler: shows.then_some(&mut sampler),
        rollouts: raters.map(|(judge, cost)| Rollouts {
            encoder,
            scorer: judge,
            cost,
            show_every: plan.checkpoint_every.clamp(1, 10),
        }),
    };
    let begun = clock.seconds();
    let mut session = Session::new(policy, options, outside.observer, outside.stop);
    let end = configured.train(&mut session, prepared)?;
    computed.generation_share = Some(session.generation_seconds / (clock.seconds() - begun).max(1e-9));
    let trained = match session.policy.adapter()? {
        Some(adapter) => Trained::Adapter(adapter),
        None => Trained::Model(session.policy.decoder().base_weights()?),
    };
    // The weights of training are given back here, before evaluation loads its own.
    Ok((end, trained, computed))
}

/// What passes keep: as the settings say, else by the free memory of this machine.
///
/// # Errors
/// When even that would not fit: better now than killed by the system later.
fn choose_keep(
    (plan, configured): (&Plan, &dyn Training),
    policy: &Policy,
    prepared: &Prepared,
    [free_bytes, program]: [u64; 2],
) -> Result<Checkpointing, Problem> {
    let steps = configured.steps(prepared.items.len());
    let trainable = policy.decoder().trainable();
    let trained: u64 = trainable.iter().map(|(_, size)| *size as u64).sum();
    let model = |source: &Option<RewardSource>| u64::from(matches!(source, Some(RewardSource::Adapter { .. })));
    let raters = model(&plan.reward) + model(&plan.cost);
    let [critic, beside] = memory::beside(trained, configured.critic(), plan.trains.continued().is_some(), raters);
    let compares = plan.prompts.is_some() || plan.held_out.is_some();
    let need = memory::Need {
        model: policy.decoder().footprint(),
        program: program + memory::CODE_BYTES,
        words: 0,
        trained: trained + critic,
        beside,
        passes: Passes::of(configured, prepared, (&steps, plan.seed), plan.answer_tokens),
        compared: if compares { Compared::MUCH } else { Compared::default() },
    };
    let keep = memory::keep(configured.common(), &need, free_bytes);
    memory::refuse(need.bytes(keep), free_bytes).map_or(Ok(keep), Err)
}

/// The outside of a job: who hears its events, and who may ask it to end.
pub struct Outside<'a> {
    /// Hears every event.
    pub observer: &'a mut dyn Observer,
    /// Says whether the person asked it to end.
    pub stop: &'a dyn StopSignal,
}

/// What the model answers to the first prompts, greedily, after each checkpoint.
struct Samples<'a> {
    encoder: Encoder<'a>,
    prompts: Vec<Vec<Message>>,
}

impl Samples<'_> {
    fn show(&self, policy: &Policy, step: u64, observer: &mut dyn Observer) -> Result<(), TrainError> {
        if self.prompts.is_empty() {
            return Ok(());
        }
        let mut ids = self.prompts.iter().map(|prompt| self.encoder.prompt(prompt)).collect::<Result<Vec<_>, _>>()?;
        // Samples are a courtesy; a prompt without room for an answer must not end the run.
        let context = policy.decoder().spec().context;
        ids.retain(|ids| ids.len() < context);
        if ids.is_empty() {
            return Ok(());
        }
        let options = GenerationOptions {
            temperature: 0.0,
            top_p: 1.0,
            max_new_tokens: SAMPLE_TOKENS,
            seed: 0,
            stops: self.encoder.stops(),
        };
        let answers = generate(policy.decoder(), policy.adapter_name(), &ids, &options)?;
        for (prompt, answer) in self.prompts.iter().zip(answers) {
            let answer = self.encoder.tokenizer.decode(&answer.ids)?;
            let event = EventKind::Sample { step, prompt: conversation_text(prompt), answer, score: None };
            observer.observe(event).map_err(TrainError::Observer)?;
        }
        Ok(())
    }
}

fn conclude(
    plan: &Plan,
    model: &ModelFolder,
    folder: &Path,
    outside: &mut Outside,
    (end, fingerprint): (End, &str),
    trained: Trained,
    how: (&Prepared, &Computed),
) -> Result<(), Problem> {
    let (steps, reason) = match end {
        End::Complete { steps } => (steps, None),
        End::Requested { reason, step } => (step, Some(reason)),
    };
    match reason {
        Some(StopReason::Pause) => return outside.observer.observe(EventKind::Paused { step: steps }),
        Some(StopReason::Discard) => return outside.observer.observe(EventKind::Discarded),
        Some(StopReason::StopAndSave) | None => {}
    }
    outside.observer.observe(EventKind::Stage { phase: Phase::Saving })?;
    let making = Making { plan, fingerprint, steps, complete: reason.is_none() };
    let sha256 = outcome::save(&making, model, folder, trained)?;
    finish(plan, folder, outside, reason, &Outcome { steps, sha256 }, how)
}

/// What comes after a result: its record, the comparison, and the last word.
fn finish(
    plan: &Plan,
    folder: &Path,
    outside: &mut Outside,
    reason: Option<StopReason>,
    outcome: &Outcome,
    (prepared, computed): (&Prepared, &Computed),
) -> Result<(), Problem> {
    if !outcome::is_recorded(folder, &outcome.sha256) {
        outcome::write_record(plan, folder, outcome, prepared, computed)?;
    }
    let (steps, adapter_sha256) = (outcome.steps, outcome.sha256.clone());
    if reason.is_none()
        && let Err(problem) = comparing::compare(plan, folder, &adapter_sha256, outside)
    {
        // The adapter is whole; a comparison that fails takes nothing from it.
        let message = wording!(
            "Before and after could not be compared: {message}",
            "无法比较训练前后：{message}";
            message = problem.message
        );
        outside.observer.observe(EventKind::Warning { code: "not_evaluated".to_owned(), message })?;
    }
    let artifacts = vec![match plan.trains.is_full() {
        true => {
            Artifact::Model { folder: MODEL.to_owned(), sha256: adapter_sha256, name: Some(outcome::model_name(plan)) }
        }
        false => Artifact::Adapter { sha256: adapter_sha256 },
    }];
    outside.observer.observe(match reason {
        Some(_) => EventKind::Stopped { step: steps, artifacts },
        None => EventKind::Finished { steps, artifacts },
    })
}

/// The rows of a file, one JSON [`Example`] a line.
///
/// # Errors
/// When the file cannot be read or a line is no example.
pub fn read_rows(path: &Path) -> Result<Vec<Example>, Problem> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Problem::internal(
            wording!("Reading the rows of the run failed: {why}.", "读取运行的数据失败：{why}。"; why = why(&error)),
        )
    })?;
    Ok(rows_from_jsonl(&text)?)
}

fn policy((plan, configured): (&Plan, &dyn Training), model: &ModelFolder) -> Result<Policy, Problem> {
    let precision = if plan.trains.is_full() { Precision::F32 } else { memory::precision(configured.common()) };
    let backend = compute::backend_on(plan.device)?;
    let open = |adapter: Option<&AdapterWeights>| {
        let opened = model.decoder_with(backend.carrying(&model.spec, adapter), precision);
        opened.map_err(|error| Problem::from(error).at("model"))
    };
    match &plan.trains {
        Trainable::Full => Ok(Policy::full(open(None)?)?),
        Trainable::Continued { folder } => {
            provenance::check(folder, plan).map_err(|problem| problem.at("adapter"))?;
            let start = load_adapter(folder, &model.spec).map_err(|error| Problem::from(error).at("adapter"))?;
            Ok(Policy::continuing(open(Some(&start))?, &start)?)
        }
        Trainable::Fresh(shape) => {
            let decoder = open(Some(&sketch(&model.spec, shape)?))?;
            let base = |path: &str| decoder.base_weight(path);
            let fresh = fresh_adapter(&model.spec, shape, &plan.model.name, plan.seed, &base)?;
            Ok(Policy::fresh(decoder, &fresh)?)
        }
    }
}

/// An adapter of the right shape and size, before the model is there.
///
/// # Errors
/// As [`fresh_adapter`].
pub fn sketch(spec: &DecoderSpec, shape: &AdapterShape) -> Result<AdapterWeights, Problem> {
    let blank = |path: &str| {
        let (outputs, inputs) = spec.linear_shape(path).unwrap_or((0, 0));
        Ok(NamedTensor { shape: vec![outputs, inputs], values: vec![1.0; outputs * inputs] })
    };
    fresh_adapter(spec, shape, "sketch", 0, &blank)
}

/// A fresh adapter.
///
/// # Errors
/// When the shape does not fit the model; the problem stands at its table of the recipe.
pub fn fresh_adapter(
    spec: &DecoderSpec,
    shape: &AdapterShape,
    base_name: &str,
    seed: u64,
    base: &dyn Fn(&str) -> Result<NamedTensor, ModelError>,
) -> Result<AdapterWeights, Problem> {
    let (made, field) = match shape {
        AdapterShape::Prefix(prefix) => {
            (AdapterWeights::fresh_prefix(spec, prefix.num_virtual_tokens, base_name, seed), "prefix")
        }
        AdapterShape::Lora(lora) => (AdapterWeights::fresh(spec, lora, base_name, seed, base), "lora"),
    };
    made.map_err(|error| Problem::from(error).at(field))
}

/// Everything that the numbers of a run depend on, by name; threads are left out, because they do not change them. With it
/// `alidade_train` says what a run folder holds: `resume_step`, `foreign_checkpoints`.
///
/// # Errors
/// When an adapter that the plan names cannot be read.
pub fn plan_facts(plan: &Plan) -> Result<PlanFacts, Problem> {
    let adapter = match plan.trains.continued() {
        Some(folder) => Some(adapter_sha256(folder).map_err(|error| Problem::from(error).at("adapter"))?),
        None => None,
    };
    // How often checkpoints are kept, and what passes keep, changes nothing of what is computed.
    let mut settings = plan.settings.clone();
    for key in ["save_steps", "gradient_checkpointing"] {
        settings.0.remove(key);
    }
    // Plans always named a shape beside `full`; a folder of an earlier version is still known by it.
    let unused = LoraSpec::default();
    let lora = if plan.trains.is_full() { Some(&unused) } else { plan.trains.lora() };
    let mut facts = json!({
        "method": plan.method,
        "model": plan.model.sha256,
        "adapter": adapter,
        "lora": lora,
        "prefix": plan.trains.prefix(),
        "full": plan.trains.is_full(),
        "reward": roles::sha256(plan.reward.as_ref(), "reward")?,
        "cost": roles::sha256(plan.cost.as_ref(), "cost")?,
        "rows": plan.rows_sha256,
        "settings": settings,
        "seed": plan.seed,
    });
    // The processor goes without saying: plans were made before there was a choice.
    if plan.device != Device::Cpu {
        facts["device"] = plan.device.to_string().into();
    }
    // A day is a fact only of what is told one.
    if let Some(now) = plan.now {
        facts["now"] = String::from(now).into();
    }
    Ok(PlanFacts::new(facts))
}

fn warn(prepared: &Prepared, open_ended: Option<Problem>, observer: &mut dyn Observer) -> Result<(), Problem> {
    let coded = prepared.advice.iter().map(|advice| ("advice", advice));
    for (code, advice) in coded.chain(open_ended.iter().map(|advice| ("no_end_of_turn", advice))) {
        let message = Wording::sentences([&advice.message].into_iter().chain(&advice.hints));
        observer.observe(EventKind::Warning { code: code.to_owned(), message })?;
    }
    for message in prepared.left_out() {
        observer.observe(EventKind::Warning { code: "rows_skipped".to_owned(), message })?;
    }
    let mut say = |code: &str, count: usize, message: Wording| match count {
        0 => Ok(()),
        _ => observer.observe(EventKind::Warning { code: code.to_owned(), message }),
    };
    let (cut, moved) = (prepared.truncated, prepared.moved_borders);
    say("rows_truncated", cut, wording!("{cut} rows were cut at max_length.", "{cut} 条在 max_length 处被截断。"))?;
    let message = wording!(
        "{moved} rows share a token between prompt and answer; it counts as answer.",
        "{moved} 条的提问和回答共用一个词元；它算作回答。"
    );
    say("borders_moved", moved, message)
}
