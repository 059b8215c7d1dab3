//! What can go wrong with a model, an adapter or a text, told with the facts that were found.

use alidade_domain::{Problem, ProblemCode, Wording, Words, why, wording};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file is missing or cannot be read.
    #[error("Reading {path}: {}.", found.en)]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        found: Wording,
    },
    /// A file cannot be written.
    #[error("Writing {path} failed: {error}.")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A folder is something else than what was expected.
    #[error("{path} {}.", found.en)]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What it is, as a phrase that follows its path.
        found: Wording,
        /// What to do.
        hint: Box<Wording>,
    },
    /// A configuration file lacks a key or holds a value that makes no sense.
    #[error("{file}: “{key}” {}.", found.en)]
    Configuration {
        /// Name of the file.
        file: String,
        /// The key.
        key: String,
        /// What was found, as a phrase that follows the key ("is missing", "is 0; it must be positive").
        found: Wording,
    },
    /// The architecture has no entry in the registry.
    #[error(
        "The model says that it is of the family “{found}”, which this version cannot run. Known families: {known}."
    )]
    UnknownArchitecture {
        /// The name in config.json.
        found: String,
        /// The registered names.
        known: String,
    },
    /// A weight file is cut off, has overlapping tensors, or is no safetensors file at all.
    #[error("The weights in {path} cannot be read: {}.", found.en)]
    BrokenWeights {
        /// The file.
        path: PathBuf,
        /// What the parser met.
        found: Wording,
    },
    /// A tensor that the architecture needs is not in the files.
    #[error("The weights lack the tensor {name}.")]
    MissingTensor {
        /// Its name.
        name: String,
    },
    /// The files hold a tensor that the family's arithmetic has no place for.
    #[error(
        "The weights hold {name}, which a {family} model has no place for: without it the answers would be others."
    )]
    UnexpectedTensor {
        /// Its name.
        name: String,
        /// The family.
        family: &'static str,
    },
    /// The model is of a kind that cannot be run: quantised, multimodal, a mixture of experts.
    #[error("The model cannot be run: {}.", found.en)]
    Unsupported {
        /// What it is, as a clause.
        found: Wording,
        /// What to do.
        hint: Words,
    },
    /// A tensor has another shape than the configuration says.
    #[error("The tensor {name} has the shape {found:?}; config.json asks for {expected:?}.")]
    WrongShape {
        /// Its name.
        name: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape that follows from the configuration.
        expected: Vec<usize>,
    },
    /// A tensor holds infinite or NaN values.
    #[error("The tensor {name} holds numbers that are not finite.")]
    NotFinite {
        /// Its name.
        name: String,
    },
    /// The logits of the next token are NaN or infinite, so that none can be chosen.
    #[error("The model's scores for token {token} of answer {row} are not finite, so no token can be chosen.")]
    NotFiniteScores {
        /// The answer, from 1.
        row: usize,
        /// The token that was to be generated, from 1.
        token: usize,
    },
    /// An adapter of a kind that cannot be applied faithfully.
    #[error("The adapter cannot be used: {}.", reason.en)]
    Adapter {
        /// Why, as a clause.
        reason: Wording,
    },
    /// A chat template failed, looped or wrote too much.
    #[error("The model's chat template failed: {}.", reason.en)]
    Template {
        /// What happened.
        reason: Wording,
    },
    /// A chat template does not take one conversation; it may take others.
    #[error("The model's chat template does not take this conversation: {}.", reason.en)]
    Refused {
        /// The template's words.
        reason: Wording,
    },
    /// A tokenizer file is broken, or a text cannot be encoded.
    #[error("The tokenizer failed: {}.", reason.en)]
    Tokenizer {
        /// What happened.
        reason: Wording,
    },
    /// A request that the model cannot fulfil (too long, token out of range).
    #[error("{}", .0.en)]
    Request(Wording),
    /// Trainable tensors that the first backward pass did not reach.
    #[error("The first backward pass gave no gradient to: {}.", .names.join(", "))]
    NoGradient {
        /// Names of the tensors.
        names: Vec<String>,
    },
    /// A device that does not exist, or that this build does not support.
    #[error("The device {device} cannot be used: {found}.")]
    Device {
        /// Its name.
        device: String,
        /// What the tensor library said.
        found: String,
    },
    /// The tensor library refused.
    #[error("The tensor library failed: {0}")]
    Compute(#[from] candle_core::Error),
}

