//! The real binary on a folder of its own.
#![allow(dead_code, clippy::print_stderr, reason = "each test file uses its own part, and says what it had to skip")]

pub mod hostile;
pub mod server;

use alidade_domain::{Place, SettingValue};
use alidade_train::{Method, Needs};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub use alidade_testkit::golden;

/// The program, not yet started.
pub fn alidade(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_alidade"));
    command.args(arguments).env("ALIDADE_LANGUAGE", "en");
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

/// What keeps a run small, or makes it say more, by the key of the setting; a method takes what it declares.
const SMALL: &[(&str, &str)] = &[
    ("response_length", "6"),
    ("max_completion_length", "6"),
    ("max_new_tokens", "6"),
    ("num_generations", "4"),
    ("neftune_noise_alpha", "1.0"),
    ("num_mini_batches", "2"),
    ("kl_target", "1.0"),
    ("value_model", "\"adapter\""),
    ("lagrange_init", "0.1"),
    ("lagrange_lr", "0.01"),
];
/// Settings that every test says for itself.
const SAID: &[&str] = &["learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size"];

/// Settings of a small run of a method: what suits the starter model, cut down.
pub fn small(method: &dyn Method) -> String {
    let own = method.starter().settings.into_iter().filter(|(key, _)| !SAID.contains(key));
    let mut settings: BTreeMap<&str, String> = own.map(|(key, value)| (key, toml(&value))).collect();
    let fields = method.fields();
    let declared = SMALL.iter().filter(|(key, _)| fields.iter().any(|field| field.key == *key));
    settings.extend(declared.map(|(key, value)| (*key, (*value).to_owned())));
    match method.card().place {
        Place::Ratings => drop(settings.insert("per_device_train_batch_size", "4".to_owned())),
        Place::Prompts => drop(settings.insert("per_device_train_batch_size", "8".to_owned())),
        Place::Answers | Place::Pairs => {}
    }
    settings.into_iter().map(|(key, value)| format!("{key} = {value}\n")).collect()
}

fn toml(value: &SettingValue) -> String {
    match value {
        SettingValue::Flag(value) => value.to_string(),
        SettingValue::Whole(value) => value.to_string(),
        SettingValue::Number(value) => format!("{value:?}"),
        SettingValue::Text(value) => format!("{value:?}"),
        SettingValue::Numbers(values) => format!("{values:?}"),
        SettingValue::Names(names) => format!("{names:?}"),
        SettingValue::Automatic => panic!("nobody sets a setting to automatic"),
    }
}

/// Writes a recipe beside its output folder and returns its path.
pub fn recipe(folder: &Path, method: &str, settings: &str) -> PathBuf {
    let known = alidade_train::method(method).ok();
    // A name that is none is a test of its own.
    let (place, needs) = known.map_or((Place::Answers, Needs::default()), |known| (known.card().place, known.needs()));
    let data = match place {
        Place::Pairs => "trl/dpo_sigmoid/data.jsonl",
        Place::Ratings => "trl/kto/data.jsonl",
        Place::Answers | Place::Prompts => "trl/sft_completion_only/data.jsonl",
    };
    let scorer = golden("trl/reward_model/adapter");
    let mut reward = if needs.reward { format!("reward = {scorer:?}\n") } else { String::new() };
    if needs.cost {
        reward += &format!("cost = {scorer:?}\n");
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

/// `alidade run` in a data folder: status, standard output and standard error.
pub fn run_file(home: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = alidade(&[&["run"], arguments].concat())
        .env("ALIDADE_HOME", home)
        .env("ALIDADE_RESOURCES", golden("../../resources"))
        .output()
        .unwrap();
    let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), words(&output.stdout), words(&output.stderr))
}
