//! Folders of strangers, through the real program: what is read, what is refused in which words, what is written.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use common::{golden, ok, recipe, refused, run, text};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A copy of a small model folder (its files are read-only).
fn copied(from: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        std::fs::write(folder.path().join(entry.file_name()), std::fs::read(entry.path()).unwrap()).unwrap();
    }
    folder
}

fn llama() -> tempfile::TempDir {
    copied(&golden("models/llama"))
}

fn change(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

fn logits(model: &Path, adapter: Option<&Path>) -> Vec<u8> {
    let (out, input) = (model.join("logits.out"), golden("models/llama/expected.safetensors"));
    let mut arguments = vec!["logits", "--model", text(model), "--input", text(&input), "--output", text(&out)];
    arguments.extend(adapter.into_iter().flat_map(|adapter| ["--adapter", text(adapter)]));
    ok(&arguments);
    std::fs::read(out).unwrap()
}

fn refused_logits(model: &Path, adapter: Option<&Path>) -> String {
    let (out, input) = (model.join("logits.out"), golden("models/llama/expected.safetensors"));
    let mut arguments = vec!["logits", "--model", text(model), "--input", text(&input), "--output", text(&out)];
    arguments.extend(adapter.into_iter().flat_map(|adapter| ["--adapter", text(adapter)]));
    refused(&arguments, 2)
}

#[test]
fn absurd_counts_end_at_once_and_in_words() {
    let folder = llama();
    let path = folder.path().join("config.json");
    let right = std::fs::read(&path).unwrap();
    for (key, value) in [
        ("num_hidden_layers", 1_048_576_u64),
        ("num_hidden_layers", 2_097_152),
        ("num_hidden_layers", 16_777_216),
        ("vocab_size", 16_777_216),
        ("hidden_size", 16_777_216),
        ("intermediate_size", 16_777_216),
        ("num_attention_heads", 0),
        ("head_dim", 5),
    ] {
        std::fs::write(&path, &right).unwrap();
        change(&path, |config| config[key] = value.into());
        let words = refused_logits(folder.path(), None);
        assert!(words.contains(key) && words.contains(&value.to_string()), "{words}");
    }
}

/// Opening a pipe waits for a writer who never comes; the program must not.
#[cfg(unix)]
#[test]
fn a_pipe_is_refused_and_not_waited_for() {
    let began = Instant::now();
    for file in ["config.json", "model.safetensors"] {
        let folder = llama();
        std::fs::remove_file(folder.path().join(file)).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(folder.path().join(file)).status().unwrap().success());
        let words = refused_logits(folder.path(), None);
        assert!(words.contains("no ordinary file"), "{words}");
    }
    assert!(began.elapsed().as_secs() < 60, "it came back by itself");
}

#[test]
fn the_wrong_folder_is_told_for_what_it_is() {
    let (model, empty) = (llama(), tempfile::tempdir().unwrap());
    let adapter = golden("models/llama/adapter");
    let words = refused_logits(&adapter, None);
    assert!(words.contains("is an adapter"), "{words}");
    let words = refused_logits(model.path(), Some(model.path()));
    assert!(words.contains("is a model"), "{words}");
    let words = refused_logits(model.path(), Some(empty.path()));
    assert!(words.contains("is empty") && words.contains("adapter_config.json"), "{words}");
    assert!(!words.contains("tokenizer.json"), "{words}");
    std::fs::write(empty.path().join("m.gguf"), "GGUF").unwrap();
    let words = refused_logits(empty.path(), None);
    assert!(words.contains("GGUF"), "{words}");
}

/// A head that the flag denies is used, and said.
#[test]
fn an_unequal_head_is_used_and_said() {
    let folder = copied(&golden("models/llama3-rope-scaling"));
    let right = logits(folder.path(), None);
    change(&folder.path().join("config.json"), |config| config["tie_word_embeddings"] = true.into());
    assert_eq!(logits(folder.path(), None), right);
    let input = golden("models/llama/expected.safetensors");
    let output = run(&["generate", "--model", text(folder.path()), "--input", text(&input), "--max-new-tokens", "2"]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && words.contains("note:") && words.contains("lm_head.weight"), "{words}");
}

