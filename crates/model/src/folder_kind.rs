//! Diagnoses a path that is not a model folder: a GGUF file, pickles, an adapter, a folder of folders, nothing. The error
//! then says what the user chose instead.

use crate::ModelError;
use alidade_domain::{Wording, Words, why, wording};
use std::path::Path;

/// Names of files and of folders in a folder; at most some hundreds, since a message is made of them.
struct Listing {
    files: Vec<String>,
    folders: Vec<String>,
}

impl Listing {
    fn of(folder: &Path) -> Option<Self> {
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(folder).ok()?.flatten().take(512) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() { folders.push(name) } else { files.push(name) }
        }
        files.sort();
        folders.sort();
        Some(Self { files, folders })
    }

    fn with(&self, ending: &str) -> Option<&String> {
        self.files.iter().find(|name| name.to_lowercase().ends_with(ending))
    }

    fn has(&self, name: &str) -> bool {
        self.files.iter().any(|file| file == name)
    }

    /// A file that holds weights as pickles, which can run code when they are opened.
    fn pickle(&self) -> Option<&String> {
        [".bin", ".pt", ".pth", ".ckpt"].into_iter().find_map(|ending| self.with(ending))
    }

    /// Folders in here that hold a file of this name.
    fn inner(&self, folder: &Path, file: &str) -> Vec<String> {
        let hold = |name: &&String| folder.join(name).join(file).is_file();
        self.folders.iter().filter(hold).take(4).cloned().collect()
    }
}

fn told(path: &Path, found: impl Into<Wording>, hint: impl Into<Wording>) -> ModelError {
    ModelError::Folder { path: path.to_owned(), found: found.into(), hint: Box::new(hint.into()) }
}

/// What is no folder at all.
fn no_folder(path: &Path, wanted: Words) -> Option<ModelError> {
    let hint = wording!("Choose {wanted}.", "请选择{wanted}。"; wanted);
    match std::fs::metadata(path) {
        Err(error) => Some(told(path, wording!("cannot be opened: {why}", "无法打开：{why}"; why = why(&error)), hint)),
        Ok(about) if !about.is_dir() => {
            let gguf = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"));
            let found = if gguf {
                Words::new(
                    "is a GGUF file; this version reads safetensors folders",
                    "是 GGUF 文件；本版本读取 safetensors 文件夹",
                )
            } else {
                Words::new("is a file, no folder", "是文件，不是文件夹")
            };
            Some(told(path, found, hint))
        }
        Ok(_) => None,
    }
}

const MODEL: Words = Words::new(
    "the folder that holds config.json, tokenizer.json and the .safetensors files",
    "含有 config.json、tokenizer.json 和 .safetensors 文件的文件夹",
);
const ADAPTER: Words = Words::new(
    "the folder that holds adapter_config.json and adapter_model.safetensors",
    "含有 adapter_config.json 和 adapter_model.safetensors 的文件夹",
);

const UNLISTED: Words = Words::new("cannot be listed", "的内容无法列出");
const EMPTY: Words = Words::new("is empty", "是空的");

/// What a folder is that has no config.json, or no safetensors beside it.
pub(crate) fn no_model(folder: &Path) -> ModelError {
    if let Some(error) = no_folder(folder, MODEL) {
        return error;
    }
    let Some(listing) = Listing::of(folder) else { return told(folder, UNLISTED, choose(MODEL)) };
    let described = listing.has("config.json");
    let lacks = match described {
        true => Words::new("no model.safetensors", "没有 model.safetensors"),
        false => Words::new("no config.json", "没有 config.json"),
    };
    let inner = listing.inner(folder, "config.json");
    if let Some((found, hint)) = no_whole_model(&listing).or_else(|| other_weights(&listing, lacks)) {
        return told(folder, found, hint);
    }
    if !described && !inner.is_empty() {
        let names = Wording::names(&inner);
        let found = wording!(
            "holds no config.json, but folders that do ({names})",
            "没有 config.json，但其中有些文件夹有（{names}）";
            names
        );
        return told(folder, found, choose_one(&names));
    }
    if listing.files.is_empty() && listing.folders.is_empty() {
        return told(folder, EMPTY, choose(MODEL));
    }
    told(folder, wording!("holds {lacks}, so it is no model", "{lacks}，因此不是模型"; lacks), choose(MODEL))
}

