//! How fast this machine trains and generates, measured on the real path: the same methods, session and decoder as a run.
//!
//! The work is that of a widely used benchmark: four rows of 256 tokens a step, a LoRA of rank 16 on every layer, rows in
//! file order, AdamW at 1e-4. Each figure is shown with its share of the machine's peak.

use alidade_data::import;
use alidade_domain::{
    Device, EventKind, Example, Message, Observer, Place, Precision, Problem, Scorer, SettingValue, Settings,
    StopSignal, why, wording,
};
use alidade_jobs::Clock;
use alidade_jobs::machine::peak_memory_bytes;
use alidade_jobs::train::estimate::{Measuring, training};
use alidade_jobs::train::pace::{Gauge, Subject};
use alidade_jobs::train::passes::Passes;
use alidade_jobs::{machine, machine::compute, train::memory};
use alidade_kernels::{
    Arena, InstructionSet, Mat, MatMut, Panels, Rows, ThreadPool, Threads, matmul, pairs_forward, rows_times,
};
use alidade_model::{
    AdapterSize, AdapterWeights, Backend, Checkpointing, DecoderSpec, Footprint, GenerationOptions, ModelFolder,
    Policy, generate_streaming, load_adapter,
};
use alidade_train::{
    AnswerScorer, Encoder, Method, PlanFacts, Prepared, Rollouts, Session, SessionOptions, Training, method,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Rows of a training step and tokens of a row.
const ROWS: usize = 4;
const TOKENS: usize = 256;
/// First steps of generation that are not counted: the cache is still small.
const WARM: usize = 4;

/// What to train.
pub struct TrainBench {
    /// A model folder with `adapter_init`, `sft.jsonl` and `dpo.jsonl`.
    pub model: PathBuf,
    /// SFT, DPO or PPO.
    pub method: String,
    /// Number format of the frozen weights.
    pub dtype: String,
    /// Activation checkpointing.
    pub checkpointing: bool,
    /// Timed steps; one warm-up step precedes them.
    pub steps: usize,
    /// Use candle instead of our kernels.
    pub candle: bool,
}

/// What to generate.
pub struct GenerateBench {
    /// A model folder.
    pub model: PathBuf,
    /// Number format of the weights.
    pub dtype: String,
    /// Rows per batch.
    pub batch: usize,
    /// Tokens of each.
    pub tokens: usize,
}

/// Times and losses of the steps.
struct Steps<'a> {
    clock: &'a Clock,
    ends: Vec<f64>,
    losses: Vec<f64>,
}

impl Observer for Steps<'_> {
    fn observe(&mut self, kind: EventKind) -> Result<(), Problem> {
        if let EventKind::Step { metrics, .. } = kind {
            self.ends.push(self.clock.seconds());
            self.losses.extend(metrics.get("loss"));
        }
        Ok(())
    }
}

struct Never;

impl StopSignal for Never {
    fn requested(&self) -> Option<alidade_domain::StopReason> {
        None
    }
}

/// A scorer that gives PPO something to learn from: longer answers are better.
struct Length;

impl Scorer for Length {
    fn score(&self, _: &[Message], answer: &str) -> Result<Option<f64>, Problem> {
        Ok(Some(answer.split_whitespace().count() as f64 / 64.0))
    }
}

