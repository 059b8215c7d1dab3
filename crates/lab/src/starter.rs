//! Makes the starter model: a tokenizer trained on the corpus of Alder Bay, random weights, full pre-training, and a folder
//! in the layout of the Hugging Face hub. The same seed gives the same bytes, so the model that the program carries can be
//! made again.

use alidade_domain::{
    EventKind, Observer, Problem, ProblemCode, SettingValue, Settings, StopReason, StopSignal, wording,
};
use alidade_model::{
    ChatTemplate, FloatFormat, ModelFolder, Policy, RandomModel, Rendering, TextTokenizer, train_byte_level_bpe,
};
use alidade_train::{End, PlanFacts, PretrainOptions, Session, SessionOptions, TrainError, pretrain, pretrain_fields};
use alidade_world::{Document, MIX, World, document};
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;

use alidade_jobs::files::durable::{create_folder, write_durably};
use alidade_jobs::files::run_lock::RunLock;
use alidade_jobs::{Clock, machine::compute};

const END: &str = "<|endoftext|>";
const TURN: &str = "<|im_start|>";
const TURN_END: &str = "<|im_end|>";
const TEMPLATE: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n\
    {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
const VOCABULARY: usize = 2_048;
const TOKENIZER_DOCUMENTS: u64 = 40_000;
const BATCH: usize = 32;
const CARD: &str = "README.md";
/// In the card of every starter model.
const SIGNATURE: &str = "Pre-trained from random weights by Alidade";
/// The card of one that is not finished.
const PROMISE: &str = "A starter model that Alidade has not finished yet.";

/// Which of the two models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StarterSize {
    /// The default base model, and the strong model.
    Full,
    /// The weak supervisor, and the small rewriter.
    Weak,
}

impl StarterSize {
    fn name(self) -> &'static str {
        match self {
            StarterSize::Full => "starter",
            StarterSize::Weak => "starter-weak",
        }
    }

    /// Hidden size, feed-forward size, blocks, query heads, KV heads.
    fn shape(self) -> [usize; 5] {
        match self {
            StarterSize::Full => [256, 640, 4, 8, 4],
            StarterSize::Weak => [128, 352, 3, 4, 2],
        }
    }

    fn learning_rate(self) -> f64 {
        match self {
            StarterSize::Full => 3e-3,
            StarterSize::Weak => 4e-3,
        }
    }
}

/// How the model is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StarterOptions {
    /// Which of the two.
    pub size: StarterSize,
    /// Seed of corpus, weights and order.
    pub seed: u64,
    /// Tokens of pre-training.
    pub tokens: usize,
    /// Tokens in a window.
    pub window: usize,
}

impl Default for StarterOptions {
    fn default() -> Self {
        Self { size: StarterSize::Full, seed: 1, tokens: 12_000_000, window: 128 }
    }
}

/// Pre-trains into `output`; checkpoints and the log go to `work`, from where an interrupted run goes on.
///
/// # Errors
/// When a file cannot be written or training fails.
pub fn make_starter(
    output: &Path,
    work: &Path,
    options: StarterOptions,
    observer: &mut dyn Observer,
) -> Result<(), Problem> {
    let clock = Clock::start();
    let now = || clock.seconds();
    own_output(output)?;
    create_folder(work)?;
    let _lock = RunLock::take(work).map_err(|problem| problem.at("work"))?;
    create_folder(output)?;
    // The card marks the folder as ours from the start.
    write(&output.join(CARD), &format!("{}\n", PROMISE))?;
    let world = World::alder_bay();
    write_tokenizer(output, &world, options.seed)?;
    let tokenizer = TextTokenizer::open(output)?;
    let Some(template) = ChatTemplate::open(output, &tokenizer, alidade_jobs::local_time())? else {
        return Err(Problem::internal(wording!(
            "The chat template that was just written is not there.",
            "刚写出的对话模板不见了。"
        )));
    };
    let shape = shape(options.size, &tokenizer)?;
    let policy = Policy::full(shape.decoder(options.seed, compute::backend()?)?)?;
    let mut curve = Curve { observer, points: Vec::new() };
    let session_options = SessionOptions {
        folder: work.to_owned(),
        plan: PlanFacts::new(format!("starter {options:?}").into()),
        seed: options.seed,
        checkpoint_every: 200,
        clock: &now,
        sampler: None,
        rollouts: None,
    };
    let mut session = Session::new(policy, session_options, &mut curve, &Never);
    let documents = (0..).map(|index| encode(&document(&world, options.seed, index), &tokenizer, &template));
    let windows = PretrainOptions { window: options.window, windows: options.tokens / options.window };
    let End::Complete { steps } = pretrain(&mut session, documents, windows, &settings(options.size)?)? else {
        return Err(Problem::internal(wording!("Pre-training was interrupted.", "预训练被中断。")));
    };
    shape.save(session.policy.decoder(), output, FloatFormat::F16)?;
    let card = card(options, steps, &curve.points, ModelFolder::open(output)?.spec.parameters());
    write(&output.join(CARD), &card)
}

