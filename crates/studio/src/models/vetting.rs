//! Inspects untrusted model folders in a child process: configuration, tokenizer, chat template and, if requested, all
//! weights, and the adapter to use with it. Whatever would crash the program ends the child instead, and is reported.

use crate::confined::{self, Job, Limits, Link, request_of};
use crate::studio::Studio;
use alidade_domain::{Message, ModelRef, Problem, Wording, Words, why, wording};
use alidade_jobs::machine::compute;
use alidade_model::{
    ChatTemplate, ModelFolder, Rendering, SMALL_TEXT, TextTokenizer, load_adapter, model_sha256, read_text,
    template_source,
};
use alidade_store::ModelRecord;
use alidade_store::RunRecord;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Name of the task.
pub(crate) const TASK: &str = "inspect_model";
/// Memory per byte of a tokenizer's files, and of weights that are loaded as f32 and packed.
const PER_TEXT_BYTE: u64 = 24;
const PER_WEIGHT_BYTE: u64 = 6;

/// Number of tokens of a vocabulary that are decoded.
const TOKENS: usize = 8192;

/// Depth of an inspection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// Only config.json: for work on token ids.
    Configuration,
    /// Also tokenizer and chat template: for work on text.
    Text,
    /// Also the weights and their hash: for a model that is added to the list.
    Everything,
}

#[derive(Serialize, Deserialize)]
struct Request {
    folder: PathBuf,
    /// An adapter to read for this model.
    adapter: Option<PathBuf>,
    depth: Depth,
    /// Texts for the tokenizer, in addition to those that find slow patterns.
    texts: Vec<String>,
}

/// Inspects a folder from the terminal before its files are read in this process, and tokenizes the given texts.
///
/// # Errors
/// When its files are broken or malicious.
pub fn vet_model(folder: &Path, depth: Depth, texts: &[&str]) -> Result<(), Problem> {
    vet_stack(folder, None, depth, texts)
}

/// The same for a model with an adapter.
///
/// # Errors
/// As [`vet_model`]; problems of the adapter are at `adapter`.
pub fn vet_stack(folder: &Path, adapter: Option<&Path>, depth: Depth, texts: &[&str]) -> Result<(), Problem> {
    let program = std::env::current_exe().map_err(|error| {
        Problem::internal(wording!(
            "Finding the program's own file failed: {why}.",
            "查找程序自身的文件失败：{why}。";
            why = why(&error)
        ))
    })?;
    inspect_stack(&program, (folder, adapter), depth, texts).map(drop)
}

/// Inspects a folder; returns its view if everything is inspected.
///
/// # Errors
/// When its files are broken or malicious.
pub(crate) fn inspect(
    program: &Path,
    folder: &Path,
    depth: Depth,
    texts: &[&str],
) -> Result<Option<ModelRecord>, Problem> {
    inspect_stack(program, (folder, None), depth, texts)
}

fn inspect_stack(
    program: &Path,
    (folder, adapter): (&Path, Option<&Path>),
    depth: Depth,
    texts: &[&str],
) -> Result<Option<ModelRecord>, Problem> {
    let weights = adapter.map_or(0, alidade_jobs::machine::folder_bytes);
    let limits = limits_for(folder, depth == Depth::Everything).plus(weights, PER_WEIGHT_BYTE);
    let what = wording!("Reading the model folder {folder}", "读取模型文件夹 {folder}", folder = folder.display());
    let stop = AtomicBool::new(false);
    let job = Job { program, task: TASK, what, field: "model", limits, stop: &stop };
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    let request = Request { folder: folder.to_owned(), adapter: adapter.map(Path::to_owned), depth, texts };
    confined::run(&job, &request, &mut |_| ())
}

impl Studio {
    /// Inspects the model of a run before its worker opens it: a broken folder ends the run at once with a problem, while
    /// the worker might hang and block every other run.
    ///
    /// # Errors
    /// When its files are broken or malicious.
    pub(crate) fn vet_run(&self, run: &RunRecord) -> Result<(), Problem> {
        let Some(source) = run.work.model() else { return Ok(()) };
        let model = self.model_record(source.stored().unwrap_or_default())?;
        if model.bundled {
            return Ok(());
        }
        inspect(&self.configuration.program, Path::new(&model.folder), Depth::Text, &[]).map(drop)
    }
}

/// Limits for reading a folder's texts, and its weights if they are loaded.
pub(crate) fn limits_for(folder: &Path, weights: bool) -> Limits {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = files.filter_map(|file| {
        let data = std::fs::metadata(file.path()).ok().filter(std::fs::Metadata::is_file)?;
        Some((file.path().extension().is_some_and(|ending| ending == "safetensors"), data.len()))
    });
    let (heavy, texts): (Vec<_>, Vec<_>) = sizes.partition(|(weights, _)| *weights);
    let sum = |files: Vec<(bool, u64)>| files.into_iter().map(|(_, bytes)| bytes).sum::<u64>();
    let limits = Limits::SMALL.plus(sum(texts).min(SMALL_TEXT * 8), PER_TEXT_BYTE);
    if weights { limits.plus(sum(heavy), PER_WEIGHT_BYTE) } else { limits }
}