/// The golden base as bf16, with what stands beside a tokenizer.
fn base(folder: &Path) -> PathBuf {
    let (from, to) = (golden("trl/model"), folder.join("base"));
    std::fs::create_dir_all(to.join("additional_chat_templates")).unwrap();
    for entry in std::fs::read_dir(&from).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        std::fs::write(to.join(entry.file_name()), std::fs::read(entry.path()).unwrap()).unwrap();
    }
    for name in ["LICENSE", "tokenizer.model", "additional_chat_templates/tool_use.jinja"] {
        std::fs::write(to.join(name), name).unwrap();
    }
    let bytes = std::fs::read(from.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let half = |view: &TensorView| -> Vec<u8> {
        assert_eq!(view.dtype(), Dtype::F32);
        view.data().as_chunks::<4>().0.iter().flat_map(|four| [four[2], four[3]]).collect()
    };
    let held: Vec<_> = file.iter().map(|(name, view)| (name, view.shape().to_vec(), half(&view))).collect();
    let views =
        held.iter().map(|(name, shape, data)| (*name, TensorView::new(Dtype::BF16, shape.clone(), data).unwrap()));
    std::fs::write(to.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    to
}

#[test]
fn a_merged_folder_has_its_base_s_type_and_files_and_nothing_is_left_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let base = base(folder.path());
    let path = recipe(folder.path(), "sft", "max_steps = 2\nwarmup_ratio = 0.0");
    let changed = std::fs::read_to_string(&path).unwrap();
    let line = changed.lines().find(|line| line.starts_with("model = ")).unwrap().to_owned();
    std::fs::write(&path, changed.replace(&line, &format!("model = {:?}", text(&base)))).unwrap();
    ok(&["train", text(&path)]);
    let (adapter, merged) = (folder.path().join("out/adapter"), folder.path().join("merged.v2"));
    // A neighbour that an earlier version took for its own and removed.
    std::fs::create_dir(folder.path().join("merged.partial")).unwrap();
    ok(&["export", "--model", text(&base), "--adapter", text(&adapter), "--output", text(&merged)]);
    for name in ["LICENSE", "tokenizer.json", "tokenizer.model", "additional_chat_templates/tool_use.jinja"] {
        assert!(merged.join(name).is_file(), "{name}");
    }
    let bytes = std::fs::read(merged.join("model.safetensors")).unwrap();
    assert!(SafeTensors::deserialize(&bytes).unwrap().iter().all(|(_, view)| view.dtype() == Dtype::BF16));
    let names: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    assert!(
        folder.path().join("merged.partial").is_dir() && !names.iter().any(|name| name.contains("export-")),
        "{names:?}"
    );
}

/// One bit of an adapter, or its scale, changed after it was saved.
#[test]
fn an_adapter_that_is_not_what_was_saved_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    ok(&["train", text(&recipe(folder.path(), "sft", "max_steps = 2\nwarmup_ratio = 0.0"))]);
    let adapter = folder.path().join("out/adapter");
    let model = golden("trl/model");
    let export = |name: &str| folder.path().join(name);
    ok(&[
        "export",
        "--model",
        text(&model),
        "--adapter",
        text(&adapter),
        "--form",
        "peft",
        "--output",
        text(&export("right")),
    ]);
    for (file, what) in [("adapter_model.safetensors", "weights"), ("adapter_config.json", "configuration")] {
        let right = std::fs::read(adapter.join(file)).unwrap();
        let mut wrong = right.clone();
        match file {
            "adapter_config.json" => {
                wrong = String::from_utf8(right.clone())
                    .unwrap()
                    .replacen("\"lora_alpha\": ", "\"lora_alpha\": 1", 1)
                    .into_bytes();
            }
            _ => *wrong.last_mut().unwrap() ^= 1,
        }
        assert_ne!(wrong, right);
        std::fs::write(adapter.join(file), wrong).unwrap();
        let arguments = ["export", "--model", text(&model), "--adapter", text(&adapter), "--form", "peft", "--output"];
        let words = refused(&[&arguments[..], &[text(&export("wrong"))]].concat(), 2);
        assert!(words.contains(what) && words.contains("SHA-256"), "{words}");
        assert!(!export("wrong").exists());
        std::fs::write(adapter.join(file), right).unwrap();
    }
}

#[test]
fn a_pattern_that_matches_no_layer_stops_the_run_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = recipe(folder.path(), "sft", "max_steps = 2\nwarmup_ratio = 0.0");
    let plain = std::fs::read_to_string(&path).unwrap();
    for (key, value) in [("q_porj", "rank_pattern"), ("^q_proj", "alpha_pattern")] {
        std::fs::write(&path, plain.replace("[settings]", &format!("[lora.{value}]\n\"{key}\" = 8\n[settings]")))
            .unwrap();
        let words = refused(&["train", text(&path)], 2);
        assert!(words.contains(&format!("“{key}”")) && words.contains(value), "{words}");
    }
}