/// What to do when a file cannot be read, by the file.
fn reading_hint(path: &Path) -> Option<Words> {
    let name = path.file_name()?.to_str()?;
    if name.starts_with("adapter") {
        return Some(Words::new(
            "Choose the folder that holds adapter_config.json and adapter_model.safetensors.",
            "请选择含有 adapter_config.json 和 adapter_model.safetensors 的文件夹。",
        ));
    }
    let model = name == "config.json" || name.starts_with("tokenizer") || name.starts_with("model");
    model.then_some(Words::new(
        "Choose the folder that holds config.json, tokenizer.json and the .safetensors files.",
        "请选择含有 config.json、tokenizer.json 和 .safetensors 文件的文件夹。",
    ))
}

/// What to do when a file cannot be written.
fn writing_hint(error: &std::io::Error) -> Words {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Words::new("The disk is full: free some space, and try again.", "磁盘已满：请腾出一些空间再试。")
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Words::new("Choose a folder that may be written to.", "请选择可以写入的文件夹。")
        }
        _ => Words::new(
            "Look after the disk, or choose another folder, and try again.",
            "检查磁盘，或换一个文件夹再试。",
        ),
    }
}

impl ModelError {
    /// The message in both languages.
    pub fn wording(&self) -> Wording {
        match self {
            Self::File { path, found } => {
                wording!("Reading {path}: {found}.", "读取 {path}：{found}。"; found; path = path.display())
            }
            Self::Write { path, error } => {
                wording!(
                    "Writing {path} failed: {why}.",
                    "写入 {path} 失败：{why}。";
                    why = why(error); path = path.display()
                )
            }
            Self::Folder { path, found, .. } => {
                wording!("{path} {found}.", "{path} {found}。"; found; path = path.display())
            }
            Self::Configuration { file, key, found } => {
                wording!("{file}: “{key}” {found}.", "{file}：“{key}”{found}。"; found)
            }
            Self::UnknownArchitecture { found, known } => wording!(
                "The model says that it is of the family “{found}”, which this version cannot run. Known families: {known}.",
                "模型自称属于“{found}”系列，本版本不能运行。已知的系列：{known}。"
            ),
            Self::BrokenWeights { path, found } => wording!(
                "The weights in {path} cannot be read: {found}.",
                "无法读取 {path} 中的权重：{found}。";
                found; path = path.display()
            ),
            Self::MissingTensor { name } => wording!("The weights lack the tensor {name}.", "权重缺少张量 {name}。"),
            Self::UnexpectedTensor { name, family } => wording!(
                "The weights hold {name}, which a {family} model has no place for: without it the answers would be others.",
                "权重中有 {name}，{family} 模型中没有它的位置：略去它会使回答不同。"
            ),
            Self::Unsupported { found, .. } => {
                wording!("The model cannot be run: {found}.", "无法运行模型：{found}。"; found)
            }
            Self::WrongShape { name, found, expected } => wording!(
                "The tensor {name} has the shape {found:?}; config.json asks for {expected:?}.",
                "张量 {name} 的形状是 {found:?}，而 config.json 要求 {expected:?}。"
            ),
            Self::NotFinite { name } => {
                wording!("The tensor {name} holds numbers that are not finite.", "张量 {name} 中有无穷大或 NaN。")
            }
            Self::NotFiniteScores { .. }
            | Self::Adapter { .. }
            | Self::Template { .. }
            | Self::Refused { .. }
            | Self::Tokenizer { .. }
            | Self::Request(_)
            | Self::NoGradient { .. }
            | Self::Device { .. }
            | Self::Compute(_) => self.wording_at_work(),
        }
    }