/// An adapter, or parts of a model without their index; and what to do.
fn no_whole_model(listing: &Listing) -> Option<(Wording, Words)> {
    let described = listing.has("config.json");
    if !described && listing.has("adapter_config.json") {
        let found = wording!(
            "is an adapter (adapter_config.json), not a model: it has no config.json",
            "是适配器（adapter_config.json），不是模型：其中没有 config.json"
        );
        let hint = Words::new(
            "Choose its base model here, and name this folder as the adapter; or merge the two with `export`.",
            "在这里选择它的基座模型，并把此文件夹作为适配器；或者用“export”把两者合并。",
        );
        return Some((found, hint));
    }
    let name = listing.with(".safetensors").filter(|_| described && listing.with(".gguf").is_none())?;
    let found = wording!(
        "holds {name}, but neither model.safetensors nor a model.safetensors.index.json that names its parts",
        "含有 {name}，但既没有 model.safetensors，也没有列出分片的 model.safetensors.index.json"
    );
    let hint = Words::new(
        "Fetch the whole folder again, in the form that transformers reads.",
        "请按 transformers 读取的形式重新获取整个文件夹。",
    );
    Some((found, hint))
}

/// Weights in another form than safetensors, and what to do.
fn other_weights(listing: &Listing, lacks: Words) -> Option<(Wording, Words)> {
    if let Some(name) = listing.with(".gguf") {
        let found = wording!("holds GGUF weights ({name}) and {lacks}", "含有 GGUF 权重（{name}），但{lacks}"; lacks);
        let hint = Words::new(
            "Fetch the model's original folder; a GGUF file cannot be trained here.",
            "请获取模型的原始文件夹；GGUF 文件不能在这里训练。",
        );
        return Some((found, hint));
    }
    if let Some(name) = listing.pickle() {
        let found = wording!(
            "holds its weights as pickles ({name}) and {lacks}",
            "权重是 pickle 文件（{name}），且{lacks}";
            lacks
        );
        let hint = Words::new(
            "Convert them to safetensors, or fetch a folder that has them: a pickle can run code when it is opened.",
            "请转换为 safetensors，或获取含有 safetensors 的文件夹：打开 pickle 时可能运行代码。",
        );
        return Some((found, hint));
    }
    let name = [".onnx", ".msgpack", ".h5", ".tflite"].into_iter().find_map(|ending| listing.with(ending))?;
    let found = wording!(
        "holds weights of another kind ({name}) and {lacks}",
        "含有其他类型的权重（{name}），且{lacks}";
        lacks
    );
    let hint = Words::new("Fetch a folder with .safetensors weights.", "请获取含有 .safetensors 权重的文件夹。");
    Some((found, hint))
}

/// What a folder is that has no adapter_config.json, or no weights beside it.
pub(crate) fn no_adapter(folder: &Path) -> ModelError {
    if let Some(error) = no_folder(folder, ADAPTER) {
        return error;
    }
    let Some(listing) = Listing::of(folder) else { return told(folder, UNLISTED, choose(ADAPTER)) };
    let inner = listing.inner(folder, "adapter_config.json");
    let described = listing.has("adapter_config.json");
    let lacks = match described {
        true => Words::new("no adapter_model.safetensors", "没有 adapter_model.safetensors"),
        false => Words::new("no adapter_config.json", "没有 adapter_config.json"),
    };
    if listing.has("adapters.safetensors") || listing.has("adapters.npz") {
        return crate::peft_config::mlx();
    }
    if let Some((found, hint)) = other_adapter(&listing, described, lacks) {
        return told(folder, found, hint);
    }
    if !described && !inner.is_empty() {
        let names = Wording::names(&inner);
        let found = wording!(
            "holds no adapter_config.json, but folders that do ({names})",
            "没有 adapter_config.json，但其中有些文件夹有（{names}）";
            names
        );
        return told(folder, found, choose_one(&names));
    }
    if listing.files.is_empty() && listing.folders.is_empty() {
        return told(folder, EMPTY, choose(ADAPTER));
    }
    told(folder, wording!("holds {lacks}, so it is no adapter", "{lacks}，因此不是适配器"; lacks), choose(ADAPTER))
}