/// Trains for some steps and says how long each took.
///
/// # Errors
/// When the folder lacks something, or the method fails.
pub fn bench_train(bench: &TrainBench) -> Result<Value, Problem> {
    let folder = ModelFolder::open(&bench.model)?;
    let tokenizer = folder.tokenizer()?;
    let template = folder.chat_template(&tokenizer, alidade_jobs::local_time())?;
    let encoder = Encoder { tokenizer: &tokenizer, template: template.as_ref() };
    let method = method(&bench.method)?;
    let configured = method.configure(&settings(bench, method)?)?;
    let prepared = configured.prepare(&rows_of(bench, method)?, &encoder)?;
    let precision = Precision::named(&bench.dtype)?;
    let set = compute::instructions()?;
    let backend = if bench.candle { Backend::Candle(Device::Cpu) } else { Backend::Best(set) };
    let adapter = load_adapter(&bench.model.join("adapter_init"), &folder.spec)?;
    let footprint = counted(&folder.spec, &adapter, backend, precision);
    let keep = footprint.checkpointed().first().copied().filter(|_| bench.checkpointing).unwrap_or(Checkpointing::Off);
    let mut decoder = folder.decoder_with(backend, precision)?;
    decoder.set_checkpointing(keep);
    let mut policy = Policy::fresh(decoder, &adapter)?;
    if let Some(critic) = configured.critic() {
        policy.install_critic(critic, None)?;
    }
    let path = policy.decoder().path();
    let clock = Clock::start();
    let now = || clock.seconds();
    let out = std::env::temp_dir().join(format!("alidade-bench-{}", std::process::id()));
    let options = SessionOptions {
        folder: out.clone(),
        plan: PlanFacts::new("bench".into()),
        seed: 0,
        checkpoint_every: 0,
        clock: &now,
        sampler: None,
        rollouts: method.needs().reward.then_some(Rollouts {
            encoder,
            scorer: AnswerScorer::Scorer(&Length),
            cost: None,
            show_every: u64::MAX,
        }),
    };
    let mut steps = Steps { clock: &clock, ends: Vec::new(), losses: Vec::new() };
    let trained = configured.train(&mut Session::new(policy, options, &mut steps, &Never), &prepared);
    let _ = std::fs::remove_dir_all(&out);
    trained?;
    let times: Vec<f64> = steps.ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let rows = ROWS * prepared.items.first().map_or(1, |item| item.sequences.len());
    let mut figures = figures(&format!("alidade {} {}", bench.method, bench.dtype), &times, rows * TOKENS);
    // After the peak was read: the probe has memory of its own.
    let expected = expected(bench, footprint, configured.as_ref(), &prepared, adapter.parameters(), (keep, set))?;
    let work = train_operations(&folder.spec, bench, adapter.parameters(), configured.passes().reads_batches);
    put(
        &mut figures,
        json!({
            "loss": [steps.losses.first(), steps.losses.last()], "gradient_checkpointing": bench.checkpointing,
            "arithmetic": path, "operations_per_step": work, "expected": expected,
        }),
    );
    with_share(&mut figures, work, peak_gigaflops(precision, set));
    Ok(figures)
}

/// The rows that lie beside a bench model, in the shape that the method learns from.
fn rows_of(bench: &TrainBench, method: &dyn Method) -> Result<Vec<Example>, Problem> {
    let file = if method.card().place == Place::Answers { "sft.jsonl" } else { "dpo.jsonl" };
    let bytes = std::fs::read(bench.model.join(file)).map_err(|error| {
        Problem::input(wording!(
            "Reading {file} in the model folder failed: {why}.",
            "读取模型文件夹中的 {file} 失败：{why}。";
            why = why(&error)
        ))
        .at("model")
    })?;
    Ok(for_method(method, import(&bytes, file)?.rows))
}

/// The model with its adapter, as the plan counts it.
fn counted<'m>(
    spec: &'m DecoderSpec,
    adapter: &AdapterWeights,
    backend: Backend,
    precision: Precision,
) -> Footprint<'m> {
    let sizes = adapter.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.values.len()));
    let size = AdapterSize::of(spec, sizes, adapter.config.lora_dropout > 0.0);
    Footprint::new(spec, backend.engine(spec, Some(adapter)), precision, size, false)
}

/// What the plan of such a run would say: milliseconds a step and peak memory, from one probed step.
fn expected(
    bench: &TrainBench,
    model: Footprint,
    configured: &dyn Training,
    prepared: &Prepared,
    trained: u64,
    (keep, set): (Checkpointing, InstructionSet),
) -> Result<Value, Problem> {
    let precision = Precision::named(&bench.dtype)?;
    let steps = configured.steps(prepared.items.len());
    let need = memory::Need {
        model,
        program: machine::program_bytes() + memory::FRESH_BYTES,
        words: 0,
        trained,
        beside: 0,
        passes: Passes::of(configured, prepared, (&steps, 0), None),
        compared: memory::Compared::default(),
    };
    let subject = Subject { folder: &bench.model, sha256: "", precision, set };
    let mut gauge = Gauge::default();
    let stops = ModelFolder::open(&bench.model)?.tokenizer()?.stops().clone();
    let mut measuring = Measuring { gauge: &mut gauge, subject: &subject, keep, spec: model.spec(), stops: &stops };
    let mut of_steps = |steps| training(configured, prepared, steps, &mut measuring);
    let seconds = of_steps(1)? - of_steps(0)?;
    Ok(json!({"ms": (seconds * 1e4).round() / 10.0, "peak_rss_mb": need.bytes(keep) >> 20}))
}

/// For methods that generate answers, pairs become prompts.
fn for_method(method: &dyn Method, mut rows: Vec<Example>) -> Vec<Example> {
    if method.needs().reward {
        for row in &mut rows {
            if let Example::PlainPair { prompt, .. } = row {
                *row = Example::Prompt { prompt: vec![Message::user(std::mem::take(prompt))] };
            }
        }
    }
    rows
}

