//! The real binary on a folder of its own.
#![allow(dead_code, reason = "each test file uses its own part")]

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

/// Writes a recipe beside its output folder and returns its path.
pub fn recipe(folder: &Path, method: &str, settings: &str) -> PathBuf {
    let data =
        golden(if method == "dpo" { "trl/dpo_sigmoid/data.jsonl" } else { "trl/sft_completion_only/data.jsonl" });
    let text = format!(
        "method = \"{method}\"\nmodel = {:?}\ndataset = {data:?}\noutput_dir = \"out\"\nseed = 7\n[lora]\nr = 4\nlora_dropout = 0.1\n[settings]\n{settings}\n",
        golden("trl/model")
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