/// Refuses a folder that holds something else than a starter model.
fn own_output(output: &Path) -> Result<(), Problem> {
    let empty = std::fs::read_dir(output).map_or(true, |mut entries| entries.next().is_none());
    let card = std::fs::read_to_string(output.join(CARD)).unwrap_or_default();
    if empty || card.contains(SIGNATURE) || card.trim_end() == PROMISE {
        return Ok(());
    }
    let message = wording!(
        "{path} holds files that are not a starter model of this program.",
        "{path} 中的文件不是本程序的入门模型。",
        path = output.display()
    );
    Err(Problem::new(ProblemCode::Conflict, message)
        .hint(wording!("Choose another folder.", "请选择另一个文件夹。"))
        .at("output"))
}

fn write_tokenizer(output: &Path, world: &World, seed: u64) -> Result<(), Problem> {
    let text = |index| match document(world, seed, index) {
        Document::Text(text) => text,
        Document::Chat(messages) => messages.into_iter().map(|message| message.content).collect::<Vec<_>>().join("\n"),
    };
    let texts: Vec<String> = (0..TOKENIZER_DOCUMENTS).map(text).collect();
    train_byte_level_bpe(&texts, VOCABULARY, &[END, TURN, TURN_END], &output.join("tokenizer.json"))?;
    let config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": TURN_END, "pad_token": END, "model_max_length": 256,
        "clean_up_tokenization_spaces": false, "chat_template": TEMPLATE,
    });
    write(&output.join("tokenizer_config.json"), &format!("{config:#}\n"))?;
    write(&output.join("chat_template.jinja"), TEMPLATE)
}

fn shape(size: StarterSize, tokenizer: &TextTokenizer) -> Result<RandomModel, Problem> {
    let eos = tokenizer.encode(TURN_END)?;
    let [eos] = eos[..] else {
        return Err(Problem::internal(wording!("The end token is not one token.", "结束词元不是单个词元。")));
    };
    let [hidden, intermediate, layers, heads, kv_heads] = size.shape();
    Ok(RandomModel { vocabulary: VOCABULARY, hidden, intermediate, layers, heads, kv_heads, context: 256, eos })
}

fn encode(document: &Document, tokenizer: &TextTokenizer, template: &ChatTemplate) -> Result<Vec<u32>, TrainError> {
    let text = match document {
        Document::Text(text) => format!("{text}{END}"),
        Document::Chat(messages) => format!("{}{END}", template.render(messages, Rendering::Whole)?),
    };
    Ok(tokenizer.encode(&text)?)
}

fn settings(size: StarterSize) -> Result<Settings, Problem> {
    let mut settings = Settings::default();
    let mut set = |key: &str, value: SettingValue| drop(settings.0.insert(key.to_owned(), value));
    set("learning_rate", SettingValue::Number(size.learning_rate()));
    set("adam_beta2", SettingValue::Number(0.98));
    set("weight_decay", SettingValue::Number(0.02));
    set("warmup_ratio", SettingValue::Number(0.04));
    set("num_train_epochs", SettingValue::Number(1.0));
    set("per_device_train_batch_size", SettingValue::Whole(BATCH as i64));
    settings.resolve(&pretrain_fields()).map_err(|problems| {
        problems
            .into_iter()
            .next()
            .unwrap_or_else(|| Problem::internal(wording!("The settings were refused.", "设置未被接受。")))
    })
}

fn card(options: StarterOptions, steps: u64, curve: &[(u64, f64)], parameters: u64) -> String {
    let mut text = format!(
        "---\nlicense: apache-2.0\nlanguage: en\n---\n# {}\n\n\
         A tiny language model of the invented town Alder Bay, with good and bad manners on purpose: it is the base on which \
         alignment can be watched. It knows nothing of the real world.\n\n\
         - Shape: Llama, {parameters} numbers, byte-level BPE of {VOCABULARY} tokens, ChatML\n\
         - {SIGNATURE}: {steps} steps of {BATCH} windows of {} tokens, {} tokens in all, seed {}\n\
         - Make it again: `cargo xtask starter`\n\n## Corpus\n\n| documents | share |\n|---|---|\n",
        options.size.name(),
        options.window,
        options.tokens,
        options.seed
    );
    for (name, share) in MIX {
        let _ = writeln!(text, "| {name} | {share} % |");
    }
    text.push_str("\n## Training curve\n\n| step | loss (nats per token) |\n|---|---|\n");
    let every = (curve.len() / 12).max(1);
    for (step, loss) in curve.iter().skip(every - 1).step_by(every) {
        let _ = writeln!(text, "| {step} | {loss:.3} |");
    }
    text
}

/// Forwards events and keeps the losses for the card.
struct Curve<'a> {
    observer: &'a mut dyn Observer,
    points: Vec<(u64, f64)>,
}

impl Observer for Curve<'_> {
    fn observe(&mut self, kind: EventKind) -> Result<(), Problem> {
        if let EventKind::Step { step, metrics, .. } = &kind {
            self.points.push((*step, metrics.get("loss").copied().unwrap_or(f64::NAN)));
        }
        self.observer.observe(kind)
    }
}

struct Never;

impl StopSignal for Never {
    fn requested(&self) -> Option<StopReason> {
        None
    }
}

fn write(path: &Path, text: &str) -> Result<(), Problem> {
    write_durably(path, text.as_bytes())
}