fn settings(bench: &TrainBench, known: &dyn Method) -> Result<Settings, Problem> {
    let whole = |value: usize| SettingValue::Whole(value as i64);
    let mut said = BTreeMap::from([
        ("learning_rate", SettingValue::Number(1e-4)),
        ("lr_scheduler_type", SettingValue::Text("constant".to_owned())),
        ("warmup_ratio", SettingValue::Number(0.0)),
        ("per_device_train_batch_size", whole(ROWS)),
        ("max_steps", whole(bench.steps + 1)),
        ("max_length", whole(TOKENS)),
        ("train_sampling_strategy", SettingValue::Text("sequential".to_owned())),
        // PEFT's own loop does not clip; the norm is computed either way.
        ("max_grad_norm", SettingValue::Number(if known.card().place == Place::Answers { 0.0 } else { 1.0 })),
    ]);
    let fields = known.fields();
    // TRL has several names for the length of an answer.
    let lengths = ["response_length", "max_completion_length", "max_new_tokens"].map(|key| (key, whole(TOKENS / 4)));
    let own = lengths.into_iter().chain([("num_ppo_epochs", whole(1)), ("num_generations", whole(ROWS))]);
    said.extend(own.filter(|(key, _)| fields.iter().any(|field| field.key == *key)));
    let said = said.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Settings(said).resolve(&fields).map_err(|problems| {
        problems
            .into_iter()
            .next()
            .unwrap_or_else(|| Problem::internal(wording!("The settings were refused.", "设置未被接受。")))
    })
}

/// Generates some tokens and says how long each decoding step of the batch took.
///
/// # Errors
/// When the model cannot be opened.
pub fn bench_generate(bench: &GenerateBench) -> Result<Value, Problem> {
    let folder = ModelFolder::open(&bench.model)?;
    let (precision, set) = (Precision::named(&bench.dtype)?, compute::instructions()?);
    let decoder = folder.decoder_with(Backend::Best(set), precision)?;
    let options = GenerationOptions {
        temperature: 0.0,
        top_p: 1.0,
        max_new_tokens: bench.tokens,
        seed: 0,
        stops: BTreeSet::new(),
    };
    let (clock, mut ends) = (Clock::start(), Vec::new());
    let mut listener = |row: usize, _: u32| {
        if row + 1 == bench.batch {
            ends.push(clock.seconds());
        }
        true
    };
    let prompts = vec![vec![5]; bench.batch];
    let generated = generate_streaming(decoder.as_ref(), None, &prompts, &options, &mut listener)?;
    let times: Vec<f64> = ends.windows(2).skip(WARM).map(|pair| pair[1] - pair[0]).collect();
    let mut figures = figures(&format!("alidade generate {}", bench.dtype), &times, bench.batch);
    let head: Vec<u32> = generated.first().map(|row| row.ids.iter().take(8).copied().collect()).unwrap_or_default();
    put(&mut figures, json!({"batch": bench.batch, "head": head, "arithmetic": decoder.path()}));
    let (spec, seconds) = (decoder.spec(), figures["ms"].as_f64().unwrap_or(0.0) / 1e3);
    let linears: usize = spec.linears().iter().map(|linear| linear.inputs * linear.outputs).sum();
    let head = (spec.vocabulary * spec.hidden) as f64;
    let parameters = (spec.layers * linears) as f64 + head;
    with_share(&mut figures, 2.0 * parameters * bench.batch as f64, peak_gigaflops(precision, set));
    // With q4_0 the LM head has eight bits.
    let head_precision = if precision == Precision::Q4_0 { Precision::Q8_0 } else { precision };
    let bytes = (parameters - head) * bytes_per_weight(precision) + head * bytes_per_weight(head_precision);
    let (read, peak) = (bytes / seconds.max(1e-9) / 1e9, memory_rate(set));
    let share = (read / peak * 1000.0).round() / 10.0;
    put(
        &mut figures,
        json!({"weights_gigabytes_per_second": read.round(), "memory_peak_gigabytes_per_second": peak.round(), "share_of_memory_percent": share}),
    );
    Ok(figures)
}

/// Bytes that one weight takes: a block of 32 quantised weights shares a scale of four bytes.
fn bytes_per_weight(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 4.0,
        Precision::Bf16 => 2.0,
        Precision::Q8_0 => 1.125,
        Precision::Q4_0 => 0.625,
    }
}

