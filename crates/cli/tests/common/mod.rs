//! The real binary on a folder of its own.
#![allow(dead_code, clippy::print_stderr, reason = "each test file uses its own part, and says what it had to skip")]

pub mod hostile;
pub mod server;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A golden fixture.
pub fn golden(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(path)
}

/// The program, not yet started.
pub fn alidade(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_alidade"));
    command.args(arguments);
    command
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> Output {
    alidade(arguments).output().unwrap()
}

/// Runs the program and expects success.
pub fn ok(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What a failed command said on standard error; checks its exit code.
pub fn refused(arguments: &[&str], code: i32) -> String {
    let output = run(arguments);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {words}");
    assert!(!words.contains("panicked"), "{words}");
    words
}

/// Every method, and what a small run of it needs beside the shared settings.
pub const METHODS: &[(&str, &str)] = &[
    ("sft", "neftune_noise_alpha = 1.0"),
    ("dpo", ""),
    ("kto", "per_device_train_batch_size = 4"),
    ("orpo", ""),
    ("cpo", "loss_type = \"simpo\"\nbeta = 2.0\ncpo_alpha = 0.0"),
    ("reward_model", ""),
    (
        "ppo",
        "response_length = 6\nper_device_train_batch_size = 4\nnum_mini_batches = 2\nkl_target = 1.0\nvalue_model = \"adapter\"\nlagrange_init = 0.1\nlagrange_lr = 0.01",
    ),
    ("grpo", "max_completion_length = 6\nper_device_train_batch_size = 8\nnum_generations = 4\nbeta = 0.02"),
    ("rloo", "max_completion_length = 6\nper_device_train_batch_size = 8\nnum_generations = 4"),
    ("online_dpo", "max_new_tokens = 6\nper_device_train_batch_size = 4"),
    ("rejection_sampling", "max_completion_length = 6\nper_device_train_batch_size = 4\nnum_generations = 4"),
];

/// Writes a recipe beside its output folder and returns its path.
pub fn recipe(folder: &Path, method: &str, settings: &str) -> PathBuf {
    let data = match method {
        "dpo" | "orpo" | "cpo" | "reward_model" => "trl/dpo_sigmoid/data.jsonl",
        "kto" => "trl/kto/data.jsonl",
        _ => "trl/sft_completion_only/data.jsonl",
    };
    let rated = matches!(method, "ppo" | "grpo" | "rloo" | "online_dpo" | "rejection_sampling");
    let rater = golden("trl/reward_model/adapter");
    let mut reward = if rated { format!("reward = {rater:?}\n") } else { String::new() };
    if method == "ppo" {
        reward += &format!("cost = {rater:?}\n");
    }
    let text = format!(
        "method = \"{method}\"\nmodel = {:?}\ndataset = {:?}\n{reward}output_dir = \"out\"\nseed = 7\n[lora]\nr = 4\nlora_dropout = 0.1\n[settings]\n{settings}\n",
        golden("trl/model"),
        golden(data)
    );
    let path = folder.join("recipe.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// The lines of a JSON-lines file.
pub fn lines(path: &Path) -> Vec<Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