/// An adapter in another form than safetensors, or a model; and what to do.
fn other_adapter(listing: &Listing, described: bool, lacks: Words) -> Option<(Wording, Words)> {
    if described && let Some(name) = listing.pickle() {
        let found = wording!(
            "holds the adapter's weights as a pickle ({name}) and {lacks}",
            "适配器的权重是 pickle 文件（{name}），且{lacks}";
            lacks
        );
        let hint = Words::new(
            "Convert it to safetensors: a pickle can run code when it is opened.",
            "请转换为 safetensors：打开 pickle 时可能运行代码。",
        );
        return Some((found, hint));
    }
    if let Some(name) = listing.with(".gguf") {
        let found =
            wording!("holds a GGUF adapter ({name}) and {lacks}", "含有 GGUF 适配器（{name}），但{lacks}"; lacks);
        return Some((found, Words::new("Fetch the adapter in PEFT's form.", "请获取 PEFT 格式的适配器。")));
    }
    (!described && listing.has("config.json")).then(|| {
        let found = wording!(
            "is a model (config.json), not an adapter: it has no adapter_config.json",
            "是模型（config.json），不是适配器：其中没有 adapter_config.json"
        );
        let hint = Words::new(
            "Name it as the model, and choose an adapter folder here.",
            "把它作为模型，在这里选择适配器文件夹。",
        );
        (found, hint)
    })
}

fn choose(wanted: Words) -> Wording {
    wording!("Choose {wanted}.", "请选择{wanted}。"; wanted)
}

fn choose_one(names: &Wording) -> Wording {
    wording!("Choose one of them: {names}.", "请选择其中之一：{names}。"; names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        folder
    }

    #[test]
    fn a_folder_that_is_no_model_is_told_for_what_it_is() {
        for (files, words) in [
            (&[][..], "is empty"),
            (&["model-q4.gguf"], "GGUF"),
            (&["config.json", "weights.GGUF"], "GGUF"),
            (&["config.json", "pytorch_model.bin"], "pickles"),
            (&["adapter_config.json", "adapter_model.safetensors"], "is an adapter"),
            (&["config.json", "tokenizer.json"], "no model.safetensors"),
            (&["config.json", "model-00001-of-00002.safetensors"], "index"),
            (&["config.json", "consolidated.safetensors", "consolidated.pth"], "consolidated.safetensors"),
            (&["tokenizer.json"], "no config.json"),
            (&["main/config.json"], "main"),
            (&["config.json", "flax_model.msgpack"], "another kind"),
        ] {
            let folder = folder(files);
            let told = no_model(folder.path()).to_string();
            assert!(told.contains(words), "{files:?}: {told}");
        }
    }

    #[test]
    fn a_folder_that_is_no_adapter_is_told_for_what_it_is() {
        for (files, words) in [
            (&[][..], "is empty"),
            (&["config.json", "model.safetensors"], "is a model"),
            (&["policy/adapter_config.json", "reference/adapter_config.json"], "policy, reference"),
            (&["adapter_config.json", "adapter_model.bin"], "pickle"),
            (&["adapter_config.json", "adapters.safetensors"], "mlx-lm"),
            (&["adapter_config.json"], "no adapter_model.safetensors"),
            (&["lora.gguf"], "GGUF"),
        ] {
            let folder = folder(files);
            let error = no_adapter(folder.path());
            assert!(error.to_string().contains(words), "{files:?}: {error}");
            let hints = Wording::sentences(&alidade_domain::Problem::from(error).hints).en;
            assert!(!hints.contains("tokenizer.json") && !hints.contains(" config.json"), "{hints}");
        }
    }

    #[test]
    fn what_is_no_folder_is_told_too() {
        let folder = folder(&["a.gguf", "b.txt"]);
        for (name, words) in [("a.gguf", "GGUF"), ("b.txt", "no folder"), ("nothing", "cannot be opened")] {
            assert!(no_model(&folder.path().join(name)).to_string().contains(words));
            assert!(no_adapter(&folder.path().join(name)).to_string().contains(words));
        }
    }
}