/// The task in the child.
pub(crate) fn task(request: Value, link: &mut Link) -> Result<Value, Problem> {
    let Request { folder, adapter, depth, texts } = request_of(request)?;
    let name = name_of(&folder);
    let of_model = |error| Problem::from(error).at("model");
    link.at(wording!("Reading config.json of the model “{name}”", "读取模型“{name}”的 config.json"), "model")?;
    let model = ModelFolder::open(&folder).map_err(of_model)?;
    model.spec.tensors();
    if let Some(adapter) = adapter {
        link.at(wording!("Reading the adapter “{name}”", "读取适配器“{name}”", name = name_of(&adapter)), "adapter")?;
        load_adapter(&adapter, &model.spec).map_err(|error| Problem::from(error).at("adapter"))?;
    }
    let mut at =
        |what: Words| link.at(wording!("{what} of the model “{name}”", "{what}（模型“{name}”）"; what), "model");
    if depth == Depth::Configuration {
        return Ok(Value::Null);
    }
    at(Words::new("Reading tokenizer.json", "读取 tokenizer.json"))?;
    let tokenizer = model.tokenizer().map_err(of_model)?;
    at(Words::new("Splitting and joining text with tokenizer.json", "用 tokenizer.json 拆分和拼接文本"))?;
    read_and_write(&tokenizer, &texts);
    at(Words::new("Reading the chat template", "读取对话模板"))?;
    let template = model.chat_template(&tokenizer, crate::local_time()).map_err(of_model)?;
    at(Words::new("Rendering a conversation with the chat template", "用对话模板渲染对话"))?;
    template.iter().for_each(write_conversations);
    if depth == Depth::Text {
        return Ok(Value::Null);
    }
    at(Words::new("Loading the weights", "加载权重"))?;
    model.decoder_on(compute::backend()?).map_err(of_model)?;
    at(Words::new("Reading the files", "读取文件"))?;
    let view = look_into(&folder, false).map_err(|problem| problem.at("model"))?;
    serde_json::to_value(view).map_err(|error| Problem::internal(Wording::name(error.to_string())))
}

/// Tokenizes texts that find slow patterns and broken parts; ordinary errors are ignored, because they are reported again
/// when the tokenizer is used.
fn read_and_write(tokenizer: &TextTokenizer, more: &[String]) {
    let run = "a".repeat(48) + "!";
    let texts = ["What is it?", "  two\n\n\tlines 1234 ", "héllo 你好 🙂", "", &run, &" ".repeat(64), &"1".repeat(48)];
    for text in texts.into_iter().chain(more.iter().map(String::as_str)) {
        let Ok(ids) = tokenizer.encode(text) else { continue };
        let _ = tokenizer.decode(&ids);
    }
    // What a model may generate: every token by itself (of a large vocabulary a sample), and some in a row.
    let ids: Vec<u32> = (0..tokenizer.size() as u32).step_by(1 + tokenizer.size() / TOKENS).collect();
    ids.iter().for_each(|id| drop(tokenizer.piece(*id)));
    ids.chunks(16).for_each(|ids| drop(tokenizer.decode(ids)));
}

/// Renders typical conversations; a template may refuse some of them.
fn write_conversations(template: &ChatTemplate) {
    let question = || Message::user("What is it?");
    let conversations = [
        vec![question()],
        vec![Message::system("Be kind."), question()],
        vec![question(), Message::assistant("A bay."), question()],
        vec![question(), Message::assistant("A bay.")],
    ];
    for messages in &conversations {
        for rendering in [Rendering::ForAnswer, Rendering::Whole] {
            let _ = template.render(messages, rendering);
        }
    }
}

fn name_of(folder: &Path) -> String {
    folder.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The view of a folder.
///
/// # Errors
/// When it is not a model.
pub(crate) fn look_into(folder: &Path, bundled: bool) -> Result<ModelRecord, Problem> {
    let model = ModelFolder::open(folder)?;
    let name = name_of(folder);
    let card = read_text(&folder.join("README.md"), SMALL_TEXT).ok();
    let (licence, card) = split_card(card);
    let bytes = std::fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| entry.metadata().ok());
    let template = template_source(folder).is_ok_and(|source| source.is_some());
    Ok(ModelRecord {
        model: ModelRef { id: name.clone(), name, sha256: model_sha256(folder)? },
        family: model.spec.family.to_owned(),
        parameters: model.spec.parameters(),
        vocabulary: model.spec.vocabulary,
        context_tokens: model.spec.context,
        bytes: bytes.map(|data| data.len()).sum(),
        bundled,
        licence,
        chat_template: template,
        folder: folder.display().to_string(),
        card,
        removed: false,
    })
}

/// Licence and text of a model card: the front matter is for programs, the rest for people.
fn split_card(card: Option<String>) -> (Option<String>, Option<String>) {
    let Some(card) = card else { return (None, None) };
    let Some((front, text)) = card.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n")) else {
        return (None, Some(card));
    };
    let licence = front.lines().find_map(|line| line.strip_prefix("license:")).map(|name| name.trim().to_owned());
    (licence, Some(text.to_owned()))
}