/// Peak speed of this machine in matmuls and in reading memory.
///
/// # Errors
/// When an instruction set is forced that the processor lacks.
pub fn bench_limits() -> Result<Value, Problem> {
    let set = compute::instructions()?;
    let mut limits = json!({
        "who": "alidade limits", "threads": threads(), "gemm_f32_gigaflops": peak_gigaflops(Precision::F32, set),
        "gemm_f32_gigaflops_one_thread": gigaflops(single(set, Threads::One)), "memory_gigabytes_per_second": memory_rate(set),
        "instructions": set.name(),
    });
    if set.takes_pairs() {
        put(&mut limits, json!({"gemm_bf16_gigaflops": peak_gigaflops(Precision::Bf16, set)}));
    }
    Ok(limits)
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Peak of matmuls with weights of this format, on all threads.
fn peak_gigaflops(precision: Precision, set: InstructionSet) -> f64 {
    if precision != Precision::Bf16 || !set.takes_pairs() {
        return gigaflops(single(set, Threads::Pool));
    }
    let mut weights = Panels::new(&mut Arena::default(), set, SIDE * SIDE, SIDE);
    weights.push(&vec![0.01; SIDE * SIDE]);
    gigaflops(|out, x| pairs_forward(set, x, &weights, out, false))
}

/// Rows and columns of the matrices whose product is timed to find the peak.
const SIDE: usize = 1024;

fn single(set: InstructionSet, threads: Threads) -> impl Fn(MatMut, Mat) {
    move |out, x| matmul(set, out, false, 1.0, x, x.t(), threads)
}

/// The best of several matmuls of square matrices.
fn gigaflops(product: impl Fn(MatMut, Mat)) -> f64 {
    let values: Vec<f32> = (0..SIDE * SIDE).map(|index| (index % 17) as f32 * 0.1).collect();
    let mut out = vec![0.0; SIDE * SIDE];
    let once = |out: &mut Vec<f32>| {
        let clock = Clock::start();
        product(MatMut::new(out, SIDE, SIDE), Mat::new(&values, SIDE, SIDE));
        clock.seconds()
    };
    let best = (0..12).map(|_| once(&mut out)).fold(f64::INFINITY, f64::min);
    2.0 * (SIDE as f64).powi(3) / best / 1e9
}

/// Gigabytes per second of reading data that no CPU cache holds, as generation reads weights.
fn memory_rate(set: InstructionSet) -> f64 {
    const ELEMENTS: usize = 1 << 26;
    const COLUMNS: usize = 2048;
    let (weights, x) = (vec![1.0f32; ELEMENTS], vec![1.0f32; COLUMNS]);
    let mut out = vec![0.0; ELEMENTS / COLUMNS];
    let best = ThreadPool::scope(|workers| {
        let mut once = || {
            let (clock, target) = (Clock::start(), MatMut::new(&mut out, 1, ELEMENTS / COLUMNS));
            let (x, weights) = (Mat::new(&x, 1, COLUMNS), Rows::F32(&weights));
            rows_times(workers, set, x, weights, target, false, 1.0);
            clock.seconds()
        };
        (0..8).map(|_| once()).fold(f64::INFINITY, f64::min)
    });
    (ELEMENTS * 4) as f64 / best / 1e9
}

/// Floating-point operations of one step: two for each weight and row in the forward pass, two for the gradient of each
/// input, and for the adapters two more for the gradients of their own weights.
fn train_operations(spec: &DecoderSpec, bench: &TrainBench, adapter: u64, reads: bool) -> f64 {
    let linears: usize = spec.linears().iter().map(|linear| linear.inputs * linear.outputs).sum();
    let base = (spec.layers * linears) as f64;
    let output = (spec.vocabulary * spec.hidden) as f64;
    let attention = (spec.layers * 2 * spec.heads * spec.head_dim * TOKENS) as f64 / 2.0;
    let adapter = adapter as f64;
    let again = if bench.checkpointing { base + adapter + attention } else { 0.0 };
    let trained = 2.0 * (2.0 * base + 3.0 * adapter + 2.0 * output + 3.0 * attention + again);
    let rows = (ROWS * TOKENS) as f64;
    match reads {
        true => 2.0 * rows * (trained + 2.0 * (base + output + attention)),
        false => rows * trained,
    }
}

/// Under the keys of peer.py.
fn figures(who: &str, times: &[f64], tokens: usize) -> Value {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    let round = |value: f64| (value * 10.0).round() / 10.0;
    json!({
        "who": who, "ms": round(median * 1e3), "min_ms": round(sorted.first().copied().unwrap_or(0.0) * 1e3),
        "tokens_per_second": round(tokens as f64 / median.max(1e-12)), "peak_rss_mb": peak_memory_bytes() >> 20,
        "threads": threads(), "steps": times.len(),
    })
}

fn put(figures: &mut Value, more: Value) {
    if let (Some(figures), Value::Object(more)) = (figures.as_object_mut(), more) {
        figures.extend(more);
    }
}

fn with_share(figures: &mut Value, operations: f64, peak: f64) {
    let seconds = figures["ms"].as_f64().unwrap_or(0.0) / 1e3;
    let reached = operations / seconds.max(1e-9) / 1e9;
    let share = (reached / peak * 1000.0).round() / 10.0;
    put(
        figures,
        json!({"gigaflops": reached.round(), "gemm_peak_gigaflops": peak.round(), "share_of_peak_percent": share}),
    );
}
