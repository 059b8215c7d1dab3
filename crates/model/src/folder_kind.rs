//! Diagnoses a path that is not a model folder: a GGUF file, pickles, an adapter, a folder of folders, nothing. The error
//! then says what the user chose instead.

use crate::ModelError;
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

fn told(path: &Path, found: impl Into<String>, hint: impl Into<String>) -> ModelError {
    ModelError::Folder { path: path.to_owned(), found: found.into(), hint: hint.into() }
}

/// What is no folder at all.
fn no_folder(path: &Path, wanted: &str) -> Option<ModelError> {
    let hint = format!("Choose {wanted}.");
    match std::fs::metadata(path) {
        Err(error) => Some(told(path, format!("cannot be opened: {error}"), hint)),
        Ok(about) if !about.is_dir() => {
            let gguf = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"));
            let found =
                if gguf { "is a GGUF file; this version reads safetensors folders" } else { "is a file, no folder" };
            Some(told(path, found, hint))
        }
        Ok(_) => None,
    }
}

const MODEL: &str = "the folder that holds config.json, tokenizer.json and the .safetensors files";
const ADAPTER: &str = "the folder that holds adapter_config.json and adapter_model.safetensors";

/// What a folder is that has no config.json, or no safetensors beside it.
pub(crate) fn no_model(folder: &Path) -> ModelError {
    if let Some(error) = no_folder(folder, MODEL) {
        return error;
    }
    let Some(listing) = Listing::of(folder) else {
        return told(folder, "cannot be listed", format!("Choose {MODEL}."));
    };
    let lacks = if listing.has("config.json") { "no model.safetensors" } else { "no config.json" };
    let inner = listing.inner(folder, "config.json");
    if !listing.has("config.json") && listing.has("adapter_config.json") {
        let hint = "Choose its base model here, and name this folder as the adapter; or merge the two with `export`.";
        return told(folder, "is an adapter (adapter_config.json), not a model: it has no config.json", hint);
    }
    if let Some(name) = listing.with(".gguf") {
        let hint = "Fetch the model's original folder; a GGUF file cannot be trained here.";
        return told(folder, format!("holds GGUF weights ({name}) and {lacks}"), hint);
    }
    if let (true, Some(name)) = (listing.has("config.json"), listing.with(".safetensors")) {
        let found = format!(
            "holds {name}, but neither model.safetensors nor a model.safetensors.index.json that names its parts"
        );
        return told(folder, found, "Fetch the whole folder again, in the form that transformers reads.");
    }
    if let Some(name) = listing.pickle() {
        let hint =
            "Convert them to safetensors, or fetch a folder that has them: a pickle can run code when it is opened.";
        return told(folder, format!("holds its weights as pickles ({name}) and {lacks}"), hint);
    }
    if let Some(name) = [".onnx", ".msgpack", ".h5", ".tflite"].into_iter().find_map(|ending| listing.with(ending)) {
        let hint = "Fetch a folder with .safetensors weights.";
        return told(folder, format!("holds weights of another kind ({name}) and {lacks}"), hint);
    }
    if let (false, false) = (inner.is_empty(), listing.has("config.json")) {
        let hint = format!("Choose one of them: {}.", inner.join(", "));
        return told(folder, format!("holds no config.json, but folders that do ({})", inner.join(", ")), hint);
    }
    if listing.files.is_empty() && listing.folders.is_empty() {
        return told(folder, "is empty", format!("Choose {MODEL}."));
    }
    told(folder, format!("holds {lacks}, so it is no model"), format!("Choose {MODEL}."))
}

/// What a folder is that has no adapter_config.json, or no weights beside it.
pub(crate) fn no_adapter(folder: &Path) -> ModelError {
    if let Some(error) = no_folder(folder, ADAPTER) {
        return error;
    }
    let choose = format!("Choose {ADAPTER}.");
    let Some(listing) = Listing::of(folder) else { return told(folder, "cannot be listed", choose) };
    let inner = listing.inner(folder, "adapter_config.json");
    let described = listing.has("adapter_config.json");
    let lacks = if described { "no adapter_model.safetensors" } else { "no adapter_config.json" };
    if listing.has("adapters.safetensors") || listing.has("adapters.npz") {
        return crate::peft_config::mlx();
    }
    if described && let Some(name) = listing.pickle() {
        let hint = "Convert it to safetensors: a pickle can run code when it is opened.";
        return told(folder, format!("holds the adapter's weights as a pickle ({name}) and {lacks}"), hint);
    }
    if let Some(name) = listing.with(".gguf") {
        return told(folder, format!("holds a GGUF adapter ({name}) and {lacks}"), "Fetch the adapter in PEFT's form.");
    }
    if !described && listing.has("config.json") {
        let hint = "Name it as the model, and choose an adapter folder here.";
        return told(folder, "is a model (config.json), not an adapter: it has no adapter_config.json", hint);
    }
    if !described && !inner.is_empty() {
        let names = inner.join(", ");
        let found = format!("holds no adapter_config.json, but folders that do ({names})");
        return told(folder, found, format!("Choose one of them: {names}."));
    }
    if listing.files.is_empty() && listing.folders.is_empty() {
        return told(folder, "is empty", choose);
    }
    told(folder, format!("holds {lacks}, so it is no adapter"), choose)
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
            let hints = alidade_domain::Problem::from(error).hints.join(" ");
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