    /// The message of what fails while a model works; the others are told above.
    fn wording_at_work(&self) -> Wording {
        match self {
            Self::NotFiniteScores { row, token } => wording!(
                "The model's scores for token {token} of answer {row} are not finite, so no token can be chosen.",
                "模型在第 {row} 个回答的第 {token} 个词元处得到无穷大或 NaN，无法选出词元。"
            ),
            Self::Adapter { reason } => {
                wording!("The adapter cannot be used: {reason}.", "适配器不能使用：{reason}。"; reason)
            }
            Self::Template { reason } => {
                wording!("The model's chat template failed: {reason}.", "模型的对话模板出错：{reason}。"; reason)
            }
            Self::Refused { reason } => wording!(
                "The model's chat template does not take this conversation: {reason}.",
                "模型的对话模板不接受这段对话：{reason}。";
                reason
            ),
            Self::Tokenizer { reason } => {
                wording!("The tokenizer failed: {reason}.", "分词器出错：{reason}。"; reason)
            }
            Self::Request(wording) => wording.clone(),
            Self::NoGradient { names } => wording!(
                "The first backward pass gave no gradient to: {names}.",
                "第一次反向传播没有给出梯度的张量：{names}。";
                names = Wording::names(names)
            ),
            Self::Device { device, found } => {
                wording!("The device {device} cannot be used: {found}.", "设备 {device} 不能使用：{found}。")
            }
            Self::Compute(error) => wording!("The tensor library failed: {error}", "张量库出错：{error}"),
            _ => Wording::default(),
        }
    }

    fn hint(&self) -> Option<Wording> {
        match self {
            ModelError::File { path, .. } => reading_hint(path).map(Into::into),
            ModelError::Write { error, .. } => Some(writing_hint(error).into()),
            ModelError::Folder { hint, .. } => Some((**hint).clone()),
            ModelError::Unsupported { hint, .. } => Some((*hint).into()),
            ModelError::BrokenWeights { .. } => Some(wording!(
                "The download is probably incomplete: fetch the file again.",
                "下载可能不完整：请重新获取该文件。"
            )),
            ModelError::MissingTensor { .. } | ModelError::WrongShape { .. } | ModelError::UnexpectedTensor { .. } => {
                Some(wording!(
                    "config.json and the weight files must come from the same model.",
                    "config.json 和权重文件必须来自同一个模型。"
                ))
            }
            ModelError::UnknownArchitecture { .. } => {
                Some(wording!("Choose a model of one of the known families.", "请选择已知系列的模型。"))
            }
            ModelError::Template { .. } | ModelError::Refused { .. } => Some(wording!(
                "Use a model with another chat template, or data in plain prompt/completion form.",
                "请使用对话模板不同的模型，或 prompt/completion 形式的纯文本数据。"
            )),
            ModelError::NoGradient { .. } => Some(wording!(
                "Please report this: it is a fault of the program, and training would have been incomplete.",
                "请反馈此问题：这是程序的错误，训练会因此不完整。"
            )),
            ModelError::Device { .. } => Some(wording!(
                "Choose cpu, or a build of the program that knows the device.",
                "请选择 cpu，或使用支持该设备的程序版本。"
            )),
            ModelError::NotFiniteScores { .. } => Some(wording!(
                "Its weights or its adapter have overflowed: use an earlier checkpoint, or train again with a lower rate.",
                "模型或适配器的权重已溢出：请使用更早的检查点，或以更低的学习率重新训练。"
            )),
            _ => None,
        }
    }

    fn code(&self) -> ProblemCode {
        match self {
            ModelError::Write { error, .. } => match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ProblemCode::DiskFull,
                _ => ProblemCode::Internal,
            },
            ModelError::NotFiniteScores { .. } => ProblemCode::NotFinite,
            ModelError::Compute(_) | ModelError::NoGradient { .. } => ProblemCode::Internal,
            _ => ProblemCode::Input,
        }
    }
}

impl From<ModelError> for Problem {
    fn from(error: ModelError) -> Problem {
        let problem = Problem::new(error.code(), error.wording());
        match error.hint() {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

/// Shorthand of this crate.
pub(crate) type Result<T> = std::result::Result<T, ModelError>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_as_one() {
        let path = PathBuf::from("run/adapter/adapter_model.safetensors");
        let problem = Problem::from(ModelError::Write { path, error: ErrorKind::StorageFull.into() });
        assert_eq!(problem.code, ProblemCode::DiskFull);
        assert!(problem.message.en.contains("Writing") && problem.hints[0].en.contains("disk is full"), "{problem:?}");
    }

    #[test]
    fn a_hint_fits_the_file_that_failed() {
        let hints = |name: &str| {
            let (path, found) = (PathBuf::from("folder").join(name), Wording::name("no such file"));
            Problem::from(ModelError::File { path, found }).hints
        };
        assert!(!hints("adapter_config.json")[0].en.contains("tokenizer.json"));
        assert!(hints("config.json")[0].en.contains("tokenizer.json"));
        assert!(hints("ids.safetensors").is_empty());
    }
}
